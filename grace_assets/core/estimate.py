"""The statistics of one judgement: how far from healthy, how sure, and what follows from it.

Belongs here: plain numbers in, plain numbers out, one row a mission × series, nothing about
tables. Values arrive on the judged scale (`Readings`), turned so that lower is better; on it a
gap is "level − healthy". The order of the questions is the point: was there a sustained problem,
did it change, is it healthy again. A change alone proves nothing: a repair that starts because a
noisy metric was high is followed by lower readings whatever it did (Linden 2013, regression to
the mean).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from grace_assets.core.autocorrelation import change_error, effective_n, standard_error

MIN_REFERENCE = 5
"""Fewer reference days say too little about an ordinary day."""
MIN_SHORT_SAMPLES = 5
"""A problem younger than the window is judged by what is left of it, from so many samples on."""
Z_PROBLEM = 2.33
Z_SHORT_PROBLEM = 4.0
"""Stricter: the samples just before a mission are those that raised the alarm."""
Z_BEGUN = 4.0
"""So sure must a step within the window before a mission be: some 25 places are tried."""
Z_SAME = 1.64
Z_RESTORED = 1.64
Z_HELD = Z_PROBLEM
"""Wider: a recovery is gone when there is a problem again, not when noise is a bit high."""
Z_INTERVAL = 1.96
SAME = 0.25
"""A change surely smaller than this share of the gap is no effect."""

OUTLIER = 5
"""Times the usual deviation from which on a value says no more about the noise."""

FEW_DAYS = 1.0
"""How far below the truth a deviation over few days may lie by chance, times √(days − 1)."""
OWN_NOISE = 0.88
"""A window's own deviation scatters by an eighth around the true one; more is more noise."""

_MEAN_ABS_TO_SD = np.sqrt(np.pi / 2)


@dataclass(frozen=True)
class Sureness:
    """When a change of levels counts, in standard errors.

    `alone`, or `confirmed` beside a step between the windows that is itself `step` sure;
    `blind` where nobody looked for a step.
    """

    blind: float
    alone: float
    step: float
    confirmed: float

    def reached(
        self, change: np.ndarray, se: np.ndarray, step: np.ndarray, freedom: np.ndarray
    ) -> np.ndarray:
        """Whether it counts; `step` is NaN where nobody looked."""
        alone = np.where(np.isnan(step), self.blind, self.alone)
        by_levels = change > sure_beyond(alone, freedom) * se
        stepped = step > sure_beyond(self.step, freedom)
        return by_levels | (stepped & (change > sure_beyond(self.confirmed, freedom) * se))


Z_IMPROVED = Sureness(blind=2.5, alone=2.8, step=3.1, confirmed=1.9)
"""Fewer than 1 % of useless repairs on a persistent fault pass (`make judge-exam`)."""
Z_WORSE = Sureness(blind=1.64, alone=1.64, step=2.8, confirmed=1.0)
"""Lower on purpose: a false alarm about harm costs less than a missed one."""
Z_BROKE = Sureness(blind=2.0, alone=2.0, step=2.8, confirmed=1.2)
Z_UNHEALTHY = 0.6
"""The same where nothing had been wrong before: a surer change, to a level not quite ordinary."""


@dataclass(frozen=True)
class Level:
    """A window: its centre, the standard deviation around it, and how many samples.

    `weighted` is the same level estimated with most certainty (`weighted_level`): the centre is
    what is published and compared with healthy, the weighted level is what a change is told by.
    """

    centre: np.ndarray
    sd: np.ndarray
    n: np.ndarray
    weighted: np.ndarray


@dataclass(frozen=True)
class Noise:
    """What is ordinary: healthy level before and after, and how the metric wanders around it.

    `sd` and `r` (lag-1 autocorrelation) are of single samples, `persistence` is the r of the
    AR(1) noise whose levels wander as much as these do; `level_sd` is of whole windows
    between days, `change_sd` of the change from a window before to one after on the same day,
    and `change` is what of that change is the season's. `freedom` are the degrees of freedom
    that `sd` and `r` rest on.
    """

    before: np.ndarray
    after: np.ndarray
    sd: np.ndarray
    r: np.ndarray
    persistence: np.ndarray
    level_sd: np.ndarray
    days: np.ndarray
    freedom: np.ndarray
    change: np.ndarray
    change_sd: np.ndarray

    @classmethod
    def of(cls, columns: np.ndarray) -> Noise:
        return cls(*columns)

    def columns(self) -> np.ndarray:
        """The columns as one (fields, rows) array, in the order of the fields."""
        return np.stack([getattr(self, f.name) for f in fields(self)])


