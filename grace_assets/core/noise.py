"""What is ordinary for a metric: its healthy level, its noise, and how it wanders.

Belongs here: numbers about readings of ordinary days, or of the mission's own windows where there
are none; robust, since real telemetry has outliers, and on columns, one row a mission × series.
What follows from them for a repair is decided in `estimate`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from grace_assets.core.autocorrelation import effective_n
from grace_assets.core.padded import outside

OUTLIER = 5
"""Times the usual deviation from which on a value says no more about the noise."""

_MEAN_ABS_TO_SD = np.sqrt(np.pi / 2)


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


def reference_noise(matrix: np.ndarray, centres: np.ndarray, count: np.ndarray) -> Noise:
    """Noise from reference windows.

    Args:
        matrix: (rows, 2, days, width) samples, padded to `width`; before and after on axis 1.
        centres: (rows, 2, days) of those windows.
        count: (rows, 2, days) samples in each.

    Deviations are from the healthy level, not from each window's own, so that wander slower
    than a window counts as autocorrelation instead of vanishing.
    """
    days = np.full(len(matrix), centres.shape[-1])
    healthy = nan_median(centres)
    deviation = matrix - healthy[..., None, None]
    np.copyto(deviation, 0.0, where=outside(count, matrix.shape[-1]))
    samples = count.sum(axis=(1, 2))
    size = np.abs(deviation)
    usual = nan_median((size.sum(axis=-1) / count).reshape(len(matrix), -1))
    np.minimum(size, _largest(usual)[:, None, None, None], out=size)
    sd = _MEAN_ABS_TO_SD * size.sum(axis=(1, 2, 3)) / np.maximum(samples, 1)
    wander = centres - healthy[..., None]
    nothing = np.zeros(len(matrix))
    r, second = _autocorrelations(deviation, count, sd)
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
    np.copyto(deviation, 0.0, where=outside(count, matrix.shape[-1]))
    r, _ = _autocorrelations(deviation, count, sd)
    r = np.clip(r + (1 + 4 * r) / n, 0, 0.99)
    hidden = 1 / effective_n(n, r)
    sd = sd / np.sqrt(np.maximum(1 - hidden, 0.1))
    nothing = np.zeros(len(matrix))
    unknown = np.full(len(matrix), np.nan)
    freedom = 2 * effective_n(n, r)
    return Noise(unknown, unknown, sd, r, r, nothing, nothing, freedom, nothing, nothing)


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
        size = np.minimum(size, _largest(usual)[..., None])
    return _MEAN_ABS_TO_SD * nan_mean(size)


def _largest(usual: np.ndarray) -> np.ndarray:
    """The largest absolute deviation that says something about the noise."""
    return np.where(usual > 0, OUTLIER * usual, np.inf)


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


def _autocorrelations(
    deviation: np.ndarray, count: np.ndarray, sd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Autocorrelations at lags 1 and 2, 0 to 0.99, of (rows, …, width) deviations.

    `count` (rows, …) samples stand in each window and 0 behind them. Outliers are cut at 3 sd. Of
    windows that are gaps in part, only what stands side by side counts.
    """
    limit = 3 * sd.reshape(-1, *[1] * (deviation.ndim - 1))
    cut = np.maximum(deviation, -limit)
    np.minimum(cut, limit, out=cut)
    axes = tuple(range(1, count.ndim))
    variance = _products(cut, cut) / np.maximum(count.sum(axis=axes), 1)
    found = []
    for lag in (1, 2):
        pairs = np.maximum(count - lag, 0).sum(axis=axes)
        covariance = _products(cut[..., lag:], cut[..., :-lag]) / np.maximum(pairs, 1)
        r = np.divide(covariance, variance, out=np.zeros(len(cut)), where=variance > 0)
        found.append(np.clip(r, 0, 0.99))
    return found[0], found[1]


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The sum of the products of each row."""
    return np.vecdot(one, other).reshape(len(one), -1).sum(axis=1)
