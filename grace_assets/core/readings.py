"""What the samples say around each mission: levels and noise of its windows, on the judged scale.

Belongs here: turning values into numbers where lower is better, and what each window is read as.
Gauges that are positive throughout are compared as ratios (logarithms), so that the unit cannot
matter and a seasonal factor cancels; everything else by difference. What follows from it is
decided in `judge`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from grace_assets.core import estimate, padded
from grace_assets.core.autocorrelation import surest_steps, weighted_level
from grace_assets.core.cuts import AFTER, REFERENCE, Cuts, reference_days, silent_slots
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
from grace_assets.core.rules import Rules
from grace_assets.core.windows import REFERENCE_DAYS, Series


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
        values = series.values[start:stop]
        return cls(start, values, np.log(values))

    def windows(
        self,
        first: np.ndarray,
        count: np.ndarray,
        width: int,
        sign: np.ndarray,
        logarithmic: np.ndarray,
    ) -> np.ndarray:
        """Windows on the judged scale as rows of a matrix, see `padded.gather`."""
        first = np.where(count > 0, first - self.start, 0)
        matrix = np.empty((*first.shape, width))
        for of, rows in ((self.logs, logarithmic), (self.values, ~logarithmic)):
            if rows.any():
                matrix[rows] = padded.gather(of, first[rows], count[rows], width)
        matrix *= sign.reshape(-1, *[1] * first.ndim)
        return matrix


def read(series: Series, cuts: Cuts, rules: Rules, window: np.ndarray) -> Readings:
    """Levels and noise of every row, in batches of bounded memory."""
    size = len(cuts.first)
    count, usable = reference_days(cuts, rules)
    n_after = count[:, AFTER]
    judged = np.stack([np.maximum(cuts.n_before, silent_slots(cuts, rules)), n_after])
    ordinary = np.where(np.tile(usable, 2), count[:, REFERENCE:], np.nan)
    n_usual = np.where(usable.any(axis=1), nan_median(ordinary), judged.max(axis=0))
    logarithmic = cuts.positive & (rules.kind == "gauge") & (rules.direction != "band")
    sign = np.where(rules.direction == "higher", -1.0, 1.0)
    apart = 1 + cuts.between / window * n_usual
    samples = Samples.of(series, cuts)
    levels, noise = np.empty((2, 4, size)), np.empty((len(fields(Noise)), size))
    begun = np.zeros(size, np.int64)
    for some, columns in _used(usable):
        slots = np.take_along_axis(count[some], columns, axis=1)
        for batch, width in padded.batches(slots.max(axis=1, initial=0), columns.shape[1]):
            rows = some[batch]
            first, there = (
                np.take_along_axis(of[rows], columns[batch], axis=1)
                for of in (cuts.first, cuts.count)
            )
            matrix = samples.windows(first, there, width, sign[rows], logarithmic[rows])
            if rules.zero[rows].any():
                silent = np.isnan(matrix) & ~padded.outside(slots[batch], width)
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
    until = cuts.first[:, AFTER] + cuts.count[:, AFTER]
    turn = cuts.first[:, 0] + cuts.count[:, 0] - since
    settled = cuts.first[:, AFTER] - since
    near = (settled - turn <= cuts.n_before) & (cuts.count[:, :REFERENCE] > 0).all(axis=1)
    length = np.where(near, until - since, 0)
    steps = np.full((2, len(since)), np.nan)
    wanted = np.flatnonzero(near)
    for some, width in padded.batches(length[near]):
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
        own = np.tile(np.arange(REFERENCE), (len(rows), 1))
        yield rows, np.hstack([own, REFERENCE + day, REFERENCE + REFERENCE_DAYS + day])


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
    history = matrix.shape[1] > REFERENCE
    if history:
        noise = reference_noise(
            matrix[:, REFERENCE:].reshape(*of_days, width),
            centres[:, REFERENCE:].reshape(of_days),
            count[:, REFERENCE:].reshape(of_days),
        )
    else:
        noise = own_noise(matrix, centres, count)
    begun = _begun(matrix[:, 0], count[:, 0], noise, both)
    moved = np.flatnonzero(begun)
    count[:, 0] -= begun
    start = moved * width * matrix.shape[1] + begun[moved]
    matrix[moved, 0] = padded.gather(matrix.ravel(), start, count[moved, 0], width)
    centres[moved, :1] = _centres(matrix[moved, :1], count[moved, :1], means[moved])
    weighted = weighted_level(matrix, count, centres, noise.sd[:, None], noise.r[:, None])
    if history:
        before, after = np.moveaxis(weighted[:, REFERENCE:].reshape(of_days), 1, 0)
        change, change_sd = ordinary_change(before - after, noise.days)
        noise = replace(noise, change=change, change_sd=change_sd)
    mission = slice(0, REFERENCE)
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
    centres = padded.row_medians(matrix, count)
    centres[means] = nan_mean(matrix[means])
    return centres


def _plain(series: Series, first: np.ndarray, count: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """Medians as measured; where silence means zero, that of an empty window is 0."""
    values = padded.medians(series.values, first, count)
    return np.where((count == 0) & zero, 0.0, values)


def _scaled(values: np.ndarray, sign: np.ndarray, logarithmic: np.ndarray) -> np.ndarray:
    return sign * np.where(logarithmic, np.log(values), values)
