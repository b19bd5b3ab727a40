"""Answers about missions: did it work, what was fixed, what did not work, how many."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.ask.facts import DECIDED, Facts, Row
from grace_assets.ask.telling import Result, Telling
from grace_assets.core import narrative, wording
from grace_assets.core.mission_verdict import BETTER
from grace_assets.core.schemas import VERDICTS
from grace_assets.core.told import told_metrics
from grace_assets.core.uncertainty import wilson_interval

SHOWN = 5
MAX_SOURCES = 100

_ONE = {
    "effective": "Yes.",
    "partial": "Partly.",
    "no_effect": "No, it made no difference that can be measured.",
    "worse": "No, it got worse.",
    "inconclusive": "I cannot tell: the readings do not decide.",
    "no_sustained_problem": "I claim no credit: there was no lasting problem before I acted.",
    "pending": "It is too early to tell.",
    "insufficient_data": "I cannot tell: I have too few readings.",
    "not_applicable": "I cannot tell: it has no metric that I can judge.",
}
_COUNTED = {
    "effective": "worked",
    "partial": "worked partly",
    "no_effect": "had no effect",
    "worse": "got worse",
}
_LASTED = {
    ("hold_24h", True): "after a day it still held",
    ("hold_24h", False): "after a day it was gone",
    ("hold_7d", True): "after a week it still held",
    ("hold_7d", False): "after a week it was gone",
}


def did_it_work(facts: Facts, t: Telling) -> Result:
    """The share that worked of the missions of which it is known; of one mission its score."""
    if facts.n == 1:
        return _one(facts, t)
    decided = facts.decided.num_rows
    counts = verdicts(facts.missions)
    worked = counts["effective"]
    t.say(_lead(counts, decided))
    found = [f"{t.count(counts[v])} {word}" for v, word in _COUNTED.items() if counts[v]]
    unknown = [
        f"{t.count(n)} {wording.VERDICT_WORDS[v]}" for v, n in counts.items() if v not in DECIDED
    ]
    of = f"Of {t.counted(facts.n, 'mission')}"
    told = f"{of} {wording.listed(found)}" if found else f"{of} none can be told"
    t.say(f"{told}{'; not known: ' + ', '.join(unknown) if unknown and found else ''}.")
    if not decided:
        return Result(None, "ratio", 0, sources=facts.ids(MAX_SOURCES))
    interval = wilson_interval(worked, decided)
    share = t.percent(100 * worked / decided)
    t.say(
        f"That is {share} of the {t.count(decided)} that can be told ({t.rate_interval(interval)})."
    )
    latest = facts.decided.slice(0, 1).to_pylist()[0]
    if sentence := metric_told(facts, latest, t):
        t.say(f"The latest: {sentence}")
    return Result(worked / decided, "ratio", decided, interval, facts.ids(MAX_SOURCES))


def verdicts(missions: pa.Table) -> Counter[str]:
    """Missions per verdict, verdicts in their own order."""
    found = Counter(missions["verdict"].to_pylist())
    return Counter({v: found[v] for v in VERDICTS if found[v]})


def _lead(counts: Counter[str], decided: int) -> str:
    worked, better = counts["effective"], sum(counts[v] for v in BETTER)
    if not decided:
        return "I cannot tell."
    if not better:
        return "No."
    if worked == decided:
        return "Yes." if decided == counts.total() else "Yes, as far as it can be told."
    return "Mostly." if 2 * worked > decided else "Partly."


def _one(facts: Facts, t: Telling) -> Result:
    mission = facts.missions.to_pylist()[0]
    t.say(_ONE[mission["verdict"]])
    sentence = metric_told(facts, mission, t)
    t.say(sentence or f"I have no reading of it ({t.quote(mission['mission_id'])}).")
    if not mission["success"]:
        error = t.quote(mission["error"])
        t.say(f"I had reported that I failed{f': “{error}”' if error else ''}.")
    if mission["verdict"] in (*BETTER, "worse"):
        t.say(f"Credit: {wording.ATTRIBUTION_WORDS[mission['attribution']]}.")
    name = mission["mission_id"]
    lasted = [
        word for (stage, held), word in _LASTED.items() if facts.looks.get((name, stage)) is held
    ]
    if lasted:
        t.say(f"{wording.capital(wording.listed(lasted))}.")
    score, interval = mission["effectiveness_score"], score_interval(mission)
    return Result(score, "score", 1, interval, (name,))


def score_interval(mission: Row) -> tuple[float, float] | None:
    low, high = mission["effectiveness_low"], mission["effectiveness_high"]
    return None if low is None or high is None else (low, high)


def metric_told(facts: Facts, mission: Row, t: Telling) -> str:
    """What the deciding metric of a mission did; nothing where no metric has a reading."""
    name = mission["mission_id"]
    wanted = facts.question.metric or (mission["trigger"] or {}).get("metric")
    (told,) = told_metrics([name], [wanted], facts.telemetry_of(name))
    if not told.shown:
        return ""
    row = told.shown[0]
    name = t.metric(row["metric"])
    unit = wording.unit_of(row["metric"], row["unit"])
    proof = []
    if row["healthy"] is not None:
        proof.append(f"healthy: {t.measure(row['healthy'], unit)}")
    if (score := mission["effectiveness_score"]) is not None:
        interval = score_interval(mission)
        sure = f", {t.score_interval(interval)}" if interval else ""
        proof.append(f"effectiveness {t.score(score)}{sure}, {t.quote(mission['mission_id'])}")
    else:
        proof.append(t.quote(mission["mission_id"]))
    return f"{_moved(row, name, unit, t)} ({'; '.join(proof)})."


def _moved(row: Row, name: str, unit: str | None, t: Telling) -> str:
    subject, pre, post = wording.capital(name), row["pre"], row["post"]
    if pre is None or post is None:
        if pre is None and post is None:
            return f"{subject} has no reading"
        side, other = ("before", "after") if post is None else ("after", "before")
        only = t.measure(post if pre is None else pre, unit)
        return f"{subject} was {only} {side}, with no reading from {other}"
    level = narrative.told_level(row)
    spans = f"from {t.measure(pre if level is None else level, unit)} to {t.measure(post, unit)}"
    if row["verdict"] not in (*BETTER, "worse"):
        return f"{subject} went {spans}"
    better = row["verdict"] in BETTER
    if level is not None:
        return f"{subject} {'improved' if better else 'got worse'} {spans} while the problem lasted"
    change = row["improvement_percent"]
    by = f" by {t.percent(change)}" if change and (change > 0) == better else ""
    return f"{subject} {'improved' if better else 'got worse'}{by} {spans}"


def fixed(facts: Facts, t: Telling) -> Result:
    """The missions that worked, wholly or partly, by domain."""
    counts = verdicts(facts.missions)
    better = sum(counts[v] for v in BETTER)
    rows = facts.missions.filter(_is_in(facts.missions["verdict"], BETTER))
    ran = t.counted(facts.n, "mission")
    partly = f", {t.count(counts['partial'])} of them partly" if counts["partial"] else ""
    if not better:
        t.say(f"Nothing that I can prove: I ran {ran}, and none is known to have worked.")
    else:
        domains = Counter(rows["domain_id"].to_pylist()).most_common()
        where = [f"{t.quote(d, 60)} {t.count(n)}" for d, n in domains[:SHOWN]]
        t.say(f"{ran} ran, {t.count(better)} worked{partly}: {t.first_of(where, len(domains))}.")
        _list(rows, t)
    left = [f"{t.count(counts[v])} {_COUNTED[v]}" for v in ("no_effect", "worse") if counts[v]]
    if unknown := facts.n - facts.decided.num_rows:
        left.append(f"{t.count(unknown)} cannot be told")
    if left:
        t.say(f"Of the others {wording.listed(left)}.")
    return Result(better, "missions", facts.n, sources=_ids(rows))


def not_worked(facts: Facts, t: Telling) -> Result:
    """Missions without effect, those that made it worse, and those that failed."""
    rows = facts.missions
    bad = pc.or_(_is_in(rows["verdict"], ("no_effect", "worse")), pc.invert(rows["success"]))
    found = rows.filter(bad)
    ran = t.counted(facts.n, "mission")
    if not found.num_rows:
        t.say(f"Of {ran} none is known to have failed.")
    else:
        counts = verdicts(found)
        failed = pc.sum(pc.invert(found["success"])).as_py()
        words = [f"{t.count(counts[v])} {_COUNTED[v]}" for v in ("no_effect", "worse") if counts[v]]
        words += [f"{t.count(failed)} failed by my own report"] if failed else []
        t.say(f"Of {ran} {t.count(found.num_rows)} did not work: {wording.listed(words)}.")
        _list(found, t)
    return Result(found.num_rows, "missions", facts.n, sources=_ids(found))


def missions(facts: Facts, t: Telling) -> Result:
    """A list of missions."""
    t.say(f"{t.counted(facts.n, 'mission')}{_with(facts)}.")
    _list(facts.missions, t)
    return Result(facts.n, "missions", facts.n, sources=facts.ids(MAX_SOURCES))


def count(facts: Facts, t: Telling) -> Result:
    """How many missions."""
    reported = facts.question.reported_success
    if reported is not None:
        what = "reported success" if reported else "failed by my own report"
        t.say(f"{t.counted(facts.n, 'mission')} {what}.")
    else:
        t.say(f"{t.counted(facts.n, 'mission')}{_with(facts)}.")
    return Result(facts.n, "missions", facts.n, sources=facts.ids(MAX_SOURCES))


def _with(facts: Facts) -> str:
    verdict = facts.question.verdict
    return f" judged {wording.VERDICT_WORDS[verdict]}" if verdict else ""


def _list(rows: pa.Table, t: Telling) -> None:
    """The latest of some missions, each with its verdict."""
    parts = []
    for row in rows.slice(0, SHOWN).to_pylist():
        title = f", “{t.quote(row['title'], 80)}”" if row["title"] else ""
        word = wording.VERDICT_WORDS[row["verdict"]]
        failed = "" if row["success"] else ", reported failure"
        parts.append(
            f"{t.quote(row['mission_id'])} ({t.quote(row['domain_id'], 60)}{title}): {word}{failed}"
        )
    if parts:
        t.say(f"{t.first_of(parts, rows.num_rows)}.")


def _ids(rows: pa.Table) -> tuple[str, ...]:
    return tuple(rows["mission_id"].slice(0, MAX_SOURCES).to_pylist())


def _is_in(column: pa.ChunkedArray, values: tuple[str, ...]) -> pa.ChunkedArray:
    return pc.is_in(column, pa.array(values))
