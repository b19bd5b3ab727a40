"""What held and what got better in a window of dates, summed from the rollups.

Rates are fractions with 95 % intervals, improvements percent with better above 0; what is not
known is null.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import pyarrow as pa

from grace_assets.core.calendar_windows import Granularity, Window, labelled
from grace_assets.core.schemas import DATE
from grace_assets.core.uncertainty import Interval, wilson_interval


@dataclass(frozen=True)
class HoldRate:
    """Recoveries of one kind of mission that were looked at `after` a day or a week."""

    mission_type: str
    after: str
    held: int
    relapsed: int
    rate: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Improvement:
    """Mean over `count` missions; of those with a reading `improved` were better after it."""

    metric: str
    improvement_percent: float | None
    count: int
    improved: int
    worsened: int


def hold_rates(holds: pa.Table, window: Window) -> list[HoldRate]:
    """Per kind of mission, most looked at first; kinds that were never looked at are absent."""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for row in window.of(holds).to_pylist():
        for name in ("held_24h", "relapsed_24h", "held_7d", "relapsed_7d"):
            sums[row["mission_type"]][name] += row[name]
    rates = []
    for kind, of in sorted(sums.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        for suffix, after in (("24h", "a day"), ("7d", "a week")):
            held, relapsed = of[f"held_{suffix}"], of[f"relapsed_{suffix}"]
            if n := held + relapsed:
                interval = wilson_interval(held, n)
                rates.append(HoldRate(kind, after, held, relapsed, held / n, interval))
    return rates


def all_holds(rates: list[HoldRate], after: str) -> HoldRate | None:
    """All kinds together; null where nothing was looked at."""
    held = sum(rate.held for rate in rates if rate.after == after)
    relapsed = sum(rate.relapsed for rate in rates if rate.after == after)
    n = held + relapsed
    return HoldRate("", after, held, relapsed, held / n, wilson_interval(held, n)) if n else None


def improvements(kpis: pa.Table, window: Window) -> list[Improvement]:
    """Per metric, over the most missions first."""
    names = ("improvement_percent_sum", "improvement_percent_count", "improved", "worsened")
    sums: dict[str, list[float]] = defaultdict(lambda: [0] * len(names))
    for row in window.of(kpis).to_pylist():
        sums[row["metric"]] = [a + row[b] for a, b in zip(sums[row["metric"]], names, strict=True)]
    found = [
        Improvement(metric, total / n if n else None, int(n), int(better), int(worse))
        for metric, (total, n, better, worse) in sums.items()
    ]
    return sorted(found, key=lambda one: (-one.count, one.metric))


def verdicts_by_date(
    daily: pa.Table, window: Window, granularity: Granularity = "daily"
) -> dict[str, dict[str, int]]:
    """Date → verdict → missions; dates without missions are absent."""
    rows = labelled(window.of(daily).select([DATE, "verdicts"]), granularity)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows.to_pylist():
        for verdict, count in row["verdicts"]:
            found[row[DATE]][verdict] += int(count)
    return {day: dict(of) for day, of in sorted(found.items())}
