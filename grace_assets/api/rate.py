"""How often one client may write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from grace_assets.api.access import AccessError, Refusal

DEFAULT = "100/second"
VARIABLE = "GRACE_API_RATE_LIMIT"


class WriteLimit:
    """So many writes by a token, or where none is sent by an address; none for `off`."""

    def __init__(self, limit: RateLimitItem | None) -> None:
        self._limit = limit
        self._writes = MovingWindowRateLimiter(MemoryStorage())

    @staticmethod
    def from_env(env: Mapping[str, str]) -> WriteLimit:
        """Of `GRACE_API_RATE_LIMIT`; `AccessError` where it is not like `100/second`."""
        text = (env.get(VARIABLE) or DEFAULT).strip()
        if text == "off":
            return WriteLimit(None)
        try:
            return WriteLimit(parse(text))
        except ValueError as error:
            raise AccessError(f"{VARIABLE}: {text!r} is not like {DEFAULT}, or off") from error

    def check(self, authorization: str, address: str) -> None:
        """Count one write; `Refusal` 429 with when to come again where there were too many."""
        if self._limit is None:
            return
        who = sha256(authorization.encode()).hexdigest() if authorization else address
        if not self._writes.hit(self._limit, who):
            again = self._writes.get_window_stats(self._limit, who).reset_time - time.time()
            seconds = str(max(1, round(again)))
            raise Refusal(429, "too many writes", {"Retry-After": seconds})
