"""Analytics over the rollups: trends, totals and comparisons of windows of dates.

Belongs here: what `GET /api/analytics/*` answers, as plain functions on rows of `domain_daily`,
`kpi_daily`, `problems` and `follow_up_missions` (with `date`; rows outside the window do not
count) and frozen dataclasses whose fields are the JSON names. Means are over missions, not over
days. Times are seconds, rates and scores fractions 0..1, intervals [low, high] at 95 %. What is
not known is null, never 0.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.calendar_windows import Window
from grace_assets.core.schemas import DATE, SEVERITIES, VERDICTS
from grace_assets.core.uncertainty import (
    Interval,
    quantile,
    quantile_interval,
    ranked,
    wilson_interval,
)

TOP_ISSUES = 5

_SUMMED = (
    "missions",
    "successes",
    "failures",
    "assessed",
    "duration_seconds_sum",
    "mttr_seconds_sum",
    "mttr_count",
    "effectiveness_sum",
    "effectiveness_count",
)


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Figures of a set of missions.

    `assessed` have a score. The means and quantiles of times are over the `mttr_count` missions
    with a time to restore; the `without_time_to_restore` did not succeed, and how long their
    problems went on is not known: they are counted here, because no mean holds them. The
    interval of a quantile has a null end where there are too few times for one.
    """

    total_missions: int
    successes: int
    failures: int
    success_rate: float | None
    success_rate_interval: Interval | None
    avg_duration_seconds: float | None
    assessed: int
    avg_effectiveness_score: float | None
    mttr_seconds: float | None
    mttr_count: int
    without_time_to_restore: int
    mttr_p50_seconds: float | None
    mttr_p50_interval: tuple[float | None, float | None]
    mttr_p90_seconds: float | None
    mttr_p90_interval: tuple[float | None, float | None]
    verdicts: dict[str, int]


@dataclass(frozen=True)
class Issue:
    """Problems of one type: on how many (`count`), the highest severity, and the latest told."""

    type: str
    count: int
    severity: str
    last_date: str
    description: str


@dataclass(frozen=True, kw_only=True)
class DomainTrend(Totals):
    """A domain in the window. `kpi_trends`: metric → mean percent change, null where unknown."""

    domain_id: str
    open_follow_ups: int
    top_issues: list[Issue]
    kpi_trends: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class AnalyticsStats(Totals):
    """All domains in the window; `domains` had missions in it."""

    start_date: str
    end_date: str
    period_days: int
    domains: int
    problems: int
    open_follow_ups: int


def domain_trends(
    daily: pa.Table,
    kpis: pa.Table,
    problems: pa.Table,
    open_by_domain: Mapping[str, int],
    window: Window,
) -> list[DomainTrend]:
    """One trend a domain with missions in the window, by name.

    `open_by_domain` is what `open_follow_ups` gives.
    """
    changes, issues = _kpi_trends(window.of(kpis)), _issues(window.of(problems))
    return [
        DomainTrend(
            domain_id=domain_id,
            open_follow_ups=open_by_domain.get(domain_id, 0),
            top_issues=_top(issues.get(domain_id, ())),
            kpi_trends=changes.get(domain_id, {}),
            **totals,
        )
        for domain_id, totals in _totals_by_domain(window.of(daily))
    ]


def domain_trend(
    domain_id: str,
    daily: pa.Table,
    kpis: pa.Table,
    problems: pa.Table,
    open_by_domain: Mapping[str, int],
    window: Window,
) -> DomainTrend:
    """The trend of one domain; nulls and empty lists where it has nothing in the window."""
    own = [of_domain(rows, domain_id) for rows in (daily, kpis, problems)]
    changes, issues = _kpi_trends(window.of(own[1])), _issues(window.of(own[2]))
    return DomainTrend(
        domain_id=domain_id,
        open_follow_ups=open_by_domain.get(domain_id, 0),
        top_issues=_top(issues.get(domain_id, ())),
        kpi_trends=changes.get(domain_id, {}),
        **_all_totals(window.of(own[0])),
    )


def stats(
    daily: pa.Table, problems: pa.Table, open_by_domain: Mapping[str, int], window: Window
) -> AnalyticsStats:
    """The figures of all domains together."""
    rows = window.of(daily)
    return AnalyticsStats(
        start_date=window.first.isoformat(),
        end_date=window.last.isoformat(),
        period_days=window.period_days,
        domains=pc.count_distinct(rows["domain_id"]).as_py(),
        problems=window.of(problems).num_rows,
        open_follow_ups=sum(open_by_domain.values()),
        **_all_totals(rows),
    )


def open_follow_ups(
    follow_ups: pa.Table, completed_later: Collection[str], end_date: date
) -> dict[str, int]:
    """Domain → follow-ups that were open at the end of `end_date`; domains without are absent.

    `completed_later` are the missions that completed after it: what they closed was open then.
    """
    names = ("domain_id", "opened_on", "status", "closed_by_mission_id")
    return dict(
        Counter(
            row["domain_id"]
            for row in follow_ups.select(names).to_pylist()
            if row["opened_on"] <= end_date
            and (row["status"] == "open" or row["closed_by_mission_id"] in completed_later)
        )
    )


def of_domain(rows: pa.Table, domain_id: str | None) -> pa.Table:
    """The rows of one domain; all rows where none is named."""
    return rows if domain_id is None else rows.filter(pc.equal(rows["domain_id"], domain_id))


def restore_times(daily: pa.Table) -> pa.Array:
    """The times to restore behind rows of `domain_daily`, in seconds."""
    return pc.list_flatten(daily["mttr_seconds_values"].combine_chunks())


