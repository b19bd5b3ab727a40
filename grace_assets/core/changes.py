"""Whether a window is better or worse than the one before it, or whether nobody can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.analytics import of_domain
from grace_assets.core.calendar_windows import Window
from grace_assets.core.totals import restore_times
from grace_assets.core.uncertainty import (
    Answer,
    Difference,
    Interval,
    compare_means,
    compare_rates,
    compare_times,
)


@dataclass(frozen=True)
class Change:
    """A figure now and in the window before, and what may be said of the difference.

    `current` and `previous` are over `current_n` and `previous_n` missions, null over none;
    `difference` is current − previous with its 95 % `interval` [low, high], in the figure's unit.
    """

    answer: Answer
    current: float | None
    current_n: int
    previous: float | None
    previous_n: int
    difference: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Changes:
    """Time to restore in seconds, success rate and score as fractions; dates are inclusive."""

    start_date: str
    end_date: str
    previous_start_date: str
    previous_end_date: str
    mttr_seconds: Change
    success_rate: Change
    avg_effectiveness_score: Change


def compare(
    daily: pa.Table, outcomes: pa.Table, window: Window, domain_id: str | None = None
) -> Changes:
    """Compare the window with the one of the same length before it.

    `daily` are rows of `domain_daily`, `outcomes` of `mission_outcomes` (`date`, `domain_id` and
    `effectiveness_score` suffice: how far scores scatter is in no rollup), of both windows.
    """
    before = window.before()
    sides = [of_domain(span.of(daily), domain_id) for span in (window, before)]
    times = [restore_times(rows).to_numpy(zero_copy_only=False) for rows in sides]
    rates = [tuple(pc.sum(rows[n]).as_py() or 0 for n in _RATE) for rows in sides]
    scores = [_scores(of_domain(span.of(outcomes), domain_id)) for span in (window, before)]
    return Changes(
        start_date=window.first.isoformat(),
        end_date=window.last.isoformat(),
        previous_start_date=before.first.isoformat(),
        previous_end_date=before.last.isoformat(),
        mttr_seconds=_of_means(times, compare_times(*times)),
        success_rate=_change(
            [(k / n if n else None, n) for k, n in rates],
            compare_rates(*rates, higher_is_better=True),
        ),
        avg_effectiveness_score=_of_means(scores, compare_means(*scores, higher_is_better=True)),
    )


_RATE = ("successes", "missions")


def _scores(outcomes: pa.Table) -> np.ndarray:
    return outcomes["effectiveness_score"].drop_null().to_numpy()


def _of_means(sides: list[np.ndarray], difference: Difference) -> Change:
    means = [(float(values.mean()) if len(values) else None, len(values)) for values in sides]
    return _change(means, difference)


def _change(sides: list[tuple[float | None, int]], difference: Difference) -> Change:
    return Change(
        difference.answer, *sides[0], *sides[1], difference.difference, difference.interval
    )
