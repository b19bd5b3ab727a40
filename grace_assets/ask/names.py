"""The names a question may use, and how words of a question are matched with them.

Exactly first; then a part of a name ("athens" for "shop-athens") or a slip of the pen. Whatever
was not exact is told, and what fits two names is never decided here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from grace_assets.core.schemas import SEVERITIES
from grace_assets.core.wording import spoken

MAX_WORDS = 12
"""Longer runs of words are not looked up as one name."""
_MIN_PART = 3
_MIN_SLIP = 4
_TWO_SLIPS = 9
"""From this length on two letters may differ, below it one."""
_WORD = re.compile(r"[^\W_]+")
_AUXILIARY = "did|do|does|has|have|had|is|was|are|were|could|would|should"
_CONTRACTIONS = (
    (re.compile(r"\bwon'?t\b"), "will not"),
    (re.compile(r"\bcan'?t\b"), "can not"),
    (re.compile(rf"\b({_AUXILIARY})n'?t\b"), r"\1 not"),
    (re.compile(r"\b(what|how|who|that|it|where|when|why|there)'s\b"), r"\1 is"),
    (re.compile(r"\b(what|how)s\b"), r"\1 is"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ll\b"), " will"),
)  # fmt: skip

_SHORTENED = re.compile(rf"'|(?:wo|ca|{_AUXILIARY})nt\b|(?:what|how)s\b")
"""Whether there may be a contraction; most names hold none and are spared the rest."""


@dataclass(frozen=True)
class Names:
    """What is on record. `missions` maps each mission id to its title, if it has one."""

    domains: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    missions: Mapping[str, str | None] = field(default_factory=dict)
    mission_types: tuple[str, ...] = ()
    severities: tuple[str, ...] = SEVERITIES

    @cached_property
    def index(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """What each key stands for, as (slot, name); more than one where names collide."""
        found: dict[str, dict[tuple[str, str], None]] = {}
        for slot, names in (
            ("domain", self.domains),
            ("metric", self.metrics),
            ("mission_type", self.mission_types),
            ("mission_id", tuple(self.missions)),
        ):
            for name in names:
                found.setdefault(key(name), {})[slot, name] = None
        exact = {k for k, names in found.items() if any(slot == "metric" for slot, _ in names)}
        for metric in self.metrics:
            if (short := key(spoken(metric))) not in exact:
                found.setdefault(short, {})["metric", metric] = None
        titles: dict[str, dict[tuple[str, str], None]] = {}
        for mission_id, title in self.missions.items():
            if title and len(words_of(plain(title))) > 1:
                titles.setdefault(key(title), {})["mission_id", mission_id] = None
        # A title only helps where nothing is called the same.
        return {k: tuple(v) for k, v in {**titles, **found}.items() if k}

    @cached_property
    def parts(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """What the single words of domains, metrics and mission types may stand for."""
        found: dict[str, dict[tuple[str, str], None]] = {}
        for slot, names in self._described:
            for name in names:
                for word in words_of(plain(name)):
                    found.setdefault(word, {})[slot, name] = None
        return {word: tuple(names) for word, names in found.items()}

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Keys that a slip of the pen may be read as; ids are too much alike for that."""
        slots = {slot for slot, _ in self._described}
        return tuple(k for k, names in self.index.items() if {s for s, _ in names} <= slots)

    @property
    def _described(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return (
            ("domain", self.domains),
            ("metric", self.metrics),
            ("mission_type", self.mission_types),
        )

    def nearly(self, words: list[str]) -> tuple[tuple[str, str], ...]:
        """What the words may stand for that are no exact name: a part or a slip; all the best."""
        joined = "".join(words)
        wanted = {word for word in words if len(word) >= _MIN_PART}
        if wanted == set(words):
            common = [set(self.parts.get(word, ())) for word in words]
            if part := set.intersection(*common):
                return tuple(sorted(part))
        if len(joined) < _MIN_SLIP:
            return ()
        close = process.extract(
            joined, self.keys, scorer=OSA.distance, score_cutoff=_slips(joined), limit=10
        )
        # A first letter and a number are seldom mistyped, and "shop 1" is not "shop 2".
        fitting = [
            (distance, k)
            for k, distance, _ in close
            if k[0] == joined[0] and _digits(k) == _digits(joined) and self._word_by_word(words, k)
        ]
        best = [k for distance, k in fitting if distance == min(fitting)[0]]
        return tuple(sorted({name for k in best for name in self.index[k]}))

    def _word_by_word(self, words: list[str], k: str) -> bool:
        """Each word may slip on its own only: "production us" is not "production eu"."""
        for _, name in self.index[k]:
            others = words_of(plain(name))
            pairs = list(zip(words, others, strict=False))
            if len(words) != len(others) or all(OSA.distance(a, b) <= _slips(a) for a, b in pairs):
                return True
        return False

    def nearest(self, text: str, limit: int = 3) -> tuple[str, ...]:
        """Names that look most like a text, for "did you mean"."""
        pool = {**dict.fromkeys(self.domains), **dict.fromkeys(self.metrics)}
        if any(letter.isdigit() for letter in text):
            pool |= dict.fromkeys(self.missions)
        found = process.extract(
            text, list(pool), scorer=fuzz.ratio, processor=str.lower, score_cutoff=60, limit=limit
        )
        return tuple(name for name, _, _ in found)


def plain(text: str) -> str:
    """Lower case on one line, without marks that cannot be seen, contractions written out."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(
            " " if (kind := unicodedata.category(c)) in ("Co", "Cs", "Cn") else c * (kind != "Cf")
            for c in text
        )
        text = text.translate(_TYPOGRAPHY)
    text = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).casefold().split())
    if _SHORTENED.search(text):
        for pattern, written_out in _CONTRACTIONS:
            text = pattern.sub(written_out, text)
    return text


_TYPOGRAPHY = str.maketrans("’‘“”„«»–—", '\'\'"""""--')


def words_of(text: str) -> list[str]:
    """The words of a plain text; anything between letters and digits separates them."""
    return _WORD.findall(text)


def key(name: str) -> str:
    """How a name is looked up: "shop-athens", "Shop Athens" and "shop_athens" are one.

    A name of signs alone is its own key.
    """
    text = plain(name)
    return "".join(words_of(text)) or text


def _slips(text: str) -> int:
    """How many letters may be wrong."""
    return 0 if len(text) < _MIN_SLIP else 1 if len(text) < _TWO_SLIPS else 2


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())
