"""What the samples say around each mission: windows, levels and noise, on the judged scale.

Belongs here: which rows of a series a mission's windows hold, which earlier days serve as
reference, and turning values into numbers where lower is better. Gauges that are positive
throughout are compared as ratios (logarithms), so that the unit cannot matter and a seasonal
factor cancels; everything else by difference. What follows from it is decided in `judge`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from grace_assets.core import estimate, windows
from grace_assets.core.catalogue import UNRULED, Catalogue, MetricRule
from grace_assets.core.estimate import Level, Noise
from grace_assets.core.windows import DAY, REFERENCE_DAYS, Locator, Missions, Pairs, Series

# Windows in their order: before, its last half and quarter, after, then the reference days of the
# window before and of the window after.
_AFTER = 1 + len(estimate.SHORT_SPANS)
_REFERENCE = _AFTER + 1
_PARTS = np.array([1, *estimate.SHORT_SPANS, 1] + [1] * (2 * REFERENCE_DAYS))
"""What share of a window each one is: 1 the whole, 2 a half."""


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

    `pre` is the whole window before, of which the judge takes the part since the known onset.
    `free` (rows, days): no other mission on that day; `positive`: no value of 0 or less anywhere.
    """

    first: np.ndarray
    count: np.ndarray
    pre_first: np.ndarray
    pre_count: np.ndarray
    free: np.ndarray
    positive: np.ndarray


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
    logarithmic: np.ndarray
    sign: np.ndarray
    before: tuple[Level, ...]
    after: Level
    noise: Noise

    def scale(self, values: np.ndarray) -> np.ndarray:
        """Values as measured to the judged scale."""
        return _scaled(values, self.sign, self.logarithmic)

    def unscale(self, values: np.ndarray) -> np.ndarray:
        """Back from the judged scale to values as measured."""
        return np.where(self.logarithmic, np.exp(self.sign * values), self.sign * values)


