"""Which questions there are, and how each may be put.

A rule names a kind, how such a question looks, and which words it accounts for. A question is
read only if one rule accounts for every word of it: an unknown word may turn its meaning round.
Matched on plain words with single spaces between them; names and the period are already taken
out and stand as one sign each (`words.SIGNS`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from grace_assets.ask.words import (
    CLOSED,
    DOMAIN,
    FILLER,
    FIX_VERBS,
    METRIC,
    MISSION,
    MISSION_NOUNS,
    OTHER,
    REFUSED_WORDS,
    SIGNS,
    SUCCESS,
    TIME_WORDS,
    TROUBLE,
    VERDICT_WORDS,
    words,
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One way to ask: `pattern` must be found, `words` are those it accounts for."""

    kind: str
    pattern: re.Pattern[str]
    words: frozenset[str]
    verdict: str | None = None
    reported_success: bool | None = None


def _rule(kind: str, pattern: str, allowed: str, **slots: object) -> Rule:
    return Rule(kind, re.compile(pattern), words(allowed), **slots)


def _any(text: str) -> str:
    return rf"\b(?:{'|'.join(text.split())})\b"


_MEASURE_WORDS = "mttr successrate effectiveness score scores duration durations"
_BETTER = "improve improved improves improving improvement improvements better"
_WORSE = (
    "worsen worsened worsening worse deteriorate deteriorated deteriorating degrade degraded "
    "degrading degradation regress regressed regression regressions"
)
_CHANGE = "get gets getting got gotten become became go went turn turned how much most by many"
_ASK = r"\b(?:what|which|list|show|everything|anything)\b"
_DONE = " ".join(verb for verb in FIX_VERBS.split() if verb not in ("fix", "repair"))
"""Verbs that are no noun: "did the fix …" alone says nothing yet."""
_OUTCOME = f"{MISSION_NOUNS} {FIX_VERBS} {SUCCESS}"

_SLOTTED = rf"(?:(?:in|on|from|for|of|the|all| |[{''.join(SIGNS.values())}])*)"

