"""What the samples say around each mission: windows, levels and noise, on the judged scale.

Belongs here: which rows of a series a mission's windows hold, which earlier days serve as
reference, and turning values into numbers where lower is better. Gauges that are positive
throughout are compared as ratios (logarithms), so that the unit cannot matter and a seasonal
factor cancels; everything else by difference. What follows from it is decided in `judge`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from grace_assets.core import estimate, windows
from grace_assets.core.autocorrelation import surest_steps, weighted_level
from grace_assets.core.catalogue import UNRULED, Catalogue, MetricRule
from grace_assets.core.estimate import Level
from grace_assets.core.noise import (
    Noise,
    nan_mean,
    nan_median,
    ordinary_change,
    own_deviation,
    own_noise,
    reference_noise,
)
from grace_assets.core.windows import REFERENCE_DAYS, Locator, Missions, Pairs, Series

# Windows in their order: before, after, then the reference days of the window before and of the
# window after.
_AFTER = 1
_REFERENCE = 2


@dataclass(frozen=True)
class Rules:
    """The catalogue's rules as columns, one entry a row; NaN where a number is not given."""

    known: np.ndarray
    direction: np.ndarray
    unit: np.ndarray
    kind: np.ndarray
    zero: np.ndarray
    min_samples: np.ndarray
    min_coverage: np.ndarray
    min_effect_rel: np.ndarray
    min_effect_abs: np.ndarray
    low: np.ndarray
    high: np.ndarray
    target: np.ndarray
    max_plausible: np.ndarray

    def take(self, rows: np.ndarray) -> Rules:
        return Rules(*(getattr(self, f.name)[rows] for f in fields(self)))


def rules_of(metrics: np.ndarray, catalogue: Catalogue) -> Rules:
    """The rule of each metric name; defaults and `known` False where there is none."""
    found = [catalogue.rule(metric) for metric in metrics]
    rules = [rule or UNRULED for rule in found]

    def text(name: str) -> np.ndarray:
        return np.array([getattr(rule, name) for rule in rules], object)

    def number(name: str) -> np.ndarray:
        return np.array([getattr(rule, name) for rule in rules], float)

    return Rules(
        known=np.array([rule is not None for rule in found], bool),
        direction=text("direction"),
        unit=np.array([_unit(rule) for rule in rules], object),
        kind=text("kind"),
        zero=text("missing") == "zero",
        min_samples=number("min_samples"),
        min_coverage=number("min_coverage"),
        min_effect_rel=number("min_effect_rel"),
        min_effect_abs=number("min_effect_abs"),
        low=number("low"),
        high=number("high"),
        target=number("target"),
        max_plausible=number("max_plausible"),
    )


def _unit(rule: MetricRule) -> str | None:
    return f"{rule.unit}/s" if rule.unit and rule.kind == "counter" else rule.unit


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


@dataclass(frozen=True)
class Readings:
    """One row a mission × series. Levels and noise are on the judged scale, see `scale`."""

    pre: np.ndarray
    post: np.ndarray
    n_pre: np.ndarray
    n_post: np.ndarray
    n_reference: np.ndarray
    n_judged: np.ndarray
    n_usual: np.ndarray
    apart: np.ndarray
    logarithmic: np.ndarray
    sign: np.ndarray
    before: Level
    after: Level
    noise: Noise
    steps: np.ndarray

    def scale(self, values: np.ndarray) -> np.ndarray:
        """Values as measured to the judged scale."""
        return _scaled(values, self.sign, self.logarithmic)

    def unscale(self, values: np.ndarray) -> np.ndarray:
        """Back from the judged scale to values as measured."""
        return np.where(self.logarithmic, np.exp(self.sign * values), self.sign * values)


