"""What one attempt came to, and when it is worth another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Outcome:
    """`status` is `sent`, `written`, `pending`, `rejected` or `unknown`; `reason` short words.

    `pending` means: certainly not delivered, and worth another attempt. `retry_in` is the least
    wait that the other side asked for; null leaves it to us.
    """

    status: str
    reason: str | None = None
    retry_in: timedelta | None = None


LONGEST_WAIT = timedelta(hours=1)
"""From one attempt to the next."""


def retry_delay(attempts: int) -> timedelta:
    """How long to wait after that many attempts: 1, 2, 4, … minutes, at most `LONGEST_WAIT`."""
    return min(timedelta(minutes=2 ** min(attempts - 1, 6)), LONGEST_WAIT)