@dataclass(frozen=True)
class Estimate:
    """Gaps to healthy before and after with their standard errors, and the verdict's parts."""

    gap_before: np.ndarray
    gap_after: np.ndarray
    se_before: np.ndarray
    se_after: np.ndarray
    problem: np.ndarray
    young: np.ndarray
    improved: np.ndarray
    worse: np.ndarray
    restored: np.ndarray
    unchanged: np.ndarray


def reference_noise(matrix: np.ndarray, centres: np.ndarray, usable: np.ndarray) -> Noise:
    """Noise from reference windows.

    Args:
        matrix: (rows, 2, days, width) samples, NaN-padded; before and after on axis 1.
        centres: (rows, 2, days) of those windows.
        usable: (rows, days) which days serve.

    Deviations are from the healthy level, not from each window's own, so that wander slower
    than a window counts as autocorrelation instead of vanishing.
    """
    centres = np.where(usable[:, None], centres, np.nan)
    days = usable.sum(axis=-1)
    healthy = nan_median(centres)
    deviation = np.where(usable[:, None, :, None], matrix, np.nan) - healthy[..., None, None]
    usual = nan_median(nan_mean(np.abs(deviation), empty=np.nan).reshape(len(matrix), -1))
    sd = spread(deviation.reshape(len(matrix), -1), usual)
    wander = centres - healthy[..., None]
    nothing = np.zeros(len(matrix))
    samples = np.isfinite(deviation).sum(axis=(1, 2, 3))
    r, second = _autocorrelations(deviation, sd)
    # Autocorrelation is underestimated, by about so much (Kendall 1954).
    r = np.clip(r + (1 + 4 * r) / np.maximum(samples, 1), 0, 0.99)
    persistence = _persistence(r, second, samples)
    samples = samples / np.maximum(2 * days, 1)
    return Noise(
        before=healthy[:, 0],
        after=healthy[:, 1],
        sd=sd,
        r=r,
        persistence=persistence,
        level_sd=small_sample(days) * spread(wander.reshape(len(wander), -1)),
        days=days,
        freedom=np.isfinite(centres).sum(axis=(1, 2)) * effective_n(samples, persistence),
        change=nothing,
        change_sd=nothing,
    )


def small_sample(days: np.ndarray) -> np.ndarray:
    """What a spread around the days' own centre misses of the true one."""
    return np.sqrt(days / np.maximum(days - 1, 1))


def own_noise(matrix: np.ndarray, centres: np.ndarray, count: np.ndarray) -> Noise:
    """Noise from the mission's own windows, (rows, 2, width), where there is no history.

    A short window hides part of its autocorrelation and spread in its own centre: r is corrected
    by (1 + 4r)/n (Kendall 1954) and the variance by 1/(1 − 1/n_eff).
    """
    deviation = matrix - centres[..., None]
    flat = deviation.reshape(len(matrix), -1)
    sd = spread(flat, nan_median(np.abs(flat)))
    n = np.maximum(count.mean(axis=-1), 2)
    r, _ = _autocorrelations(deviation[:, :, None], sd)
    r = np.clip(r + (1 + 4 * r) / n, 0, 0.99)
    hidden = 1 / effective_n(n, r)
    sd = sd / np.sqrt(np.maximum(1 - hidden, 0.1))
    nothing = np.zeros(len(matrix))
    unknown = np.full(len(matrix), np.nan)
    freedom = 2 * effective_n(n, r)
    return Noise(unknown, unknown, sd, r, r, nothing, nothing, freedom, nothing, nothing)