@dataclass(frozen=True)
class Samples:
    """Measured values from row `start` of a series on, and their logarithms."""

    start: int
    values: np.ndarray
    logs: np.ndarray

    @classmethod
    def of(cls, series: Series, cuts: Cuts) -> Samples:
        """Those that the windows hold."""
        held = cuts.count > 0
        start = int(cuts.first.min(initial=len(series.values), where=held))
        stop = int((cuts.first + cuts.count).max(initial=0, where=held))
        values = series.values[start : stop + 1]
        return cls(start, values, np.log(values))

    def windows(
        self,
        first: np.ndarray,
        count: np.ndarray,
        width: int,
        sign: np.ndarray,
        logarithmic: np.ndarray,
    ) -> np.ndarray:
        """Windows on the judged scale as rows of a matrix, see `windows.gather`."""
        first = np.where(count > 0, first - self.start, 0)
        matrix = np.empty((*first.shape, width))
        for of, rows in ((self.logs, logarithmic), (self.values, ~logarithmic)):
            if rows.any():
                matrix[rows] = windows.gather(of, first[rows], count[rows], width)
        matrix *= sign.reshape(-1, *[1] * first.ndim)
        return matrix


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
    first = np.zeros((len(pairs), _REFERENCE + 2 * REFERENCE_DAYS), np.int64)
    last = first.copy()
    for column, edge in enumerate((low, post + later)):
        first[:, column] = rows.first_row(pairs.series, edge)
        last[:, column] = rows.first_row(pairs.series, edge + window)
    # Silence that reads as zero is told by every window.
    some = np.flatnonzero((free.sum(axis=1) >= estimate.MIN_REFERENCE) | rules.zero)
    edges = (edge[some] - day[some] for edge in (low, post) for day in days.T)
    for column, edge in enumerate(edges, start=_REFERENCE):
        first[some, column] = rows.first_row(pairs.series[some], edge)
        last[some, column] = rows.first_row(pairs.series[some], edge + window[some])
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
        positive=not_positive[last[:, _AFTER]] == not_positive[earliest],
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
    count = np.maximum(cuts.count, _silent_slots(cuts, rules)[:, None])
    enough = count[:, _REFERENCE:] >= rules.min_samples[:, None]
    usable = cuts.free & enough.reshape(len(count), 2, -1).all(axis=1)
    return count, usable & (usable.sum(axis=1, keepdims=True) >= estimate.MIN_REFERENCE)


def _silent_slots(cuts: Cuts, rules: Rules) -> np.ndarray:
    """Samples that a window has at least, where silence reads as zero."""
    return np.where(rules.zero, cuts.count.max(axis=1, initial=0), 0)


def read(series: Series, cuts: Cuts, rules: Rules, window: np.ndarray) -> Readings:
    """Levels and noise of every row, in batches of bounded memory."""
    size = len(cuts.first)
    count, usable = reference_days(cuts, rules)
    n_after = count[:, _AFTER]
    judged = np.stack([np.maximum(cuts.n_before, _silent_slots(cuts, rules)), n_after])
    ordinary = np.where(np.tile(usable, 2), count[:, _REFERENCE:], np.nan)
    n_usual = np.where(usable.any(axis=1), nan_median(ordinary), judged.max(axis=0))
    logarithmic = cuts.positive & (rules.kind == "gauge") & (rules.direction != "band")
    sign = np.where(rules.direction == "higher", -1.0, 1.0)
    apart = 1 + cuts.between / window * n_usual
    samples = Samples.of(series, cuts)
    levels, noise = np.empty((2, 4, size)), np.empty((len(fields(Noise)), size))
    begun = np.zeros(size, np.int64)
    for some, columns in _used(usable):
        slots = np.take_along_axis(count[some], columns, axis=1)
        for batch, width in windows.batches(slots.max(axis=1, initial=0), columns.shape[1]):
            rows = some[batch]
            first, there = (
                np.take_along_axis(of[rows], columns[batch], axis=1)
                for of in (cuts.first, cuts.count)
            )
            matrix = samples.windows(first, there, width, sign[rows], logarithmic[rows])
            if rules.zero[rows].any():
                silent = np.isnan(matrix) & ~windows.outside(slots[batch], width)
                np.copyto(matrix, 0.0, where=silent)
            levels[:, :, rows], noise[:, rows], begun[rows] = _batch(
                matrix, slots[batch], rules.kind[rows] == "count", rules.direction[rows] == "band"
            )
    noise = Noise.of(noise)
    return Readings(
        pre=_plain(series, *cuts.pre, rules.zero),
        post=_plain(series, *cuts.post, rules.zero),
        n_pre=cuts.pre[1],
        n_post=cuts.post[1],
        n_reference=usable.sum(axis=1),
        n_judged=judged,
        n_usual=n_usual,
        apart=apart,
        logarithmic=logarithmic,
        sign=sign,
        before=Level(*levels[0]),
        after=Level(*levels[1]),
        noise=noise,
        steps=_steps(samples, cuts, begun, noise, sign, logarithmic),
    )


