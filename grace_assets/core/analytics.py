"""Analytics over the rollups: the trends of domains and the figures of all, in a window of dates.

Belongs here: what `GET /api/analytics/*` answers, as plain functions on rows of `domain_daily`,
`kpi_daily`, `problems` and `follow_up_missions` (with `date`; rows outside the window do not
count) and frozen dataclasses whose fields are the JSON names. Means are over missions, not over
days. Times are seconds, rates and scores fractions 0..1, intervals [low, high] at 95 %. What is
not known is null, never 0.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.calendar_windows import Window
from grace_assets.core.schemas import DATE, SEVERITIES
from grace_assets.core.totals import Totals, all_totals, totals_by_domain

TOP_ISSUES = 5


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
        for domain_id, totals in totals_by_domain(window.of(daily))
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
        **all_totals(window.of(own[0])),
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
        **all_totals(rows),
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
