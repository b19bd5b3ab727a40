"""Answers that compare a period with the one of the same length before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.ask.facts import Facts
from grace_assets.ask.tell_missions import MAX_SOURCES
from grace_assets.ask.telling import Figure, Result, Telling
from grace_assets.core.calendar_windows import Window
from grace_assets.core.uncertainty import (
    Difference,
    compare_means,
    compare_rates,
    compare_times,
)
from grace_assets.core.wording import spoken

_ANSWERS = {
    "better": "better",
    "worse": "worse",
    "no detectable change": "no detectable change",
    "too few": "too few to compare",
}


@dataclass(frozen=True)
class Trend:
    """A measure now and before, and the difference; in `unit`."""

    measure: str
    label: str
    unit: str
    now: float | None
    now_n: int
    before: float | None
    before_n: int
    difference: Difference


def trends(facts: Facts, t: Telling) -> Result:
    """Each measure beside the period before; `value` is the difference of the first known."""
    asked = facts.question
    before = _window_before(facts)
    found = [_trend(facts, measure, before) for measure in _wanted(asked.measure, asked.metric)]
    rows = [facts.missions, facts.missions_of(before) if before else facts.missions.slice(0, 0)]
    if before is None:
        t.say("My records hold no day before this period, so there is nothing to compare with.")
    else:
        first, last = before.first.isoformat(), before.last.isoformat()
        t.say(
            f"{t.counted(rows[0].num_rows, 'mission')}, against {t.count(rows[1].num_rows)} "
            f"from {t.quote(first)} to {t.quote(last)}."
        )
    for trend in found:
        t.say(_line(trend, t))
    known = [trend for trend in found if trend.difference.difference is not None]
    ids = facts.ids(MAX_SOURCES)
    if asked.measure == "count":
        change = float(rows[0].num_rows - rows[1].num_rows) if before else None
        return Result(change, "missions", rows[0].num_rows, None, ids)
    figures = tuple(figure for trend in found for figure in _figures(trend))
    if not known:
        first_n = found[0].now_n if found else facts.n
        return Result(None, found[0].unit, first_n, None, ids, figures)
    main = known[0]
    told = main.difference
    return Result(told.difference, main.unit, main.now_n, told.interval, ids, figures)


def _window_before(facts: Facts) -> Window | None:
    """The period before; null where no table has a day of it."""
    try:
        before = facts.window.before()
    except ValueError:
        return None
    days = facts.analytics.days("mission_outcomes")
    return before if any(day in before for day in days) else None


def _wanted(measure: str | None, metric: str | None) -> tuple[str, ...]:
    if measure == "count":
        return ()
    if measure:
        return (measure,)
    return (f"metric:{metric}",) if metric else ("mttr", "success_rate", "effectiveness")


def _trend(facts: Facts, measure: str, before: Window | None) -> Trend:
    rows = [facts.missions, facts.missions_of(before) if before else facts.missions.slice(0, 0)]
    if measure == "success_rate":
        rates = [(pc.sum(side["success"]).as_py() or 0, side.num_rows) for side in rows]
        sides = [(k / n if n else None, n) for k, n in rates]
        difference = compare_rates(*rates, higher_is_better=True)
        return Trend(measure, "Success rate", "ratio", *sides[0], *sides[1], difference)
    if measure.startswith("metric:"):
        metric = measure.removeprefix("metric:")
        values = [
            _improvements(facts, side, span)
            for side, span in zip(rows, (facts.window, before), strict=True)
        ]
        difference = compare_means(*values, higher_is_better=True)
        return Trend(
            metric,
            f"Improvement of {spoken(metric)}",
            "percent",
            *_mean(values[0]),
            *_mean(values[1]),
            difference,
        )
    column, label, unit, compare = _MEANS[measure]
    values = [side[column].drop_null().to_numpy() for side in rows]
    return Trend(measure, label, unit, *_mean(values[0]), *_mean(values[1]), compare(*values))


def _improvements(facts: Facts, missions: pa.Table, span: Window | None) -> np.ndarray:
    if span is None:
        return np.empty(0)
    return facts.readings_of(span, missions)["improvement_percent"].drop_null().to_numpy()


def _scores(now: np.ndarray, before: np.ndarray) -> Difference:
    return compare_means(now, before, higher_is_better=True)


_MEANS: dict[str, tuple[str, str, str, Callable[[np.ndarray, np.ndarray], Difference]]] = {
    "mttr": ("time_to_restore_seconds", "Mean time to restore", "seconds", compare_times),
    "duration": ("duration_seconds", "Mean duration", "seconds", compare_times),
    "effectiveness": ("effectiveness_score", "Mean effectiveness", "score", _scores),
}


def _mean(values: np.ndarray) -> tuple[float | None, int]:
    return (float(values.mean()) if len(values) else None), len(values)


def _line(trend: Trend, t: Telling) -> str:
    label = t.quote(trend.label)
    if trend.now is None:
        return f"{label}: not known."
    now = f"{label}: {t.value(trend.now, trend.unit)} (n = {t.count(trend.now_n)})"
    if trend.before is None:
        return f"{now}, and nothing before to compare with."
    before = f"{t.value(trend.before, trend.unit)} before (n = {t.count(trend.before_n)})"
    told = trend.difference
    answer = _ANSWERS[told.answer]
    sure = ""
    if told.interval and told.difference is not None:
        low, high = (_signed(end, trend.unit, t) for end in told.interval)
        sure = f" ({_signed(told.difference, trend.unit, t)}, {low} to {high})"
    return f"{now}, {before}: {answer}{sure}."


def _signed(value: float, unit: str, t: Telling) -> str:
    """A difference with its sign; of rates in percentage points."""
    if unit == "score":
        return t.score(value, signed=True)
    if unit == "seconds":
        return t.duration(value, signed=True)
    points = t.percent(100 * value if unit == "ratio" else value).removesuffix(" %")
    return f"{'−' if value < 0 else '+'}{points} points"


def _figures(trend: Trend) -> tuple[Figure, Figure]:
    return (
        Figure(trend.measure, trend.now, trend.unit, trend.now_n),
        Figure(f"{trend.measure}_before", trend.before, trend.unit, trend.before_n),
    )
