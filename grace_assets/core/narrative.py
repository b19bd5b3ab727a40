"""What Grace says about a mission: first person, past tense, one claim a sentence.

The frame follows the verdict (did it get better?) and the attribution (may she take credit?);
every figure comes from the mission's rows, and event text is quoted as it came. Which rows are
told is decided in `told`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import wording
from grace_assets.core.told import Row, Told, rows_of

MAX_ACTIONS = 4
QUOTE_LIMIT = 200
LEVEL_DIFFERS = 0.05
"""The window before may hold more than the problem; by so much, its median is not told."""

_PAST_TENSE = re.compile(
    r"(?:[a-z]+ly )?(?:[a-z-]+ed"
    r"|(?:re-?)?(?:ran|built|sent|set|read|wrote|made|did|spun|wound|drew)|began|bound|brought|came|cut|fed|found|froze|gave|got|held|kept|laid|let|left|met|overrode"
    r"|put|shrank|shut|split|spread|stood|swept|took|told|undid|went|withdrew)\b",
    re.IGNORECASE,
)
_CREDITED = {
    "controlled": "others with the same problem, left alone, did not recover as well",
    "supported": "such problems rarely heal by themselves",
}


def narrate(missions: pa.Table, summary: pa.Table, told: Iterable[Told]) -> list[str]:
    """One narrative per mission, in the order of `missions`.

    `missions`: rows of `mission_events`. In the same order `summary`, with `verdict` and
    `attribution`, and what is `told` of their metrics.
    """
    columns = ("domain_id", "title", "success", "error", "actions")
    table = missions.select(columns)
    for name in ("verdict", "attribution"):
        table = table.append_column(name, summary[name])
    trigger = missions["trigger"].combine_chunks()
    for name in ("metric", "observed", "threshold", "description"):
        table = table.append_column(f"trigger_{name}", pc.struct_field(trigger, name))
    return [tell(row, of_mission) for row, of_mission in zip(rows_of(table), told, strict=True)]


def tell(mission: Row, told: Told) -> str:
    """The narrative of one mission from its (flattened) row and what is told of its metrics."""
    sentences = [*_notice(mission, told), *_acts(mission["actions"])]
    if not mission["success"]:
        error = wording.clean(mission["error"], QUOTE_LIMIT)
        sentences.append(
            f"I did not complete the repair: “{error}”."
            if error
            else "I did not complete the repair; no error was recorded."
        )
    pending = mission["verdict"] == "pending"
    sentences += [metric_sentence(row, pending=pending) for row in told.shown]
    if told.hidden:
        worse = f", {told.hidden_worse:,} of them worse" if told.hidden_worse else ""
        sentences.append(f"I also measured {wording.counted(told.hidden, 'other metric')}{worse}.")
    sentences += _judgement(mission, has_readings=bool(told.shown))
    return " ".join(sentences)


def _notice(mission: Row, told: Told) -> Iterator[str]:
    """What made Grace act, from whatever the trigger holds."""
    metric = wording.clean(mission["trigger_metric"], 80)
    description = wording.clean(mission["trigger_description"], QUOTE_LIMIT).rstrip(".")
    title = wording.clean(mission["title"], QUOTE_LIMIT).rstrip(".")
    if metric:
        yield _threshold_sentence(mission, metric, told)
    if description:
        fits = len(description) <= 80 and description[0].islower() and ". " not in description
        if fits and not metric:
            yield f"I noticed {description}."
        else:
            yield f"The alert said: “{description}”."
    elif not metric and title:
        yield f"I took up “{title}”."
    elif not metric:
        yield f"I worked on the {wording.clean(mission['domain_id'])} domain."


def _threshold_sentence(mission: Row, metric: str, told: Told) -> str:
    observed, threshold = mission["trigger_observed"], mission["trigger_threshold"]
    unit = wording.unit_of(metric, told.unit)
    name = wording.spoken(metric)
    if threshold is None and observed is None:
        return f"I noticed a problem with {name}."
    if threshold is None:
        return f"I noticed {name} at {wording.measure(observed, unit)}."
    limit = wording.measure(threshold, unit)
    if observed is None:
        crossing = {"lower": "exceeded", "higher": "fell below"}
        verb = crossing.get(told.direction, "crossed its threshold of")
        return f"I noticed {name} {verb} {limit}."
    reading = wording.measure(observed, unit)
    if observed == threshold:
        return f"I noticed {name} reached {limit}."
    verb = "exceeded" if observed > threshold else "fell below"
    return f"I noticed {name} {verb} {limit}, at {reading}."


def action_phrase(action: str) -> str:
    """An action as it is quoted in a narrative: one line, no closing dot, cut to the limit."""
    return wording.clean(action, QUOTE_LIMIT).rstrip(". ")


def _acts(actions: Sequence[str | None] | None) -> Iterator[str]:
    phrases = [phrase for phrase in map(action_phrase, filter(None, actions or ())) if phrase]
    if not phrases:
        yield "I recorded no action."
    for phrase in phrases[:MAX_ACTIONS]:
        end = "" if phrase[-1] in "!?…" else "."
        if phrase.startswith(("I ", "I'", "I’")):
            yield f"{phrase}{end}"
        elif _PAST_TENSE.match(phrase):
            yield f"I {_lower_first(phrase)}{end}"
        else:
            yield f"I noted: “{phrase}”."
    if len(phrases) > MAX_ACTIONS:
        yield f"I took {wording.counted(len(phrases) - MAX_ACTIONS, 'more action')}."


def _lower_first(text: str) -> str:
    return text[0].lower() + text[1:]


def metric_sentence(row: Row, *, pending: bool = False) -> str:
    """One metric's change in a sentence, from its `mission_telemetry` row."""
    unit = wording.unit_of(row["metric"], row["unit"])
    name, pre, post = wording.capital(wording.spoken(row["metric"])), row["pre"], row["post"]
    if post is None or pending:
        if pre is None:
            return f"{name} had no reading from before I acted."
        tail = "" if pending else "; I had no reading from after"
        return f"{name} was {wording.measure(pre, unit)} before I acted{tail}."
    if pre is None:
        return f"{name} was {wording.measure(post, unit)} afterwards; I had no reading from before."
    before, after = wording.measure(pre, unit), wording.measure(post, unit)
    if (level := told_level(row)) is not None:
        verb = "fell" if post < level else "rose"
        caveat = _caveat(row, unit)
        remark = f" ({caveat})" if caveat else ""
        lasted = wording.measure(level, unit)
        return f"{name} was {lasted} while the problem lasted, then {verb} to {after}{remark}."
    if before == after:
        return f"{name} stayed at {before}."
    verb = "fell" if post < pre else "rose"
    remarks = [text for text in (_change(row), _caveat(row, unit)) if text]
    remark = f" ({', '.join(remarks)})" if remarks else ""
    return f"{name} {verb} from {before} to {after}{remark}."


