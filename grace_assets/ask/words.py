"""The words that questions are made of: kinds, what may stand around them, what is refused.

A rule names a kind, how such a question looks, and which words it accounts for. A question is
read only if one rule accounts for every word of it: an unknown word may turn its meaning round.
Matched on plain words with single spaces between them; names and the period are already taken
out and stand as one sign each (`DOMAIN` and the others).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SIGNS = {
    "domain": "\ue000",
    "metric": "\ue001",
    "mission_id": "\ue002",
    "mission_type": "\ue003",
    "severity": "\ue004",
    "period": "\ue005",
}
DOMAIN, METRIC, MISSION = SIGNS["domain"], SIGNS["metric"], SIGNS["mission_id"]

_MISSION_NOUNS = (
    "mission missions fix fixes repair repairs remediation remediations intervention interventions"
)
_TROUBLE = "problem problems issue issues incident incidents outage outages failure failures"
_FIX_VERBS = (
    "fix fixed repair repaired resolve resolved solve solved remediate remediated heal "
    "healed restore restored recover recovered mend mended"
)
_SUCCESS = "work works worked working help helped helping succeed succeeded successful effective"
FILLER = frozenset(
    f"""{_MISSION_NOUNS} a an the of for in on at to with and from over during within across among
    is are was were be been being do does did has have had done you your yours grace we our us me my
    it its this that these those there all any some thing things everything anything something
    just really actually so far overall please thanks thank hi hello hey tell show give see
    domain domains metric metrics kpi kpis s current type types severity ones one which what
    run ran total quickly""".split()
)


@dataclass(frozen=True)
class Rule:
    """One way to ask: `pattern` must be found, `words` are those it accounts for."""

    kind: str
    pattern: re.Pattern[str]
    words: frozenset[str]
    verdict: str | None = None
    reported_success: bool | None = None


def _rule(kind: str, pattern: str, words: str, **slots: object) -> Rule:
    return Rule(kind, re.compile(pattern), frozenset(words.split()), **slots)


def _any(words: str) -> str:
    return rf"\b(?:{'|'.join(words.split())})\b"


# "did not hold" and "did not work" are one word each, so that no other "not" passes with them.
FOLDED = (
    (re.compile(r"\bnot (?:hold|held|holding|last|lasted|stick|stuck|stay fixed)\b"), "nothold"),
    (re.compile(r"\bnot (?:work|worked|working|help|helped|succeed|succeeded)\b"), "notwork"),
    (re.compile(r"\bfailed to (?:hold|last|stick)\b"), "nothold"),
    (re.compile(r"\bfollow ups?\b"), "followups"),
    (re.compile(r"\b(?:mean|average|avg)? ?time (?:to|until) (?:restore|restoration|recover|recovery|"
                r"repair|resolve|resolution|fix)\b"), "mttr"),
    (re.compile(r"\brates? of success\b|\bsuccess (?:rate|ratio|share|percentage)s?\b"),
     "successrate"),
)  # fmt: skip

VERDICTS = (
    ("no_effect", re.compile(r"\b(?:had |have |has |with |of )?no effect\b")),
    ("partial", re.compile(r"\b(?:partly|partially) (?:effective|worked)\b|\bpartial\b")),
    ("inconclusive", re.compile(r"\binconclusive\b")),
    ("pending", re.compile(r"\bpending\b|\btoo early to tell\b")),
    ("insufficient_data", re.compile(r"\binsufficient data\b|\btoo few readings\b")),
    ("no_sustained_problem", re.compile(r"\bno (?:lasting|sustained) problem\b")),
    ("not_applicable", re.compile(r"\bnot (?:applicable|measurable)\b")),
    ("worse", re.compile(r"\b(?:made (?:it|things|\ue000|\ue001) worse|(?:judged|were|was) worse)\b")),
    ("effective", re.compile(r"\b(?:were|was|are|is|judged)? ?effective\b|\bworked\b|\bhelped\b")),
)  # fmt: skip
"""Verdicts as a question names them; the first that is found counts."""

_MEASURE_WORDS = "mttr successrate effectiveness score scores duration durations"
MEASURES = (
    ("mttr", re.compile(r"\bmttr\b")),
    ("success_rate", re.compile(r"\bsuccessrate\b")),
    ("effectiveness", re.compile(r"\beffectiveness\b")),
    ("duration", re.compile(r"\bdurations?\b")),
    ("count", re.compile(r"\b(?:number|count)s? of\b")),
)
"""What a trend may be of."""

_BETTER = "improve improved improves improving improvement improvements better"
_WORSE = (
    "worsen worsened worsening worse deteriorate deteriorated deteriorating degrade degraded "
    "degrading degradation regress regressed regression regressions"
)
_CHANGE = "get gets getting got gotten become became go went turn turned how much most by many"
_ASK = r"\b(?:what|which|list|show|everything|anything)\b"
_OUTCOME = f"{_MISSION_NOUNS} {_FIX_VERBS} {_SUCCESS}"

RULES = (
    _rule(
        "confidence",
        r"\bhow (?:sure|certain|confident|reliable|trustworthy)\b"
        r"|\bare (?:you|we) (?:really )?(?:sure|certain|confident)\b"
        r"|\b(?:confidence|certainty|uncertainty)\b"
        r"|\bhow (?:much |far )?(?:can|do|should) (?:i|we) (?:trust|believe|rely)\b"
        r"|\b(?:can|should) (?:i|we) (?:trust|believe|rely)\b|\bhow often are you wrong\b",
        f"how sure certain confident reliable trustworthy confidence certainty uncertainty can i "
        f"trust believe rely should much often wrong interval intervals level about result results "
        f"verdict verdicts answer numbers {_OUTCOME} {_BETTER} {_TROUBLE}",
    ),
    _rule(
        "not_held",
        r"\bnothold\b|\b(?:came|come|comes) back\b|\brelapse[ds]?\b|\bwore off\b"
        r"|\b(?:broke|break|breaks|broken) again\b",
        f"nothold came come comes back relapse relapsed relapses wore off broke break breaks "
        f"broken again after how many {_FIX_VERBS} {_TROUBLE}",
    ),
    _rule(
        "held",
        r"\b(?:did|do|does|has|have|is|are|what|which)\b.*\b(?:hold|held|holding|last|lasted|"
        r"stick|stuck|still (?:fixed|repaired|working|effective)|stayed? fixed)\b",
        f"hold held holding last lasted stick stuck still stay stayed up how many {_OUTCOME} "
        f"{_TROUBLE}",
    ),
    _rule(
        "problems",
        r"\bkeeps?(?: on)? (?:breaking|failing|going wrong|happening|coming back|recurring)\b"
        r"|\b(?:recurring|recurrent|repeatedly)\b|\bagain and again\b"
        r"|\b(?:breaks?|breaking|fails?|failing) (?:the )?(?:most|often)\b"
        r"|\b(?:is|are|was|were|went|goes|going|gone) wrong\b|\bwhat broke\b"
        rf"|\bwhat (?:is|are|was|were) (?:{DOMAIN} )?(?:broken|breaking|failing)\b"
        r"|\b(?:top|main|biggest) (?:problems?|issues?)\b"
        r"|\b(?:what|which|show|list|give|any|are there|were there)\b.*\b(?:problems?|issues?)\b",
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
        rf"|^(?:is|are)\b.*\b(?:getting (?:better|worse)|improving|worsening)\b",
        f"trend trends trending over time how doing going performing perform develop developing "
        f"developed evolve evolving evolved getting better worse or improving worsening look looks "
        f"looking like number count average mean show list {_MEASURE_WORDS} {_SUCCESS}",
    ),
    _rule(
        "mttr",
        r"\bmttr\b|\bhow (?:long|fast|quick|quickly)\b.*\b(?:restore|recover|resolve|repair|fix|"
        r"solve|heal|recovery)\b(?! take)",
        f"mttr how long fast quick quickly take takes took takes it average mean avg usually "
        f"typically recovery {_FIX_VERBS} {_TROUBLE} {_SUCCESS.split()[0]}",
    ),
    _rule(
        "duration",
        rf"\bhow long\b.*{_any(_MISSION_NOUNS)}.*\b(?:take|takes|took|last|lasted|run|ran)\b"
        rf"|\bhow long (?:did|does|do|was|were|is|are)\b.*(?:{_any(_MISSION_NOUNS)}|{MISSION})"
        r"|\bdurations?\b",
        "how long take takes took last lasted duration durations average mean avg usually "
        "typically",
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
        rf"\b(?:how many|(?:number|count) of)\b.*{_any(_MISSION_NOUNS)}.*\b(?:fail|failed|failures|"
        r"unsuccessful)\b|\bhow many failed\b",
        f"how many number count {_MISSION_NOUNS} fail failed unsuccessful",
        reported_success=False,
    ),
    _rule(
        "count",
        rf"\b(?:how many|(?:number|count) of)\b.*{_any(_MISSION_NOUNS)}.*\b(?:succeed|succeeded|"
        r"successful)\b|\bhow many succeeded\b",
        f"how many number count {_MISSION_NOUNS} succeed succeeded successful",
        reported_success=True,
    ),
    _rule(
        "count",
        rf"\b(?:how many|(?:number|count) of)\b.*(?:{_any(_MISSION_NOUNS)}|\bdid (?:you|grace|we) "
        r"(?:fix|repair|resolve|solve|run|handle)\b)|\bhow many (?:worked|helped|were effective)\b",
        f"how many number count times handle handled completed there {_FIX_VERBS} {_TROUBLE} "
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
    _rule("worsened", _any(_WORSE), f"{_WORSE} {_CHANGE} after list"),
    _rule(
        "not_worked",
        r"\bnotwork\b|\b(?:what|which|list|show|did any)\b.*\b(?:fail|failed|failures)\b"
        r"|\b(?:unsuccessful|ineffective)\b",
        f"notwork fail failed failures unsuccessful ineffective list {_MISSION_NOUNS}",
    ),
    _rule(
        "missions",
        rf"{_ASK}.*{_any(_MISSION_NOUNS)}.*(?:{_any('worked helped effective')})|\bwhat worked\b"
        r"|\bwhat helped\b",
        f"list worked helped effective verdict judged {_MISSION_NOUNS}",
        verdict="effective",
    ),
    _rule(
        "fixed",
        rf"{_ASK}.*\b(?:fixed|repaired|resolved|solved|healed|restored|remediated|mended)\b"
        r"|\b(?:what|which|how)\b.*\b(?:did|have|has|had) (?:you|grace|we)\b.*\b(?:fix|repair|"
        r"resolve|solve|heal|restore|remediate|mend|fixed|repaired|done|do)\b"
        r"|\bwhat (?:has )?happened\b|\bwhat (?:have you been|were you) doing\b"
        r"|\bdid (?:you|grace|we) (?:fix|repair|resolve|solve) (?:anything|something)\b"
        r"|\b(?:summary|summarise|summarize|recap)\b"
        rf"|{_ASK}.*\bfixes\b",
        f"list how happened doing summary summarise summarize recap {_FIX_VERBS} {_TROUBLE}",
    ),
    _rule(
        "missions",
        rf"{_ASK}.*\b(?:missions?|repairs|fixes|remediations|interventions)\b"
        rf"|^(?:about )?{MISSION}$",
        "list were judged verdict there",
    ),
    _rule(
        "did_it_work",
        rf"\b(?:did|does|has|have|had|is|was|were|are)\b.*(?:{_any(_SUCCESS)}|"
        rf"{_any(_FIX_VERBS)}|\ba success\b)",
        f"success {_OUTCOME} {_TROUBLE} out they yet now",
    ),
    _rule("did_it_work", rf"^(?!.*{_ASK}).*\b(?:worked|helped|succeeded|fixed|repaired|resolved)$",
          f"{_OUTCOME} {_TROUBLE}"),
)  # fmt: skip

KINDS = tuple(dict.fromkeys(rule.kind for rule in RULES))
"""The closed set of what can be asked."""

POLITE = re.compile(
    r"^(?:(?:hi|hello|hey|please|grace|ok|okay|so|and)\b\s*)*"
    r"(?:(?:can|could|would|will) you (?:please )?(?:tell|show|give|list)(?: (?:me|us))?(?: about)?"
    r"|(?:i|we) (?:want|need|would like) to (?:know|see)(?: about)?|do you know"
    r"|let (?:me|us) (?:know|see)|tell (?:me|us) about|(?:what|how) about)\s+"
)

_CLOSED = "who whom whose why when where will shall would could should might next not no never if"
"""Words that change what is asked: read as a name only in quotation marks."""
CLOSED = frozenset(_CLOSED.split()) | FILLER

REFUSED = (
    (r"\b(?:will|shall|going to|gonna|predict\w*|forecast\w*|expect\w*|future|soon|plan|plans)\b",
     "I tell what has happened; I do not predict."),
    (r"\b(?:why|because|caused?|causes|causing|reasons?|due to|blame|fault|responsible)\b",
     "I measure whether it got better; I do not know causes."),
    (r"\b(?:who|whom|whose|person|people|engineers?|team|someone|anyone)\b",
     "I keep no record of people, only of my own missions."),
    (r"\b(?:costs?|money|dollars?|euros?|pounds?|price|prices|revenue|sav(?:e|ed|ings?)|budget|"
     r"paid|pay)\b",
     "I keep no record of money."),
    (r"\b(?:not|no|never|neither|nor|nothing|none|without|cannot)\b",
     "I cannot answer what did not happen; I only know the missions that I ran."),
    (r"\b(?:except|excluding|besides|other than|apart from)\b",
     "I cannot leave something out; ask for what you want to see."),
    (r"\b(?:than|versus|vs|compare[ds]?|comparison|difference|best|worst|highest|lowest|more|"
     r"less|fewer)\b",
     "I do not compare; ask for one domain and one period at a time."),
    (r"\b(?:would|could|should|might|if|suppose)\b",
     "I tell what has happened, not what might."),
    (r"\b(?:now|currently|right now|at the moment|at present|healthy)\b",
     "I judge missions after they ended; I do not watch the present state."),
)  # fmt: skip
REFUSALS = tuple((re.compile(pattern), why) for pattern, why in REFUSED)
_REFUSED_WORDS = frozenset(
    word for pattern, _ in REFUSED for word in re.findall(r"[a-z]{3,}", pattern)
)
_TIME_WORDS = frozenset(
    """january february march april may june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday
    saturday sunday mon tue tues wed thu thur thurs fri sat sun today yesterday tomorrow week weeks
    weekend month months quarter quarters year years day days hour hours last past previous this
    next since between until till through before after ago ever early mid late first second third
    fourth one two three four five six seven eight nine ten eleven twelve q1 q2 q3 q4""".split()
)
_OTHER = frozenset("critical high medium low unknown priority prio who i they not no or".split())
_VERDICT_WORDS = frozenset(
    "no effect partly partially partial inconclusive pending too early to tell insufficient data "
    "few readings lasting sustained problem applicable measurable made judged".split()
)
VOCABULARY = (
    FILLER.union(*(rule.words for rule in RULES))
    | CLOSED | _TIME_WORDS | _OTHER | _REFUSED_WORDS | _VERDICT_WORDS
    | frozenset("success rate time mean follow up ups can could would hold last stick stay".split())
)  # fmt: skip
"""Every word that means something to a question; a name of such words alone comes second."""
