"""Questions answered from the tables, with value, interval, window and the missions behind it.

A question that cannot be read, or that the tables cannot answer, is answered with why. No number
leaves that no row supports: what was said is read again, and withheld where one is found.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.compute as pc

from grace_assets.ask import tell_figures, tell_loop, tell_metrics, tell_missions, tell_trends
from grace_assets.ask.days import as_names
from grace_assets.ask.facts import Facts
from grace_assets.ask.known import Known
from grace_assets.ask.notes import Note, Notes
from grace_assets.ask.periods import period_up_to
from grace_assets.ask.question import NotUnderstood, Question, understand
from grace_assets.ask.telling import Result, Telling
from grace_assets.core.calendar_windows import Window
from grace_assets.core.schemas import DATE
from grace_assets.core.wording import clean, listed
from grace_assets.lake.analytics import Analytics

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"
_EXAMPLES = 3
_RELATED = 3
_NAMED_DAYS = 3

_TOLD: dict[str, Callable[[Facts, Telling], Result]] = {
    "did_it_work": tell_missions.did_it_work,
    "fixed": tell_missions.fixed,
    "not_worked": tell_missions.not_worked,
    "missions": tell_missions.missions,
    "count": tell_missions.count,
    "mttr": tell_figures.mttr,
    "duration": tell_figures.duration,
    "success_rate": tell_figures.success_rate,
    "effectiveness": tell_figures.effectiveness,
    "improved": tell_metrics.improved,
    "worsened": tell_metrics.worsened,
    "changed": tell_metrics.changed,
    "trends": tell_trends.trends,
    "problems": tell_loop.problems,
    "follow_ups": tell_loop.follow_ups,
    "held": tell_loop.held,
    "not_held": tell_loop.not_held,
    "confidence": tell_loop.confidence,
}
_WITHOUT_MISSIONS = {"problems", "follow_ups", "confidence"}
"""Kinds that have something to say where no mission ran."""
_COUNTS = {"count", "missions", "fixed", "not_worked"}
_UNITS = {"mttr": "seconds", "duration": "seconds", "effectiveness": "score"}


class Answerer:
    """Answers over `analytics`; days are local dates in `zone`. Safe in several threads."""

    def __init__(
        self,
        analytics: Analytics,
        now: Callable[[], datetime],
        zone: ZoneInfo,
        notes: Notes | None = None,
    ) -> None:
        self._analytics = analytics
        self._known = Known(analytics)
        self._now = now
        self._zone = zone
        self._notes = notes

    def __call__(self, text: str) -> dict[str, Any]:
        """The answer as JSON has it: `{answer, kind, value, unit, n, interval, window, …}`.

        Times are seconds, rates and scores fractions, improvements percent; `value` is null
        where nothing is known. A question without an answer: `{answer, kind: "unknown", why}`
        with `examples` of what could be asked, the `nearest` names, and as `related` the missions
        whose narratives come nearest to its words: a search result, no answer.
        """
        names = self._known.names_for(text)
        now = self._now()
        today = now.astimezone(self._zone).date()
        read = understand(text, names, today, self._known.first_day(today))
        if isinstance(read, NotUnderstood):
            related = self._notes.find(text, kind="mission", limit=_RELATED) if self._notes else []
            return _unknown(read.why, read.examples, read.nearest, related)
        facts = self._facts(read, today)
        t = Telling()
        for reading in read.readings:
            t.say(f"I {t.quote(reading, 200)}.")
        result = self._result(facts, t)
        self._closing(facts, t)
        if wrong := t.unsupported():
            logger.error("an answer was withheld: %s stands in no row", ", ".join(wrong))
            return _unknown("My answer held a number that no row supports, so I withhold it.", ())
        return self._told(facts, t.text, result, facts.judged_at or now)

    def _facts(self, asked: Question, today: date) -> Facts:
        """The rows asked for; where no days were named, those up to the last that has some."""
        facts = Facts(self._analytics, asked, today)
        if facts.n or not asked.period.defaulted or asked.kind in (*_WITHOUT_MISSIONS, *_COUNTS):
            return facts
        before = Window(self._known.first_day(today), asked.period.start - timedelta(days=1))
        days = self._analytics.rows("domain_daily", before, ("domain_id",), asked.domain)[DATE]
        if (last := pc.max(days).as_py()) is None:
            return facts
        period = period_up_to(date.fromisoformat(last), before.first)
        older = Facts(self._analytics, replace(asked, period=period), today)
        return older if older.n else facts

    def _result(self, facts: Facts, t: Telling) -> Result:
        kind = facts.question.kind
        if facts.n or kind in _WITHOUT_MISSIONS:
            return _TOLD[kind](facts, t)
        about = _about(facts.question, t)
        if kind in _COUNTS:
            t.say(f"None: no mission{about} is on record.")
            return Result(0, "missions", 0)
        t.say(f"I do not know: no mission{about} is on record.")
        return Result(None, _UNITS.get(kind, "ratio"), 0)

    def _closing(self, facts: Facts, t: Telling) -> None:
        """Which days were counted, and what may still be missing from them."""
        period, zone = facts.question.period, t.quote(self._zone.key)
        if (day := facts.own_day) is not None:
            over = "" if day < facts.today.isoformat() else "; today is not over"
            t.say(f"Day: {t.quote(day)} ({zone}{over}).")
        else:
            first, last = period.start.isoformat(), period.end.isoformat()
            days = t.quote(first) if first == last else f"{t.quote(first)} to {t.quote(last)}"
            words = "" if period.words in (first, last) else f"{t.quote(as_names(period.words))}, "
            note = f"; {t.quote(period.note, 200)}" if period.note else ""
            open_day = "; today is not over" if period.unfinished else ""
            t.say(f"Days: {days} ({words}{zone}{note}{open_day}).")
        if missing := facts.missing_days:
            shown = listed([t.quote(day) for day in missing[-_NAMED_DAYS:]])
            some = "among them " if len(missing) > _NAMED_DAYS else ""
            t.say(f"Not made yet: {t.counted(len(missing), 'day')}, {some}{shown}.")

    def _told(self, facts: Facts, text: str, result: Result, as_of: datetime) -> dict[str, Any]:
        period = facts.question.period
        first, last = (
            facts.own_day or period.start.isoformat(),
            facts.own_day or period.end.isoformat(),
        )
        return {
            "answer": text,
            "kind": facts.question.kind,
            "value": result.value,
            "unit": result.unit,
            "n": result.n,
            "interval": list(result.interval) if result.interval else None,
            "window": {"from": first, "to": last},
            "time_zone": self._zone.key,
            "partial": last >= facts.today.isoformat() or bool(facts.missing_days),
            "as_of": as_of.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "sources": list(result.sources),
            "figures": [asdict(figure) for figure in result.figures],
        }


def _about(question: Question, t: Telling) -> str:
    """What was asked about, as in " in payments"."""
    parts = []
    if question.mission_id:
        parts.append(f"called {t.quote(question.mission_id)}")
    if question.mission_type:
        parts.append(f"of type {t.quote(question.mission_type, 60)}")
    if question.severity:
        parts.append(f"of {question.severity} severity")
    if question.domain:
        parts.append(f"in {t.quote(question.domain, 60)}")
    if question.metric:
        parts.append(f"with readings of {t.metric(question.metric)}")
    return "".join(f" {part}" for part in parts)


def _unknown(
    why: str,
    examples: tuple[str, ...],
    nearest: tuple[str, ...] = (),
    related: Sequence[Note] = (),
) -> dict[str, Any]:
    ask = listed([f"“{example}”" for example in examples[:_EXAMPLES]]) if examples else ""
    return {
        "answer": f"I cannot answer that. {why}{f' You could ask {ask}' if ask else ''}",
        "kind": UNKNOWN,
        "why": why,
        "examples": list(examples),
        "nearest": [clean(name, 200) for name in nearest],
        "related": [asdict(note) for note in related],
    }
