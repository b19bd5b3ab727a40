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

MIN_REFERENCE = 5
"""Fewer reference days say too little about an ordinary day."""
SHORT_SPANS = (2, 4)
"""A problem younger than the window shows in its last half or quarter only."""
MIN_SHORT_SAMPLES = 5
Z_PROBLEM = 2.33
Z_SHORT_PROBLEM = 3.5
"""Stricter: the samples just before a mission are those that raised the alarm."""
Z_IMPROVED = 2.33
Z_WORSE = 1.64
"""Lower on purpose: a false alarm about harm costs less than a missed one."""
Z_RESTORED = 1.64
Z_INTERVAL = 1.96
SAME = 0.25
"""A change surely smaller than this share of the gap is no effect."""

OUTLIER = 5
"""Times the usual deviation from which on a value says no more about the noise."""

_MEAN_ABS_TO_SD = np.sqrt(np.pi / 2)


@dataclass(frozen=True)
class Level:
    """A window: its centre, the standard deviation around it, and how many samples."""

    centre: np.ndarray
    sd: np.ndarray
    n: np.ndarray


@dataclass(frozen=True)
class Noise:
    """What is ordinary: healthy level before and after, and how the metric wanders around it.

    `sd` and `r` (lag-1 autocorrelation) are of single samples; `level_sd` is of whole windows
    between days, `change_sd` of the change from a window before to one after on the same day.
    """

    before: np.ndarray
    after: np.ndarray
    sd: np.ndarray
    r: np.ndarray
    level_sd: np.ndarray
    change_sd: np.ndarray

    def columns(self) -> np.ndarray:
        """The six columns as one (6, rows) array, in the order of the fields."""
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


def standard_error(sd: np.ndarray, n: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Of the median of n samples of an AR(1) series with lag-1 autocorrelation r.

    The variance of a mean is that of n_eff independent samples, in its exact finite form (not
    n(1−r)/(1+r), which falls below one sample for a short window). A median of independent
    samples has π/2 times the variance of their mean; with rising autocorrelation the two come
    together (signs decorrelate as arcsin(r^k)·2/π), closely 1 + (π/2 − 1)(1 − r).
    """
    median_factor = 1 + (np.pi / 2 - 1) * (1 - r)
    return sd * np.sqrt(median_factor / effective_n(n, r))


def effective_n(n: np.ndarray, r: np.ndarray) -> np.ndarray:
    """How many independent samples n autocorrelated ones are worth; 1 ≤ n_eff ≤ n."""
    n = np.maximum(n, 1)
    inflation = (1 + r) / (1 - r) - 2 * r * (1 - r**n) / (n * (1 - r) ** 2)
    return np.clip(n / inflation, 1, n)


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
    change = wander[:, 1] - wander[:, 0]
    small_sample = np.sqrt(days / np.maximum(days - 1, 1))
    return Noise(
        before=healthy[:, 0],
        after=healthy[:, 1],
        sd=sd,
        r=_lag_one(deviation, sd),
        level_sd=small_sample * spread(wander.reshape(len(wander), -1)),
        change_sd=small_sample * spread(change),
    )


def own_noise(matrix: np.ndarray, centres: np.ndarray, count: np.ndarray) -> Noise:
    """Noise from the mission's own windows, (rows, 2, width), where there is no history.

    A short window hides part of its autocorrelation and spread in its own centre: r is corrected
    by (1 + 4r)/n (Kendall 1954) and the variance by 1/(1 − 1/n_eff).
    """
    deviation = matrix - centres[..., None]
    flat = deviation.reshape(len(matrix), -1)
    sd = spread(flat, nan_median(np.abs(flat)))
    n = np.maximum(count.mean(axis=-1), 2)
    r = _lag_one(deviation[:, :, None], sd)
    r = np.clip(r + (1 + 4 * r) / n, 0, 0.99)
    hidden = 1 / effective_n(n, r)
    sd = sd / np.sqrt(np.maximum(1 - hidden, 0.1))
    nothing = np.zeros(len(matrix))
    unknown = np.full(len(matrix), np.nan)
    return Noise(unknown, unknown, sd, r, nothing, nothing)


def estimate(
    before: tuple[Level, ...],
    after: Level,
    noise: Noise,
    gaps: tuple[np.ndarray, ...],
    smallest: np.ndarray,
    smallest_problem: np.ndarray,
    recent: np.ndarray,
) -> Estimate:
    """Answer the three questions.

    Args:
        before: the window before and its last half and quarter.
        after: the window after.
        noise: what is ordinary.
        gaps: the gap to healthy of each of `before`, then of `after`.
        smallest: smallest effect that counts, on the judged scale.
        smallest_problem: the same for "was there a problem".
        recent: the first of `before` is itself a short span, since the problem is young.
    """
    errors = [standard_error(np.fmax(noise.sd, x.sd), x.n, noise.r) for x in (*before, after)]
    gap_after, se_after = gaps[-1], errors[-1]
    level_after = np.maximum(se_after, noise.level_sd)
    gap, se = gaps[0], errors[0]
    sureness = np.where(recent, Z_SHORT_PROBLEM, Z_PROBLEM)
    problem = gap - sureness * np.maximum(se, noise.level_sd) > smallest_problem
    young = problem & recent
    for short, short_gap, short_se in zip(before[1:], gaps[1:-1], errors[1:-1], strict=True):
        sure = short_gap - Z_SHORT_PROBLEM * np.maximum(short_se, noise.level_sd)
        found = ~problem & (short.n >= MIN_SHORT_SAMPLES) & (sure > smallest_problem)
        gap, se = np.where(found, short_gap, gap), np.where(found, short_se, se)
        problem, young = problem | found, young | found
    gain = gap - gap_after
    se_gain = np.maximum(np.hypot(se, se_after), noise.change_sd)
    broke = (gap_after - Z_PROBLEM * level_after > smallest) & (gain < -Z_IMPROVED * se_gain)
    tolerance = np.maximum(smallest, Z_RESTORED * level_after)
    margin = np.maximum(smallest, SAME * gap)
    return Estimate(
        gap_before=gap,
        gap_after=gap_after,
        se_before=se,
        se_after=se_after,
        problem=problem,
        young=young,
        improved=problem & (gain > Z_IMPROVED * se_gain) & (gain > smallest),
        worse=(-gain > smallest) & np.where(problem, -gain > Z_WORSE * se_gain, broke),
        restored=gap_after <= tolerance,
        unchanged=np.abs(gain) + Z_WORSE * se_gain < margin,
    )


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
    count = np.isfinite(matrix).sum(axis=-1)
    return np.where(count > 0, np.nansum(matrix, axis=-1) / np.maximum(count, 1), empty)


def _lag_one(deviation: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Lag-1 autocorrelation, 0 to 0.99, of (rows, …, width) deviations, outliers cut at 3 sd."""
    limit = 3 * sd.reshape(-1, *[1] * (deviation.ndim - 1))
    cut = np.clip(deviation, -limit, limit)
    products = (cut[..., 1:] * cut[..., :-1]).reshape(len(cut), -1)
    squares = (cut**2).reshape(len(cut), -1)
    variance = nan_mean(squares)
    r = np.divide(nan_mean(products), variance, out=np.zeros(len(cut)), where=variance > 0)
    return np.clip(r, 0, 0.99)
