"""HTTP to a source of telemetry that may be slow, huge, wrong or hostile.

One exchange is bounded in time and in size after decompression, follows no redirect, takes no
proxy from the environment, and is repeated where that can help. Errors name the host and never
a password, a token or a query.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx
import tenacity

from grace_assets.notify.tls import verifying_context

MAX_BYTES = 64 * 2**20
ATTEMPTS = 4
CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
LONGEST_WAIT = 30.0
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
        """Raises `SourceError` where it is no http(s) URL; the URL is not in the text."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SourceError("bad_url", "the source's URL is not an http or https URL")
        auth = None
        if parts.username is not None:
            auth = unquote(parts.username), unquote(parts.password or "")
        place = parts.netloc.rpartition("@")[2]
        return cls(urlunsplit(parts._replace(netloc=place)).rstrip("/"), auth, token)

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc


class Exchange:
    """Requests to one endpoint that together have until `deadline` (monotonic seconds)."""

    def __init__(self, endpoint: Endpoint, total_seconds: float) -> None:
        self._endpoint = endpoint
        self._deadline = time.monotonic() + total_seconds
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if endpoint.token:
            headers["Authorization"] = f"Bearer {endpoint.token}"
        # httpx logs whole URLs at INFO.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._client = httpx.Client(
            headers=headers,
            auth=endpoint.auth,
            follow_redirects=False,
            trust_env=False,
            verify=verifying_context() if endpoint.url.startswith("https") else False,
        )

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, path: str, form: dict[str, str] | None = None) -> bytes:
        """The body of a GET, or of a POST of `form`; raises `SourceError`."""

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception()
            asked = error.after if isinstance(error, _TryAgain) else None
            usual = tenacity.wait_random_exponential(multiplier=0.2, max=5)(state)
            return min(usual if asked is None else asked, LONGEST_WAIT)

        def spent(state: tenacity.RetryCallState) -> bool:
            late = time.monotonic() + state.upcoming_sleep >= self._deadline
            return late or state.attempt_number >= ATTEMPTS

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain), wait=wait, stop=spent, reraise=True
        )
        return retrying(self._once, path, form)

    def _once(self, path: str, form: dict[str, str] | None) -> bytes:
        host = self._endpoint.host
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise SourceError("deadline", f"{host} took too long altogether")
        timeout = httpx.Timeout(min(READ_SECONDS, left), connect=min(CONNECT_SECONDS, left))
        method = "GET" if form is None else "POST"
        url = f"{self._endpoint.url}{path}"
        try:
            with self._client.stream(method, url, data=form, timeout=timeout) as response:
                self._check(response)
                return self._body(response)
        except httpx.TimeoutException:
            raise _TryAgain("timeout", f"{host} did not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            kind = type(error).__name__
            raise _TryAgain("unreachable", f"{host} could not be read ({kind})") from None

    def _check(self, response: httpx.Response) -> None:
        status, host = response.status_code, self._endpoint.host
        if status in _RETRIED:
            after = _retry_after(response.headers.get("retry-after"))
            raise _TryAgain(f"http_{status}", f"{host} answered {status}", after)
        if 300 <= status < 400:
            raise SourceError("redirect", f"{host} answered with a redirect, which is not followed")
        # Prometheus explains a bad query in the body of a 400 or 422.
        if status not in (200, 400, 422):
            raise SourceError(f"http_{status}", f"{host} answered {status}")

    def _body(self, response: httpx.Response) -> bytes:
        """The decompressed body, counted as it comes: a small one may unpack to gigabytes."""
        parts, size, host = [], 0, self._endpoint.host
        for part in response.iter_bytes(chunk_size=65_536):
            size += len(part)
            if size > MAX_BYTES:
                raise SourceError("too_large", f"{host} answered with more than {MAX_BYTES} bytes")
            if time.monotonic() > self._deadline:
                raise SourceError("deadline", f"{host} took too long altogether")
            parts.append(part)
        return b"".join(parts)


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, from either form of the header; None for anything else."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
