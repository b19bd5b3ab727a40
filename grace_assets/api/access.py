"""Who may ask for what, how every answer is sealed, and what an error looks like.

Tokens are bearer tokens with the scopes `read`, `ingest` (missions in) and `admin` (runs).
`GRACE_API_TOKEN` has all of them. Without any token only this machine is served, and everything
is open. With tokens, writes always need one. Reads need one off loopback, and on loopback only
where a token of `GRACE_API_TOKENS` names the scope `read`: who sets just `GRACE_API_TOKEN` on his
own machine protects writes and still sees his pages in a browser.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SCOPES = frozenset({"read", "ingest", "admin"})
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
PROBLEM = "application/problem+json"
_SAFE = ("GET", "HEAD", "OPTIONS")
_POSTED_READS = ("/api/ask", "/mcp")
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    # Charts and emails carry style attributes; a script runs only from a file of ours.
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
}
# Nothing is kept by others unless its route says so. As ASGI has them: every answer bears them.
_SEAL = [
    (name.encode(), value.encode())
    for name, value in {**SECURITY_HEADERS, "cache-control": "no-store"}.items()
]


class Problem(BaseModel):
    """An error in the words of RFC 9457."""

    type: str
    status: int
    title: str
    detail: str


class Refusal(HTTPException):
    """An answer that refuses the whole request; `detail` is shown to the client."""


def problem(status: int, detail: str, **more: object) -> dict[str, Any]:
    """An error in the words of RFC 9457."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "status": status, "title": title, "detail": detail, **more}


def problem_answer(body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(body, body["status"], headers, media_type=PROBLEM)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for its OpenAPI."""
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }


class AccessError(ValueError):
    """A variable about access is not as documented; the message holds no token."""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Access:
    """The tokens, as digests, with their scopes; `private_reads` as the module says."""

    tokens: tuple[tuple[bytes, frozenset[str]], ...] = ()
    private_reads: bool = False

    @staticmethod
    def from_env(env: Mapping[str, str], host: str = "127.0.0.1") -> Access:
        """Of `GRACE_API_TOKEN` and `GRACE_API_TOKENS`, for a server bound to `host`."""
        tokens = []
        if one := env.get("GRACE_API_TOKEN"):
            tokens.append((_digest(one.encode()), SCOPES))
        named: set[str] = set()
        for place, word in enumerate(env.get("GRACE_API_TOKENS", "").split(), 1):
            names, _, token = word.partition(":")
            scopes = frozenset(names.split("+"))
            if not token or not scopes <= SCOPES:
                raise AccessError(
                    f"GRACE_API_TOKENS: entry {place} is not scope[+scope]:token with scopes of "
                    f"{', '.join(sorted(SCOPES))}"
                )
            named |= scopes
            tokens.append((_digest(token.encode()), scopes))
        return Access(tuple(tokens), bool(tokens) and ("read" in named or not _is_loopback(host)))

    def may_bind(self, host: str) -> bool:
        """Whether to serve at all: without a token only on a loopback address."""
        return bool(self.tokens) or _is_loopback(host)

    def hosts(self, host: str) -> tuple[str, ...]:
        """The Host headers answered, against rebinding of names."""
        return LOOPBACK_HOSTS if _is_loopback(host) else ("*",)

    def check(self, needed: str, authorization: str) -> None:
        """`Refusal` 401 without a known token, 403 where its scopes do not suffice."""
        if not self.tokens or (needed == "read" and not self.private_reads):
            return
        scheme, _, given = authorization.partition(" ")
        # Starlette reads headers as Latin-1: this gives back the bytes that were sent.
        digest = _digest(given.strip().encode("latin-1"))
        # All are compared, so that the time does not tell which one was near.
        found = [scopes for known, scopes in self.tokens if hmac.compare_digest(digest, known)]
        if scheme.lower() != "bearer" or not found:
            raise Refusal(401, "a valid bearer token is needed", {"WWW-Authenticate": "Bearer"})
        if not any(needed in scopes for scopes in found):
            raise Refusal(403, f"the token lacks the scope {needed}")


def _digest(token: bytes) -> bytes:
    return sha256(token).digest()


def _authorization(scope: Scope) -> str:
    # As Starlette reads it, without its objects: it is asked for on every request.
    found = (value for name, value in scope["headers"] if name == b"authorization")
    return next(found, b"").decode("latin-1")


def scope_needed(method: str, path: str) -> str:
    """What a request needs; whatever is not known to be less needs `admin`."""
    if method in _SAFE or path in _POSTED_READS:
        return "read"
    return "ingest" if path.startswith("/api/missions/") else "admin"


class Gate:
    """In front of every route, also of those added later: checks the token, seals the answer.

    `count_write(authorization, address)` may refuse a write.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        open_paths: Collection[str],
        count_write: Callable[[str, str], None],
    ) -> None:
        self._app = app
        self._access = access
        self._open_paths = frozenset(open_paths)
        self._count_write = count_write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                present = {name for name, _ in headers}
                message["headers"] = [*headers, *[own for own in _SEAL if own[0] not in present]]
            await send(message)

        if not (scope["path"] in self._open_paths and scope["method"] in _SAFE):
            given = _authorization(scope)
            needed = scope_needed(scope["method"], scope["path"])
            try:
                self._access.check(needed, given)
                if needed != "read":
                    self._count_write(given, (scope.get("client") or ("",))[0])
            except Refusal as error:
                answer = problem_answer(problem(error.status_code, error.detail), error.headers)
                await answer(scope, receive, sealed)
                return
        await self._app(scope, receive, sealed)
