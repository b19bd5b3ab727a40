"""How sure a rate, a quantile or a difference is: 95 % intervals, and what may be said of them.

Belongs here: plain numbers in, plain numbers out; nothing about tables or missions. All intervals
treat the values as independent draws. Missions that come in storms are not quite that, so a
difference that only just counts is weaker than it looks.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: all intervals are two-sided, 95 %."""
TAIL = 0.025
"""What each side of an interval may miss."""
MIN_VALUES = 10
"""Fewer values on either side say too little about a mean."""
MIN_TRIALS = 5
"""Fewer trials on either side say too little about a rate."""

Interval = tuple[float, float]
Answer = Literal["better", "worse", "no detectable change", "too few"]


@dataclass(frozen=True)
class Difference:
    """Now − before, in the unit of the values, with its interval, and what follows from it.

    `difference` is null where one side has no value, `interval` where there are `too few`.
    """

    answer: Answer
    difference: float | None
    interval: Interval | None


def wilson_interval(k: int, n: int) -> Interval:
    """The Wilson interval of a rate k/n as fractions, n at least 1 (Wilson 1927, JASA 22:209)."""
    centre = (k + Z * Z / 2) / (n + Z * Z)
    half = Z * math.sqrt(k * (n - k) / n + Z * Z / 4) / (n + Z * Z)
    return max(0.0, centre - half), min(1.0, centre + half)


def quantile(ascending: Sequence[float] | np.ndarray, p: float) -> float | None:
    """The quantile `p` (0..1) of ordered values, in their unit; null where there are none.

    Interpolated linearly between the two ranks around 1 + (n − 1) p, as numpy's default, R's and
    DuckDB's `quantile_cont` do (Hyndman and Fan 1996, Am. Stat. 50:361, type 7). np.quantile says
    the same and takes ten times as long for a few thousand values.
    """
    n = len(ascending)
    if not n:
        return None
    place = (n - 1) * p
    low = math.floor(place)
    return float(_between(ascending[low], ascending[min(low + 1, n - 1)], place - low))


def quantile_interval(
    ascending: Sequence[float] | np.ndarray, p: float
) -> tuple[float | None, float | None]:
    """The interval of the `p` quantile of ordered values: two of them, whatever their shape.

    The number of values below the true quantile is binomial (n, p); the bounds are the narrowest
    ranks that each miss at most `TAIL` (Conover 1999, Practical Nonparametric Statistics, 3.2).
    A bound is null where n is too small to have one: the median needs 6 values, the upper bound
    of the 90 % quantile needs 36.
    """
    n = len(ascending)
    if not n:
        return None, None
    low, high = _ranks(n, p)
    return (
        float(ascending[low - 1]) if low else None,
        float(ascending[high - 1]) if high <= n else None,
    )


def ranked(values: np.ndarray, shares: Collection[float]) -> np.ndarray:
    """The values with those in their place that `quantile` and its interval of `shares` look at.

    The others stand in any order: sorting thousands takes three times as long.
    """
    n = len(values)
    if not n:
        return values
    places = set()
    for p in shares:
        low, (first, last) = math.floor((n - 1) * p), _ranks(n, p)
        places |= {low, min(low + 1, n - 1), max(first - 1, 0), min(last - 1, n - 1)}
    return np.partition(values, sorted(places))


def _between(low: float, high: float, share: float) -> float:
    """As numpy has it: exact at both ends, and never beyond them."""
    step = high - low
    return low + step * share if share < 0.5 else high - step * (1 - share)


@lru_cache(maxsize=4096)
def _ranks(n: int, p: float) -> tuple[int, int]:
    """1-based: P(B < low) <= TAIL and P(B >= high) <= TAIL; 0 and n + 1 are no ranks."""
    first, below = _binomial_cdf(n, p)
    low = first + int(np.searchsorted(below, TAIL, side="right"))
    high = first + int(np.searchsorted(below, 1 - TAIL, side="left")) + 1
    return low, high


def _binomial_cdf(n: int, p: float) -> tuple[int, np.ndarray]:
    """(first, P(B <= i) for i from there on), 0 < p < 1, as far as it is neither 0 nor 1.

    Twelve standard deviations from the mean there is less than a double can add. Through
    logarithms: (1 − p) ** n vanishes early.
    """
    reach = 12 * math.sqrt(n * p * (1 - p)) + 12
    first, last = max(0, math.floor(n * p - reach)), min(n, math.ceil(n * p + reach))
    i = np.arange(first, last)
    steps = np.log((n - i) / (i + 1)) + math.log(p / (1 - p))
    ways = math.lgamma(n + 1) - math.lgamma(first + 1) - math.lgamma(n - first + 1)
    start = ways + first * math.log(p) + (n - first) * math.log1p(-p)
    return first, np.cumsum(np.exp(start + np.concatenate([[0.0], np.cumsum(steps)])))


