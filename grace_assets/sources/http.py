"""HTTP to a source of telemetry that may be slow, huge, wrong or hostile.

One exchange is bounded in time and in size after decompression, follows no redirect, takes no
proxy from the environment, and is repeated where that can help. Errors name the host and never
a password, a token or a query.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx
import tenacity

from grace_assets.notify.retry_after import requested_wait
from grace_assets.notify.tls import verifying_context

MAX_BYTES = 64 * 2**20
ATTEMPTS = 4
CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
LONGEST_WAIT = 30.0
AT_ONCE = 8
_RETRIED = (429, 500, 502, 503, 504)


class SourceError(Exception):
    """A source did not answer as it should; the text is fit for logs, `code` for tables."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class _TryAgain(SourceError):
    """The same request may succeed later; `after` is how long the source asks to wait."""

    def __init__(self, code: str, text: str, after: float | None = None) -> None:
        super().__init__(code, text)
        self.after = after


@dataclass(frozen=True)
class Endpoint:
    """A base URL without its userinfo, and the credentials that it held."""

    url: str
    auth: tuple[str, str] | None
    token: str | None = None

    @classmethod
    def of(cls, url: str, token: str | None = None) -> Endpoint:
        """Raises `SourceError` for what is no http(s) URL or no token; neither is in the text."""
        try:
            parts = urlsplit(url)
            # A password with an unescaped "/" reads as a port: it must not pass for a host.
            sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise SourceError("bad_url", "the source's URL is not an http or https URL")
        token = token.strip() if token else None
        if token and not (token.isascii() and token.isprintable()):
            raise SourceError("bad_token", "the source's token holds what no header may hold")
        auth = None
        if parts.username is not None:
            auth = unquote(parts.username), unquote(parts.password or "")
        place = parts.netloc.rpartition("@")[2]
        return cls(urlunsplit(parts._replace(netloc=place)), auth, token)


class Exchange:
    """Requests to one endpoint that together have `total_seconds`, however slowly bytes come."""

    def __init__(
        self, endpoint: Endpoint, total_seconds: float, max_bytes: int | None = None
    ) -> None:
        self._endpoint = endpoint
        self._max_bytes = MAX_BYTES if max_bytes is None else max_bytes
        self._deadline = time.monotonic() + total_seconds
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if endpoint.token:
            headers["Authorization"] = f"Bearer {endpoint.token}"
        # httpx logs whole URLs at INFO.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        # A read's timeout starts anew with every byte; only a task can be ended from outside.
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            headers=headers,
            auth=endpoint.auth,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
            verify=verifying_context() if endpoint.url.startswith("https") else False,
        )

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._runner.run(self._client.aclose())
        finally:
            self._runner.close()

    def ask(self, path: str, form: dict[str, str] | None = None) -> bytes:
        """The body of a GET, or of a POST of `form`; raises `SourceError`."""
        return self._runner.run(self._ask(f"{self._endpoint.url.rstrip('/')}{path}", form))

    def ask_all(self, urls: Iterable[str]) -> list[bytes | SourceError]:
        """What each URL answers to a GET, in their order; a few are asked at a time."""
        return self._runner.run(self._ask_all(urls))

    async def _ask_all(self, urls: Iterable[str]) -> list[bytes | SourceError]:
        free = asyncio.Semaphore(AT_ONCE)

        async def one(url: str) -> bytes | SourceError:
            async with free:
                try:
                    return await self._ask(url, None)
                except SourceError as error:
                    return error

        return await asyncio.gather(*(one(url) for url in urls))

    async def _ask(self, url: str, form: dict[str, str] | None) -> bytes:
        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception()
            asked = error.after if isinstance(error, _TryAgain) else None
            usual = tenacity.wait_random_exponential(multiplier=0.2, max=5)(state)
            return min(usual if asked is None else asked, LONGEST_WAIT)

        def spent(state: tenacity.RetryCallState) -> bool:
            late = time.monotonic() + state.upcoming_sleep >= self._deadline
            return late or state.attempt_number >= ATTEMPTS

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_TryAgain), wait=wait, stop=spent, reraise=True
        )
        host = urlsplit(url).netloc
        try:
            async with asyncio.timeout(self._deadline - time.monotonic()):
                return await retrying(self._once, url, host, form)
        except TimeoutError:
            raise SourceError("deadline", f"{host} took too long altogether") from None

    async def _once(self, url: str, host: str, form: dict[str, str] | None) -> bytes:
        method = "GET" if form is None else "POST"
        try:
            async with self._client.stream(method, url, data=form) as response:
                _check(response, host)
                return await self._body(response, host)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise _TryAgain("unreachable", f"{host} cannot be reached") from None
        except httpx.TimeoutException:
            # What was too much for it would be so again, and keep the other metrics waiting.
            raise SourceError("timeout", f"{host} did not answer in time") from None
        except httpx.InvalidURL:
            raise SourceError("bad_url", f"{host} makes no URL") from None
        except httpx.HTTPError as error:
            kind = type(error).__name__
            raise _TryAgain("broken_off", f"{host} could not be read ({kind})") from None

    async def _body(self, response: httpx.Response, host: str) -> bytes:
        """The decompressed body, unpacked no further than its limit: a megabyte may hold a
        thousand."""
        packed = response.headers.get("content-encoding", "").strip().lower() == "gzip"
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        parts, room = [], self._max_bytes
        async for part in response.aiter_raw(chunk_size=65_536):
            try:
                plain = unpacker.decompress(part, room + 1) if packed else part
            except zlib.error:
                text = f"{host} answered with what cannot be unpacked"
                raise _TryAgain("broken_off", text) from None
            room -= len(plain)
            if room < 0:
                text = f"{host} answered with more than {self._max_bytes} bytes"
                raise SourceError("too_large", text)
            parts.append(plain)
        return b"".join(parts)


def _check(response: httpx.Response, host: str) -> None:
    """Raises `SourceError` for an answer whose body is of no use, before it is read."""
    status = response.status_code
    if status in _RETRIED:
        asked = requested_wait(response.headers.get("retry-after"), datetime.now(UTC))
        after = None if asked is None else asked.total_seconds()
        raise _TryAgain(f"http_{status}", f"{host} answered {status}", after)
    if 300 <= status < 400:
        raise SourceError("redirect", f"{host} answered with a redirect, which is not followed")
    # Prometheus explains a bad query in the body of a 400 or 422.
    if status not in (200, 400, 422):
        raise SourceError(f"http_{status}", f"{host} answered {status}")
    # Packed twice, a single read unpacks to gigabytes before it can be counted.
    if response.headers.get("content-encoding", "").strip().lower() not in ("", "identity", "gzip"):
        raise SourceError("bad_answer", f"{host} answered in an encoding that was not asked for")
