"""The 30 days that end with a brief's, as lines to draw: missions, time to restore, effectiveness.

Belongs here: which day has which value, and the sentence beside the line. How it is drawn is
`render`'s. A day whose tables were never made is unknown, not a day without missions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from grace_assets.core import wording
from grace_assets.core.brief_figures import Figure
from grace_assets.core.look_back import TREND_DAYS

COLUMNS = (
    *("missions", "mttr_seconds_sum", "mttr_count"),
    *("effectiveness_sum", "effectiveness_count"),
)
"""What is read of `domain_daily`."""
_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class DayTotals:
    """A day over all domains; sums as in `domain_daily`."""

    missions: int = 0
    mttr_seconds_sum: float = 0.0
    mttr_count: int = 0
    effectiveness_sum: float = 0.0
    effectiveness_count: int = 0


@dataclass(frozen=True)
class TrendLine:
    """One measure over the days `first`..`last`: a value a day, null where there is none.

    `kind` is `missions` (a count), `mttr` (seconds) or `effectiveness` (0..1); `fact` says the
    day's own value and what the days range over.
    """

    kind: str
    first: str
    last: str
    values: tuple[float | None, ...]
    fact: Figure

    @property
    def blocks(self) -> str:
        """The line as one character a day, for plain text; a blank where there is no value."""
        known = [value for value in self.values if value is not None]
        low = 0.0 if self.kind == "missions" else min(known)
        reach = max(known) - low
        marks = (
            " "
            if value is None
            else _BLOCKS[round((value - low) / reach * (len(_BLOCKS) - 1)) if reach else 0]
            for value in self.values
        )
        return "".join(marks)


def day_totals(domain_daily: pa.Table) -> dict[str, DayTotals]:
    """The sums of each date in rows of `domain_daily` (`date` and `COLUMNS`)."""
    grouped = domain_daily.group_by("date").aggregate([(name, "sum") for name in COLUMNS])
    return {
        row["date"]: DayTotals(*(row[f"{name}_sum"] for name in COLUMNS))
        for row in grouped.to_pylist()
    }


def trend_lines(
    day: date, totals: Mapping[str, DayTotals], known: Iterable[str]
) -> tuple[TrendLine, ...]:
    """The lines of the brief of `day`; none where fewer than two days have a value.

    `totals` by date; `known` are the dates whose tables were made: without missions they are 0.
    """
    days = [(day - timedelta(days=n)).isoformat() for n in reversed(range(TREND_DAYS))]
    made = set(known)
    window = [totals.get(d, DayTotals()) if d in made else None for d in days]
    return tuple(
        line
        for measure in (_missions, _mttr, _effectiveness)
        if (line := measure(days, window)) is not None
    )


Window = list[DayTotals | None]


def _missions(days: list[str], window: Window) -> TrendLine | None:
    counts = [None if d is None else float(d.missions) for d in window]
    known = [c for c in counts if c is not None]
    mean = sum(known) / len(known) if known else 0.0
    return _line("missions", "Missions a day", days, counts, mean, len(known), wording.number)


def _mttr(days: list[str], window: Window) -> TrendLine | None:
    sums = [(d.mttr_seconds_sum, d.mttr_count) if d else (0.0, 0) for d in window]
    label = "Mean time to restore"
    return _mean_line("mttr", label, days, sums, wording.duration)


def _effectiveness(days: list[str], window: Window) -> TrendLine | None:
    sums = [(d.effectiveness_sum, d.effectiveness_count) if d else (0.0, 0) for d in window]
    return _mean_line("effectiveness", "Mean effectiveness", days, sums, "{:.2f}".format)


def _mean_line(
    kind: str,
    label: str,
    days: list[str],
    sums: list[tuple[float, int]],
    say: Callable[[float], str],
) -> TrendLine | None:
    means = [total / n if n else None for total, n in sums]
    n = sum(count for _, count in sums)
    # Over missions, not over days: a day with one mission weighs as one.
    mean = sum(total for total, _ in sums) / n if n else 0.0
    return _line(kind, label, days, means, mean, n, say)


def _line(
    kind: str,
    label: str,
    days: list[str],
    values: list[float | None],
    mean: float,
    n: int,
    say: Callable[[float], str],
) -> TrendLine | None:
    known = [value for value in values if value is not None]
    if len(known) < 2 or not any(known):
        return None
    low, high, own = min(known), max(known), values[-1]
    counted = f" (n = {n:,} {'days' if kind == 'missions' else 'missions'})"
    text = (
        f"{'none' if own is None else say(own)} on the day; {say(mean)} on average "
        f"over {TREND_DAYS} days{counted if n != TREND_DAYS else ''}, "
        f"from {say(low)} to {say(high)}"
    )
    supported = (mean, n, low, high, TREND_DAYS, *(() if own is None else (own,)))
    source = f"domain_daily?from={days[0]}&to={days[-1]}"
    return TrendLine(kind, days[0], days[-1], tuple(values), Figure(label, text, supported, source))