def _steps(
    samples: Samples,
    cuts: Cuts,
    begun: np.ndarray,
    noise: Noise,
    sign: np.ndarray,
    logarithmic: np.ndarray,
) -> np.ndarray:
    """How sure (z) the series stepped between the windows: towards better, towards worse.

    A repair acts at a moment, and where samples are autocorrelated the moment shows more than
    the levels around it. NaN where the windows lie further apart than they are long.
    """
    since = cuts.first[:, 0] + begun
    until = cuts.first[:, _AFTER] + cuts.count[:, _AFTER]
    turn = cuts.first[:, 0] + cuts.count[:, 0] - since
    settled = cuts.first[:, _AFTER] - since
    near = (settled - turn <= cuts.n_before) & (cuts.count[:, :_REFERENCE] > 0).all(axis=1)
    length = np.where(near, until - since, 0)
    steps = np.full((2, len(since)), np.nan)
    wanted = np.flatnonzero(near)
    for some, width in windows.batches(length[near]):
        rows = wanted[some]
        matrix = samples.windows(since[rows], length[rows], width, sign[rows], logarithmic[rows])
        (_, up), (_, down) = surest_steps(
            matrix,
            length[rows],
            noise.sd[rows],
            noise.r[rows],
            turn[rows],
            settled[rows],
            -noise.change[rows],
        )
        steps[:, rows] = down, up
    return steps


def _used(usable: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows with as many reference days, and the columns (rows, windows) of their windows."""
    days = usable.sum(axis=1)
    for number in np.unique(days):
        rows = np.flatnonzero(days == number)
        day = np.nonzero(usable[rows])[1].reshape(len(rows), number)
        own = np.tile(np.arange(_REFERENCE), (len(rows), 1))
        yield rows, np.hstack([own, _REFERENCE + day, _REFERENCE + REFERENCE_DAYS + day])


def _batch(
    matrix: np.ndarray, count: np.ndarray, means: np.ndarray, both: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels before and after, (2, 4, rows), the noise as columns, and where problems began.

    `matrix` (rows, windows, width) holds the two windows of the mission, then the reference
    windows, those before and those after. Changes it and `count`: what precedes a step in the
    window before is left out of it.
    """
    width = matrix.shape[-1]
    centres = _centres(matrix, count, means)
    of_days = (len(matrix), 2, -1)
    history = matrix.shape[1] > _REFERENCE
    if history:
        noise = reference_noise(
            matrix[:, _REFERENCE:].reshape(*of_days, width),
            centres[:, _REFERENCE:].reshape(of_days),
            count[:, _REFERENCE:].reshape(of_days),
        )
    else:
        noise = own_noise(matrix, centres, count)
    begun = _begun(matrix[:, 0], count[:, 0], noise, both)
    moved = np.flatnonzero(begun)
    count[:, 0] -= begun
    start = moved * width * matrix.shape[1] + begun[moved]
    matrix[moved, 0] = windows.gather(matrix.ravel(), start, count[moved, 0], width)
    centres[moved, :1] = _centres(matrix[moved, :1], count[moved, :1], means[moved])
    weighted = weighted_level(matrix, count, centres, noise.sd[:, None], noise.r[:, None])
    if history:
        before, after = np.moveaxis(weighted[:, _REFERENCE:].reshape(of_days), 1, 0)
        change, change_sd = ordinary_change(before - after, noise.days)
        noise = replace(noise, change=change, change_sd=change_sd)
    mission = slice(0, _REFERENCE)
    deviation = own_deviation(matrix[:, mission], noise.r)
    levels = np.stack(
        [centres[:, mission], deviation, count[:, mission], weighted[:, mission]], axis=-1
    )
    return levels.transpose(1, 2, 0), noise.columns(), begun


def _begun(before: np.ndarray, count: np.ndarray, noise: Noise, both: np.ndarray) -> np.ndarray:
    """Where in the window before the problem began; a band's may begin on either side of it."""
    last = count - estimate.MIN_SHORT_SAMPLES
    (up, z_up), (down, z_down) = surest_steps(
        before, count, noise.sd, noise.r, np.ones_like(last), last
    )
    begun = np.where(z_up > estimate.Z_BEGUN, up, 0)
    return np.where(both & (z_down > estimate.Z_BEGUN), np.maximum(begun, down), begun)


def _centres(matrix: np.ndarray, count: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Medians; means of counts, whose median is blind to a few among many zeros."""
    centres = windows.row_medians(matrix, count)
    centres[means] = nan_mean(matrix[means])
    return centres


def _plain(series: Series, first: np.ndarray, count: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """Medians as measured; where silence means zero, that of an empty window is 0."""
    values = windows.medians(series.values, first, count)
    return np.where((count == 0) & zero, 0.0, values)


def _scaled(values: np.ndarray, sign: np.ndarray, logarithmic: np.ndarray) -> np.ndarray:
    return sign * np.where(logarithmic, np.log(values), values)
