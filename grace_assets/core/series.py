"""Figures of a window by day, ISO week or month: missions, time to restore, effectiveness.

The points are frozen dataclasses whose fields are the JSON names; `date` is the label of the
day, week or month (`calendar_windows.label`). Dates without a value are absent: there is no 0
that stands for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from grace_assets.core.calendar_windows import Granularity, Window, labelled
from grace_assets.core.schemas import DATE
from grace_assets.core.uncertainty import quantile, quantile_interval


@dataclass(frozen=True)
class MissionCount:
    date: str
    count: int


@dataclass(frozen=True)
class MttrPoint:
    """`count` missions have a time to restore."""

    date: str
    mttr_seconds: float
    count: int


@dataclass(frozen=True)
class RestorePoint:
    """Quantiles of `count` times to restore; an end of an interval is null where too few."""

    date: str
    p50_seconds: float
    p50_interval: tuple[float | None, float | None]
    p90_seconds: float
    p90_interval: tuple[float | None, float | None]
    count: int


@dataclass(frozen=True)
class EffectivenessPoint:
    """`count` missions have a score."""

    date: str
    avg_effectiveness: float
    count: int


def missions_per_domain(
    daily: pa.Table, window: Window, granularity: Granularity = "daily"
) -> dict[str, list[MissionCount]]:
    """Domain → missions per day, ISO week (its Monday) or month (its first).

    A domain has no row of a day without missions, so that no count is 0.
    """
    rows = labelled(window.of(daily), granularity)
    keys = ["domain_id", DATE]
    groups = rows.group_by(keys, use_threads=False).aggregate([("missions", "sum")])
    ordered = groups.sort_by([(key, "ascending") for key in keys])
    columns = (ordered[name].to_pylist() for name in (*keys, "missions_sum"))
    counts: dict[str, list[MissionCount]] = {}
    for domain_id, day, missions in zip(*columns, strict=True):
        counts.setdefault(domain_id, []).append(MissionCount(day, missions))
    return counts


def mttr_trend(
    daily: pa.Table, window: Window, granularity: Granularity = "daily"
) -> list[MttrPoint]:
    """Mean time to restore by date; dates without one are absent."""
    means = _means(daily, window, granularity, "mttr_seconds_sum", "mttr_count")
    return [MttrPoint(*point) for point in means]


def restore_quantiles(
    daily: pa.Table, window: Window, granularity: Granularity = "daily"
) -> list[RestorePoint]:
    """Median and 90 % quantile of the times to restore by date; dates without one are absent."""
    times: dict[str, list[float]] = {}
    rows = labelled(window.of(daily).select([DATE, "mttr_seconds_values"]), granularity)
    for row in rows.to_pylist():
        times.setdefault(row[DATE], []).extend(row["mttr_seconds_values"])
    return [
        RestorePoint(
            day,
            quantile(values, 0.5),
            quantile_interval(values, 0.5),
            quantile(values, 0.9),
            quantile_interval(values, 0.9),
            len(values),
        )
        for day, values in ((day, sorted(its)) for day, its in sorted(times.items()))
        if values
    ]


def effectiveness_trend(
    daily: pa.Table, window: Window, granularity: Granularity = "daily"
) -> list[EffectivenessPoint]:
    """Mean score of the missions by date; dates without a score are absent."""
    means = _means(daily, window, granularity, "effectiveness_sum", "effectiveness_count")
    return [EffectivenessPoint(*point) for point in means]


def _means(
    daily: pa.Table, window: Window, granularity: Granularity, total: str, count: str
) -> list[tuple[str, float, int]]:
    """(date, mean, count) of a sum and its count, for dates with a count."""
    rows = labelled(window.of(daily.select([DATE, total, count])).sort_by(DATE), granularity)
    groups = rows.group_by(DATE, use_threads=False).aggregate([(total, "sum"), (count, "sum")])
    ordered = groups.sort_by(DATE)
    columns = (ordered[name].to_pylist() for name in (DATE, f"{total}_sum", f"{count}_sum"))
    return [(day, summed / n, n) for day, summed, n in zip(*columns, strict=True) if n]
