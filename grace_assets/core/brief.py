"""The daily status brief as a view model: what is said, worked out once for every channel.

Belongs here: what a brief contains, its order, its headline, its JSON and its table row. How a
channel lays it out is `render`'s; sections and figures are `brief_sections`'.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import wording
from grace_assets.core.brief_figures import Figure, Totals, setback_counts, total_figures
from grace_assets.core.brief_history import Chapter, held, restated
from grace_assets.core.brief_lines import (
    FollowUpLine,
    ProblemLine,
    follow_up_lines,
    problem_lines,
)
from grace_assets.core.brief_metrics import metric_lines
from grace_assets.core.brief_overview import Overview, overview
from grace_assets.core.brief_sections import (
    DomainSection,
    domain_section,
    figures_of,
    mission_rows,
)
from grace_assets.core.brief_trend import TrendLine
from grace_assets.core.schemas import TABLES

MAX_PROBLEMS = 20


@dataclass(frozen=True)
class Brief:
    """One day. `complete` is false while the day still runs; `sample` marks made-up data."""

    brief_id: str
    date: str
    day_name: str
    timezone: str
    period_start: datetime
    period_end: datetime
    complete: bool
    sample: bool
    headline: str
    state: str
    totals: Totals
    figures: tuple[Figure, ...]
    domains: tuple[DomainSection, ...]
    problems: tuple[ProblemLine, ...]
    follow_ups: tuple[FollowUpLine, ...]
    auto_created: Figure | None
    left_out: tuple[Figure, ...]
    domains_total: int
    chapters: tuple[Chapter, ...] = ()
    trends: tuple[TrendLine, ...] = ()

    def to_json(self) -> str:
        """The whole brief as JSON; equal briefs give equal text."""
        return msgspec.json.encode(self, order="deterministic").decode()

    @staticmethod
    def from_json(text: str) -> Brief:
        """The brief that `to_json` wrote; raises `msgspec.ValidationError` for anything else."""
        return msgspec.json.decode(text, type=Brief)

    def all_figures(self) -> tuple[Figure, ...]:
        """Every figure of the brief, from all its parts."""
        created = (self.auto_created,) if self.auto_created else ()
        told = (figure for chapter in self.chapters for figure in chapter.figures)
        lines = (line.fact for line in self.trends)
        return (*self.figures, *created, *self.left_out, *told, *lines, *figures_of(self.domains))


def build_brief(
    day: date,
    period_start: datetime,
    period_end: datetime,
    timezone: str,
    outcomes: pa.Table,
    telemetry: pa.Table,
    kpi_daily: pa.Table,
    problems: pa.Table,
    follow_ups: pa.Table,
    *,
    complete: bool,
    seen: Overview | None = None,
    verdicts: pa.Table | None = None,
    holds: pa.Table | None = None,
    trends: tuple[TrendLine, ...] = (),
) -> Brief:
    """The brief of one day from that day's tables.

    Of a large day `outcomes` and `telemetry` may hold only what is told: the missions of the
    domains that `seen`, its overview, shows, and those that `follow_ups` and `verdicts` name.

    `verdicts` are the day's rows of `mission_verdicts`; `holds` rows of `hold_daily` of the
    `HOLD_DAYS` that end with it. `follow_ups` are those known at the end of the day, of whatever
    day of opening: rows that were closed by missions of other days are left aside.
    """
    seen = seen or overview([outcomes])
    counts = seen.totals
    sections = _sections(seen.shown, outcomes, telemetry, kpi_daily, day)
    asked, states = follow_up_lines(follow_ups, day, outcomes["mission_id"])
    changed = restated(verdicts, outcomes, day) if verdicts is not None else None
    chapters = (changed, held(holds, day) if holds is not None else None)
    return Brief(
        brief_id=f"brief-{day.isoformat()}",
        date=day.isoformat(),
        day_name=f"{day:%A} {day.day} {day:%B} {day.year}",
        timezone=timezone,
        period_start=period_start.astimezone(UTC),
        period_end=period_end.astimezone(UTC),
        complete=complete,
        sample=seen.sample,
        headline=headline(counts, complete=complete),
        state=counts.state,
        totals=counts,
        figures=_day_figures(counts, seen.domains, changed, problems.num_rows, states, day),
        domains=tuple(sections),
        problems=problem_lines(problems, MAX_PROBLEMS),
        follow_ups=asked,
        auto_created=_auto_created(states["created"], day),
        left_out=_left_out(seen, problems.num_rows, sum(states.values()) - len(asked), day),
        domains_total=seen.domains,
        chapters=tuple(chapter for chapter in chapters if chapter),
        trends=trends,
    )


def headline(counts: Totals, *, complete: bool) -> str:
    """The day in a sentence, from its counts alone; bad news comes first."""
    so_far = "" if complete else " so far today"
    n = counts.missions
    if not n:
        return f"No missions were completed{so_far}."
    missions = f"{wording.counted(n, 'mission')}{so_far}"
    effective = counts.verdicts["effective"]
    setbacks = [f"{k:,} {word}" for word, k in setback_counts(counts)]
    if setbacks:
        return f"{missions}: {wording.listed(setbacks)}; {effective:,} effective."
    if counts.unknown == n:
        return f"{missions} succeeded; whether they worked is not known yet."
    if effective == n:
        every, was = ("The one mission", "was") if n == 1 else (f"All {n:,} missions", "were")
        return f"{every}{so_far} succeeded and {was} effective."
    partial = counts.verdicts["partial"]
    every = (
        ("effective", effective),
        ("partly effective", partial),
        ("without a clear effect", n - effective - partial),
    )
    parts = [f"{k:,} {word}" for word, k in every if k or word == "effective"]
    return f"{missions} succeeded: {wording.listed(parts)}."


def content_hash(brief: Brief) -> str:
    """SHA-256 of the content, as hexadecimal: changes when anything said of the day changes.

    The days before it are its background: what is learned about them corrects nothing.
    """
    return hashlib.sha256(replace(brief, trends=()).to_json().encode()).hexdigest()


def brief_rows(
    briefs: Sequence[Brief], revisions: Mapping[str, int], markdowns: Sequence[str]
) -> pa.Table:
    """Rows of `status_briefs` (with `date`); `revisions` by date, 1 where not named."""
    rows = [
        {
            "date": brief.date,
            "brief_id": brief.brief_id,
            "period_start": brief.period_start,
            "period_end": brief.period_end,
            "headline": brief.headline,
            "missions": brief.totals.missions,
            "domains": brief.domains_total,
            "content": brief.to_json(),
            "markdown": markdown,
            "content_hash": content_hash(brief),
            "revision": revisions.get(brief.date, 1),
        }
        for brief, markdown in zip(briefs, markdowns, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["status_briefs"].with_date())


def _sections(
    shown: Sequence[str], outcomes: pa.Table, telemetry: pa.Table, kpi_daily: pa.Table, day: date
) -> list[DomainSection]:
    """The sections of the domains `shown`, in that order."""
    names = pa.array(shown, pa.string())
    outcomes, telemetry, kpi_daily = (
        rows.filter(pc.is_in(rows["domain_id"], names)) for rows in (outcomes, telemetry, kpi_daily)
    )
    groups: dict[str, list[dict]] = {name: [] for name in shown}
    for row in mission_rows(outcomes):
        groups[row["domain_id"]].append(row)
    metrics = metric_lines(telemetry, kpi_daily, day.isoformat())
    return [
        domain_section(name, group, metrics.get(name, ([], 0)), outcomes, day.isoformat())
        for name, group in groups.items()
    ]


def _day_figures(
    counts: Totals,
    domains: int,
    changed: Chapter | None,
    problems: int,
    follow_ups: Mapping[str, int],
    day: date,
) -> tuple[Figure, ...]:
    partition = f"date={day.isoformat()}"
    created, closed, still = (follow_ups[state] for state in ("created", "closed", "open"))
    missions = f"{counts.missions:,}"
    if domains:
        missions += f" in {wording.counted(domains, 'domain')}"
    source = f"mission_outcomes/{partition}"
    return (
        Figure("Missions", missions, (counts.missions, domains), source),
        *total_figures(counts, source),
        *([_restated_figure(changed)] if changed else ()),
        Figure(
            "Problems",
            f"{problems:,} found" if problems else "none found",
            (problems,),
            f"problems/{partition}",
        ),
        Figure(
            "Follow-ups",
            f"{created:,} created, {closed:,} closed, {still:,} still open from before",
            (created, closed, still),
            f"follow_up_missions?as_of={day.isoformat()}",
        ),
    )


def _restated_figure(changed: Chapter) -> Figure:
    count = len(changed.figures) + changed.left_out
    return Figure(
        changed.title, wording.counted(count, "mission"), (count,), changed.figures[0].source
    )


def _auto_created(created: int, day: date) -> Figure | None:
    if not created:
        return None
    text = f"Auto-created {wording.counted(created, 'follow-up mission')}"
    return Figure("", text, (created,), f"follow_up_missions/date={day.isoformat()}")


def _left_out(seen: Overview, problems: int, follow_ups: int, day: date) -> tuple[Figure, ...]:
    figures = []
    hidden, missions = seen.hidden
    if hidden:
        domains = wording.counted(hidden, "more domain")
        text = f"{domains} with {wording.counted(missions, 'mission')}"
        source = f"domain_daily/date={day.isoformat()}"
        figures.append(Figure("", text, (hidden, missions), source))
    for count, noun, table in (
        (problems - MAX_PROBLEMS, "more problem", "problems"),
        (follow_ups, "more follow-up", "follow_up_missions"),
    ):
        if count > 0:
            figures.append(Figure("", wording.counted(count, noun), (count,), table))
    return tuple(figures)