RULES = (
    _rule(
        "did_it_work",
        rf"^how did\b.*(?:\b(?:fix|repair|mission)\b|{MISSION}).* (?:go|work out)\b",
        "how go work out",
    ),
    _rule(
        "confidence",
        r"\bhow (?:sure|certain|confident|reliable|trustworthy)\b"
        r"|\bare (?:you|we) (?:really )?(?:sure|certain|confident)\b"
        r"|\b(?:confidence|certainty|uncertainty)\b"
        r"|\bhow (?:much |far )?(?:can|do|should) (?:i|we) (?:trust|believe|rely)\b"
        r"|\b(?:can|should) (?:i|we) (?:trust|believe|rely)\b|\bhow often are you wrong\b",
        f"how sure certain confident reliable trustworthy confidence certainty uncertainty can i "
        f"trust believe rely should much often wrong interval intervals level about result results "
        f"verdict verdicts answer numbers {_MEASURE_WORDS} {_OUTCOME} {_BETTER} {TROUBLE}",
    ),
    _rule(
        "not_held",
        r"\bnothold\b|\b(?:came|come|comes) back\b|\brelapse[ds]?\b|\bwore off\b"
        r"|\b(?:broke|break|breaks|broken) again\b",
        f"nothold came come comes back relapse relapsed relapses wore off broke break breaks "
        f"broken again after how many {FIX_VERBS} {TROUBLE}",
    ),
    _rule(
        "held",
        r"\b(?:did|do|does|has|have|is|are|what|which)\b.*\b(?:hold|held|holding|last|lasted|"
        r"stick|stuck|still (?:fixed|repaired|working|effective)|stay(?:s|ed)? fixed)\b",
        f"hold held holding last lasted stick stuck still stay stays stayed working effective "
        f"fixed repaired up how many {TROUBLE}",
    ),
    _rule(
        "problems",
        r"\bkeeps?(?: on)? (?:breaking|failing|going wrong|happening|coming back|recurring)\b"
        r"|\b(?:recurring|recurrent|repeatedly)\b|\bagain and again\b"
        r"|\b(?:breaks?|breaking|fails?|failing) (?:the )?(?:most|often)\b"
        r"|\b(?:is|are|was|were|went|goes|going|gone) wrong\b|\bwhat broke\b"
        rf"|\bwhat (?:is|are|was|were) (?:{DOMAIN} )?(?:broken|breaking|failing)\b"
        r"|\b(?:top|main|biggest) (?:problems?|issues?)\b"
        r"|^(?!.*\b(?:did|have|has) (?:you|grace|we)\b)"
        r".*\b(?:what|which|show|list|give|any|are there|were there)\b.*\b(?:problems?|issues?)\b",
        "keep keeps on breaking failing going wrong happening coming back recurring recurrent "
        "repeatedly again break breaks broke broken fail fails most often went goes gone top main "
        "biggest list problem problems issue issues keep",
    ),
    _rule(
        "follow_ups",
        r"\bfollowups?\b",
        "followups followup open opened closed list asked ask how many",
    ),
    _rule(
        "trends",
        r"\b(?:trends?|trending)\b|\bover time\b"
        r"|^how (?:is|are|was|were|has|have|did)\b.*\b(?:doing|going|performing|perform|develop|"
        r"developing|developed|evolve|evolving|evolved)\b"
        rf"|^how did {DOMAIN} do\b"
        r"|\b(?:mttr|effectiveness|durations?) (?:has |have )?(?:improved?|improving|changed?|"
        r"(?:get|got|gets|went) (?:better|worse))\b"
        r"|^(?:is|are)\b.*\b(?:getting (?:better|worse)|improving|worsening)\b",
        f"trend trends trending over time how doing going performing perform develop developing "
        f"developed evolve evolving evolved getting better worse or improving worsening look looks "
        f"change changed get gets got went gone {_BETTER} {_WORSE} "
        f"looking like number count average mean show list {_MEASURE_WORDS} {SUCCESS}",
    ),
    _rule(
        "mttr",
        r"\bmttr\b|\bhow (?:long|fast|quick|quickly)\b.*\b(?:restore|recover|resolve|repair|fix|"
        r"solve|heal|recovery)\b(?! take)",
        f"mttr p50 p90 how long fast quick quickly take takes took it average mean avg usually "
        f"typically recovery {FIX_VERBS} {TROUBLE} work",
    ),
    _rule(
        "duration",
        rf"\bhow long\b.*{_any(MISSION_NOUNS)}.*\b(?:take|takes|took|last|lasted|run|ran)\b"
        rf"|\bhow long (?:did|does|do|was|were|is|are)\b.*(?:{_any(MISSION_NOUNS)}|{MISSION})"
        r"|\bdurations?\b",
        "how long take takes took last lasted duration durations average mean avg usually "
        "typically p50 p90",
    ),
    _rule(
        "success_rate",
        r"\bsuccessrate\b|\bhow successful\b"
        r"|\b(?:share|percentage|percent|fraction|proportion) of\b.*\b(?:succeed|succeeded|"
        r"successful|successes)\b|\bhow often (?:do|did|does|are|were|have)\b.*\b(?:succeed|"
        r"succeeded|successful)\b",
        "successrate how successful share percentage percent fraction proportion often succeed "
        "succeeded successes average mean",
    ),
    _rule(
        "success_rate",
        r"\b(?:share|percentage|percent|fraction|proportion) of\b.*\b(?:work|worked|effective|"
        r"helped)\b|\bhow often (?:do|did|does|are|were|have)\b.*\b(?:work|worked|effective|help|"
        r"helped)\b",
        "share percentage percent fraction proportion how often work worked effective help helped",
        verdict="effective",
    ),
    _rule(
        "effectiveness",
        r"\beffectiveness\b|\bhow (?:effective|well)\b",
        "effectiveness score scores how effective well work works worked working average mean "
        "recover recovered",
    ),
    _rule(
        "count",
        rf"\b(?:how many|(?:number|count) of)\b.*{_any(MISSION_NOUNS)}.*\b(?:fail|failed|"
        r"unsuccessful)\b|\bhow many failed\b"
        r"|\b(?:how many|(?:number|count) of) mission failures\b",
        f"how many number count {MISSION_NOUNS} fail failed failures unsuccessful",
        reported_success=False,
    ),
    _rule(
        "count",
        rf"\b(?:how many|(?:number|count) of)\b.*{_any(MISSION_NOUNS)}.*\b(?:succeed|succeeded|"
        r"successful)\b|\bhow many succeeded\b",
        f"how many number count {MISSION_NOUNS} succeed succeeded successful",
        reported_success=True,
    ),
    _rule(
        "count",
        rf"\b(?:how many|(?:number|count) of)\b.*(?:{_any(MISSION_NOUNS)}|\bdid (?:you|grace|we) "
        r"(?:fix|repair|resolve|solve|run|handle)\b)|\bhow many (?:worked|helped|were effective)\b"
        r"|\btotal missions\b",
        f"how many number count times handle handled completed there {FIX_VERBS} {TROUBLE} "
        "finish finished verdict",
    ),
    _rule(
        "changed",
        r"\b(?:what|which)\b.*\bchanged?\b"
        rf"|{_any(_BETTER)}(?: (?:or|and|got|get|what))* {_any(_WORSE)}"
        rf"|{_any(_WORSE)}(?: (?:or|and|got|get|what))* {_any(_BETTER)}"
        rf"|\b(?:did|has|have) {METRIC} changed?\b|\bhow (?:did|has|have)\b.*\bchanged?\b",
        f"change changed or {_BETTER} {_WORSE} {_CHANGE} after",
    ),
    _rule("improved", rf"{METRIC} (?:has |have )?recover(?:ed)?\b", "recover recovered after"),
    _rule("improved", _any(_BETTER), f"{_BETTER} {_CHANGE} after up list"),
    _rule("worsened", _any(_WORSE), f"{_WORSE} {_CHANGE} after list make"),
    _rule(
        "not_worked",
        r"\bnotwork\b|\b(?:what|which|list|show|did any)\b.*\b(?:fail|failed|failures)\b"
        r"|\b(?:unsuccessful|ineffective)\b",
        f"notwork fail failed failures unsuccessful ineffective list {MISSION_NOUNS}",
    ),
    _rule(
        "missions",
        rf"{_ASK}.*{_any(MISSION_NOUNS)}.*(?:{_any('worked helped effective')})|\bwhat worked\b"
        r"|\bwhat helped\b",
        f"list worked helped effective verdict judged {MISSION_NOUNS}",
        verdict="effective",
    ),
    _rule(
        "fixed",
        rf"{_ASK}.*\b(?:fixed|repaired|resolved|solved|healed|restored|remediated|mended)\b"
        r"|\b(?:what|which|how)\b.*\b(?:did|have|has|had) (?:you|grace|we|the agent)\b.*\b"
        r"(?:fix|repair|resolve|solve|heal|restore|remediate|mend|fixed|repaired|done|do)\b"
        r"|\bwhat (?:has )?happened\b|\bwhat (?:have you been|were you) doing\b"
        r"|\b(?:did|have|has) (?:you|grace|we) (?:fix|repair|resolve|solve)(?:ed|d)? "
        r"(?:anything|something)\b"
        r"|\b(?:summary|summarise|summarize|recap|overview)\b"
        rf"|{_ASK}.*\bfixes\b",
        f"list how get got happened doing summary summarise summarize recap overview "
        f"{FIX_VERBS} {TROUBLE}",
    ),
    _rule(
        "missions",
        rf"{_ASK}.*\b(?:missions|repairs|fixes|remediations|interventions)\b"
        rf"|\b(?:what|which) mission\b|^(?:about |mission )*{MISSION}$"
        rf"|^{_SLOTTED}(?:missions|repairs){_SLOTTED}$",
        "list were judged verdict there",
    ),
    _rule(
        "did_it_work",
        rf"^(?!.*\b(?:what|which|how|list)\b).*"
        rf"\b(?:did|do|does|has|have|had|is|was|were|are(?! you))\b.*(?:{_any(SUCCESS)}|"
        rf"{_any(_DONE)}|\ba success\b|\b(?:you|grace|we|it|agent) (?:fix|repair)\b)",
        f"success {_OUTCOME} {TROUBLE} out yet",
    ),
    _rule(
        "did_it_work",
        rf"^(?!.*{_ASK}).*\b(?:worked|helped|succeeded|fixed|repaired|resolved){_SLOTTED}$",
        f"{_OUTCOME} {TROUBLE}",
    ),
)  # fmt: skip

KINDS = tuple(dict.fromkeys(rule.kind for rule in RULES))
"""The closed set of what can be asked."""

VOCABULARY = (
    FILLER.union(*(rule.words for rule in RULES))
    | CLOSED | TIME_WORDS | OTHER | REFUSED_WORDS | VERDICT_WORDS
    | words("success rate time mean follow up ups can could would hold last latest recent "
            "newest stick stay")
)  # fmt: skip
"""Every word that means something to a question; a name of such words alone comes second."""
