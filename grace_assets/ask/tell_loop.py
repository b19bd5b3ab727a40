"""Answers about what keeps breaking, what held, what was asked for, and how sure Grace is."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.ask import tell_figures
from grace_assets.ask.facts import Facts, Row
from grace_assets.ask.tell_missions import MAX_SOURCES, SHOWN, score_interval, verdicts
from grace_assets.ask.telling import Figure, Result, Telling
from grace_assets.core import wording
from grace_assets.core.reasons import reason
from grace_assets.core.schemas import DATE
from grace_assets.core.uncertainty import wilson_interval

_PROBLEMS = ("problem_id", "domain_id", "type", "severity", "description", "evidence")
_FOLLOW_UPS = (
    "follow_up_id",
    "domain_id",
    "title",
    "priority",
    "status",
    "opened_on",
    "closed_by_mission_id",
)
_PLACEBO = ("domain_id", "metric", "placebos", "false_successes")
_TYPES = {
    "mission_failures": "missions failed",
    "did_not_hold": "recoveries did not hold",
    "degrading_kpi": "a metric got worse",
    "low_effectiveness": "repairs helped little",
    "recurring_issue": "unusually many missions",
}
_STAGES = {"hold_24h": "a day", "hold_7d": "a week"}


def problems(facts: Facts, t: Telling) -> Result:
    """What keeps breaking, most often first."""
    asked = facts.question
    rows = facts.analytics.rows("problems", facts.window, _PROBLEMS, asked.domain)
    if asked.severity:
        rows = rows.filter(pc.equal(rows["severity"], asked.severity))
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows.to_pylist():
        groups[row["domain_id"], row["type"]].append(row)
    if not groups:
        t.say("Nothing that my rules would call a problem.")
        return Result(0, "problems", 0)
    worst = sorted(groups.items(), key=lambda item: (-_days(item[1]), item[0]))
    parts = []
    for (domain, kind), found in worst[:SHOWN]:
        days = t.counted(_days(found), "day")
        last = max(found, key=lambda row: (row[DATE], row["problem_id"]))
        what = _TYPES.get(kind, kind.replace("_", " "))
        parts.append(
            f"{t.quote(domain, 60)}: {what} on {days}, last “{t.quote(last['description'])}”"
        )
    t.say(
        f"{t.counted(rows.num_rows, 'problem')}, most often first: {t.first_of(parts, len(worst))}."
    )
    ids = _missions_named(
        facts, [item for _, found in worst for row in found for item in row["evidence"]]
    )
    return Result(rows.num_rows, "problems", rows.num_rows, sources=ids)


def _days(rows: list[Row]) -> int:
    return len({row[DATE] for row in rows})


def _missions_named(facts: Facts, evidence: list[str]) -> tuple[str, ...]:
    """Those parts of the evidence that are missions; the rest are figures."""
    known = facts.analytics.rows("mission_outcomes", facts.window, ("mission_id",))["mission_id"]
    named = pa.array(dict.fromkeys(evidence), pa.string())
    return tuple(named.filter(pc.is_in(named, known.combine_chunks())).to_pylist()[:MAX_SOURCES])


def follow_ups(facts: Facts, t: Telling) -> Result:
    """Those opened in the period that are still open."""
    asked = facts.question
    days = facts.analytics.days("follow_up_missions")
    rows = facts.analytics.of_days("follow_up_missions", days, _FOLLOW_UPS)
    if asked.domain:
        rows = rows.filter(pc.equal(rows["domain_id"], asked.domain))
    found = [
        row
        for row in rows.to_pylist()
        if asked.period.start <= row["opened_on"] <= asked.period.end
    ]
    still = [row for row in found if row["status"] == "open"]
    still.sort(key=lambda row: (wording.severity_rank(row["priority"]), row["opened_on"]))
    closed = [row for row in found if row["status"] == "closed"]
    many = t.counted(len(still), "follow-up")
    t.say(f"{many} {'is' if len(still) == 1 else 'are'} open, {t.count(len(closed))} closed.")
    parts = [
        f"{t.quote(row['domain_id'], 60)}, “{t.quote(row['title'], 80)}” "
        f"({row['priority']}, since {t.quote(row['opened_on'].isoformat())}, "
        f"{t.quote(row['follow_up_id'])})"
        for row in still[:SHOWN]
    ]
    if parts:
        t.say(f"{t.first_of(parts, len(still))}.")
    ids = tuple(row["closed_by_mission_id"] for row in closed if row["closed_by_mission_id"])
    return Result(len(still), "follow-ups", len(found), sources=ids[:MAX_SOURCES])


def held(facts: Facts, t: Telling) -> Result:
    """The share of recoveries that had lasted when the judge looked again; a week before a day."""
    figures = []
    gone = sum(1 for lasted in facts.looks.values() if not lasted)
    if not facts.looks:
        t.say(
            f"I do not know yet: of {t.counted(facts.n, 'mission')} no recovery "
            "could be looked at again."
        )
        return Result(None, "ratio", 0, sources=facts.ids(MAX_SOURCES))
    looks = len(facts.looks)
    some = "Mostly." if 2 * gone < looks else "Partly."
    t.say("Yes." if not gone else "No." if gone == looks else some)
    for stage, after in _STAGES.items():
        looks = [lasted for (_, name), lasted in facts.looks.items() if name == stage]
        if looks:
            k, n = sum(looks), len(looks)
            interval = wilson_interval(k, n)
            figures.append(Figure(f"held_after_{after.split()[1]}", k / n, "ratio", n, interval))
            sure = f" ({t.percent(100 * k / n)}, {t.rate_interval(interval)})" if n > 1 else ""
            of = t.counted(n, "recovery", "recoveries")
            t.say(f"After {after} {t.count(k)} of {of} still held{sure}.")
    last = figures[-1]
    return Result(last.value, "ratio", last.n, last.interval, _looked_at(facts), tuple(figures))


def _looked_at(facts: Facts, *, lasted: bool | None = None) -> tuple[str, ...]:
    """Missions that were looked at again, latest first; of those only what lasted, or did not."""
    wanted = {name for (name, _), held in facts.looks.items() if lasted in (None, held)}
    ids = facts.missions["mission_id"].to_pylist()
    return tuple(name for name in ids if name in wanted)[:MAX_SOURCES]


def not_held(facts: Facts, t: Telling) -> Result:
    """Recoveries that were gone when the judge looked again."""
    names = _looked_at(facts, lasted=False)
    n = len({name for name, _ in facts.looks})
    if not n:
        return held(facts, t)
    if not names:
        t.say(f"All of {t.counted(n, 'recovery', 'recoveries')} that I could look at again held.")
        return Result(0, "missions", n, sources=_looked_at(facts))
    t.say(f"{t.count(len(names))} of {t.counted(n, 'recovery', 'recoveries')} did not hold.")
    rows = {row["mission_id"]: row for row in facts.missions.to_pylist()}
    parts = []
    for name in names[:SHOWN]:
        stage = next(s for s in _STAGES if facts.looks.get((name, s)) is False)
        domain = t.quote(rows[name]["domain_id"], 60)
        parts.append(f"{t.quote(name)} ({domain}): gone after {_STAGES[stage]}")
    t.say(f"{t.first_of(parts, len(names))}.")
    return Result(len(names), "missions", n, sources=names)


def confidence(facts: Facts, t: Telling) -> Result:
    """Of a figure its interval, of a mission its evidence, of all the judge's own errors."""
    asked = facts.question
    told = {
        "mttr": tell_figures.mttr,
        "duration": tell_figures.duration,
        "success_rate": tell_figures.success_rate,
        "effectiveness": tell_figures.effectiveness,
    }.get(asked.measure or "")
    if asked.measure == "count":
        t.say("Counts are exact: each mission counts once, as last received.")
        return Result(facts.n, "missions", facts.n, sources=facts.ids(MAX_SOURCES))
    if told:
        result = told(facts, t)
        if result.interval:
            t.say("Such a range misses the true value once in twenty times.")
        return result
    if facts.n == 1:
        return _one(facts, t)
    result = _placebo(facts, t)
    counts = verdicts(facts.missions)
    unknown = facts.n - facts.decided.num_rows
    t.say(
        f"Of {t.counted(facts.n, 'mission')} I leave {t.count(unknown)} undecided, "
        f"{t.count(counts['inconclusive'])} of them because the readings contradict."
        if counts["inconclusive"]
        else f"Of {t.counted(facts.n, 'mission')} I leave {t.count(unknown)} undecided."
    )
    return result


