"""The HTTP application: missions in, over a few strict routes (CONTRACT section 7).

Handlers read the request, hand events to the landing in a worker thread and answer; an answer of
202 means that what was accepted is on disk. Errors are RFC 9457 problems and never echo a body.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from grace_assets.api.strict_json import NotAllowed, NotJson, broken_rule, split
from grace_assets.core.events import day_of
from grace_assets.lake.landing import Counts, Landing, Line, Rejected
from grace_assets.sources import alertmanager, cloudevents

MAX_BODY = 8 * 2**20
READ_SECONDS = 30.0
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]", "testserver")

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
    open_landing: OpenLanding, zone: Any, token: str | None, hosts: Sequence[str] = ("*",)
) -> Starlette:
    """The application; `hosts` are the Host headers answered, against rebinding of names."""
    api = Api(open_landing, zone, token)
    routes = [
        Route("/healthz", api.health),
        Route("/api/missions/events", api.events, methods=["POST"]),
        Route("/api/missions/alertmanager", api.alertmanager, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={HTTPException: problem},
    )


async def problem(_: Request, error: Exception) -> Response:
    """An error as `application/problem+json`."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "Internal Server Error"
    body = {"type": "about:blank", "status": status, "title": detail}
    headers = getattr(error, "headers", None)
    return JSONResponse(body, status, headers, media_type="application/problem+json")


class Api:
    def __init__(self, open_landing: OpenLanding, zone: Any, token: str | None) -> None:
        self._open = open_landing
        self._zone = zone
        self._token = sha256(token.encode()).digest() if token else None

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def events(self, request: Request) -> Response:
        self._authorise(request)
        kind = _content_type(request)
        if kind not in ("application/json", cloudevents.STRUCTURED, cloudevents.BATCHED):
            raise Refusal(415, "application/json or CloudEvents JSON is needed")
        binary = kind == "application/json" and "ce-specversion" in request.headers
        if binary:
            _check_binary(request)
        body = await _body(request)
        incoming = _split(body)
        if kind in (cloudevents.STRUCTURED, cloudevents.BATCHED):
            incoming = [_unwrapped(event) for event in incoming]
        return await self._take("http", incoming)

    async def alertmanager(self, request: Request) -> Response:
        """Always 202 for a message of Alertmanager: it would only repeat what it sent."""
        self._authorise(request)
        if _content_type(request) != "application/json":
            raise Refusal(415, "application/json is needed")
        body = await _body(request)
        try:
            alerts = list(alertmanager.read(body))
        except alertmanager.WebhookError as error:
            raise Refusal(422, str(error)) from error
        incoming = [
            Incoming(alert.index, alert.event or alert.raw, reason=alert.reason)
            for alert in alerts
            if alert.event or alert.reason
        ]
        return await self._take("alertmanager", incoming, always=True)

    def _authorise(self, request: Request) -> None:
        if self._token is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        digest = sha256(given.strip().encode("utf-8", "surrogateescape")).digest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(digest, self._token):
            raise Refusal(401, "a valid bearer token is needed", {"WWW-Authenticate": "Bearer"})

    async def _take(
        self, origin: str, incoming: list[Incoming], *, always: bool = False
    ) -> Response:
        counts, refused = await run_in_threadpool(self._land, origin, incoming)
        rejected = sorted(refused, key=lambda entry: entry["index"])
        answer = {
            "accepted": counts.accepted,
            "duplicates": counts.duplicate,
            "corrected": counts.corrected,
            "rejected": rejected,
        }
        if rejected and len(rejected) == len(incoming) and not always:
            answer |= {"type": "about:blank", "status": 422, "title": "every event was rejected"}
            return JSONResponse(answer, 422, media_type="application/problem+json")
        return JSONResponse(answer, 202)

    def _land(
        self, origin: str, incoming: list[Incoming]
    ) -> tuple[Counts, list[dict[str, object]]]:
        now = datetime.now(UTC)
        bad = [event for event in incoming if event.reason is not None]
        lines = [Line(event.index + 1, event.raw) for event in incoming if event.reason is None]
        with self._open() as landing:
            day = day_of(now, self._zone)
            kept = [Rejected(now, day, origin, e.index + 1, e.field, e.reason, e.raw) for e in bad]
            if kept:
                landing.reject(kept)
            counts = landing.add(origin, lines, now)
        refused = [(r.line - 1, r.field, r.reason) for r in (*kept, *counts.rejected)]
        names = ("index", "field", "reason")
        return counts, [dict(zip(names, entry, strict=True)) for entry in refused]


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
