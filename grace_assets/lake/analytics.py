"""Analytics on the tables as they are now: reads the days that an answer needs, and no others.

What was read is kept until its file is replaced, so that the answers of one page cost one
reading, and a new or remade day shows without a restart. So are whole windows, put together.
"""

from __future__ import annotations

import threading
import unicodedata
from collections import OrderedDict
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import analytics, changes, loop_stats, series, window_figures
from grace_assets.core.calendar_windows import Granularity, Window, window
from grace_assets.lake.day_cache import CACHED_TABLES, Columns, DayCache
from grace_assets.lake.files import Signature
from grace_assets.lake.tables import Lake

_SCORES = ("domain_id", "effectiveness_score")
_SUMS = (
    "domain_id",
    "missions",
    "mttr_seconds_sum",
    "mttr_count",
    "effectiveness_sum",
    "effectiveness_count",
)
"""What series are made of: of the columns that are left out one has every time to restore."""
_OUTCOMES = ("verdict", "effectiveness_score", "metrics_delta")
_FOLLOW_UPS = ("domain_id", "opened_on", "status", "closed_by_mission_id")
_BRIEFS = ("missions", "revision")

WINDOWS_BYTES = 256 << 20
"""What the windows that are kept put together may hold; the one asked for longest ago goes."""
_DAY_BYTES = 200
"""Of the name and the signature of a day: a century of empty ones is megabytes, too."""


class UnknownDomain(LookupError):
    """No mission of such a domain is in any table."""


