"""Answers that are one figure over missions: times, rates, scores."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.ask.facts import Facts
from grace_assets.ask.tell_missions import MAX_SOURCES, score_interval
from grace_assets.ask.telling import Figure, Result, Telling
from grace_assets.core.mission_verdict import BETTER
from grace_assets.core.uncertainty import (
    mean_interval,
    quantile,
    quantile_interval,
    wilson_interval,
)


def mttr(facts: Facts, t: Telling) -> Result:
    """Mean time to restore, with the median and the 90 % quantile; seconds."""
    times = _known(facts, "time_to_restore_seconds")
    without = facts.n - len(times)
    if not len(times):
        t.say(f"I do not know: of {t.counted(facts.n, 'mission')} none has a time to restore.")
        return Result(None, "seconds", 0, sources=facts.ids(MAX_SOURCES))
    result = _time(facts, t, times, "mttr_seconds", "time to restore")
    if without:
        missions = t.counted(without, "mission")
        t.say(f"Not in it: {missions} without success, whose time to restore is not known.")
    return result


def duration(facts: Facts, t: Telling) -> Result:
    """Mean duration of the missions themselves, with median and 90 % quantile; seconds."""
    times = _known(facts, "duration_seconds")
    return _time(facts, t, times, "duration_seconds", "duration")


def _time(facts: Facts, t: Telling, times: np.ndarray, label: str, what: str) -> Result:
    mean, interval = float(times.mean()), mean_interval(times, low=0.0)
    figures = [Figure(label, mean, "seconds", len(times), interval)]
    if len(times) == 1:
        t.say(f"The {what} was {t.duration(mean)} ({t.quote(_one_known(facts, label))}).")
        return Result(mean, "seconds", 1, None, facts.ids(MAX_SOURCES), tuple(figures))
    sure = f" ({t.duration_interval(interval)})" if interval else ""
    t.say(f"The mean {what} is {t.duration(mean)}{sure}, over {t.counted(len(times), 'mission')}.")
    times = np.sort(times)
    middle, most = (quantile(times, p) for p in (0.5, 0.9))
    for name, value, p in (("p50", middle, 0.5), ("p90", most, 0.9)):
        around = quantile_interval(times, p)
        figures.append(Figure(f"{label}_{name}", value, "seconds", len(times), around))
    t.say(
        f"Half took up to {t.duration(middle)}{_ranks(figures[1].interval, t)}, "
        f"nine of ten up to {t.duration(most)}{_ranks(figures[2].interval, t)}."
    )
    wanted = {"p50": 1, "p90": 2}.get(facts.question.quantile or "", 0)
    told, ids = figures[wanted], facts.ids(MAX_SOURCES)
    return Result(told.value, "seconds", len(times), told.interval, ids, tuple(figures))


def _ranks(interval: tuple[float | None, float | None], t: Telling) -> str:
    return "" if None in interval else f" ({t.duration_interval(interval)})"


def _one_known(facts: Facts, label: str) -> str:
    column = "duration_seconds" if label == "duration_seconds" else "time_to_restore_seconds"
    known = facts.missions.filter(pc.is_valid(facts.missions[column]))
    return known["mission_id"][0].as_py()


def _known(facts: Facts, column: str) -> np.ndarray:
    return facts.missions[column].drop_null().to_numpy()


def success_rate(facts: Facts, t: Telling) -> Result:
    """The share that reported success, or where asked for the share that was effective."""
    if facts.question.verdict == "effective":
        rows = facts.decided
        k, n = _sum(pc.equal(rows["verdict"], "effective")), rows.num_rows
        what = "of which it is known whether they worked, were effective"
    else:
        k, n = _sum(facts.missions["success"]), facts.n
        what = "reported success"
    if not n:
        t.say(f"I do not know: of {t.counted(facts.n, 'mission')} none can be told.")
        return Result(None, "ratio", 0, sources=facts.ids(MAX_SOURCES))
    interval = wilson_interval(k, n)
    share, sure = t.percent(100 * k / n), t.rate_interval(interval)
    t.say(f"{share} ({sure}): {t.count(k)} of {t.counted(n, 'mission')} {what}.")
    if facts.question.verdict != "effective":
        worked = _sum(pc.is_in(facts.missions["verdict"], pa.array(BETTER)))
        t.say(f"That is my own report; the readings prove that {t.count(worked)} worked.")
    elif unknown := facts.n - n:
        t.say(f"Of {t.counted(unknown, 'other mission')} it is not known.")
    return Result(k / n, "ratio", n, interval, facts.ids(MAX_SOURCES))


def _sum(flags: object) -> int:
    return pc.sum(flags).as_py() or 0


def effectiveness(facts: Facts, t: Telling) -> Result:
    """Mean effectiveness over the missions with a score; of one mission its score."""
    scores = _known(facts, "effectiveness_score")
    if not len(scores):
        missions = t.counted(facts.n, "mission")
        t.say(f"I do not know: of {missions} none has readings enough for a score.")
        return Result(None, "score", 0, sources=facts.ids(MAX_SOURCES))
    mean, interval = float(scores.mean()), mean_interval(scores, low=0.0, high=1.0)
    if facts.n == 1:
        interval = score_interval(facts.missions.to_pylist()[0])
        sure = f" ({t.score_interval(interval)})" if interval else ""
        t.say(f"Its effectiveness is {t.score(mean)}{sure}.")
    else:
        sure = f" ({t.score_interval(interval)})" if interval else ""
        over = t.counted(len(scores), "mission")
        t.say(f"The mean effectiveness is {t.score(mean)}{sure}, over {over} with a score.")
        if without := facts.n - len(scores):
            t.say(f"{t.counted(without, 'other mission')} had too few readings for one.")
    return Result(mean, "score", len(scores), interval, facts.ids(MAX_SOURCES))
