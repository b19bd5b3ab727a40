"""How the metrics of a domain changed in a day, as lines of the brief."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import wording
from grace_assets.core.brief_figures import Figure
from grace_assets.core.rollups import first_sources

MAX_METRICS = 5

Row = dict[str, Any]


@dataclass(frozen=True)
class MetricLine:
    """How a metric changed over the missions of a domain: the median improvement in percent.

    `trend` is better, worse or unchanged; `n` the missions with an improvement in percent.
    """

    metric: str
    n: int
    improvement_percent: float | None
    improved: int
    worsened: int
    trend: str
    fact: Figure


def metric_lines(
    telemetry: pa.Table, kpi_daily: pa.Table, day: str
) -> dict[str, tuple[list[MetricLine], int]]:
    """Per domain: its metric lines, those that got worse first, and how many are left out.

    Counts come from `kpi_daily`, the median from the rows of `mission_telemetry` behind it.
    """
    medians = _median_improvements(telemetry)
    lines: dict[str, list[MetricLine]] = defaultdict(list)
    for row in kpi_daily.to_pylist():
        median = medians.get((row["domain_id"], row["metric"]))
        line = _metric_line(row, median, day)
        if line:
            lines[row["domain_id"]].append(line)
    for found in lines.values():
        found.sort(key=lambda line: (line.trend != "worse", -line.n, line.metric))
    return {
        domain: (found[:MAX_METRICS], max(0, len(found) - MAX_METRICS))
        for domain, found in lines.items()
    }


def _metric_line(row: Row, median: float | None, day: str) -> MetricLine | None:
    better, worse, n = row["improved"], row["worsened"], row["improvement_percent_count"]
    if not (better or worse or median is not None):
        return None
    balance = better - worse if median is None else median
    # What is printed as nothing is nothing: under 0.05 % is unchanged.
    trend = "unchanged" if abs(balance) < 0.05 else "better" if balance > 0 else "worse"
    counts = f"{better:,} better, {worse:,} worse"
    if median is None:
        text, values = f"{trend} ({counts}; no percentage from zero)", (better, worse)
    else:
        change = trend if trend == "unchanged" else f"{wording.percent(median)} {trend}"
        text = f"{change} (median of {n:,}: {counts})" if n > 1 else f"{change} (n = {n})"
        values = (median, n, better, worse)
    source = f"mission_telemetry/date={day}?domain_id={row['domain_id']}&metric={row['metric']}"
    fact = Figure(wording.spoken(row["metric"]), text, values, source)
    return MetricLine(row["metric"], n, median, better, worse, trend, fact)


def _median_improvements(telemetry: pa.Table) -> dict[tuple[str, str], float]:
    """Median improvement in percent by domain and metric; one source speaks for a mission."""
    rows = first_sources(telemetry)
    read = pc.and_(pc.is_valid(rows["pre"]), pc.is_valid(rows["post"]))
    rows = rows.filter(pc.and_(read, pc.is_valid(rows["improvement_percent"])))
    columns = (rows[name].to_pylist() for name in ("domain_id", "metric", "improvement_percent"))
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for domain, metric, improvement in zip(*columns, strict=True):
        values[domain, metric].append(improvement)
    return {key: statistics.median(found) for key, found in values.items()}