def cut(
    pairs: Pairs, missions: Missions, busy: Missions, rows: Locator, not_positive: np.ndarray
) -> Cuts:
    """Find every window's rows.

    Args:
        busy: all missions known, these and others: their days do not serve as reference.
        not_positive: for each sample row and one more, how many values before it are ≤ 0.
    """
    window = pairs.window
    start, end = missions.started[pairs.mission], missions.completed[pairs.mission]
    onset = missions.onset[pairs.mission]
    pre, post = start - window, end + pairs.settle
    days = np.arange(1, REFERENCE_DAYS + 1) * DAY
    edges = [(pre, start), *((start - window // part, start) for part in estimate.SHORT_SPANS)]
    edges += [(post, post + window)]
    edges += [(low - day, low + window - day) for low in (pre, post) for day in days]
    first = np.stack([rows.first_row(pairs.series, low) for low, _ in edges], axis=1)
    last = np.stack([rows.first_row(pairs.series, high) for _, high in edges], axis=1)
    pre_first, pre_count = first[:, 0].copy(), last[:, 0] - first[:, 0]
    since = rows.first_row(pairs.series, np.clip(onset, pre, start))
    told = last[:, 0] - since >= estimate.MIN_SHORT_SAMPLES
    for part in range(_AFTER):
        first[:, part] = np.where(told, np.maximum(first[:, part], since), first[:, part])
    # The window before a mission shows its problem and the settle time its echo: neither is
    # an ordinary day, so other missions count with both.
    low = (pre - pairs.settle)[:, None] - days
    high = (post + 2 * window)[:, None] - days
    free = windows.overlapping(missions.domain[pairs.mission], low, high, busy) == 0
    earliest = rows.first_row(pairs.series, pre - days[-1])
    positive = not_positive[last[:, _AFTER]] == not_positive[earliest]
    return Cuts(first, last - first, pre_first, pre_count, free, positive)


def read(series: Series, cuts: Cuts, rules: Rules) -> Readings:
    """Levels and noise of every row, in batches of bounded memory."""
    size = len(cuts.first)
    usual_slots = np.where(rules.zero, cuts.count.max(axis=1, initial=0), 0)
    count = np.maximum(cuts.count, usual_slots[:, None] // _PARTS)
    enough = count[:, _REFERENCE:] >= rules.min_samples[:, None]
    usable = cuts.free & enough.reshape(size, 2, -1).all(axis=1)
    usable &= usable.sum(axis=1, keepdims=True) >= estimate.MIN_REFERENCE
    logarithmic = cuts.positive & (rules.kind == "gauge") & (rules.direction != "band")
    sign = np.where(rules.direction == "higher", -1.0, 1.0)
    level, noise = np.empty((2, _REFERENCE, size)), np.empty((6, size))
    for rows, width in windows.batches(count.max(axis=1, initial=0), count.shape[1]):
        matrix = windows.gather(series.values, cuts.first[rows], cuts.count[rows], width)
        inside = np.arange(width) < count[rows][..., None]
        matrix = np.where(inside & np.isnan(matrix), 0.0, matrix)
        matrix = _scaled(matrix, sign[rows, None, None], logarithmic[rows, None, None])
        centres = windows.row_medians(matrix, count[rows])
        counted = rules.kind[rows] == "count"
        centres[counted] = estimate.nan_mean(matrix[counted])
        level[0][:, rows] = centres[:, :_REFERENCE].T
        own = (matrix - centres[..., None])[:, :_REFERENCE]
        usual = windows.row_medians(np.abs(own), count[rows][:, :_REFERENCE])
        level[1][:, rows] = estimate.spread(own, usual).T
        noise[:, rows] = _noise(matrix, centres, usable[rows], count[rows])
    levels = [Level(level[0, i], level[1, i], count[:, i]) for i in range(_REFERENCE)]
    n_pre, n_post = cuts.pre_count, cuts.count[:, _AFTER]
    judged = np.stack([np.maximum(n_pre, usual_slots), count[:, _AFTER]])
    ordinary = np.where(np.tile(usable, 2), count[:, _REFERENCE:], np.nan)
    return Readings(
        pre=_plain(series, cuts.pre_first, n_pre, rules.zero),
        post=_plain(series, cuts.first[:, _AFTER], n_post, rules.zero),
        n_pre=n_pre,
        n_post=n_post,
        n_reference=usable.sum(axis=1),
        n_judged=judged,
        n_usual=np.where(usable.any(axis=1), estimate.nan_median(ordinary), judged.max(axis=0)),
        logarithmic=logarithmic,
        sign=sign,
        before=tuple(levels[:_AFTER]),
        after=levels[_AFTER],
        noise=Noise(*noise),
    )


def _noise(
    matrix: np.ndarray, centres: np.ndarray, usable: np.ndarray, count: np.ndarray
) -> np.ndarray:
    """Noise of the reference days where there are enough, else of the mission's own windows."""
    own = [0, _AFTER]
    noise = estimate.own_noise(matrix[:, own], centres[:, own], count[:, own]).columns()
    with_history = usable.any(axis=1)
    if with_history.any():
        days = (2, REFERENCE_DAYS)
        noise[:, with_history] = estimate.reference_noise(
            matrix[with_history, _REFERENCE:].reshape(-1, *days, matrix.shape[-1]),
            centres[with_history, _REFERENCE:].reshape(-1, *days),
            usable[with_history],
        ).columns()
    return noise


def _plain(series: Series, first: np.ndarray, count: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """Medians as measured; where silence means zero, that of an empty window is 0."""
    values = windows.medians(series.values, first, count)
    return np.where((count == 0) & zero, 0.0, values)


def _scaled(values: np.ndarray, sign: np.ndarray, logarithmic: np.ndarray) -> np.ndarray:
    return sign * np.where(logarithmic, np.log(values), values)
