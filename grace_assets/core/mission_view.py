"""A mission's samples and the windows it was judged by, cut as the judge cuts them.

Belongs here: what a picture of a mission needs. Times are microseconds since 1970, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from grace_assets.core import windows
from grace_assets.core.catalogue import Catalogue
from grace_assets.core.cuts import REFERENCE, cut, reference_days
from grace_assets.core.rules import rules_of
from grace_assets.core.windows import REFERENCE_DAYS, Locator

BEFORE = timedelta(days=REFERENCE_DAYS, hours=1)
"""Read before the first window: the reference days, and room for a counter read seldom."""
_MARGIN = 0.25
"""Shown on both sides of the windows, as a share of one."""


@dataclass(frozen=True)
class Line:
    """Samples in the order of their times."""

    times: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class SeriesView:
    """One metric of one source around a mission.

    Spans are [start, end) in microseconds. `references` are the windows before and after of the
    earlier days that serve as reference, moved to the mission's day; `reference_days` their days.
    """

    source: str
    metric: str
    line: Line
    pre: tuple[int, int]
    mission: tuple[int, int]
    settle: tuple[int, int]
    post: tuple[int, int]
    references: tuple[Line, ...]
    reference_days: int

    def window_of(self, time: int) -> str:
        """The window that a time lies in; nothing outside of all."""
        spans = {"pre": self.pre, "mission": self.mission, "settle": self.settle, "post": self.post}
        return next((name for name, (a, b) in spans.items() if a <= time < b), "")


def mission_views(
    mission: pa.Table,
    samples: pa.Table,
    catalogue: Catalogue,
    neighbours: pa.Table | None = None,
    timezone: str = "UTC",
) -> list[SeriesView]:
    """The series of one mission, by source and metric.

    `mission` is its row of `mission_events` or `mission_outcomes`; `samples` are those of its
    domain from `BEFORE` its first window on; `neighbours` as for `judge`.
    """
    series = windows.series_of(samples, catalogue)
    ours = windows.missions_of(mission, timezone)
    pairs = windows.pair(ours, series, catalogue)
    if len(pairs) == 0:
        return []
    rows = Locator(series)
    busy = windows.with_neighbours(ours, neighbours)
    not_positive = np.append(0, np.cumsum(series.values <= 0))
    rules = rules_of(series.metric, catalogue).take(pairs.series)
    cuts = cut(pairs, ours, busy, rows, rules, not_positive)
    _, usable = reference_days(cuts, rules)
    start, end = int(ours.started[0]), int(ours.completed[0])
    views = []
    for row, at in enumerate(pairs.series):
        window, settle = int(pairs.window[row]), int(pairs.settle[row])
        post = end + settle
        margin = round(window * _MARGIN)
        low, high = series.bounds[at], series.bounds[at + 1]
        times, values = series.times[low:high], series.values[low:high]
        shown = (times >= start - window - margin) & (times < post + window + margin)
        if not shown.any():
            continue
        references = [
            Line(
                series.times[one : one + count] + ours.days_back[0][day],
                series.values[one : one + count],
            )
            for day in np.flatnonzero(usable[row])
            for one, count in (
                (cuts.first[row, column], cuts.count[row, column])
                for column in (REFERENCE + day, REFERENCE + REFERENCE_DAYS + day)
            )
            if count
        ]
        views.append(
            SeriesView(
                source=str(series.source[at]),
                metric=str(series.metric[at]),
                line=Line(times[shown], values[shown]),
                pre=(start - window, start),
                mission=(start, end),
                settle=(end, post),
                post=(post, post + window),
                references=tuple(references),
                reference_days=int(usable[row].sum()),
            )
        )
    return sorted(views, key=lambda view: (view.metric, view.source))
