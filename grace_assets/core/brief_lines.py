"""The lines of a brief on what keeps breaking and what Grace asks for: problems, follow-ups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from grace_assets.core import wording

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


def problem_lines(problems: pa.Table) -> list[ProblemLine]:
    """All problems of the day (rows of `problems`), the most severe first."""
    lines = [
        ProblemLine(
            row["problem_id"],
            row["domain_id"],
            row["type"],
            row["severity"],
            wording.clean(row["description"], 240),
        )
        for row in problems.to_pylist()
    ]
    return sorted(lines, key=lambda p: (wording.severity_rank(p.severity), p.domain_id, p.type))


def follow_up_lines(follow_ups: pa.Table, day: date, missions: set[str]) -> list[FollowUpLine]:
    """What the day did to follow-ups: created, closed by one of its `missions`, or still open."""
    lines = []
    for row in follow_ups.to_pylist():
        closed_today = row["closed_by_mission_id"] in missions
        if closed_today:
            state = "closed"
        elif row["opened_on"] == day:
            state = "created"
        elif row["status"] == "open" and row["opened_on"] < day:
            state = "open"
        else:
            continue
        lines.append(
            FollowUpLine(
                follow_up_id=row["follow_up_id"],
                domain_id=row["domain_id"],
                title=wording.clean(row["title"], 120),
                reason=wording.clean(row["reason"], 240),
                priority=row["priority"],
                state=state,
                opened_on=row["opened_on"].isoformat(),
                closed_by_mission_id=row["closed_by_mission_id"] if closed_today else None,
                verdict=row["verdict"] if closed_today else None,
            )
        )
    return sorted(
        lines, key=lambda f: (wording.severity_rank(f.priority), f.opened_on, f.follow_up_id)
    )


def first_of_each_state(lines: list[FollowUpLine]) -> tuple[FollowUpLine, ...]:
    """At most `MAX_FOLLOW_UPS` of each state: created, closed, open."""
    by_state = {s: [f for f in lines if f.state == s] for s in ("created", "closed", "open")}
    return tuple(f for group in by_state.values() for f in group[:MAX_FOLLOW_UPS])
