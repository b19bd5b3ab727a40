"""Levels of autocorrelated samples: how sure one is, and where it stepped.

Belongs here: what follows from modelling the samples of a window as a level plus AR(1) noise of
standard deviation `sd` and lag-1 autocorrelation `r` (0 ≤ r < 1). Plain numbers in and out, one
row a mission × series. A before/after comparison that takes such samples for independent calls
a useless repair a success in a third of the cases (`make judge-exam`).
"""

from __future__ import annotations

import numpy as np

from grace_assets.core.padded import gather, outside

TRUSTED_R = 0.9
"""Above it the best weights would rest on the first and last sample of a window alone."""
CLIP = 3.0
"""A sample counts for at most so many standard deviations from its window's centre."""


def effective_n(n: np.ndarray, r: np.ndarray) -> np.ndarray:
    """How many independent samples n autocorrelated ones are worth; 1 ≤ n_eff ≤ n.

    The variance of a mean in its exact finite form (not n(1−r)/(1+r), which falls below one
    sample for a short window).
    """
    n = np.maximum(n, 1)
    return np.clip(n * n / _covariances(n, r), 1, n)


def standard_error(sd: np.ndarray, n: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Of the median of n samples.

    A median of independent samples has π/2 times the variance of their mean; with rising
    autocorrelation the two come together (signs decorrelate as arcsin(r^k)·2/π), closely
    1 + (π/2 − 1)(1 − r).
    """
    median_factor = 1 + (np.pi / 2 - 1) * (1 - r)
    return sd * np.sqrt(median_factor / effective_n(n, r))


def weighted_level(
    matrix: np.ndarray, count: np.ndarray, centre: np.ndarray, sd: np.ndarray, r: np.ndarray
) -> np.ndarray:
    """The level of each window by generalised least squares, the most certain linear estimate.

    Under AR(1) noise the first and the last sample weigh 1 and those between 1 − r (Grenander
    and Rosenblatt 1957); r is cut at `TRUSTED_R` and samples are clipped, so that no single one
    decides. `matrix` is (…, width), NaN-padded; the others broadcast to its leading shape.
    """
    limit = CLIP * sd
    low, high = (centre - limit)[..., None], (centre + limit)[..., None]
    clipped = np.maximum(matrix, low)
    np.minimum(clipped, high, out=clipped)
    last = np.take_along_axis(clipped, np.maximum(count - 1, 0)[..., None], axis=-1)[..., 0]
    ends = clipped[..., 0] + last
    np.copyto(clipped, 0.0, where=outside(count, matrix.shape[-1]))
    share, edge = _weights(count, r)
    return share * clipped.sum(axis=-1) + edge * ends


def change_error(
    sd: np.ndarray, before: np.ndarray, after: np.ndarray, r: np.ndarray, apart: np.ndarray
) -> np.ndarray:
    """Standard error of the difference of two weighted levels, of `before` and `after` samples.

    `apart` is how many samples lie from the last before to the first after: near ones wander
    together, which makes their difference more certain.
    """
    variance, shared = 0.0, r**apart
    for n in (np.maximum(before, 1), np.maximum(after, 1)):
        share, edge = _weights(n, r)
        one_end = _from_one_end(n, r)
        both_ends = 1 + r ** (n - 1)
        variance = variance + (
            share**2 * _covariances(n, r) + 4 * share * edge * one_end + 2 * edge**2 * both_ends
        )
        shared = shared * (share * one_end + edge * both_ends)
    return sd * np.sqrt(np.maximum(variance - 2 * shared, 0))


def surest_steps(
    matrix: np.ndarray,
    count: np.ndarray,
    sd: np.ndarray,
    r: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    expected: np.ndarray | float = 0.0,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The surest step up and the surest one down in each window (rows, width): place and z.

    For each place from `first` to `last` (index of the first sample after the step), the
    generalised least-squares estimate of a level and a step there, less the step `expected`
    anyway. Place and z are 0 where nothing steps that way.
    """
    n = np.maximum(count, 1)[:, None]
    first, last = np.maximum(first, 1), np.minimum(last, n[:, 0] - 1)
    span = max(np.max(last - first, initial=0), 0) + 1
    padding = outside(count, matrix.shape[1])
    values = np.where(padding, 0.0, matrix)
    # Whitened, each sample is what the one before does not let expect, over `scale`; the sums of
    # that are what every step is told by.
    r = r[:, None]
    scale = np.sqrt(1 - r**2)
    level = (1 - r) / scale
    sums = np.cumsum(values, axis=1)
    sums[:, 1:] -= r * sums[:, :-1]
    total = np.take_along_axis(sums, n - 1, axis=1)
    start = np.arange(len(matrix)) * matrix.shape[1]
    around = gather(sums.ravel(), start + first - 1, last - first + 2, span + 1)
    before, until = around[:, :-1], around[:, 1:]
    later = n - 1 - first[:, None] - np.arange(span)
    level_level = 1 + (n - 1) * level**2
    level_step = level / scale + later * level**2
    step_step = 1 / scale**2 + later * level**2
    level_white = values[:, :1] + level / scale * (total - values[:, :1])
    step_white = (until - before) / scale**2 + level / scale * (total - until)
    free = level_level * step_step - level_step**2
    rounding = 1e-9 * np.abs(values).max(axis=1, initial=0)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        step = (level_level * step_white - level_step * level_white) / free
        step -= np.reshape(expected, (-1, 1))
        certainty = step * np.sqrt(free / level_level)
        # What is not asked for is NaN here, and not larger either.
        certainty = np.where(np.abs(step) > rounding, certainty, 0.0)
    return _at(certainty, certainty.argmax(axis=1), first, sd), _at(
        -certainty, certainty.argmin(axis=1), first, sd
    )


def _at(
    certainty: np.ndarray, best: np.ndarray, first: np.ndarray, sd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    surest = np.maximum(np.take_along_axis(certainty, best[:, None], axis=1)[:, 0], 0.0)
    z = np.divide(surest, sd, out=np.where(surest > 0, np.inf, 0.0), where=sd > 0)
    return np.where(surest > 0, first + best, 0), z


def _weights(n: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of every sample, and what the first and the last weigh on top of it."""
    trusted = np.minimum(r, TRUSTED_R)
    total = n * (1 - trusted) + 2 * trusted
    return (1 - trusted) / total, trusted / total


def _from_one_end(n: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Sum of the correlations of the first sample with all, itself included."""
    return (1 - r**n) / (1 - r)


def _covariances(n: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Sum of the correlations of all samples with all: the variance of their sum, for sd 1."""
    return n * (1 + r) / (1 - r) - 2 * r * (1 - r**n) / (1 - r) ** 2
