"""Missions in, over a few strict routes (CONTRACT section 7).

Handlers read the request, hand events to the landing in a worker thread and answer; an answer of
202 means that what was accepted is on disk. Errors are RFC 9457 problems and never echo a body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from grace_assets.api.access import Refusal, problem, problem_answer, problems
from grace_assets.api.strict_json import NotAllowed, NotJson, broken_rule, split
from grace_assets.core.events import MissionEvent, day_of
from grace_assets.lake.arrivals import Rejected
from grace_assets.lake.blocks import Line
from grace_assets.lake.landing import Landing
from grace_assets.sources import alertmanager, cloudevents

MAX_BODY = 8 * 2**20
READ_SECONDS = 30.0
_JSON, _BINARY = "application/json", "binary"
_BEGINS = {cloudevents.STRUCTURED: b"{", cloudevents.BATCHED: b"[", _BINARY: b"{"}

OpenLanding = Callable[[], AbstractContextManager[Landing]]


@dataclass(frozen=True)
class Incoming:
    """One event of a request: its bytes, or the field and the rule it breaks."""

    index: int
    raw: bytes
    field: str | None = None
    reason: str | None = None


class RejectedEvent(BaseModel):
    index: int
    field: str | None
    reason: str


class Taken(BaseModel):
    """What became of the events of a request; what it counts is on disk."""

    accepted: int
    duplicates: int
    corrected: int
    rejected: list[RejectedEvent]


EXAMPLE = {
    "mission_id": "m-2026-03-01-7",
    "domain_id": "payments",
    "started_at": "2026-03-01T10:00:00Z",
    "completed_at": "2026-03-01T10:10:00Z",
    "success": True,
    "trigger": {"metric": "latency_ms", "observed": 520, "threshold": 500},
    "actions": ["scaled workers from 4 to 8"],
}
_EVENT = {
    "type": "object",
    "required": [field.name for field in msgspec.structs.fields(MissionEvent) if field.required],
}
_EVENTS = {"oneOf": [_EVENT, {"type": "array", "items": _EVENT, "minItems": 1}]}


def ingest_router(api: Ingest) -> APIRouter:
    """The routes; they read bodies themselves, so their OpenAPI is said here."""
    router = APIRouter()
    kinds = {
        _JSON: {"schema": _EVENTS, "example": EXAMPLE},
        cloudevents.STRUCTURED: {"schema": {"type": "object"}},
        cloudevents.BATCHED: {"schema": {"type": "array", "items": {"type": "object"}}},
    }
    alerts = {_JSON: {"schema": {"type": "object"}, "example": {"version": "4", "alerts": []}}}
    for path, handler, name, content in (
        ("/api/missions/events", api.events, "Take missions", kinds),
        ("/api/missions/alertmanager", api.alertmanager, "Take Alertmanager's webhook", alerts),
    ):
        router.add_api_route(
            path,
            handler,
            methods=["POST"],
            status_code=202,
            summary=name,
            response_model=Taken,
            responses=problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
            openapi_extra={"requestBody": {"required": True, "content": content}},
        )
    return router


class Ingest:
    def __init__(
        self,
        open_landing: OpenLanding,
        zone: tzinfo,
        domain_labels: Sequence[str],
    ) -> None:
        self._open = open_landing
        self._zone = zone
        self._domain_labels = domain_labels

    async def events(self, request: Request) -> Response:
        kind = content_type(request)
        if kind not in (_JSON, cloudevents.STRUCTURED, cloudevents.BATCHED):
            raise Refusal(415, "application/json or CloudEvents JSON is needed")
        if kind == _JSON and any(name.startswith("ce-") for name in request.headers):
            _check_binary(request)
            kind = _BINARY
        body = await read_body(request, MAX_BODY)
        # In a thread from here on: reading megabytes of JSON would hold up every other client.
        return await run_in_threadpool(self._take_events, kind, body)

    async def alertmanager(self, request: Request) -> Response:
        if content_type(request) != _JSON:
            raise Refusal(415, "application/json is needed")
        body = await read_body(request, MAX_BODY)
        return await run_in_threadpool(self._take_alerts, body)

    def _take_events(self, kind: str, body: bytes) -> Response:
        incoming = _split(body)
        begins = _BEGINS.get(kind, b"")
        if not body.lstrip().startswith(begins):
            what = "an array" if begins == b"[" else "one object"
            raise Refusal(422, f"this kind of CloudEvents message carries {what}")
        if kind in (cloudevents.STRUCTURED, cloudevents.BATCHED):
            incoming = [_unwrapped(event) for event in incoming]
        answer = self._land("http", incoming)
        if len(answer["rejected"]) == len(incoming):
            return problem_answer(problem(422, "every event was rejected", **answer))
        return JSONResponse(answer, 202)

    def _take_alerts(self, body: bytes) -> Response:
        """202 even where every alert was bad.

        Alertmanager keeps resolved alerts that were refused, and would send them again with
        every later notification of their group.
        """
        one_object(body)
        try:
            alerts = list(alertmanager.read(body, self._domain_labels))
        except alertmanager.WebhookError as error:
            raise Refusal(422, str(error)) from error
        incoming = [
            Incoming(alert.index, alert.event or alert.raw, reason=alert.reason)
            for alert in alerts
            if alert.event or alert.reason
        ]
        return JSONResponse(self._land("alertmanager", incoming), 202)

    def _land(self, origin: str, incoming: Sequence[Incoming]) -> dict[str, object]:
        """The counts of CONTRACT section 7; what they count is on disk."""
        now = datetime.now(UTC)
        day = day_of(now, self._zone)
        lines = [Line(event.index + 1, event.raw) for event in incoming if event.reason is None]
        bad = [
            Rejected(now, day, origin, event.index + 1, event.field, event.reason, event.raw)
            for event in incoming
            if event.reason is not None
        ]
        with self._open() as landing:
            counts = landing.add(origin, lines, now)
            if bad:
                landing.reject(bad)
        rejected = sorted((*bad, *counts.rejected), key=lambda r: r.line)
        return {
            "accepted": counts.accepted,
            "duplicates": counts.duplicate,
            "corrected": counts.corrected,
            "rejected": [
                {"index": r.line - 1, "field": r.field, "reason": r.reason} for r in rejected
            ],
        }


def content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_binary(request: Request) -> None:
    """CloudEvents in binary mode: the attributes are headers, the body is the data."""
    wanted = {"ce-specversion": "1.0", "ce-type": cloudevents.TYPE}
    for name, value in wanted.items():
        if request.headers.get(name) != value:
            raise Refusal(422, f"the header {name} must be {value}")
    for name in ("ce-id", "ce-source"):
        if not request.headers.get(name):
            raise Refusal(422, f"the header {name} is missing")


async def read_body(request: Request, most: int) -> bytes:
    """The body, counted while it comes; 413 beyond `most` bytes, 408 where it comes too slowly."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise Refusal(413, f"the body is larger than {most} bytes")
    parts, size = [], 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise Refusal(413, f"the body is larger than {most} bytes")
                parts.append(part)
    except TimeoutError as error:
        raise Refusal(408, "the body did not come in time") from error
    except ClientDisconnect as error:
        raise Refusal(400, "the client hung up") from error
    return b"".join(parts)


def one_object(body: bytes) -> bytes:
    """A body that is one JSON object and keeps the rules; `Refusal` 400 or 422 otherwise."""
    first, *more = _split(body)
    if first.reason or more or not body.lstrip().startswith(b"{"):
        raise Refusal(422, first.reason or "one object is needed")
    return first.raw


def _split(body: bytes) -> list[Incoming]:
    try:
        elements = split(body)
    except NotJson as error:
        raise Refusal(400, f"not JSON: {error}") from error
    except NotAllowed as error:
        raise Refusal(422, str(error)) from error
    return [Incoming(e.index, e.raw, reason=e.broken) for e in elements]


def _unwrapped(event: Incoming) -> Incoming:
    if event.reason is not None:
        return event
    try:
        raw = cloudevents.unwrap(event.raw)
    except cloudevents.CloudEventError as error:
        return Incoming(event.index, event.raw, error.field, error.reason)
    try:
        return Incoming(event.index, raw, reason=broken_rule(raw.decode("utf-8")))
    except ValueError as error:
        return Incoming(event.index, raw, "data", f"not JSON: {error}")
