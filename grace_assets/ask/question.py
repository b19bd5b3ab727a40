"""What a question asks for, or why it cannot be told.

Strict on purpose: names and the period are taken out, and one rule of `words` must account for
every word that is left. A word that nobody knows ("mobile app") is never skipped, because the
answer would be about something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from grace_assets.ask.days import PeriodError
from grace_assets.ask.matching import SLOTS, TOKEN, Matching, Refusal, fold
from grace_assets.ask.names import Names, plain, words_of
from grace_assets.ask.periods import Period, default_period, find_period, whole_record
from grace_assets.ask.rules import KINDS, RULES, VOCABULARY, Rule
from grace_assets.ask.words import CLOSED, FILLER, MEASURES, POLITE, REFUSALS, SIGNS, VERDICTS
from grace_assets.core.wording import clean, listed

__all__ = ["KINDS", "Names", "NotUnderstood", "Question", "understand"]

MAX_CHARACTERS = 500
_MONEY = re.compile(r"[$€£¥]")
_NEXT_SENTENCE = re.compile(r"[?;]\W*\w")
_TWO = re.compile(r"\w.*\b(?:and|or|but|also) (?:what|which|how|did|is|are|was|were|show)\b")


@dataclass(frozen=True)
class Question:
    """What is asked. `kind` is one of `KINDS`; a slot that was not named is None."""

    kind: str
    period: Period
    domain: str | None = None
    metric: str | None = None
    mission_id: str | None = None
    severity: str | None = None
    mission_type: str | None = None
    verdict: str | None = None
    reported_success: bool | None = None
    """Only missions with this exit status ("how many failed"); the agent's word, no verdict."""
    latest: bool = False
    """Only the latest mission that fits ("the last fix")."""
    measure: str | None = None
    """For `trends` and `confidence`, where one is named: mttr, success_rate, effectiveness,
    duration or count."""
    quantile: str | None = None
    """p50 or p90 where a time is asked for so ("median MTTR"); else the mean."""
    readings: tuple[str, ...] = ()
    """What was not taken literally: "read “paymets” as payments"."""


@dataclass(frozen=True)
class NotUnderstood:
    """Why there is no answer, and what could be asked instead."""

    why: str
    examples: tuple[str, ...]
    nearest: tuple[str, ...] = ()
    """Known names that look like what was written."""


def understand(text: str, names: Names, today: date, first_day: date) -> Question | NotUnderstood:
    """Read one question; `first_day` is the first day on record. Never raises, never guesses."""
    if len(text) > MAX_CHARACTERS:
        why = f"That is longer than {MAX_CHARACTERS} characters; ask one short question."
        return NotUnderstood(why, examples(names))
    said = plain(text)
    if not words_of(said):
        return NotUnderstood("There is no question in it.", examples(names))
    refusal = None
    # A domain may be called "march" or "fix": such a word is a name only if it must be.
    for reserved in (VOCABULARY, CLOSED):
        try:
            return _read(said, Matching(text, names, reserved), today, first_day)
        except PeriodError as error:
            refusal = refusal or Refusal(str(error))
        except Refusal as error:
            refusal = refusal or error
    return NotUnderstood(refusal.why, examples(names), refusal.nearest)


def examples(names: Names) -> tuple[str, ...]:
    """Questions that can be answered, with names that are on record."""
    sayable = [d for d in names.domains if _sayable(d)]
    known = next((d for d in sayable if d.isalpha()), next(iter(sayable), None))
    about = f" for {known}" if known else ""
    return (
        f"Did the {known + ' ' if known else ''}fix work?",
        f"What metrics improved{about} last week?",
        "What did you fix yesterday?",
        f"What is the MTTR{about} in the last 30 days?",
        "What keeps breaking?",
        "How sure are you?",
    )


def _sayable(name: str) -> bool:
    """Whether a name stands on its own in a sentence, without quotation marks."""
    return name == clean(name, 40) and not set(words_of(plain(name))) & VOCABULARY


def _read(said: str, found: Matching, today: date, first_day: date) -> Question:
    if _MONEY.search(said):
        raise Refusal("I keep no record of money.")
    said = found.exact_names(said)
    if _NEXT_SENTENCE.search(said):
        raise Refusal("One question at a time, please.")
    said = found.mend(POLITE.sub("", said))
    period = find_period(said, today, first_day)
    if period:
        start, end = period.at
        said = f"{said[:start]} {SIGNS['period']} {said[end:]}"
    said = found.severity(fold(" ".join(TOKEN.findall(said))))
    try:
        said = fold(found.latest(found.near_names(said)))
        rule, verdict = _rule_for(said, found.slots)
    except Refusal:
        # "why", "who" or "not" say more about what is wrong than the word that stands beside.
        for reason, why in REFUSALS:
            if reason.search(said):
                raise Refusal(why) from None
        raise
    # One mission has a day of its own, and a follow-up stays open until it is carried out.
    any_day = found.is_latest or "mission_id" in found.slots or rule.kind == "follow_ups"
    default = (whole_record if any_day else default_period)(today, first_day)
    return Question(
        kind=rule.kind,
        period=period.period if period else default,
        verdict=verdict or rule.verdict,
        reported_success=rule.reported_success,
        latest=found.is_latest,
        measure=_measure(said) if rule.kind in ("trends", "confidence") else None,
        quantile=next((q for q in ("p50", "p90") if q in said.split()), None),
        readings=tuple(found.readings),
        **found.slots,
    )


def _uncovered(said: str, rule: Rule) -> list[str]:
    allowed = rule.words | FILLER
    return [token for token in said.split() if token not in allowed and token not in SLOTS]


def _rule_for(said: str, slots: dict[str, str]) -> tuple[Rule, str | None]:
    """The first rule that accounts for every word, and a verdict that was named with it."""
    almost: list[str] = []
    verdicts = [(v, p.sub(" ", said)) for v, p in VERDICTS if p.search(said)]
    for rule in RULES:
        if not rule.pattern.search(said):
            continue
        if _TWO.search(said) and rule.kind != "changed":
            raise Refusal("One question at a time, please.")
        if not (left := _uncovered(said, rule)):
            return rule, None
        almost = almost or left
        takes_verdict = rule.kind in ("count", "missions") and not rule.verdict
        if takes_verdict and rule.reported_success is None:
            for verdict, rest in verdicts:
                if not _uncovered(rest, rule):
                    return rule, verdict
    if almost:
        raise Refusal(f"I cannot place “{' '.join(almost)}” in it; ask for one thing at a time.")
    if slots:
        about = listed([clean(name, 60) for name in slots.values()])
        raise Refusal(f"I see that it is about {about}, but not what you want to know.")
    raise Refusal("I do not see what you want to know.")


def _measure(said: str) -> str | None:
    return next((measure for measure, pattern in MEASURES if pattern.search(said)), None)
