"""The lines of a brief on what keeps breaking and what Grace asks for: problems, follow-ups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import wording
from grace_assets.core.schemas import SEVERITIES

MAX_FOLLOW_UPS = 10


@dataclass(frozen=True)
class ProblemLine:
    """A problem that a rule found; its description brings its own figures."""

    problem_id: str
    domain_id: str
    type: str
    severity: str
    description: str


@dataclass(frozen=True)
class FollowUpLine:
    """A follow-up mission; `state` on this day: created, closed or open (from before)."""

    follow_up_id: str
    domain_id: str
    title: str
    reason: str
    priority: str
    state: str
    opened_on: str
    closed_by_mission_id: str | None
    verdict: str | None


def problem_lines(problems: pa.Table, most: int) -> tuple[ProblemLine, ...]:
    """At most so many problems of the day (rows of `problems`), the most severe first."""
    return tuple(
        ProblemLine(
            row["problem_id"],
            row["domain_id"],
            row["type"],
            row["severity"],
            wording.clean(row["description"], 240),
        )
        for row in _first(problems, most, "severity", "domain_id", "type")
    )


def follow_up_lines(
    follow_ups: pa.Table, day: date, missions: pa.ChunkedArray
) -> tuple[tuple[FollowUpLine, ...], dict[str, int]]:
    """What the day did to follow-ups: created, closed by one of its `missions`, or still open.

    At most `MAX_FOLLOW_UPS` lines of each state, in that order, and how many there are of each.
    """
    opened_on, today = follow_ups["opened_on"], pa.scalar(day)
    closed = pc.is_in(follow_ups["closed_by_mission_id"], missions)
    still = pc.and_(pc.equal(follow_ups["status"], "open"), pc.less(opened_on, today))
    states = {
        "created": pc.and_not(pc.equal(opened_on, today), closed),
        "closed": closed,
        "open": pc.and_not(still, closed),
    }
    lines, counts = [], {}
    for state, chosen in states.items():
        found = follow_ups.filter(chosen)
        counts[state] = found.num_rows
        for row in _first(found, MAX_FOLLOW_UPS, "priority", "opened_on", "follow_up_id"):
            lines.append(
                FollowUpLine(
                    follow_up_id=row["follow_up_id"],
                    domain_id=row["domain_id"],
                    title=wording.clean(row["title"], 120),
                    reason=wording.clean(row["reason"], 240),
                    priority=row["priority"],
                    state=state,
                    opened_on=row["opened_on"].isoformat(),
                    closed_by_mission_id=row["closed_by_mission_id"] if state == "closed" else None,
                    verdict=row["verdict"] if state == "closed" else None,
                )
            )
    return tuple(lines), counts


def _first(rows: pa.Table, most: int, severity: str, *then: str) -> list[dict[str, Any]]:
    """The first rows by severity and some more columns; only they become Python objects."""
    # Words that are unknown have no rank, and sort last.
    ranks = pc.index_in(rows[severity], pa.array(SEVERITIES))
    keys = rows.select(then).append_column("rank", ranks)
    order = pc.sort_indices(keys, [(name, "ascending") for name in ("rank", *then)])
    return rows.take(order[:most]).to_pylist()