def estimate(
    before: Level,
    after: Level,
    noise: Noise,
    gap_before: np.ndarray,
    gap_after: np.ndarray,
    gain: np.ndarray,
    smallest: np.ndarray,
    smallest_problem: np.ndarray,
    young: np.ndarray,
    usual: np.ndarray,
    apart: np.ndarray,
    steps: np.ndarray,
    louder: np.ndarray,
    z_restored: float,
) -> Estimate:
    """Answer the three questions.

    Args:
        before, after: the windows.
        noise: what is ordinary.
        gap_before, gap_after: how far their centres are on the bad side of healthy.
        gain: how much of the gap is gone, by the weighted levels.
        smallest: smallest effect that counts, on the judged scale.
        smallest_problem: the same for "was there a problem".
        young: the problem began in the later half of the window before.
        usual: samples of an ordinary window; `apart` such samples lie between the two.
        steps: (2, rows) how sure a step between them was: towards better, towards worse.
        louder: how many times noisier the metric is in its problem than on ordinary days.
        z_restored: how far beyond healthy still is healthy.
    """
    # A series that never moves has no noise but its own.
    known = noise.sd > 0
    own = np.where(known, OWN_NOISE, 1.0)
    se_before, se_after = (
        standard_error(np.fmax(noise.sd, own * level.sd), level.n, noise.persistence)
        for level in (before, after)
    )
    sd = np.fmax(noise.sd * louder, own * np.fmax(before.sd, after.sd))
    steps = np.where(known, steps, np.nan)
    level_after = np.maximum(se_after, noise.level_sd)
    sureness = np.where(young, Z_SHORT_PROBLEM, Z_PROBLEM)
    sure_gap = gap_before - sureness * np.maximum(se_before, noise.level_sd)
    problem = sure_gap > smallest_problem
    # Steps were weighed by the noise of the reference days, and as AR(1).
    modelled = change_error(noise.sd, before.n, after.n, noise.r, apart)
    se_gain = change_error(sd, before.n, after.n, noise.persistence, apart)
    se_gain *= wander(noise, usual, apart)
    larger = np.divide(se_gain, modelled, out=np.ones(len(sd)), where=modelled > 0)
    better = Z_IMPROVED.reached(gain, se_gain, steps[0] / larger, noise.freedom)
    harmed = Z_WORSE.reached(-gain, se_gain, steps[1] / larger, noise.freedom)
    broke = Z_BROKE.reached(-gain, se_gain, steps[1] / larger, noise.freedom) & (
        gap_after - Z_UNHEALTHY * level_after > smallest
    )
    tolerance = np.maximum(smallest, z_restored * level_after)
    margin = np.maximum(smallest, SAME * gap_before)
    return Estimate(
        gap_before=gap_before,
        gap_after=gap_after,
        se_before=se_before,
        se_after=se_after,
        problem=problem,
        young=problem & young,
        improved=problem & better & (gain > smallest),
        worse=(-gain > smallest) & np.where(problem, harmed, broke),
        restored=gap_after <= tolerance,
        unchanged=np.abs(gain) + Z_SAME * se_gain < margin,
    )


def sure_beyond(z: np.ndarray | float, freedom: np.ndarray) -> np.ndarray:
    """Student's t for a normal quantile, to the first order (Peizer and Pratt's leading term)."""
    return z * (1 + (z * z + 1) / (4 * np.maximum(freedom, 2)))


