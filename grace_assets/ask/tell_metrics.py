"""Answers about metrics: which improved, which got worse, by how much."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.ask.facts import Facts
from grace_assets.ask.tell_missions import MAX_SOURCES, SHOWN, metric_told
from grace_assets.ask.telling import Figure, Result, Telling
from grace_assets.core import wording
from grace_assets.core.mission_verdict import BETTER
from grace_assets.core.uncertainty import Interval, mean_interval


@dataclass(frozen=True)
class Moved:
    """A metric over `n` missions with a reading before and after.

    `improvement` is the mean in percent over the `percents` of them that have one.
    """

    metric: str
    n: int
    better: int
    worse: int
    percents: int
    improvement: float | None
    interval: Interval | None

    @property
    def way(self) -> str:
        """better or worse on average, surely where there are missions enough; else neither."""
        low, high = self.interval or (self.better - self.worse,) * 2
        return "better" if low > 0 else "worse" if high < 0 else "neither"

    def figure(self) -> Figure:
        return Figure(self.metric, self.improvement, "percent", self.percents, self.interval)


def moved_metrics(facts: Facts) -> list[Moved]:
    """Per metric of the missions; better and worse are what the judge could prove."""
    rows = facts.readings_of(facts.window, facts.missions)
    rows = rows.filter(pc.and_(pc.is_valid(rows["pre"]), pc.is_valid(rows["post"])))
    found = []
    for metric in pc.unique(rows["metric"]).to_pylist():
        own = rows.filter(pc.equal(rows["metric"], metric))
        changes = own["improvement_percent"].drop_null().to_numpy()
        found.append(
            Moved(
                metric,
                own.num_rows,
                pc.sum(pc.is_in(own["verdict"], pa.array(BETTER))).as_py(),
                pc.sum(pc.equal(own["verdict"], "worse")).as_py(),
                len(changes),
                float(changes.mean()) if len(changes) else None,
                mean_interval(changes),
            )
        )
    return found


def improved(facts: Facts, t: Telling) -> Result:
    """What got better, beyond what chance explains."""
    return _told(facts, t, want_better=True)


def worsened(facts: Facts, t: Telling) -> Result:
    """What got worse, beyond what chance explains."""
    return _told(facts, t, want_better=False)


def _told(facts: Facts, t: Telling, *, want_better: bool) -> Result:
    word, way = ("improved", "better") if want_better else ("got worse", "worse")
    asked = facts.question.metric
    every = moved_metrics(facts)
    found = sorted(
        (m for m in every if getattr(m, way)), key=lambda m: (-getattr(m, way), m.metric)
    )
    if not every:
        return _unread(facts, t)
    if facts.n == 1:
        if not found:
            t.say(f"No: nothing {word} that I can prove.")
        else:
            names = wording.listed([t.metric(m.metric) for m in found])
            t.say("Yes." if asked else f"{wording.capital(names)} {word}.")
        _one(facts, t)
        return _result(facts, found or every)
    sure = [m for m in found if m.way == way]
    if asked:
        t.say(f"{'Yes' if sure else 'Not on average' if found else 'Not that I can prove'}.")
        t.say(f"{_line(every[0], t)}.")
        return _result(facts, every)
    if not found:
        t.say(f"Nothing {word} that I can prove, of {t.counted(len(every), 'metric')} measured.")
        return _result(facts, [])
    if not sure:
        t.say(f"On average nothing {word}; in single missions:")
    shown = sure or found
    lines = [_line(m, t) for m in shown[:SHOWN]]
    t.say(f"{t.first_of(lines, len(shown))}.")
    return _result(facts, shown)


def changed(facts: Facts, t: Telling) -> Result:
    """How metrics moved, in both directions."""
    every = sorted(moved_metrics(facts), key=lambda m: (-m.n, m.metric))
    if not every:
        return _unread(facts, t)
    if facts.n == 1:
        _one(facts, t)
    else:
        t.say(f"{t.first_of([_line(m, t) for m in every[:SHOWN]], len(every))}.")
    return _result(facts, every)


def _one(facts: Facts, t: Telling) -> None:
    if sentence := metric_told(facts, facts.missions.to_pylist()[0], t):
        t.say(sentence)


def _line(m: Moved, t: Telling) -> str:
    n = t.counted(m.n, "mission")
    counts = f"better in {t.count(m.better)} of {n}, worse in {t.count(m.worse)}"
    name = wording.capital(t.metric(m.metric))
    if m.improvement is None:
        return f"{name}: {counts}"
    mean = f"on average {t.percent(m.improvement)} {'better' if m.improvement >= 0 else 'worse'}"
    sure = f" ({_signed(m.interval, t)})" if m.interval else ""
    return f"{name}: {counts}, {mean}{sure}"


def _signed(interval: Interval, t: Telling) -> str:
    """An interval of improvements; below 0 is worse."""
    low, high = interval
    if low >= 0 or high <= 0:
        return t.percent_range(*sorted(map(abs, interval)))
    ends = [f"{t.percent(abs(end))} {'better' if end >= 0 else 'worse'}" for end in interval]
    return " to ".join(ends)


def _unread(facts: Facts, t: Telling) -> Result:
    missions = t.counted(facts.n, "mission")
    t.say(f"I do not know: of {missions} none has readings before and after.")
    return Result(None, "percent", 0, sources=facts.ids(MAX_SOURCES))


def _result(facts: Facts, found: list[Moved]) -> Result:
    """The figure of the first metric, and those of all."""
    figures = tuple(m.figure() for m in found)
    ids = facts.ids(MAX_SOURCES)
    if not figures:
        return Result(None, "percent", facts.n, sources=ids)
    first = figures[0]
    return Result(first.value, first.unit, first.n, first.interval, ids, figures)
