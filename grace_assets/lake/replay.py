"""Lines in quarantine, taken again once the cause is mended."""

from __future__ import annotations

from datetime import UTC, datetime

from grace_assets.lake.arrivals import Rejected
from grace_assets.lake.blocks import Line
from grace_assets.lake.inbox import Inbox
from grace_assets.lake.landing import Counts, Landing


def replay(landing: Landing, inbox: Inbox) -> tuple[Counts, list[Rejected]]:
    """Send waiting lines through the same validation again; returns what still does not pass.

    Idempotent: a line that passes is marked, one that does not stays as it was, and an event
    that is known by now counts as a duplicate. Whole files that could not be read are left to
    be dropped again.
    """
    total, waiting = Counts(), []
    for rejected in landing.quarantine.lines(waiting_only=True):
        passed = False
        if rejected.kind == "event":
            passed = _replay_event(landing, rejected, total)
        elif rejected.kind == "sample":
            passed = inbox.take_sample_line(rejected.raw)
            total.accepted += passed
        if passed:
            landing.quarantine.mark_replayed([rejected.seq], datetime.now(UTC))
        else:
            waiting.append(rejected)
    return total, waiting


def _replay_event(landing: Landing, rejected: Rejected, total: Counts) -> bool:
    # Received now: "more than 24 h in the future" is judged anew, which is often the cause.
    counts = landing.add(
        rejected.origin,
        [Line(rejected.line, rejected.raw)],
        datetime.now(UTC),
        keep_rejected=False,
    )
    total.accepted += counts.accepted
    total.duplicate += counts.duplicate
    total.corrected += counts.corrected
    return not counts.rejected
