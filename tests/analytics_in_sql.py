"""The analytics answers once more, in SQL on the files: nothing of ours but the tables."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from scipy import stats as scipy_stats

from grace_assets.lake.analytics import Analytics
from grace_assets.lake.tables import Lake

LABELS = {"daily": "day", "weekly": "week", "monthly": "month"}

TOTALS = """
    count(*) as total_missions,
    count(*) filter (success) as successes,
    count(*) filter (not success) as failures,
    count(*) filter (success) / nullif(count(*), 0) as success_rate,
    avg(duration_seconds) as avg_duration_seconds,
    count(effectiveness_score) as assessed,
    avg(effectiveness_score) as avg_effectiveness_score,
    avg(time_to_restore_seconds) as mttr_seconds,
    count(time_to_restore_seconds) as mttr_count,
    count(*) - count(time_to_restore_seconds) as without_time_to_restore,
    quantile_cont(time_to_restore_seconds, 0.5) as mttr_p50_seconds,
    quantile_cont(time_to_restore_seconds, 0.9) as mttr_p90_seconds
"""


class Recomputed:
    """Answers about the `period_days` dates up to `end`, over the tables under `root`."""

    def __init__(self, root: Path, period_days: int, end: date) -> None:
        self._root = root
        self.end, self.first = end, end - timedelta(days=period_days - 1)
        self.period_days = period_days

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """`{name}` stands for the files of a table, `{window}` for the condition on the dates."""
        names = ("mission_outcomes", "mission_telemetry", "problems", "follow_up_missions")
        names += ("status_briefs", "deliveries")
        files = {
            name: f"(select * replace (date::date as date) from "
            f"read_parquet('{self._root}/tables/{name}/**/*.parquet', hive_partitioning = true))"
            for name in names
        }
        window = f"date between date '{self.first}' and date '{self.end}'"
        found = duckdb.sql(sql.format(window=window, end=f"date '{self.end}'", **files))
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]

    def totals(self, domain_id: str | None = None) -> dict[str, Any]:
        where = "{window}" + (f" and domain_id = '{domain_id}'" if domain_id else "")
        (row,) = self.rows(f"select {TOTALS} from {{mission_outcomes}} where {where}")
        k, n, times = (
            row["successes"],
            row["total_missions"],
            self.values("time_to_restore_seconds", domain_id),
        )
        row["success_rate_interval"] = wilson(k, n) if n else None
        for name, p in (("p50", 0.5), ("p90", 0.9)):
            row[f"mttr_{name}_interval"] = ranks(times, p)
        counts = self.rows(
            f"select verdict, count(*) as n from {{mission_outcomes}} where {where} group by 1"
        )
        return row | {"verdicts": {count["verdict"]: count["n"] for count in counts}}

    def values(self, column: str, domain_id: str | None = None) -> list[float]:
        where = f"and domain_id = '{domain_id}'" if domain_id else ""
        rows = self.rows(
            f"select {column} as value from {{mission_outcomes}} where {{window}} "
            f"and {column} is not null {where}"
        )
        return [row["value"] for row in rows]

    def domains(self) -> list[str]:
        sql = "select distinct domain_id as d from {mission_outcomes} where {window} order by 1"
        return [row["d"] for row in self.rows(sql)]

    def open_follow_ups(self) -> dict[str, int]:
        rows = self.rows(
            "select f.domain_id as d, count(*) as n from {follow_up_missions} f "
            "left join {mission_outcomes} m on m.mission_id = f.closed_by_mission_id "
            "where f.opened_on <= {end} and (f.status = 'open' or m.date > {end}) group by 1"
        )
        return {row["d"]: row["n"] for row in rows}

    def issues(self) -> dict[str, list[dict[str, Any]]]:
        rows = self.rows(
            "select domain_id as d, type, count(*) as count, "
            "if(bool_or(severity = 'high'), 'high', 'medium') as severity, "
            "max(date)::varchar as last_date, "
            "arg_max(description, (date, problem_id)) as description "
            "from {problems} where {window} group by all "
            "order by d, count desc, severity, type"
        )
        found = defaultdict(list)
        for row in rows:
            found[row.pop("d")].append(row)
        return {domain_id: rows[:5] for domain_id, rows in found.items()}

    def kpi_trends(self) -> dict[str, dict[str, float | None]]:
        # One row a mission and metric: the real sets have one source each.
        rows = self.rows(
            "select domain_id as d, metric, avg(percent_change) as change "
            "from {mission_telemetry} where {window} group by all"
        )
        found = defaultdict(dict)
        for row in rows:
            found[row["d"]][row["metric"]] = row["change"]
        return found

    def domain_trends(self) -> list[dict[str, Any]]:
        still_open, issues, changes = self.open_follow_ups(), self.issues(), self.kpi_trends()
        return [
            {
                "domain_id": domain_id,
                "open_follow_ups": still_open.get(domain_id, 0),
                "top_issues": issues.get(domain_id, []),
                "kpi_trends": changes.get(domain_id, {}),
                **self.totals(domain_id),
            }
            for domain_id in self.domains()
        ]

    def stats(self) -> dict[str, Any]:
        (problems,) = self.rows("select count(*) as n from {problems} where {window}")
        return {
            "start_date": str(self.first),
            "end_date": str(self.end),
            "period_days": self.period_days,
            "domains": len(self.domains()),
            "problems": problems["n"],
            "open_follow_ups": sum(self.open_follow_ups().values()),
            **self.totals(),
        }

    def missions_per_domain(self, granularity: str) -> dict[str, list[dict[str, Any]]]:
        rows = self.rows(
            f"select domain_id as d, date_trunc('{LABELS[granularity]}', date)::date::varchar "
            "as date, count(*) as count from {mission_outcomes} where {window} "
            "group by all order by d, 2"
        )
        found = defaultdict(list)
        for row in rows:
            found[row.pop("d")].append(row)
        return found

    def by_date(self, column: str, name: str, granularity: str) -> list[dict[str, Any]]:
        return self.rows(
            f"select date_trunc('{LABELS[granularity]}', date)::date::varchar as date, "
            f"avg({column}) as {name}, count({column}) as count from {{mission_outcomes}} "
            f"where {{window}} group by 1 having count({column}) > 0 order by 1"
        )


def wilson(k: int, n: int) -> tuple[float, float]:
    found = scipy_stats.binomtest(k, n).proportion_ci(confidence_level=0.95, method="wilson")
    return found.low, found.high


def ranks(times: list[float], p: float) -> tuple[float | None, float | None]:
    if not times:
        return None, None
    found = scipy_stats.quantile_test(times, p=p).confidence_interval(confidence_level=0.95)
    return tuple(None if math.isnan(end) else float(end) for end in found)


def newcombe(now: tuple[int, int], before: tuple[int, int]) -> tuple[float, float]:
    p, q = now[0] / now[1], before[0] / before[1]
    (low, high), (low0, high0) = wilson(*now), wilson(*before)
    down = math.sqrt((p - low) ** 2 + (high0 - q) ** 2)
    up = math.sqrt((high - p) ** 2 + (q - low0) ** 2)
    return p - q - down, p - q + up


def welch(now: list[float], before: list[float]) -> tuple[float, float]:
    found = scipy_stats.ttest_ind(now, before, equal_var=False).confidence_interval(0.95)
    return found.low, found.high


def same(found: Any, expected: Any, path: str = "") -> None:
    """Equal, floats to nine digits; says where not."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key, value in expected.items():
            same(found[key], value, f"{path}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), path
        for place, pair in enumerate(zip(found, expected, strict=True)):
            same(*pair, f"{path}[{place}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9), path
    else:
        assert found == expected, path


def check_answers(root: Path, period_days: int, end: date) -> None:
    """Every answer about the window equals its recomputation."""
    ours, theirs = Analytics(Lake(root)), Recomputed(root, period_days, end)
    trends = [asdict(trend) for trend in ours.domain_trends(period_days, end)]
    same(trends, theirs.domain_trends())
    for trend in trends:
        same(asdict(ours.domain_trend(trend["domain_id"], period_days, end)), trend)
    same(asdict(ours.stats(period_days, end)), theirs.stats())
    for granularity in LABELS:
        counts = ours.missions_per_domain(period_days, end, granularity)
        same(
            {
                domain_id: [asdict(point) for point in points]
                for domain_id, points in counts.items()
            },
            theirs.missions_per_domain(granularity),
        )
        times = ours.mttr_trend(period_days, end, granularity=granularity)
        same(
            [asdict(point) for point in times],
            theirs.by_date("time_to_restore_seconds", "mttr_seconds", granularity),
        )
        scores = ours.effectiveness_trend(period_days, end, granularity=granularity)
        same(
            [asdict(point) for point in scores],
            theirs.by_date("effectiveness_score", "avg_effectiveness", granularity),
        )


def check_comparisons(root: Path, period_days: int, end: date) -> None:
    """The window beside the one before it, all domains together."""
    found = Analytics(Lake(root)).compare(period_days, end)
    now = Recomputed(root, period_days, end)
    before = Recomputed(root, period_days, date.fromisoformat(found.previous_end_date))
    assert (before.end - now.first).days == -1
    assert found.previous_start_date == str(before.first)
    mttr, rate, score = found.mttr_seconds, found.success_rate, found.avg_effectiveness_score
    times = [side.values("time_to_restore_seconds") for side in (now, before)]
    totals = [side.totals() for side in (now, before)]
    assert [mttr.current_n, mttr.previous_n] == [len(side) for side in times]
    same([mttr.current, mttr.previous], [total["mttr_seconds"] for total in totals])
    same([rate.current, rate.previous], [total["success_rate"] for total in totals])
    if min(map(len, times)) < 10:
        assert (mttr.answer, mttr.interval) == ("too few", None)
    else:
        assert mttr.interval == pytest.approx(welch(*times), rel=1e-4, abs=0.1)
    counts = [(total["successes"], total["total_missions"]) for total in totals]
    if min(n for _, n in counts) < 5:
        assert (rate.answer, rate.interval) == ("too few", None)
    else:
        low, high = newcombe(*counts)
        same(rate.interval, (low, high))
        assert (rate.answer == "no detectable change") == (low <= 0 <= high)
    scores = [side.values("effectiveness_score") for side in (now, before)]
    assert [score.current_n, score.previous_n] == [len(side) for side in scores]
    same([score.current, score.previous], [total["avg_effectiveness_score"] for total in totals])
    if min(map(len, scores)) >= 10:
        assert score.interval == pytest.approx(welch(*scores), rel=1e-4, abs=1e-6)
