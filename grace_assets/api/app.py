"""The HTTP application: missions in, over a few strict routes (CONTRACT section 7).

Handlers read the request, hand events to the landing in a worker thread and answer; an answer of
202 means that what was accepted is on disk. Errors are RFC 9457 problems and never echo a body.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_address

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from grace_assets.api.strict_json import NotAllowed, NotJson, broken_rule, split
from grace_assets.core.events import day_of
from grace_assets.lake.landing import Landing, Line, Rejected
from grace_assets.render.definitions import figures_page
from grace_assets.render.message import FIGURES_PATH
from grace_assets.sources import alertmanager, cloudevents

logger = logging.getLogger(__name__)

MAX_BODY = 8 * 2**20
READ_SECONDS = 30.0
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
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


class Refusal(HTTPException):
    """An answer that refuses the whole request; `detail` is shown to the client."""


def may_bind(host: str, token: str | None) -> bool:
    """Whether to serve at all: without a token only on a loopback address."""
    if token:
        return True
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def build_app(
    open_landing: OpenLanding,
    zone: tzinfo,
    token: str | None,
    hosts: Sequence[str] = ("*",),
    domain_labels: Sequence[str] = alertmanager.DOMAIN_LABELS,
    extra_routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """The application, with `extra_routes` after its own.

    `hosts` are the Host headers answered, against rebinding of names; the first of
    `domain_labels` that an alert has names its domain.
    """
    api = Api(open_landing, zone, token, domain_labels)
    routes = [
        Route("/healthz", api.health),
        Route(FIGURES_PATH, _figures),
        Route("/api/missions/events", api.events, methods=["POST"]),
        Route("/api/missions/alertmanager", api.alertmanager, methods=["POST"]),
        *extra_routes,
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={HTTPException: _refused, OSError: _unstored, sqlite3.Error: _unstored},
    )


async def _figures(_: Request) -> Response:
    return HTMLResponse(figures_page())


def problem(status: int, detail: str, **more: object) -> dict[str, object]:
    """An error in the words of RFC 9457."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "status": status, "title": title, "detail": detail, **more}


def _answer(body: dict[str, object], headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(body, body["status"], headers, media_type="application/problem+json")


async def _refused(_: Request, error: HTTPException) -> Response:
    return _answer(problem(error.status_code, error.detail), error.headers)


async def _unstored(_: Request, error: Exception) -> Response:
    """The disk is full or locked: nothing is acknowledged, and the sender is to come again."""
    logger.error("missions could not be stored: %s", error)
    return _answer(problem(503, "not stored; send it again"), {"Retry-After": "30"})


class Api:
    def __init__(
        self,
        open_landing: OpenLanding,
        zone: tzinfo,
        token: str | None,
        domain_labels: Sequence[str],
    ) -> None:
        self._open = open_landing
        self._zone = zone
        self._domain_labels = domain_labels
        self._token = sha256(token.encode()).digest() if token else None

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def events(self, request: Request) -> Response:
        self._authorise(request)
        kind = _content_type(request)
        if kind not in (_JSON, cloudevents.STRUCTURED, cloudevents.BATCHED):
            raise Refusal(415, "application/json or CloudEvents JSON is needed")
        if kind == _JSON and any(name.startswith("ce-") for name in request.headers):
            _check_binary(request)
            kind = _BINARY
        body = await _body(request)
        # In a thread from here on: reading megabytes of JSON would hold up every other client.
        return await run_in_threadpool(self._take_events, kind, body)

    async def alertmanager(self, request: Request) -> Response:
        self._authorise(request)
        if _content_type(request) != _JSON:
            raise Refusal(415, "application/json is needed")
        body = await _body(request)
        return await run_in_threadpool(self._take_alerts, body)

    def _authorise(self, request: Request) -> None:
        if self._token is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Starlette reads headers as Latin-1: this gives back the bytes that were sent.
        digest = sha256(given.strip().encode("latin-1")).digest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(digest, self._token):
            raise Refusal(401, "a valid bearer token is needed", {"WWW-Authenticate": "Bearer"})

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
            return _answer(problem(422, "every event was rejected", **answer))
        return JSONResponse(answer, 202)

    def _take_alerts(self, body: bytes) -> Response:
        """202 even where every alert was bad.

        Alertmanager keeps resolved alerts that were refused, and would send them again with
        every later notification of their group.
        """
        message = _split(body)[0]
        if message.reason:
            raise Refusal(422, message.reason)
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


def _content_type(request: Request) -> str:
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


async def _body(request: Request) -> bytes:
    """The body, counted while it comes; 413 beyond `MAX_BODY`, 408 where it comes too slowly."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_BODY:
        raise Refusal(413, f"the body is larger than {MAX_BODY} bytes")
    parts, size = [], 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY:
                    raise Refusal(413, f"the body is larger than {MAX_BODY} bytes")
                parts.append(part)
    except TimeoutError as error:
        raise Refusal(408, "the body did not come in time") from error
    except ClientDisconnect as error:
        raise Refusal(400, "the client hung up") from error
    return b"".join(parts)


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
