"""Which rows of a series each window of a mission holds, and which days serve as reference.

Belongs here: the windows of the mission and of the days before it, as first row and count. What
they hold is read in `readings`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grace_assets.core import estimate, windows
from grace_assets.core.rules import Rules
from grace_assets.core.windows import REFERENCE_DAYS, Locator, Missions, Pairs

# Windows in their order: before, after, then the reference days of the window before and of the
# window after.
AFTER = 1
REFERENCE = 2


@dataclass(frozen=True)
class Cuts:
    """Rows of every window: (rows, windows) first row and count, in the order above.

    The window before is the part since the known onset of the problem; `n_before` counts the
    samples of the whole. `pre` and `post` are first row and count of the windows as published.
    `free` (rows, days): no other mission on that day; `positive`: no value of 0 or less anywhere;
    `between`: microseconds from the end of the window before to the start of the one after.
    """

    first: np.ndarray
    count: np.ndarray
    n_before: np.ndarray
    pre: tuple[np.ndarray, np.ndarray]
    post: tuple[np.ndarray, np.ndarray]
    free: np.ndarray
    positive: np.ndarray
    between: np.ndarray


def cut(
    pairs: Pairs,
    missions: Missions,
    busy: Missions,
    rows: Locator,
    rules: Rules,
    not_positive: np.ndarray,
    later: int = 0,
) -> Cuts:
    """Find every window's rows. Those of reference days only where it matters what they hold.

    Args:
        rules: of each pair.
        busy: all missions known, these and others: their days do not serve as reference.
        not_positive: for each sample row and one more, how many values before it are ≤ 0.
        later: microseconds by which the window after lies later; its reference days stay.
    """
    window = pairs.window
    start, end = missions.started[pairs.mission], missions.completed[pairs.mission]
    onset = missions.onset[pairs.mission]
    # A record of an incident, not of a repair within it, says that its problem began with it:
    # then the problem shows in the last part of the mission and not before.
    stop = np.where(onset >= start, end, start)
    low, post = stop - window, end + pairs.settle
    days = missions.days_back[pairs.mission]
    free = _free_days(pairs, missions, busy, stop)
    first = np.zeros((len(pairs), REFERENCE + 2 * REFERENCE_DAYS), np.int64)
    last = first.copy()
    for column, edge in enumerate((low, post + later)):
        first[:, column] = rows.first_row(pairs.series, edge)
        last[:, column] = rows.first_row(pairs.series, edge + window)
    # Silence that reads as zero is told by every window.
    enough = free.sum(axis=1, keepdims=True) >= estimate.MIN_REFERENCE
    asked = np.tile((free & enough) | rules.zero[:, None], 2)
    edges = (edge - day for edge in (low, post) for day in days.T)
    for column, edge in enumerate(edges):
        some = np.flatnonzero(asked[:, column])
        series, since, until = pairs.series[some], edge[some], edge[some] + window[some]
        first[some, REFERENCE + column] = rows.first_row(series, since)
        last[some, REFERENCE + column] = rows.first_row(series, until)
    n_before = last[:, 0] - first[:, 0]
    since = rows.first_row(pairs.series, np.clip(onset, low, stop))
    told = last[:, 0] - since >= estimate.MIN_SHORT_SAMPLES
    first[:, 0] = np.where(told, since, first[:, 0])
    pre = rows.first_row(pairs.series, start - window)
    plain_post = rows.first_row(pairs.series, post)
    earliest = rows.first_row(pairs.series, low - days[:, -1])
    return Cuts(
        first=first,
        count=last - first,
        n_before=n_before,
        pre=(pre, rows.first_row(pairs.series, start) - pre),
        post=(plain_post, rows.first_row(pairs.series, post + window) - plain_post),
        free=free,
        positive=not_positive[last[:, AFTER]] == not_positive[earliest],
        between=post + later - stop,
    )


def _free_days(pairs: Pairs, missions: Missions, busy: Missions, stop: np.ndarray) -> np.ndarray:
    """Which earlier days (rows, days) hold nothing of another mission.

    The window before a mission shows its problem and the settle time its echo: neither is an
    ordinary day, so other missions count with both.
    """
    # Metrics of the same mission with the same windows have the same free days.
    times = np.stack([pairs.mission, pairs.settle, pairs.window])
    order = np.lexsort(times)
    new = np.append(True, (np.diff(times[:, order]) != 0).any(axis=0))[: len(order)]
    same = np.empty(len(order), np.int64)
    same[order] = np.cumsum(new) - 1
    one = order[new]
    mission, settle, window = times[:, one]
    back = missions.days_back[mission]
    since = (stop[one] - window - settle)[:, None] - back
    until = (missions.completed[mission] + settle + 2 * window)[:, None] - back
    return (windows.overlapping(missions.domain[mission], since, until, busy) == 0)[same]


def reference_days(cuts: Cuts, rules: Rules) -> tuple[np.ndarray, np.ndarray]:
    """Samples of each window, and which earlier days (rows, days) serve as reference."""
    count = np.maximum(cuts.count, silent_slots(cuts, rules)[:, None])
    enough = count[:, REFERENCE:] >= rules.min_samples[:, None]
    usable = cuts.free & enough.reshape(len(count), 2, -1).all(axis=1)
    return count, usable & (usable.sum(axis=1, keepdims=True) >= estimate.MIN_REFERENCE)


def silent_slots(cuts: Cuts, rules: Rules) -> np.ndarray:
    """Samples that a window has at least, where silence reads as zero."""
    return np.where(rules.zero, cuts.count.max(axis=1, initial=0), 0)
