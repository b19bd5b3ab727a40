"""The words that questions are made of, apart from the rules themselves (`rules`).

What may stand anywhere, which phrases are one word, how verdicts and measures are named, and
which words mean that there is no answer.
"""

from __future__ import annotations

import re

SIGNS = {
    "domain": "\ue000",
    "metric": "\ue001",
    "mission_id": "\ue002",
    "mission_type": "\ue003",
    "severity": "\ue004",
    "period": "\ue005",
}
DOMAIN, METRIC, MISSION = SIGNS["domain"], SIGNS["metric"], SIGNS["mission_id"]

MISSION_NOUNS = (
    "mission missions fix fixes repair repairs remediation remediations intervention interventions"
)
TROUBLE = "problem problems issue issues incident incidents outage outages failure failures"
FIX_VERBS = (
    "fix fixed repair repaired resolve resolved solve solved remediate remediated heal "
    "healed restore restored recover recovered mend mended"
)
SUCCESS = "work works worked working help helped helping succeed succeeded successful effective"


def words(text: str) -> frozenset[str]:
    """A set of words from a text of them."""
    return frozenset(text.split())


FILLER = words(
    f"""{MISSION_NOUNS} a an the of for in on at to with and from over during within across among
    is are was were be been being do does did has have had done you your yours grace we our me my
    it its this that these those there all any some thing things everything anything something
    just really actually so far overall please thanks thank hi hello hey tell show give see
    domain domains metric metrics kpi kpis s current type types severity ones one which what
    run ran total agent"""
)


# "did not hold" and "did not work" are one word each, so that no other "not" passes with them.
FOLDED = (
    (re.compile(r"\b(?:show|tell|give|for) us\b"), "show"),
    (re.compile(r"\bnot (?:hold|held|holding|last|lasted|stick|stuck|stay fixed)\b"), "nothold"),
    (re.compile(r"\bnot (?:work|worked|working|help|helped|succeed|succeeded|"
                r"successful|effective)\b"), "notwork"),
    (re.compile(r"\bfailed to (?:hold|last|stick)\b"), "nothold"),
    (re.compile(r"\bfollow ups?\b"), "followups"),
    (re.compile(r"\b(?:90th|ninetieth) percentile\b"), "p90"),
    (re.compile(r"\b(?:50th percentile|median|typical)\b"), "p50"),
    (re.compile(r"\b(?:(?:mean|average|avg) )?time (?:to|until) (?:restore|restoration|recover|"
                r"recovery|repair|resolve|resolution|fix)\b"), "mttr"),
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
    ("worse", re.compile(
        r"\bmade (?:it|things|\ue000|\ue001) worse\b|\b(?:judged|were|was) worse\b")),
    ("effective", re.compile(r"\b(?:were|was|are|is|judged)? ?effective\b|\bworked\b|\bhelped\b")),
)  # fmt: skip
"""Verdicts as a question names them; the first that is found counts."""

MEASURES = (
    ("mttr", re.compile(r"\bmttr\b")),
    ("success_rate", re.compile(r"\bsuccessrate\b")),
    ("effectiveness", re.compile(r"\beffectiveness\b")),
    ("duration", re.compile(r"\bdurations?\b")),
    ("count", re.compile(r"\b(?:number|count)s? of\b")),
)
"""What a trend may be of."""

POLITE = re.compile(
    r"^(?:(?:hi|hello|hey|please|grace|ok|okay|so|and)\b\s*)*"
    r"(?:(?:can|could|would|will) you (?:please )?(?:tell|show|give|list)(?: (?:me|us))?(?: about)?"
    r"|(?:i|we) (?:want|need|would like) to (?:know|see)(?: about)?|do you know"
    r"|let (?:me|us) (?:know|see)|tell (?:me|us) about|(?:what|how) about)\s+"
)

_CLOSED = "who whom whose why when where will shall would could should might next not no never if"
"""Words that change what is asked: read as a name only in quotation marks."""
CLOSED = words(_CLOSED) | FILLER

REFUSED = (
    (r"\b(?:will|shall|going to|gonna|predict\w*|forecast\w*|expect\w*|future|soon|plan|plans)\b",
     "I tell what has happened; I do not predict."),
    (r"\b(?:why|because|caused?|causes|causing|reasons?|due to|blame|fault|responsible)\b",
     "I measure whether it got better; I do not know causes."),
    (r"\b(?:who|whom|whose|person|people|engineers?|team|someone|anyone|they|them|he|she|did i)\b",
     "I keep no record of people, only of my own missions."),
    (r"\b(?:costs?|money|dollars?|euros?|pounds?|price|prices|revenue|sav(?:e|ed|ings?)|budget|"
     r"paid|pay)\b",
     "I keep no record of money."),
    (r"\b(?:would|could|should|might|if|suppose)\b",
     "I tell what has happened, not what might."),
    (r"\b(?:not|no|never|neither|nor|nothing|none|without|cannot)\b",
     "I cannot answer what did not happen; I only know the missions that I ran."),
    (r"\b(?:except|excluding|besides|other than|apart from)\b",
     "I cannot leave something out; ask for what you want to see."),
    (r"\b(?:than|versus|vs|compare[ds]?|comparison|difference|best|worst|highest|lowest|more|"
     r"less|fewer)\b",
     "I do not compare; ask for one domain and one period at a time."),
    (r"\b(?:now|currently|right now|at the moment|at present|healthy)\b",
     "I judge missions after they ended; I do not watch the present state."),
)  # fmt: skip
REFUSALS = tuple((re.compile(pattern), why) for pattern, why in REFUSED)
REFUSED_WORDS = frozenset(
    word for pattern, _ in REFUSED for word in re.findall(r"[a-z]{3,}", pattern)
)
TIME_WORDS = words(
    """january february march april may june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday
    saturday sunday mon tue tues wed thu thur thurs fri sat sun today yesterday tomorrow week weeks
    weekend month months quarter quarters year years day days hour hours last past previous this
    next since between until till through before after ago ever early mid late first second third
    fourth one two three four five six seven eight nine ten eleven twelve q1 q2 q3 q4"""
)
OTHER = words("critical high medium low unknown priority prio who i they not no or")
VERDICT_WORDS = words(
    "no effect partly partially partial inconclusive pending too early to tell insufficient data "
    "few readings lasting sustained problem applicable measurable made judged"
)