def _totals(
    sums: Mapping[str, float | None], times: np.ndarray, verdicts: Mapping[str, int]
) -> dict[str, Any]:
    """The fields of `Totals`: of the sums of `_SUMMED`, the times to restore and the verdicts."""
    missions, successes, restored = (
        sums[name] or 0 for name in ("missions", "successes", "mttr_count")
    )
    times = ranked(times, (0.5, 0.9))
    return {
        "total_missions": missions,
        "successes": successes,
        "failures": sums["failures"] or 0,
        "success_rate": successes / missions if missions else None,
        "success_rate_interval": wilson_interval(successes, missions) if missions else None,
        "avg_duration_seconds": _mean(sums, "duration_seconds_sum", "missions"),
        "assessed": sums["assessed"] or 0,
        "avg_effectiveness_score": _mean(sums, "effectiveness_sum", "effectiveness_count"),
        "mttr_seconds": _mean(sums, "mttr_seconds_sum", "mttr_count"),
        "mttr_count": restored,
        "without_time_to_restore": missions - restored,
        "mttr_p50_seconds": quantile(times, 0.5),
        "mttr_p50_interval": quantile_interval(times, 0.5),
        "mttr_p90_seconds": quantile(times, 0.9),
        "mttr_p90_interval": quantile_interval(times, 0.9),
        "verdicts": {verdict: verdicts[verdict] for verdict in VERDICTS if verdict in verdicts},
    }


def _mean(sums: Mapping[str, float | None], total: str, count: str) -> float | None:
    return sums[total] / sums[count] if sums[count] else None


def _all_totals(rows: pa.Table) -> dict[str, Any]:
    """Of any rows of `domain_daily` together."""
    sums = {name: pc.sum(rows[name]).as_py() for name in _SUMMED}
    verdicts = sum(_verdicts(rows).values(), Counter())
    return _totals(sums, _times(rows), verdicts)


def _totals_by_domain(rows: pa.Table) -> Iterator[tuple[str, dict[str, Any]]]:
    """Domain and its totals, by name."""
    # By date too: sums then do not depend on the order of files.
    ordered = rows.sort_by([("domain_id", "ascending"), (DATE, "ascending")]).combine_chunks()
    wanted = [(DATE, "count"), *((name, "sum") for name in _SUMMED)]
    groups = ordered.group_by("domain_id", use_threads=False).aggregate(wanted)
    verdicts, start = _verdicts(ordered), 0
    times, ends = _times(ordered), _ends(ordered)
    # Groups come in no order, the rows of each do.
    for group in groups.sort_by("domain_id").to_pylist():
        domain_id, size = group["domain_id"], group[f"{DATE}_count"]
        sums = {name: group[f"{name}_sum"] for name in _SUMMED}
        own = times[ends[start] : ends[start + size]]
        yield domain_id, _totals(sums, own, verdicts.get(domain_id, {}))
        start += size


def _times(rows: pa.Table) -> np.ndarray:
    return restore_times(rows).to_numpy(zero_copy_only=False)


def _ends(rows: pa.Table) -> np.ndarray:
    """Where in `_times` those of each row end; 0 comes first."""
    lengths = pc.fill_null(pc.list_value_length(rows["mttr_seconds_values"]), 0)
    return np.concatenate([[0], np.cumsum(lengths.to_numpy())])


def _verdicts(rows: pa.Table) -> dict[str, Counter[str]]:
    """Domain → verdict → missions; verdicts of no mission are absent."""
    maps = rows["verdicts"].combine_chunks()
    ends = maps.offsets.to_numpy()
    domains = np.repeat(np.arange(len(maps)), np.diff(ends))
    columns = {
        "domain_id": rows["domain_id"].take(pa.array(domains)),
        "verdict": maps.keys[ends[0] : ends[-1]],
        "n": maps.items[ends[0] : ends[-1]],
    }
    keys = ["domain_id", "verdict"]
    groups = pa.table(columns).group_by(keys, use_threads=False).aggregate([("n", "sum")])
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in groups.to_pylist():
        if row["n_sum"]:
            counts[row["domain_id"]][row["verdict"]] = int(row["n_sum"])
    return counts


def _kpi_trends(kpis: pa.Table) -> dict[str, dict[str, float | None]]:
    keys = ["domain_id", "metric"]
    total, count = "percent_change_sum", "percent_change_count"
    groups = kpis.group_by(keys, use_threads=False).aggregate([(total, "sum"), (count, "sum")])
    trends: dict[str, dict[str, float | None]] = defaultdict(dict)
    for row in groups.sort_by([(key, "ascending") for key in keys]).to_pylist():
        n = row[f"{count}_sum"]
        trends[row["domain_id"]][row["metric"]] = row[f"{total}_sum"] / n if n else None
    return trends


def _issues(problems: pa.Table) -> dict[str, list[Issue]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in problems.to_pylist():
        groups[row["domain_id"], row["type"]].append(row)
    issues: dict[str, list[Issue]] = defaultdict(list)
    for (domain_id, kind), rows in groups.items():
        last = max(rows, key=lambda row: (row[DATE], row["problem_id"]))
        severity = min((row["severity"] for row in rows), key=SEVERITIES.index)
        issue = Issue(kind, len(rows), severity, last[DATE], last["description"])
        issues[domain_id].append(issue)
    return issues


def _top(issues: Collection[Issue]) -> list[Issue]:
    """The most frequent first, of equally frequent the most severe."""
    order = sorted(issues, key=lambda i: (-i.count, SEVERITIES.index(i.severity), i.type))
    return order[:TOP_ISSUES]
