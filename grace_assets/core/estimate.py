"""The statistics of one judgement: how far from healthy, how sure, and what follows from it.

Belongs here: plain numbers in, plain numbers out, one row a mission × series, nothing about
tables. Values arrive on the judged scale (`Readings`), turned so that lower is better; on it a
gap is "level − healthy". The order of the questions is the point: was there a sustained problem,
did it change, is it healthy again. A change alone proves nothing: a repair that starts because a
noisy metric was high is followed by lower readings whatever it did (Linden 2013, regression to
the mean).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grace_assets.core.autocorrelation import change_error, standard_error
from grace_assets.core.noise import Noise

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
FEW_DAYS = 1.0
"""How far below the truth a deviation over few days may lie by chance, times √(days − 1)."""
OWN_NOISE = 0.88
"""A window's own deviation scatters by an eighth around the true one; more is more noise."""


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
    """A window: its centre, the deviation of its samples, and how many there are.

    `weighted` is the same level estimated with most certainty (`weighted_level`): the centre is
    what is published and compared with healthy, the weighted level is what a change is told by.
    """

    centre: np.ndarray
    sd: np.ndarray
    n: np.ndarray
    weighted: np.ndarray


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
    """Student's t for a normal quantile, to first order (Abramowitz and Stegun 26.7.5)."""
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
