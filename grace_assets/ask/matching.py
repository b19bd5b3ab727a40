"""Finds what a question names: domains, metrics, missions, mission types and severities."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from unicodedata import category

from rapidfuzz import process
from rapidfuzz.distance import OSA

from grace_assets.ask.names import MAX_WORDS, Names, key
from grace_assets.ask.rules import VOCABULARY
from grace_assets.ask.words import DOMAIN, FOLDED, MISSION, SIGNS
from grace_assets.core.wording import clean, listed

_SHOWN = 5
_LONG_NUMBER = 5
"""A number of so many digits is no day and no year: it may be an id as it stands."""
_LONG_WORD = 7
"""Shorter words of the vocabulary are too much like other words to mend a slip in them."""
SLOTS = {sign: slot for slot, sign in SIGNS.items()}
TOKEN = re.compile(rf"[^\W_]+|[{''.join(SLOTS)}]")
_QUOTED = re.compile(r"\"([^\"]+)\"|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)")
_SIGNS_ALONE = re.compile(r"(?<!\S)[^\w\s]+(?!\S)")
_CALLED = {
    "domain": ("domain", "service"),
    "metric": ("metric", "kpi"),
    "mission_id": ("mission", "id"),
    "mission_type": ("type",),
}
_NOUNS = r"(?:services?|systems?|apps?|applications?|sites?|websites?|platforms?)"
_DROPPED = (
    (re.compile(rf"{DOMAIN} {_NOUNS}\b|\b{_NOUNS} {DOMAIN}"), DOMAIN),
    (re.compile(rf"\bid (?={MISSION})"), ""),
    (re.compile(r"\b(?:each|every) (?=(?:domain|metric|mission|fix|repair)\b)"), ""),
)
_LATEST = re.compile(
    rf"\b(?:last|latest|most recent|newest) (?=(?:{DOMAIN} )?(?:mission|fix|repair|remediation)\b)"
)
_LONG_WORDS = tuple(sorted(word for word in VOCABULARY if len(word) >= _LONG_WORD))
_FOLDED_WORDS = frozenset(word for _, word in FOLDED)


class Refusal(Exception):
    """Ends the reading of a question; says why, and which known names are near."""

    def __init__(self, why: str, nearest: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.nearest = nearest


def fold(said: str) -> str:
    """Phrases that are one word to a rule, each as one word."""
    for phrase, word in FOLDED:
        said = phrase.sub(word, said)
    return said


@dataclass
class Matching:
    """One attempt at a text: what has been taken out of it so far.

    Each method takes a text, puts one sign in the place of what it found, and gives it back.
    """

    raw: str
    names: Names
    reserved: frozenset[str]
    slots: dict[str, str] = field(default_factory=dict)
    readings: list[str] = field(default_factory=list)
    is_latest: bool = False

    def _take(self, slot: str, name: str) -> str:
        """Fill a slot once; the sign that stands for it."""
        if self.slots.setdefault(slot, name) != name:
            what = slot.removesuffix("_id").replace("_", " ")
            both = listed([clean(self.slots[slot], 60), clean(name, 60)])
            raise Refusal(f"One {what} at a time: you named {both}.")
        return f" {SIGNS[slot]} "

    def _quoted(self, match: re.Match[str]) -> str:
        text = next(group for group in match.groups() if group)
        candidates = self.names.index.get(key(text), ())
        if not candidates:
            raise self.unknown(text)
        return self._take(*self._decide(text, candidates))

    def exact_names(self, said: str) -> str:
        """Names as they are written, in quotation marks or without."""
        said = _SIGNS_ALONE.sub(self._sign_name, _QUOTED.sub(self._quoted, said))
        spans = [(m[0], m.start(), m.end()) for m in TOKEN.finditer(said)]
        parts, done, i = [], 0, 0
        while i < len(spans):
            size, candidates = self._longest(spans, i)
            if candidates:
                start, end = spans[i][1], spans[i + size - 1][2]
                nouns = (spans[i - 1][0] if i else "", *(s[0] for s in spans[i + size :][:1]))
                self._check_apart(said, start, end)
                sign = self._take(*self._decide(said[start:end], candidates, nouns))
                parts += [said[done:start], sign]
                done = end
            i += size
        return "".join([*parts, said[done:]])

    def _sign_name(self, match: re.Match[str]) -> str:
        """A name of signs alone; other signs are punctuation, or nothing that can be skipped."""
        if match[0] in SLOTS:
            return match[0]
        if candidates := self.names.index.get(match[0]):
            return self._take(*self._decide(match[0], candidates))
        if any(category(letter).startswith("S") for letter in match[0] if not letter.isascii()):
            raise self.unknown(match[0])
        return match[0]

    def _check_apart(self, said: str, start: int, end: int) -> None:
        """A name that is glued to another word is another name: "payments-v2"."""
        glued = re.compile(r"[^\W_]*[-_.]$").search(said, 0, start)
        after = re.compile(r"[-_.][^\W_]+").match(said, end)
        if (glued and len(glued[0]) > 1) or after:
            whole = (glued[0] if glued else "") + said[start:end] + (after[0] if after else "")
            raise self.unknown(whole)

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
                long = size == 1 and run[0].isdigit() and len(run[0]) >= _LONG_NUMBER
                candidates = tuple(
                    (slot, name)
                    for slot, name in candidates
                    if (long or before in _CALLED[slot])
                    and (slot != "mission_id" or run[0].isdigit())
                )
            if candidates:
                return size, candidates
        return 1, ()

    def _decide(
        self, said: str, candidates: tuple[tuple[str, str], ...], nouns: tuple[str, ...] = ()
    ) -> tuple[str, str]:
        """The one name that is meant; two that fit equally well are not decided."""
        called = tuple(c for c in candidates if any(noun in _CALLED[c[0]] for noun in nouns))
        candidates = called or candidates
        candidates = tuple(c for c in candidates if c[1] in self.raw) or candidates
        if len(candidates) == 1:
            return candidates[0]
        kinds = {slot for slot, _ in candidates}
        shown = tuple(dict.fromkeys(clean(name, 60) for _, name in candidates))[:_SHOWN]
        if len(kinds) > 1:
            what = listed(
                [f"a {slot.removesuffix('_id').replace('_', ' ')}" for slot in sorted(kinds)]
            )
            raise Refusal(f"“{said}” may be {what}; say which, as in “domain {said}”.", shown)
        raise Refusal(f"“{said}” may be {' or '.join(shown)}; name one of them.", shown)

    def mend(self, said: str) -> str:
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

    def latest(self, said: str) -> str:
        """ "the last fix": one mission, not a period."""
        shorter = _LATEST.sub("", said)
        self.is_latest = self.is_latest or shorter != said
        return shorter

    def severity(self, said: str) -> str:
        for severity in self.names.severities:
            word = re.escape(severity)
            noun = r"(?:severity|priority|prio)"
            pattern = rf"\b{word} {noun}\b|\b{noun} (?:is |of )?{word}\b"
            pattern += rf"|\b{word}(?= (?:missions?|fix|fixes|repairs?|ones|problems?|issues?)\b)"
            if severity == "critical":
                pattern += rf"|\b{word}\b"
            said = re.sub(pattern, lambda _: self._take("severity", severity), said)  # noqa: B023
        return " ".join(said.split())

    def near_names(self, said: str) -> str:
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
                candidates = self.names.nearly(run) if all(map(self._nameable, run)) else ()
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
            raise self.unknown(" ".join(unknown))
        return said

    def _nameable(self, token: str) -> bool:
        return token in self.names.parts or not _known(token)

    def _as_written(self, text: str) -> str:
        """Words with what stood between them: "m-4711" is looked up as "m 4711"."""
        apart = r"[\W_]{0,3}".join(map(re.escape, text.split()))
        found = re.search(apart, self.raw, re.IGNORECASE) if apart else None
        return found[0] if found else text

    def unknown(self, text: str) -> Refusal:
        shown = clean(self._as_written(text), 60)
        if text.replace(" ", "").isdigit() and text not in self.names.missions:
            return Refusal(f"I cannot place the number “{shown}”.")
        nearest = self.names.nearest(text)
        if nearest:
            known = f"Nearest names: {listed([clean(name, 60) for name in nearest])}."
        elif self.names.domains:
            some = [clean(name, 60) for name in self.names.domains[:_SHOWN]]
            known = f"Domains that I know: {', '.join(some)}."
        else:
            known = "I know no domain yet."
        return Refusal(f"I do not know “{shown}”. {known}", nearest)


def _known(token: str) -> bool:
    return token in VOCABULARY or token in SLOTS or token in _FOLDED_WORDS


def _drop(said: str) -> str:
    for pattern, left in _DROPPED:
        said = pattern.sub(left, said)
    return said