def _one(facts: Facts, t: Telling) -> Result:
    mission = facts.missions.to_pylist()[0]
    word = wording.VERDICT_WORDS[mission["verdict"]]
    score, interval = mission["effectiveness_score"], score_interval(mission)
    sure = f", {t.score_interval(interval)}" if interval else ""
    scored = f" (effectiveness {t.score(score)}{sure})" if score is not None else ""
    t.say(f"{t.quote(mission['mission_id'])}: {word}{scored}.")
    for row in facts.telemetry_of(mission["mission_id"]).slice(0, SHOWN).to_pylist():
        name = wording.capital(t.metric(row["metric"]))
        references = t.counted(row["n_reference"], "earlier day")
        t.say(
            f"{name} from {t.quote(row['source'], 60)}: {t.count(row['n_pre'])} readings before, "
            f"{t.count(row['n_post'])} after, {references} to compare with."
        )
    if why := [reason(code) for code in mission["reason_codes"]]:
        t.say(f"Why: {t.quote('; '.join(why), 400)}.")
    t.say(f"Credit: {wording.ATTRIBUTION_WORDS[mission['attribution']]}.")
    _placebo(facts, t)
    return Result(score, "score", 1, interval, (mission["mission_id"],))


def _placebo(facts: Facts, t: Telling) -> Result:
    """How often the judge sees an improvement where nobody acted."""
    asked = facts.question
    rows = facts.analytics.rows("placebo_daily", facts.window, _PLACEBO, asked.domain)
    if asked.metric:
        rows = rows.filter(pc.equal(rows["metric"], asked.metric))
    n, k = (pc.sum(rows[name]).as_py() or 0 for name in ("placebos", "false_successes"))
    ids = facts.ids(MAX_SOURCES)
    if not n:
        t.say(
            "I have not yet judged times at which nobody acted, so I do not know how often I err."
        )
        return Result(None, "ratio", 0, sources=ids)
    interval = wilson_interval(k, n)
    t.say(
        f"I judge times at which nobody acted too: {t.count(k)} of {t.count(n)} looked like a "
        f"success, {t.percent(100 * k / n)} ({t.rate_interval(interval)})."
    )
    return Result(k / n, "ratio", n, interval, ids)
