"""What an attempt came to, in the ledger's words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

RETRY_AFTER = timedelta(minutes=5)
"""When a transient failure is tried again where the other side names no time."""


@dataclass(frozen=True)
class Outcome:
    """`status` is `sent`, `written`, `pending`, `rejected` or `unknown`; `reason` short words."""

    status: str
    reason: str | None = None
    retry_in: timedelta | None = None


def later(reason: str, after: timedelta = RETRY_AFTER) -> Outcome:
    """Certainly not delivered, worth another attempt."""
    return Outcome("pending", reason, after)