def mean_interval(
    values: Sequence[float] | np.ndarray, low: float = -math.inf, high: float = math.inf
) -> Interval | None:
    """Student's interval of the mean of `values`, in their unit; null below `MIN_VALUES`.

    Cut to [low, high], what the values can be. Of times with a long tail it misses more often
    than 5 % where they are few; their quantiles are told beside it.
    """
    n = len(values)
    if n < MIN_VALUES:
        return None
    mean, half = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(n)
    half *= student_t(n - 1)
    return max(low, mean - half), min(high, mean + half)


def compare_means(
    now: Sequence[float] | np.ndarray,
    before: Sequence[float] | np.ndarray,
    *,
    higher_is_better: bool,
) -> Difference:
    """Whether the mean of `now` differs from that of `before` (same unit).

    Welch's interval, variances not taken as equal (Welch 1947, Biometrika 34:28); `too few`
    below `MIN_VALUES` on either side.
    """
    new, old = np.asarray(now, float), np.asarray(before, float)
    if not len(new) or not len(old):
        return Difference("too few", None, None)
    difference = float(new.mean() - old.mean())
    if min(len(new), len(old)) < MIN_VALUES:
        return Difference("too few", difference, None)
    parts = [float(side.var(ddof=1)) / len(side) for side in (new, old)]
    variance = sum(parts)
    half = 0.0
    if variance > 0:
        sides = zip(parts, (new, old), strict=True)
        # Shares of the variance, not variances: squares of tiny ones vanish.
        freedom = 1 / sum((part / variance) ** 2 / (len(side) - 1) for part, side in sides)
        half = student_t(freedom) * math.sqrt(variance)
    interval = (difference - half, difference + half)
    return Difference(_answer(interval, higher_is_better), difference, interval)


def compare_times(
    now: Sequence[float] | np.ndarray, before: Sequence[float] | np.ndarray
) -> Difference:
    """Whether the mean of the times `now` differs from `before` (seconds, not negative).

    Times have a long tail, and a few long ones in the smaller sample make Welch's interval miss
    up to 16 % instead of 5 % (lognormal, 30 against 300). So a change counts only where the
    typical time, the mean of log(1 + seconds), surely moved the same way: then chance alone makes
    4 % at most. Difference and interval are those of the means.
    """
    means = compare_means(now, before, higher_is_better=False)
    if means.answer not in ("better", "worse"):
        return means
    typical = compare_means(np.log1p(now), np.log1p(before), higher_is_better=False)
    if typical.answer == means.answer:
        return means
    return Difference("no detectable change", means.difference, means.interval)


def compare_rates(
    now: tuple[int, int], before: tuple[int, int], *, higher_is_better: bool
) -> Difference:
    """Whether the rate `now` (k, n) differs from `before`; the difference is of fractions.

    The hybrid of the two Wilson intervals (Newcombe 1998, Stat. Med. 17:873, method 10); `too
    few` below `MIN_TRIALS` on either side.
    """
    (k, n), (k0, n0) = now, before
    if not n or not n0:
        return Difference("too few", None, None)
    rate, rate0 = k / n, k0 / n0
    difference = rate - rate0
    if min(n, n0) < MIN_TRIALS:
        return Difference("too few", difference, None)
    interval = newcombe_interval(now, before)
    return Difference(_answer(interval, higher_is_better), difference, interval)


def newcombe_interval(now: tuple[int, int], before: tuple[int, int]) -> Interval:
    """The interval of k/n − k0/n0 as fractions, both n at least 1 (Newcombe 1998, method 10)."""
    (k, n), (k0, n0) = now, before
    rate, rate0 = k / n, k0 / n0
    (low, high), (low0, high0) = wilson_interval(k, n), wilson_interval(k0, n0)
    difference = rate - rate0
    return (
        difference - math.hypot(rate - low, high0 - rate0),
        difference + math.hypot(high - rate, rate0 - low0),
    )


def student_t(freedom: float) -> float:
    """The 97.5 % quantile of Student's t, within 0.001 from 4 degrees of freedom on.

    The expansion around the normal quantile (Abramowitz and Stegun 26.7.5).
    """
    z, f = Z, freedom
    return (
        z
        + (z**3 + z) / (4 * f)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * f**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * f**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * f**4)
    )


def _answer(interval: Interval, higher_is_better: bool) -> Answer:
    low, high = interval
    if low <= 0 <= high:
        return "no detectable change"
    return "better" if (low > 0) == higher_is_better else "worse"
