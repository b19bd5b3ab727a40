"""The rows that a question is about, read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.ask.question import Question
from grace_assets.core import rollups
from grace_assets.core.calendar_windows import Window
from grace_assets.core.mission_verdict import BETTER
from grace_assets.core.schemas import DATE
from grace_assets.lake.analytics import Analytics

DECIDED = (*BETTER, "no_effect", "worse")
"""Verdicts that say whether it worked; of the others nobody knows."""

_OUTCOMES = (
    "mission_id",
    "domain_id",
    "completed_at",
    "success",
    "title",
    "error",
    "trigger",
    "mission_type",
    "severity",
    "duration_seconds",
    "time_to_restore_seconds",
    "effectiveness_score",
    "effectiveness_low",
    "effectiveness_high",
    "verdict",
    "attribution",
    "reason_codes",
    "judged_at",
)
_TELEMETRY = (
    "mission_id",
    "source",
    "metric",
    "unit",
    "direction",
    "pre",
    "post",
    "healthy",
    "problem_level",
    "percent_change",
    "improvement_percent",
    "improved",
    "n_pre",
    "n_post",
    "n_reference",
    "verdict",
)
_LOOKS = ("mission_id", "stage", "judged_at", "held")

Row = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What the tables hold on `question`, as they are now."""

    analytics: Analytics
    question: Question
    today: date

    @property
    def window(self) -> Window:
        return Window(self.question.period.start, self.question.period.end)

    @cached_property
    def missions(self) -> pa.Table:
        """Rows of `mission_outcomes` that fit, latest first."""
        rows = self.missions_of(self.window)
        return rows.slice(0, 1) if self.question.latest else rows

    def missions_of(self, window: Window) -> pa.Table:
        """All missions of a window that fit the question's names, latest first.

        Where it names a metric: those with a reading of it, and `verdict` is that on the metric.
        """
        asked = self.question
        rows = self.analytics.rows("mission_outcomes", window, _OUTCOMES, asked.domain)
        if asked.metric is not None:
            rows = self._by_metric(rows, window)
        names = ["mission_id", "severity", "mission_type"]
        # A share needs the missions of every verdict.
        names += ["verdict"] if asked.kind != "success_rate" else []
        for column in names:
            if (wanted := getattr(asked, column)) is not None:
                rows = rows.filter(pc.equal(rows[column], wanted))
        if asked.reported_success is not None:
            rows = rows.filter(pc.equal(rows["success"], asked.reported_success))
        return rows.sort_by([("completed_at", "descending"), ("mission_id", "descending")])

    def _by_metric(self, missions: pa.Table, window: Window) -> pa.Table:
        read = self.readings_of(window, missions)
        read = read.filter(pc.or_(pc.is_valid(read["pre"]), pc.is_valid(read["post"])))
        place = pc.index_in(missions["mission_id"], read["mission_id"].combine_chunks())
        measured = pc.is_valid(place)
        verdicts = read["verdict"].take(place.filter(measured))
        missions = missions.filter(measured)
        column = missions.schema.get_field_index("verdict")
        return missions.set_column(column, missions.schema.field(column), verdicts)

    def _telemetry(self, window: Window) -> pa.Table:
        return self.analytics.rows("mission_telemetry", window, _TELEMETRY)

    @property
    def n(self) -> int:
        return self.missions.num_rows

    @cached_property
    def decided(self) -> pa.Table:
        """The missions of which it is known whether they worked."""
        return self.missions.filter(pc.is_in(self.missions["verdict"], pa.array(DECIDED)))

    def readings_of(self, window: Window, missions: pa.Table) -> pa.Table:
        """One row a mission and metric: that of the source which speaks for the metric."""
        rows = self._telemetry(window)
        rows = rows.filter(pc.is_in(rows["mission_id"], missions["mission_id"].combine_chunks()))
        if self.question.metric is not None:
            rows = rows.filter(pc.equal(rows["metric"], self.question.metric))
        return rollups.first_sources(rows)

    def telemetry_of(self, mission_id: str) -> pa.Table:
        rows = self._telemetry(self.window)
        return rows.filter(pc.equal(rows["mission_id"], mission_id))

    @cached_property
    def looks(self) -> dict[tuple[str, str], bool]:
        """(mission, stage) → whether the recovery had lasted, where a later look could tell."""
        rows = self.analytics.rows("mission_verdicts", self.window, _LOOKS)
        wanted = pc.is_in(rows["mission_id"], self.missions["mission_id"].combine_chunks())
        later = pc.starts_with(rows["stage"], "hold_")
        rows = rows.filter(pc.and_(wanted, later)).sort_by("judged_at")
        found = {(row["mission_id"], row["stage"]): row["held"] for row in rows.to_pylist()}
        return {key: held for key, held in found.items() if held is not None}

    def newest(self, limit: int) -> Iterator[Row]:
        yield from self.missions.slice(0, limit).to_pylist()

    def ids(self, limit: int) -> tuple[str, ...]:
        """Missions that the answer rests on, latest first."""
        return tuple(self.missions["mission_id"].slice(0, limit).to_pylist())

    @cached_property
    def missing_days(self) -> list[str]:
        """Days of the period, up to yesterday, whose missions no table has yet."""
        if self.own_day is not None:
            return []
        made = set(self.analytics.days("mission_outcomes"))
        last = min(self.window.last, self.today - timedelta(days=1))
        owed = range((last - self.window.first).days + 1)
        days = [(self.window.first + timedelta(days=n)).isoformat() for n in owed]
        return [day for day in days if day not in made]

    @property
    def judged_at(self) -> Any:
        """When the newest verdict among the missions was given; null where there are none."""
        return pc.max(self.missions["judged_at"]).as_py()

    @property
    def own_day(self) -> str | None:
        """The day of the one mission that was asked for without naming a period; else null."""
        asked = self.question
        one = asked.period.defaulted and (asked.latest or asked.mission_id is not None)
        return self.missions[DATE][0].as_py() if one and self.n else None
