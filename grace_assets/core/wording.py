"""How numbers, units, times and event text are put into words: one place for every sentence.

Narratives, briefs and answers use these functions, and `claims` reads numbers back by the same
rules; whatever is printed here must be recoverable there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache

from grace_assets.core.schemas import SEVERITIES

SOURCE_ORDER = ("rag_kpis", "domain_health", "service_mesh")
"""Which source speaks for a metric that several sources measured; others follow by name."""

VERDICT_WORDS = {
    "effective": "effective",
    "partial": "partly effective",
    "no_effect": "no effect",
    "worse": "worse",
    "inconclusive": "inconclusive",
    "no_sustained_problem": "no lasting problem",
    "pending": "too early to tell",
    "insufficient_data": "too few readings",
    "not_applicable": "not measurable",
}
ATTRIBUTION_WORDS = {
    "controlled": "credited by comparison",
    "supported": "credited by experience",
    "coincident": "recovered after I acted, cause not proven",
    "confounded": "something else changed too",
    "unknown": "cause unknown",
}
STATE_WORDS = {
    "bad": "needs attention",
    "mixed": "mixed",
    "good": "good",
    "unknown": "not known yet",
}
"""A day or domain at a glance: the word beside the colour."""

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
"""The units of a printed duration."""
DURATION_STEP = {"s": 1, "min": 1, "h": 60, "d": 3600}
"""What a duration is rounded to, in seconds, by its largest unit."""

_PERCENT_UNITS = {"%", "percent", "pct"}
_NO_UNIT = {None, "", "1", "count", "none", "number"}
_NAME_SUFFIXES = {
    "_ms": "ms",
    "_milliseconds": "ms",
    "_seconds": "s",
    "_percent": "%",
    "_pct": "%",
    "_bytes": "bytes",
}
# Controls, and the marks that turn the reading direction of everything after them.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


def clean(text: str | None, limit: int | None = None) -> str:
    """Event text on one line without control characters, cut at a word to `limit` characters."""
    if not text:
        return ""
    if text.isprintable() and (limit is None or len(text) <= limit):
        # A blank is the only white space left; most text is clean as it is.
        return text if "  " not in text and text[0] != " " != text[-1] else " ".join(text.split())
    # Only the part that can be shown is looked at: a narrative may hold a megabyte.
    head = text if limit is None else text[: 4 * limit]
    line = " ".join(_UNPRINTABLE.sub(" ", head).split())
    if limit is None or (len(line) <= limit and len(head) == len(text)):
        return line
    cut = line[: limit - 1]
    word_end = cut.rfind(" ")
    return (cut[:word_end] if word_end > limit // 2 else cut).rstrip(" .,;:") + "…"


@lru_cache(maxsize=4096)
def spoken(metric: str) -> str:
    """A metric's name in a sentence: `latency_p95_ms` is "latency p95"; values carry the unit."""
    name = metric
    for suffix in _NAME_SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            name = name.removesuffix(suffix)
            break
    return clean(name.replace("_", " ").replace(".", " "), 80) or clean(metric, 80)


@lru_cache(maxsize=4096)
def unit_of(metric: str, unit: str | None) -> str | None:
    """The catalogue's unit, or the one that the metric's name ends with."""
    if unit is not None:
        return unit
    return next((u for suffix, u in _NAME_SUFFIXES.items() if metric.endswith(suffix)), None)


def number(value: float) -> str:
    """Three significant digits and no exponent ("1,234", "280", "0.0123").

    Near a ceiling (90..100 and 0.9..1) more digits are kept: 99.97 is not 100.
    """
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-6:
        return f"{value:.3g}".replace("-", "−", 1) if value < 0 else f"{value:.3g}"
    if size >= 100:
        decimals = 0
    elif size >= 10:
        decimals = 2 if size >= 90 else 1
    elif size >= 1 or size == 0:
        decimals = 2
    else:
        decimals = 4 if size >= 0.9 else 2 - math.floor(math.log10(size))
    text = f"{size:,.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"−{text}" if value < 0 and text != "0" else text


def measure(value: float, unit: str | None) -> str:
    """A reading with its unit; a ratio is printed in percent ("0.042" is "4.2 %")."""
    if unit == "ratio":
        return f"{number(value * 100)} %"
    if unit in _PERCENT_UNITS:
        return f"{number(value)} %"
    if unit in _NO_UNIT:
        return number(value)
    return f"{number(value)} {clean(unit, 20)}"


def percent(value: float) -> str:
    """A change in percent, without sign; small ones and almost-100 keep a decimal."""
    size = abs(value)
    if 0 < size < 0.05:
        return "under 0.1 %"
    decimals = 0 if 10 <= size < 99.5 or size >= 100 else 1
    return f"{f'{size:,.{decimals}f}'.removesuffix('.0')} %"


def percent_range(low: float, high: float) -> str:
    """Two sizes in percent, with the decimals that tell them from each other and from nothing."""
    usual = [percent(end).removesuffix(" %") for end in (low, high)]
    finer = (
        [f"{end:,.{decimals}f}".rstrip("0").rstrip(".") for end in (low, high)]
        for decimals in range(1, 10)
    )
    for first, last in (usual, *finer):
        nothing = (low and first in _NOTHING) or (high and last in _NOTHING)
        if first != last and not nothing:
            return f"{first}–{last} %"
    return f"{usual[0]}–{usual[1]} %"


_NOTHING = ("0", "under 0.1")


def duration(seconds: float) -> str:
    """A time span in its two largest units: "45 s", "2 min 5 s", "1 h 20 min", "3 d 4 h"."""
    if seconds < 59.95:
        return f"{f'{seconds:.1f}'.removesuffix('.0')} s"
    for large, small in (("min", "s"), ("h", "min"), ("d", "h")):
        step = SECONDS[small]
        whole, rest = divmod(math.floor(seconds / step + 0.5), SECONDS[large] // step)
        if large == "d" or whole * SECONDS[large] < SECONDS[{"min": "h", "h": "d"}[large]]:
            break
    return f"{whole:,} {large} {rest} {small}" if rest else f"{whole:,} {large}"


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: "1 mission", "2 missions"."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(items: Sequence[str]) -> str:
    """Items as in a sentence: "a, b and c"."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def capital(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def severity_rank(severity: str) -> int:
    """0 for the most severe; unknown words come last."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def source_rank(source: str) -> tuple[int, str]:
    """Sort key that puts the source that speaks for a metric first."""
    rank = SOURCE_ORDER.index(source) if source in SOURCE_ORDER else len(SOURCE_ORDER)
    return rank, source