def wander(noise: Noise, usual: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """How many times larger than AR(1) noise explains changes on ordinary days are; at least 1.

    Real series wander in more ways than AR(1). The deviation over few days is itself uncertain:
    about its lower decile counts, lest chance inflate what the model explains well.
    """
    explained = change_error(noise.sd, usual, usual, noise.persistence, apart)
    least = 1 / (1 + FEW_DAYS / np.sqrt(np.maximum(noise.days - 1, 1)))
    ratio = np.divide(
        least * noise.change_sd,
        explained,
        out=np.ones(len(explained)),
        where=explained > 0,
    )
    return np.maximum(ratio, 1)


def ordinary_change(changes: np.ndarray, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The season's share of the change, and how changes deviate from it, from (rows, days).

    The mean change of the days, outliers cut, drawn to zero as far as it could be chance (the
    positive-part estimator of James and Stein): most metrics have no season within an hour, and
    a correction that is only noise costs certainty.
    """
    middle = nan_median(changes)[:, None]
    around = small_sample(days) * spread(changes - middle)
    limit = 2 * around[:, None]
    mean = nan_mean(np.clip(changes, middle - limit, middle + limit))
    chance = around**2 / np.maximum(days, 1)
    share = np.divide(chance, mean**2, out=np.zeros(len(mean)), where=mean != 0)
    return np.maximum(0, 1 - share) * mean, around


def nan_median(matrix: np.ndarray) -> np.ndarray:
    """Medians along the last axis, NaN left out; NaN where nothing is left."""
    ranked = np.sort(matrix, axis=-1)
    count = np.isfinite(matrix).sum(axis=-1)
    lower = np.take_along_axis(ranked, np.maximum(count - 1, 0)[..., None] // 2, axis=-1)
    upper = np.take_along_axis(ranked, count[..., None] // 2 % matrix.shape[-1], axis=-1)
    return (lower[..., 0] + upper[..., 0]) / 2


def spread(deviation: np.ndarray, usual: np.ndarray | None = None) -> np.ndarray:
    """Standard deviation along the last axis, NaN left out, from absolute deviations.

    The mean of absolute deviations (of a normal sd, √(2/π)) gives way to outliers only slowly
    and, other than their median, does not vanish for values in steps. Where the `usual` absolute
    deviation is known, none counts for more than `OUTLIER` times it.
    """
    size = np.abs(deviation)
    if usual is not None:
        size = np.minimum(size, np.where(usual > 0, OUTLIER * usual, np.inf)[..., None])
    return _MEAN_ABS_TO_SD * nan_mean(size)


def nan_mean(matrix: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """Means along the last axis, NaN left out; `empty` where nothing is left."""
    there = np.isfinite(matrix)
    count = there.sum(axis=-1)
    total = np.where(there, matrix, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), empty)


def own_deviation(matrix: np.ndarray, r: np.ndarray) -> np.ndarray:
    """The noise of single samples in each window of (rows, windows, width), by its differences.

    A window of autocorrelated samples hides most of its spread in its own centre; successive
    differences, of variance 2(1 − r)·sd², do not. A fault often makes a metric noisier, too.
    """
    steps = np.diff(matrix, axis=-1)
    usual = nan_median(np.abs(steps))
    return spread(steps, usual) / np.sqrt(2 * (1 - r))[:, None]


def _persistence(r: np.ndarray, second: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """The r of the AR(1) noise with the same sum of autocorrelations.

    Measurement noise on top of a slow wander lowers the first autocorrelation and not how the
    later ones fade: they go down by `second / r` a step. Only what is surely (two standard
    errors) above AR(1) counts.
    """
    unsure = 2 / np.sqrt(np.maximum(samples, 1))
    fading = np.clip((second - unsure) / np.maximum(r, 0.05), r, 0.98)
    total = r / (1 - fading)
    return np.maximum(r, total / (1 + total))


def _autocorrelations(deviation: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Autocorrelations at lags 1 and 2, 0 to 0.99, of (rows, …, width) deviations.

    Outliers are cut at 3 sd. Of windows that are gaps in part, only what stands side by side
    counts.
    """
    limit = 3 * sd.reshape(-1, *[1] * (deviation.ndim - 1))
    cut = np.minimum(np.maximum(deviation, -limit), limit)
    there = np.isfinite(cut)
    cut = np.where(there, cut, 0.0)
    axes = tuple(range(1, deviation.ndim))
    variance = np.square(cut).sum(axis=axes) / np.maximum(there.sum(axis=axes), 1)
    found = []
    for lag in (1, 2):
        pairs = (there[..., lag:] & there[..., :-lag]).sum(axis=axes)
        total = (cut[..., lag:] * cut[..., :-lag]).sum(axis=axes)
        covariance = total / np.maximum(pairs, 1)
        r = np.divide(covariance, variance, out=np.zeros(len(cut)), where=variance > 0)
        found.append(np.clip(r, 0, 0.99))
    return found[0], found[1]
