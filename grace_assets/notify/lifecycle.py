"""The states of a delivery and what may follow on what. Pure: no database, no clock.

suppressed ──► pending ──► sending ──► sent | written
    ▲            ▲ │          ├──────► rejected  (a definite no, or tried for too long)
    │            └─┼──────────┤        pending   (certainly not delivered: later again)
    └──────────────┘          └──────► unknown   (it may have arrived)
                                          └────► sending, once, marked as a possible repeat
"""

from __future__ import annotations

from datetime import datetime, timedelta

from grace_assets.notify.ledger_rows import Delivery
from grace_assets.notify.outcome import LONGEST_WAIT, Outcome, retry_delay

RESEND_MARKED = "resend_marked"
"""What may have arrived is sent once more, visibly marked and under the same Message-ID."""
HOLD = "hold"
"""What may have arrived is left to a person."""
REPLACE = "replace"
"""A repeat takes the place of the first (a file): nothing can arrive twice."""

REACHED = ("sent", "written", "unknown", "sending")
"""States in which a revision has, or may have, reached its destination."""
OWED = (*REACHED, "pending", "rejected")
"""The same, and those where it was promised: what the next revision is counted from."""

LEASE = timedelta(minutes=30)
"""Longer than any attempt; the longest is a mail server that thinks for ten minutes, twice."""
GIVE_UP = timedelta(days=3)
"""A brief that could not be handed over for so long is refused for good: it is old news."""
FEWEST_ATTEMPTS = 12
"""Before that nothing is given up: a clock that jumped, or a machine that slept, is no refusal."""
REPEAT_AFTER = timedelta(minutes=5)
"""An ambiguous answer is not asked again at once: it is often an outage."""
CUT_OFF = "cut off while sending: it may have arrived"


def may_start(row: Delivery, now: datetime, on_unknown: str) -> bool:
    """Whether an attempt may be made now."""
    if row.retry_at is not None and not has_come(row.retry_at, now, LONGEST_WAIT):
        return False
    return row.status == "pending" or (row.status == "unknown" and may_repeat(row, on_unknown))


def has_come(planned: datetime, now: datetime, ahead: timedelta) -> bool:
    """Whether the time has come that was planned at most so far ahead.

    What lies further ahead was planned by a clock that was wrong, and is not waited for.
    """
    return not now < planned <= now + ahead


def may_repeat(row: Delivery, on_unknown: str) -> bool:
    """Whether what may have arrived may be sent again: marked, and once."""
    return on_unknown == RESEND_MARKED and row.repeats == 0


def after_cut_off(on_unknown: str) -> Outcome:
    """What an attempt without an end came to; a repeat need not wait."""
    if on_unknown == REPLACE:
        return Outcome("pending", "cut off while writing", timedelta(0))
    return Outcome("unknown", CUT_OFF, timedelta(0))


def next_attempt(row: Delivery, outcome: Outcome, now: datetime, on_unknown: str) -> Outcome:
    """The outcome as it is entered: with the wait until another attempt, or without one."""
    if outcome.status == "unknown":
        wait = REPEAT_AFTER if outcome.retry_in is None else outcome.retry_in
        again = wait if may_repeat(row, on_unknown) else None
        return Outcome("unknown", outcome.reason, again)
    if outcome.status != "pending":
        return Outcome(outcome.status, outcome.reason)
    waited = now - (row.promised_at or now)
    if waited >= GIVE_UP and row.attempts >= FEWEST_ATTEMPTS:
        return Outcome("rejected", f"gave up after {GIVE_UP.days} days: {outcome.reason}")
    asked = outcome.retry_in or timedelta(0)
    # A file of our own needs no rest.
    rest = timedelta(0) if on_unknown == REPLACE else retry_delay(row.attempts)
    return Outcome("pending", outcome.reason, min(max(asked, rest), LONGEST_WAIT))