def told_level(row: Row) -> float | None:
    """The level of the problem, where the median of the window before (`pre`) hides it."""
    level, pre = row["problem_level"], row["pre"]
    return None if level is None or abs(level - pre) <= LEVEL_DIFFERS * abs(pre) else level


def _change(row: Row) -> str:
    improvement, improved = row["improvement_percent"], row["improved"]
    if improvement:
        return f"{wording.percent(improvement)} {'better' if improvement > 0 else 'worse'}"
    # A change of no improvement (0) is neither: it may stay within a band.
    if improvement is None and improved is not None:
        return "better" if improved else "worse"
    return ""


def _caveat(row: Row, unit: str | None) -> str:
    verdict = row["verdict"]
    if verdict == "partial" and row["healthy"] is not None:
        return f"healthy is {wording.measure(row['healthy'], unit)}"
    return {
        "no_effect": "too little to count",
        "inconclusive": "too uncertain to count",
        "no_sustained_problem": "no lasting problem before",
    }.get(verdict, "")


def _judgement(mission: Row, *, has_readings: bool) -> Iterator[str]:
    """The verdict's sentence, with the verb that the attribution allows."""
    verdict = mission["verdict"]
    domain = f"the {wording.clean(mission['domain_id'])} domain"
    if verdict in ("effective", "partial", "worse"):
        sentence = _recovery(verdict, mission["attribution"], domain, acted=mission["success"])
        yield wording.capital(sentence) + "."
        if mission["attribution"] == "confounded":
            yield "Something else happened at the same time, so I cannot tell whether it was me."
    elif verdict == "no_effect":
        yield "I saw no measurable difference."
        if mission["attribution"] == "confounded":
            yield "Something else happened at the same time, so it may have hidden what I did."
    else:
        readings = "too few readings" if has_readings else "no readings"
        yield {
            "inconclusive": "The readings were too uncertain to tell whether it helped.",
            "no_sustained_problem": "The readings showed no lasting problem before I acted, "
            "so I claim no credit.",
            "pending": "It was too early to tell whether it helped.",
            "insufficient_data": f"I had {readings} to tell whether it helped.",
            "not_applicable": "I had no metric that can be judged, so I claim no effect.",
        }[verdict]


def _recovery(verdict: str, attribution: str, domain: str, *, acted: bool) -> str:
    """Who or what the change is credited to; a repair that did not complete takes no credit."""
    went = {"effective": "recovered", "partial": "got better", "worse": "got worse"}[verdict]
    short = ", but was not fully healthy" if verdict == "partial" else ""
    if attribution == "confounded":
        return f"{domain} {went}{short}"
    if verdict != "worse" and not acted:
        return f"{domain} {went} all the same{short}"
    if verdict == "worse" and attribution == "controlled":
        return f"I made {domain} worse: what I left alone did not get worse"
    if verdict != "worse" and attribution in _CREDITED:
        verb = "I restored" if verdict == "effective" else "I partly restored"
        return f"{verb} {domain}: {_CREDITED[attribution]}"
    unknown = "; I do not know whether it was me" if attribution == "unknown" else ""
    return f"{domain} {went} after I acted{short}{unknown}"
