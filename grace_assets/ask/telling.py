"""An answer as it is put together: each number goes in with the value it stands for.

A sentence is written with the methods of `Telling`, which note the value behind every number and
every passage that is taken over from a row. `unsupported` reads the sentences again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from grace_assets.core import wording
from grace_assets.core.claims import unsupported_numbers
from grace_assets.core.uncertainty import Interval

QUOTE = 120
UNDER = 0.1
"""What "under 0.1 %" prints."""


@dataclass(frozen=True)
class Figure:
    """A figure of an answer: `value` in `unit` over `n`, with its 95 % interval [low, high]."""

    label: str
    value: float | None
    unit: str
    n: int
    interval: tuple[float | None, float | None] | None = None


def worded(value: float, unit: str) -> str:
    """A value in the unit of a figure, as it is told; of improvements with its direction."""
    if unit == "seconds":
        return wording.duration(value)
    if unit == "ratio":
        return wording.percent(100 * value)
    if unit == "percent":
        return f"{wording.percent(value)} {'better' if value >= 0 else 'worse'}"
    return f"{value:.2f}" if unit == "score" else wording.number(value)


@dataclass(frozen=True)
class Sentence:
    """`values` support its numbers; `quoted` are passages from rows, with numbers of their own."""

    text: str
    values: tuple[float, ...]
    quoted: tuple[str, ...]


@dataclass
class Telling:
    """Sentences said so far, and what the next one has been written with."""

    sentences: list[Sentence] = field(default_factory=list)
    _values: list[float] = field(default_factory=list)
    _quoted: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """End a sentence that was written with the methods below."""
        self.sentences.append(Sentence(text, tuple(self._values), tuple(self._quoted)))
        self._values.clear()
        self._quoted.clear()

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)

    def unsupported(self) -> list[str]:
        """The numbers of the sentences that neither a value nor a passage of theirs supports."""
        return [
            number
            for sentence in self.sentences
            for number in unsupported_numbers(sentence.text, sentence.values, sentence.quoted)
        ]

    def count(self, n: int) -> str:
        self._values.append(n)
        return f"{n:,}"

    def counted(self, n: int, noun: str, plural: str | None = None) -> str:
        self._values.append(n)
        return wording.counted(n, noun, plural)

    def duration(self, seconds: float, *, signed: bool = False) -> str:
        self._values.append(seconds)
        sign = "" if not signed else "−" if seconds < 0 else "+"
        return sign + wording.duration(abs(seconds))

    def percent(self, value: float) -> str:
        """A value in percent, without sign."""
        self._values += [value, UNDER]
        return wording.percent(value)

    def percent_range(self, low: float, high: float) -> str:
        self._values += [low, high, UNDER]
        return wording.percent_range(low, high)

    def score(self, value: float, *, signed: bool = False) -> str:
        self._values.append(value)
        return f"{value:+.2f}".replace("-", "−") if signed else f"{value:.2f}"

    def measure(self, value: float, unit: str | None) -> str:
        self._values.append(value)
        return wording.measure(value, unit)

    def value(self, value: float, unit: str) -> str:
        """A value in the unit of a figure."""
        self._values += [value, 100 * value, UNDER]
        return worded(value, unit)

    def rate_interval(self, interval: Interval) -> str:
        """Of fractions, in percent."""
        return self.percent_range(*(100 * end for end in interval))

    def score_interval(self, interval: Interval) -> str:
        return "–".join(map(self.score, interval))

    def duration_interval(self, interval: Interval) -> str:
        return " to ".join(map(self.duration, interval))

    def quote(self, text: str | None, limit: int = QUOTE) -> str:
        """Text from a row, as it came, on one line."""
        shown = wording.clean(text, limit).rstrip(".")
        self._quoted.append(shown)
        return shown

    def metric(self, name: str) -> str:
        """A metric's name in a sentence."""
        return self.quote(wording.spoken(name))

    def first_of(self, parts: Sequence[str], total: int) -> str:
        """Parts of a list, and how many more there are."""
        left = total - len(parts)
        return "; ".join([*parts, *([f"{self.count(left)} more"] if left > 0 else [])])


@dataclass(frozen=True)
class Result:
    """The figure that answers: `value` in `unit` over `n`, null where nothing is known.

    `sources` are the missions behind it, latest first; `figures` are all that were told.
    """

    value: float | None
    unit: str
    n: int
    interval: tuple[float | None, float | None] | None = None
    sources: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
