"""What is healthy for a metric, and the numbers that compare readings with it.

Belongs here: which healthy level applies, gaps to it, the plain changes and the restoration that
readers see. What a gap proves is decided in `estimate`, the verdict in `judge`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grace_assets.core.estimate import Z_INTERVAL, Estimate
from grace_assets.core.readings import Readings
from grace_assets.core.rules import Rules


@dataclass(frozen=True)
class Healthy:
    """The level to compare with, as measured and on the judged scale; NaN where none is known."""

    kind: np.ndarray
    shown: np.ndarray
    before: np.ndarray
    after: np.ndarray


def healthy_level(readings: Readings, rules: Rules, threshold: np.ndarray) -> Healthy:
    """Reference days, else the catalogue's target, else the trigger's threshold."""
    band = rules.known & (rules.direction == "band")
    reference = rules.known & (readings.n_reference > 0) & ~band
    fixed, limit = readings.scale(rules.target), readings.scale(threshold)
    by_target = rules.known & ~reference & ~band & np.isfinite(fixed)
    by_limit = rules.known & ~reference & ~band & ~by_target & np.isfinite(limit)
    fixed = np.select([by_target, by_limit], [fixed, limit], np.nan)
    edge = np.clip(readings.pre, rules.low, rules.high)
    before = np.select([reference, band], [readings.noise.before, edge], fixed)
    after = np.select([reference, band], [readings.noise.after, edge], fixed)
    kind = np.full(len(before), None, object)
    kind[reference], kind[by_target | band], kind[by_limit] = "reference", "target", "threshold"
    shown = np.where(band, edge, readings.unscale(after))
    return Healthy(kind, shown, before, after)


def gaps(
    readings: Readings, rules: Rules, healthy: Healthy
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far on the bad side of healthy: before, after; and how much of it is gone.

    The first two by the windows' centres, the last by their weighted levels, less what of the
    change is the season's.
    """
    band = rules.direction == "band"

    def gap(values: np.ndarray, at: np.ndarray | float) -> np.ndarray:
        return np.where(band, _outside(values, rules), values - at)

    before, after = readings.before, readings.after
    gain = gap(before.weighted, 0.0) - gap(after.weighted, 0.0) - readings.noise.change
    return gap(before.centre, healthy.before), gap(after.centre, healthy.after), gain


def _outside(values: np.ndarray, rules: Rules) -> np.ndarray:
    """Distance from the band; 0 inside of it."""
    return np.maximum(np.maximum(rules.low - values, values - rules.high), 0)


def smallest_effect(readings: Readings, rules: Rules, healthy: Healthy) -> np.ndarray:
    """The smallest effect that counts, on the judged scale."""
    level = np.abs(readings.unscale(healthy.before))
    size = np.maximum(rules.min_effect_rel * level, rules.min_effect_abs)
    return np.where(readings.logarithmic, np.log1p(size / level), size)


def louder(readings: Readings, rules: Rules, healthy: Healthy) -> np.ndarray:
    """How many times noisier than usual a metric is at the level of its problem; at least 1.

    What comes in counts scatters with its level, also where something drives its rate. Gauges
    are compared on a logarithmic scale, which takes care of that.
    """
    counts = (rules.kind == "count") | (rules.kind == "counter")
    level, usual = np.abs(readings.before.centre), np.abs(healthy.before)
    ratio = np.divide(level, usual, out=np.ones(len(level)), where=counts & (usual > 0))
    return np.maximum(ratio, 1)


def measured_change(readings: Readings, rules: Rules) -> dict[str, np.ndarray]:
    """The plain numbers; NaN where unknown, `improved` None."""
    pre, post = readings.pre, readings.post
    delta = post - pre
    percent = np.where(pre == 0, np.nan, 100 * (delta / np.abs(pre)))
    sign = np.where(rules.direction == "higher", 1.0, -1.0)
    closer = _outside(pre, rules) - _outside(post, rules)
    band = rules.direction == "band"
    better = np.where(band, closer, sign * delta)
    turned = np.where(band, np.sign(closer) * np.abs(percent), sign * percent)
    known = rules.known & np.isfinite(delta)
    improved = np.full(len(pre), None, object)
    improved[known] = (better > 0)[known]
    return {
        "pre": pre,
        "post": post,
        "delta": delta,
        "percent_change": percent,
        "improvement_percent": np.where(rules.known, turned, np.nan),
        "improved": improved,
    }


def restoration(readings: Readings, healthy: Healthy, found: Estimate) -> dict[str, np.ndarray]:
    """R = 1 − gap after / gap before, as measured, with a 95 % interval (delta method).

    A limit (target, threshold, band) that is met is healthy and not more: R is 1 at most there.
    """
    sign = readings.sign
    ratio_before = np.exp(sign * found.gap_before)
    ratio_after = np.exp(sign * found.gap_after)
    log = readings.logarithmic
    before = np.where(log, sign * (ratio_before - 1), found.gap_before)
    after = np.where(log, sign * (ratio_after - 1), found.gap_after)
    after = np.where(healthy.kind == "reference", after, np.maximum(after, 0))
    se_before = found.se_before * np.where(log, ratio_before, 1)
    se_after = found.se_after * np.where(log, ratio_after, 1)
    restored = 1 - after / before
    half = Z_INTERVAL * np.hypot(se_after / before, after * se_before / before**2)
    return {
        "restoration": restored,
        "restoration_low": restored - half,
        "restoration_high": restored + half,
    }