class Analytics:
    """Answers over `lake`; safe to use from several threads.

    A window is the `period_days` dates that end with `end_date`; `ValueError` where the calendar
    has no such dates. A `domain_id` that was never seen raises `UnknownDomain`.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._cache = DayCache(lake)
        self._days: dict[tuple[str, Columns, str], tuple[Signature, pa.Table]] = {}
        self._windows: OrderedDict[
            tuple[str, Columns, tuple[str, ...]], tuple[list[Signature | None], pa.Table]
        ] = OrderedDict()
        self._lock = threading.Lock()

    def version(self, tables: tuple[str, ...]) -> tuple[int, ...]:
        """Another one after a write of ours to one of the tables."""
        return tuple(self.lake.version(table) for table in tables)

    def knows(self, domain_id: str) -> bool:
        """Whether any day has a mission of the domain."""
        domains = self._all("domain_daily", ("domain_id",))["domain_id"]
        return pc.any(pc.equal(domains, _normal(domain_id))).as_py() or False

    def domain_trends(self, period_days: int, end_date: date) -> list[analytics.DomainTrend]:
        """One trend a domain with missions in the window, by name."""
        span = window(period_days, end_date)
        return analytics.domain_trends(*self._trend_rows(span), span)

    def domain_trend(
        self, domain_id: str, period_days: int, end_date: date
    ) -> analytics.DomainTrend:
        """The trend of one domain, with nulls where it has nothing in the window."""
        span = window(period_days, end_date)
        name = self.known(domain_id)
        return analytics.domain_trend(name, *self._trend_rows(span), span)

    def stats(self, period_days: int, end_date: date) -> analytics.AnalyticsStats:
        """All domains together."""
        span = window(period_days, end_date)
        daily, _, problems, open_by_domain = self._trend_rows(span)
        return analytics.stats(daily, problems, open_by_domain, span)

    def missions_per_domain(
        self, period_days: int, end_date: date, granularity: Granularity = "daily"
    ) -> dict[str, list[series.MissionCount]]:
        """Domain → missions per day, week or month."""
        span = window(period_days, end_date)
        rows = self._within("domain_daily", span, _SUMS)
        return series.missions_per_domain(rows, span, granularity)

    def mttr_trend(
        self,
        period_days: int,
        end_date: date,
        domain_id: str | None = None,
        granularity: Granularity = "daily",
    ) -> list[series.MttrPoint]:
        """Mean time to restore by date, of one domain or all."""
        span = window(period_days, end_date)
        return series.mttr_trend(self._daily(span, domain_id, _SUMS), span, granularity)

    def effectiveness_trend(
        self,
        period_days: int,
        end_date: date,
        domain_id: str | None = None,
        granularity: Granularity = "daily",
    ) -> list[series.EffectivenessPoint]:
        """Mean score by date, of one domain or all."""
        span = window(period_days, end_date)
        return series.effectiveness_trend(self._daily(span, domain_id, _SUMS), span, granularity)

    def restore_quantiles(
        self,
        period_days: int,
        end_date: date,
        domain_id: str | None = None,
        granularity: Granularity = "daily",
    ) -> list[series.RestorePoint]:
        """Median and 90 % quantile of the time to restore by date, of one domain or all."""
        span = window(period_days, end_date)
        return series.restore_quantiles(self._daily(span, domain_id), span, granularity)

    def verdicts_by_date(
        self,
        period_days: int,
        end_date: date,
        domain_id: str | None = None,
        granularity: Granularity = "daily",
    ) -> dict[str, dict[str, int]]:
        """Date → verdict → missions, of one domain or all."""
        span = window(period_days, end_date)
        return window_figures.verdicts_by_date(self._daily(span, domain_id), span, granularity)

    def hold_rates(
        self, period_days: int, end_date: date, domain_id: str | None = None
    ) -> list[window_figures.HoldRate]:
        """Per kind of mission, of one domain or all."""
        span = window(period_days, end_date)
        return window_figures.hold_rates(self._of("hold_daily", span, domain_id), span)

    def improvements(
        self, period_days: int, end_date: date, domain_id: str | None = None
    ) -> list[window_figures.Improvement]:
        """Per metric, of one domain or all."""
        span = window(period_days, end_date)
        return window_figures.improvements(self._of("kpi_daily", span, domain_id), span)

    def domains(self) -> list[str]:
        """All that any day has a mission of, by name."""
        rows = self._all("domain_daily", ("domain_id",))
        return sorted(pc.unique(rows["domain_id"]).to_pylist())

    def days(self, table: str) -> list[str]:
        """The days that a table has, ascending."""
        return self.lake.days(table)

    def signatures(self, table: str) -> tuple[Signature | None, ...]:
        """Differs from an earlier one where a day of the table was made or remade since."""
        return tuple(self.lake.signatures(table, self.days(table)))

    def day_of_mission(self, mission_id: str) -> str | None:
        """The day of a mission; null where no day has it."""
        rows = self._all("mission_outcomes", ("mission_id",))
        place = pc.index(rows["mission_id"], mission_id).as_py()
        return None if place < 0 else rows["date"][place].as_py()

    def rows(
        self, table: str, span: Window, columns: tuple[str, ...], domain_id: str | None = None
    ) -> pa.Table:
        """Rows of a table as they are, of one domain or all."""
        return analytics.of_domain(self._within(table, span, columns), domain_id)

    def compare(
        self, period_days: int, end_date: date, domain_id: str | None = None
    ) -> changes.Changes:
        """The window beside the one of the same length before it, of one domain or all."""
        span = window(period_days, end_date)
        both = Window(span.before().first, span.last)
        name = None if domain_id is None else self.known(domain_id)
        outcomes = self._within("mission_outcomes", both, _SCORES)
        return changes.compare(self._within("domain_daily", both), outcomes, span, name)

    def outcome_stats(self) -> loop_stats.OutcomeStats:
        """Over all days."""
        return loop_stats.outcome_stats(self._all("mission_outcomes", _OUTCOMES))

    def brief_stats(self) -> loop_stats.BriefStats:
        """Over all days."""
        return loop_stats.brief_stats(
            self._all("status_briefs", _BRIEFS),
            self._all("follow_up_missions", _FOLLOW_UPS),
            self._all("deliveries", ("status",)),
        )

    def known(self, domain_id: str) -> str:
        """The name as missions carry it; `UnknownDomain` where none does."""
        if not self.knows(domain_id):
            raise UnknownDomain(domain_id)
        return _normal(domain_id)

    def _daily(self, span: Window, domain_id: str | None, columns: Columns = None) -> pa.Table:
        return self._of("domain_daily", span, domain_id, columns)

    def _of(
        self, table: str, span: Window, domain_id: str | None, columns: Columns = None
    ) -> pa.Table:
        rows = self._within(table, span, columns)
        if domain_id is None:
            return rows
        found = analytics.of_domain(rows, _normal(domain_id))
        if not found.num_rows:
            self.known(domain_id)
        return found

    def _trend_rows(self, span: Window) -> tuple[pa.Table, pa.Table, pa.Table, dict[str, int]]:
        return (
            self._within("domain_daily", span),
            self._within("kpi_daily", span),
            self._within("problems", span),
            self._open_follow_ups(span.last),
        )

    def _open_follow_ups(self, end_date: date) -> dict[str, int]:
        """As they stood at the end of the date: one opened long before may still be open."""
        end = end_date.isoformat()
        opened = self.lake.days("follow_up_missions", last=end)
        follow_ups = self.of_days("follow_up_missions", opened, _FOLLOW_UPS)
        later: frozenset[str] = frozenset()
        if pc.any(pc.equal(follow_ups["status"], "closed")).as_py():
            after = [day for day in self.lake.days("mission_outcomes") if day > end]
            missions = self.of_days("mission_outcomes", after, ("mission_id",))
            later = frozenset(missions["mission_id"].to_pylist())
        return analytics.open_follow_ups(follow_ups, later, end_date)

    def _within(self, table: str, span: Window, columns: Columns = None) -> pa.Table:
        first, last = span.first.isoformat(), span.last.isoformat()
        # To list years takes longer than to look for each day of a window that is full.
        if self.lake.signatures(table, [first]) == [None]:
            days = self.lake.days(table, first, last)
        else:
            days = span.days()
        return self.of_days(table, days, columns)

    def _all(self, table: str, columns: tuple[str, ...]) -> pa.Table:
        return self.of_days(table, self.lake.days(table), columns)

    def of_days(self, table: str, days: list[str], columns: Columns = None) -> pa.Table:
        """Rows of `days`, read once and kept until their files are replaced."""
        # Before reading: a file replaced in between is then read once more, never missed.
        signatures = self.lake.signatures(table, days)
        key = (table, columns, tuple(days))
        with self._lock:
            kept = self._windows.get(key)
            if kept is not None and kept[0] == signatures:
                self._windows.move_to_end(key)
                return kept[1]
        if table in CACHED_TABLES:
            parts = self._cache.rows(table, days, signatures, columns)
        else:
            parts = [
                self._day((table, columns, day), signature)
                for day, signature in zip(days, signatures, strict=True)
            ]
        # One part alone is not copied.
        parts = [part for part in parts if part.num_rows] or [self.lake.read(table, [], columns)]
        rows = pa.concat_tables(parts).combine_chunks()
        with self._lock:
            self._windows[key] = (signatures, rows)
            self._windows.move_to_end(key)
            while self._kept_bytes() > WINDOWS_BYTES:
                self._windows.popitem(last=False)
        return rows

    def _kept_bytes(self) -> int:
        kept = ((days, rows) for (_, _, days), (_, rows) in self._windows.items())
        return sum(rows.nbytes + _DAY_BYTES * len(days) for days, rows in kept)

    def _day(self, key: tuple[str, Columns, str], signature: Signature | None) -> pa.Table:
        table, columns, day = key
        if signature is None:
            self._days.pop(key, None)
            return self.lake.read(table, [], columns)
        kept = self._days.get(key)
        if kept is None or kept[0] != signature:
            kept = (signature, self.lake.read(table, [day], columns))
            self._days[key] = kept
        return kept[1]


def _normal(domain_id: str) -> str:
    """As missions carry it: in NFC."""
    return unicodedata.normalize("NFC", domain_id)
