"""What a question asks for, or why it cannot be told.

Strict on purpose: names and the period are taken out, and one rule of `words` must account for
every word that is left. A word that nobody knows ("mobile app") is never skipped, because the
answer would be about something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date

from rapidfuzz import process
from rapidfuzz.distance import OSA

from grace_assets.ask import words
from grace_assets.ask.days import PeriodError
from grace_assets.ask.names import MAX_WORDS, Names, key, plain, words_of
from grace_assets.ask.periods import Period, default_period, find_period, whole_record
from grace_assets.ask.words import KINDS, REFUSALS, RULES, SIGNS, VOCABULARY
from grace_assets.core.wording import clean, listed

__all__ = ["KINDS", "Names", "NotUnderstood", "Question", "understand"]

MAX_CHARACTERS = 500
_SHOWN = 5
_LONG_WORD = 7
"""Shorter words of the vocabulary are too much like other words to mend a slip in them."""
_SIGNS = "".join(SIGNS.values())
_SLOT = {sign: slot for slot, sign in SIGNS.items()}
_TOKEN = re.compile(rf"[^\W_]+|[{_SIGNS}]")
_QUOTED = re.compile(r"\"([^\"]+)\"|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)")
_MONEY = re.compile(r"[$€£¥]")
_CALLED = {
    "domain": ("domain", "service"),
    "metric": ("metric", "kpi"),
    "mission_id": ("mission", "id"),
    "mission_type": ("type",),
}
_NOUNS = r"(?:services?|systems?|apps?|applications?|sites?|websites?|platforms?)"
_DROPPED = (
    (re.compile(rf"({words.DOMAIN}) {_NOUNS}\b|\b{_NOUNS} ({words.DOMAIN})"), words.DOMAIN),
    (re.compile(rf"\bid (?={words.MISSION})"), ""),
    (re.compile(r"\b(?:each|every) (?=(?:domain|metric|mission|fix|repair)\b)"), ""),
)


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
    measure: str | None = None
    """For `trends`: mttr, success_rate, effectiveness, duration or count, where one is named."""
    readings: tuple[str, ...] = ()
    """What was not taken literally: "read “paymets” as payments"."""


@dataclass(frozen=True)
class NotUnderstood:
    """Why there is no answer, and what could be asked instead."""

    why: str
    examples: tuple[str, ...]
    nearest: tuple[str, ...] = ()
    """Known names that look like what was written."""


class _Refusal(Exception):
    """Ends the reading; becomes a `NotUnderstood`."""

    def __init__(self, why: str, nearest: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.nearest = nearest


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
    for reserved in (VOCABULARY, words.CLOSED):
        try:
            return _Reading(text, names, reserved).question(said, today, first_day)
        except PeriodError as error:
            refusal = refusal or _Refusal(str(error))
        except _Refusal as error:
            refusal = refusal or error
    return NotUnderstood(refusal.why, examples(names), refusal.nearest)


def examples(names: Names) -> tuple[str, ...]:
    """Questions that can be answered, with names that are on record."""
    known = next((d for d in names.domains if _sayable(d)), None)
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


@dataclass
class _Reading:
    """One attempt at a text: what has been taken out of it so far."""

    raw: str
    names: Names
    reserved: frozenset[str]
    slots: dict[str, str] = field(default_factory=dict)
    readings: list[str] = field(default_factory=list)

    def question(self, said: str, today: date, first_day: date) -> Question:
        if _MONEY.search(said):
            raise _Refusal("I keep no record of money.")
        said = self._exact_names(_QUOTED.sub(self._quoted, said))
        said = self._mend(words.POLITE.sub("", said))
        found = find_period(said, today, first_day)
        if found:
            start, end = found.at
            said = f"{said[:start]} {SIGNS['period']} {said[end:]}"
        said = self._severity(_fold(" ".join(_TOKEN.findall(said))))
        for reason, why in REFUSALS[:4]:
            if reason.search(said) and not _covered(said):
                raise _Refusal(why)
        said = _fold(self._near_names(said))
        rule, verdict = _rule_for(said, self.slots)
        measure = _measure(said) if rule.kind == "trends" else None
        whole = whole_record if "mission_id" in self.slots else default_period
        return Question(
            kind=rule.kind,
            period=found.period if found else whole(today, first_day),
            verdict=verdict or rule.verdict,
            reported_success=rule.reported_success,
            measure=measure,
            readings=tuple(self.readings),
            **self.slots,
        )

    def _take(self, slot: str, name: str) -> str:
        """Fill a slot once; the sign that stands for it."""
        if self.slots.setdefault(slot, name) != name:
            what = slot.removesuffix("_id").replace("_", " ")
            both = listed([clean(self.slots[slot], 60), clean(name, 60)])
            raise _Refusal(f"One {what} at a time: you named {both}.")
        return f" {SIGNS[slot]} "

    def _quoted(self, match: re.Match[str]) -> str:
        text = next(group for group in match.groups() if group)
        candidates = self.names.index.get(key(text), ())
        if not candidates:
            raise self._unknown(text)
        return self._take(*self._decide(text, candidates))

    def _exact_names(self, said: str) -> str:
        spans = [(m[0], m.start(), m.end()) for m in _TOKEN.finditer(said)]
        parts, done, i = [], 0, 0
        while i < len(spans):
            size, candidates = self._longest(spans, i)
            if candidates:
                start, end = spans[i][1], spans[i + size - 1][2]
                nouns = (spans[i - 1][0] if i else "", *(s[0] for s in spans[i + size :][:1]))
                sign = self._take(*self._decide(said[start:end], candidates, nouns))
                parts += [said[done:start], sign]
                done = end
            i += size
        return "".join([*parts, said[done:]])

    def _longest(
        self, spans: list[tuple[str, int, int]], i: int
    ) -> tuple[int, tuple[tuple[str, str], ...]]:
        """How many words from the i-th on are a name, and which; (1, ()) if none."""
        before = spans[i - 1][0] if i else ""
        for size in range(min(MAX_WORDS, len(spans) - i), 0, -1):
            run = [word for word, _, _ in spans[i : i + size]]
            candidates = self.names.index.get("".join(run), ())
            if all(word in self.reserved or word.isdigit() for word in run):
                # A common word or a number is a name where it is called one: "domain march".
                candidates = tuple(
                    (slot, name)
                    for slot, name in candidates
                    if before in _CALLED[slot] and (slot != "mission_id" or run[0].isdigit())
                )
            if candidates:
                return size, candidates
        return 1, ()

    def _decide(
        self, said: str, candidates: tuple[tuple[str, str], ...], nouns: tuple[str, ...] = ()
    ) -> tuple[str, str]:
        """The one name that is meant; two that fit equally well are not decided."""
        for fits in (
            lambda slot, name: any(noun in _CALLED[slot] for noun in nouns),
            lambda slot, name: name in self.raw,
        ):
            left = tuple(c for c in candidates if fits(*c))
            candidates = left or candidates
        if len(candidates) == 1:
            return candidates[0]
        kinds = {slot for slot, _ in candidates}
        shown = tuple(dict.fromkeys(clean(name, 60) for _, name in candidates))[:_SHOWN]
        if len(kinds) > 1:
            what = listed(
                [f"a {slot.removesuffix('_id').replace('_', ' ')}" for slot in sorted(kinds)]
            )
            raise _Refusal(f"“{said}” may be {what}; say which, as in “domain {said}”.", shown)
        raise _Refusal(f"“{said}” may be {' or '.join(shown)}; name one of them.", shown)

    def _mend(self, said: str) -> str:
        """Slips in long words of the vocabulary ("yesturday"), where only one word is near."""

        def mended(match: re.Match[str]) -> str:
            word = match[0]
            if word in VOCABULARY or self.names.nearly([word]):
                return word
            near = process.extract(word, _LONG_WORDS, scorer=OSA.distance, score_cutoff=1)
            near = [candidate for candidate, *_ in near if candidate[0] == word[0]]
            if len(near) != 1:
                return word
            self.readings.append(f"read “{word}” as {near[0]}")
            return near[0]

        return re.sub(rf"[a-z]{{{_LONG_WORD},}}", mended, said)

    def _severity(self, said: str) -> str:
        for severity in self.names.severities:
            word = re.escape(severity)
            noun = r"(?:severity|priority|prio)"
            pattern = rf"\b{word} {noun}\b|\b{noun} (?:is |of )?{word}\b"
            pattern += rf"|\b{word}(?= (?:missions?|fix|fixes|repairs?|ones|problems?|issues?)\b)"
            if severity == "critical":
                pattern += rf"|\b{word}\b"
            said = re.sub(pattern, lambda _: self._take("severity", severity), said)  # noqa: B023
        return " ".join(said.split())

    def _near_names(self, said: str) -> str:
        """Words that nobody knows: part of a name, a slip in one, or the end of the reading."""
        said = _drop(said)
        tokens, read, i = said.split(" "), [], 0
        while i < len(tokens):
            if _known(tokens[i]):
                read.append(tokens[i])
                i += 1
                continue
            size, run = 0, []
            for size in (3, 2, 1):
                run = tokens[i : i + size]
                candidates = () if any(map(_known, run)) else self.names.nearly(run)
                if len(run) == size and candidates:
                    break
            else:
                read.append(tokens[i])
                i += 1
                continue
            slot, name = self._decide(" ".join(run), candidates)
            self.readings.append(f"read “{' '.join(run)}” as {clean(name, 60)}")
            read.append(self._take(slot, name).strip())
            i += size
        said = _drop(" ".join(read))
        if unknown := [token for token in said.split(" ") if not _known(token)]:
            raise self._unknown(" ".join(unknown))
        return said

    def _unknown(self, text: str) -> _Refusal:
        shown = clean(text, 60)
        nearest = self.names.nearest(text)
        if nearest:
            known = f"Nearest names: {listed([clean(name, 60) for name in nearest])}."
        elif self.names.domains:
            some = [clean(name, 60) for name in self.names.domains[:_SHOWN]]
            known = f"Domains that I know: {', '.join(some)}."
        else:
            known = "I know no domain yet."
        return _Refusal(f"I do not know “{shown}”. {known}", nearest)


_LONG_WORDS = tuple(sorted(word for word in VOCABULARY if len(word) >= _LONG_WORD))


def _known(token: str) -> bool:
    return token in VOCABULARY or token in _SLOT or token in _FOLDED_WORDS


_FOLDED_WORDS = frozenset(word for _, word in words.FOLDED)


def _fold(said: str) -> str:
    for phrase, word in words.FOLDED:
        said = phrase.sub(word, said)
    return said


def _drop(said: str) -> str:
    for pattern, left in _DROPPED:
        said = pattern.sub(left, said)
    return said


def _uncovered(said: str, rule: words.Rule) -> list[str]:
    allowed = rule.words | words.FILLER
    return [token for token in said.split() if token not in allowed and token not in _SLOT]


def _covered(said: str) -> bool:
    return any(rule.pattern.search(said) and not _uncovered(said, rule) for rule in RULES)


def _rule_for(said: str, slots: dict[str, str]) -> tuple[words.Rule, str | None]:
    """The first rule that accounts for every word, and a verdict that was named with it."""
    almost: list[str] = []
    verdicts = [(v, p.sub(" ", said)) for v, p in words.VERDICTS if p.search(said)]
    for rule in RULES:
        if not rule.pattern.search(said):
            continue
        if not (left := _uncovered(said, rule)):
            return rule, None
        almost = almost or left
        takes_verdict = rule.kind in ("count", "missions") and not rule.verdict
        if takes_verdict and rule.reported_success is None:
            for verdict, rest in verdicts:
                if not _uncovered(rest, rule):
                    return rule, verdict
    for reason, why in REFUSALS:
        if reason.search(said):
            raise _Refusal(why)
    if almost:
        raise _Refusal(f"I cannot place “{' '.join(almost)}” in it; ask for one thing at a time.")
    if slots:
        about = listed([clean(name, 60) for name in slots.values()])
        raise _Refusal(f"I see that it is about {about}, but not what you want to know.")
    raise _Refusal("I do not see what you want to know.")


def _measure(said: str) -> str | None:
    return next((measure for measure, pattern in words.MEASURES if pattern.search(said)), None)
