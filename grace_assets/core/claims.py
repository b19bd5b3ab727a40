"""Reads a finished text again and names every number that no row supports.

A number is supported when a row holds it (within the rounding that was printed) or when it
stands in a passage quoted from the event. This is the guard behind the asset check "no number in
a narrative or brief that no row supports".
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from grace_assets.core import narrative, wording
from grace_assets.core.brief import Brief
from grace_assets.core.look_back import TREND_DAYS
from grace_assets.core.told import Row, Told, rows_of

# Begins with a digit, and not with what may not be before it: so only digits are tried.
_DURATION = re.compile(r"(\d(?<![\w.,]\d)[\d,]*) (d|h|min)(?: (\d+) (h|min|s))?\b")
_NUMBER = re.compile(
    r"(?:\d(?:\d{0,2}(?:,\d{3})+(?!,?\d)|\d*))(?:\.(?P<decimals>\d+))?"
    r"(?:[eE](?P<exponent>[-+]?\d+))?"
    r"(?P<percent>\s?%)?"
)
_SIGNS = ("-", "−")
_WORD = re.compile(r"\w")
_DIGIT = re.compile(r"\d")
_GLUED_LEFT, _GLUED_RIGHT = re.compile(r"\w[.,]?$"), re.compile(r"[.,]?\w")


@dataclass(frozen=True)
class Support:
    """What a text may say: values from rows, and passages quoted from the event."""

    values: tuple[float, ...]
    quoted: tuple[str, ...]


def unsupported_numbers(
    text: str, supported: Iterable[float | None], quoted: Iterable[str] = ()
) -> list[str]:
    """The numbers in `text` that are neither supported values nor inside quoted passages.

    A printed number fits a value when they agree to the decimals printed; without a sign it fits
    either sign, with `%` also a ratio, and "2 min 5 s" fits seconds. Passages count as quoted
    only as a whole, not inside a longer word or number.
    """
    values = sorted(v for v in supported if v is not None and math.isfinite(v))
    sizes = sorted(map(abs, values))

    def check_duration(match: re.Match[str]) -> str:
        return " " if _duration_fits(match, sizes) else match.group()

    rest = _DURATION.sub(check_duration, _without(text, quoted))
    missing = []
    for match in _NUMBER.finditer(rest):
        printed = match.group()
        sign = _sign_before(rest, match.start())
        if not _fits(printed, -1 if sign else 1, values if sign else sizes):
            missing.append(sign + printed.strip())
    return missing


def _sign_before(text: str, start: int) -> str:
    """The sign of the number at `start`; a dash inside a word is none.

    Not part of the pattern: an optional sign in front would be tried at every character.
    """
    sign = text[start - 1 : start]
    return sign if sign in _SIGNS and not _WORD.match(text, max(0, start - 2), start - 1) else ""


def _without(text: str, quoted: Iterable[str]) -> str:
    """The text with each quoted passage blanked, the longest first; case does not matter.

    Passages without a digit are left: they hide no number.
    """
    rest = " ".join(text.split()).lower()
    passages = {" ".join(q.split()).lower() for q in quoted if q and _DIGIT.search(q)}
    for passage in sorted(passages, key=len, reverse=True):
        start = rest.find(passage)
        while start >= 0:
            end = start + len(passage)
            glued_left = passage[0].isalnum() and _GLUED_LEFT.search(rest, max(0, start - 2), start)
            glued_right = passage[-1].isalnum() and _GLUED_RIGHT.match(rest, end, end + 2)
            if not (glued_left or glued_right):
                rest = f"{rest[:start]} \0 {rest[end:]}"
                end = start + 3
            start = rest.find(passage, end)
    return rest


def _duration_fits(match: re.Match[str], sizes: Sequence[float]) -> bool:
    amount, unit, small_amount, small_unit = match.groups()
    seconds = int(amount.replace(",", "")) * wording.SECONDS[unit]
    if small_unit:
        seconds += int(small_amount) * wording.SECONDS[small_unit]
    return _holds(sizes, seconds, wording.DURATION_STEP[unit] / 2 * (1 + 1e-9))


def _fits(printed: str, sign: int, values: Sequence[float]) -> bool:
    """Whether one of the ascending `values` is what was printed, to the decimals printed."""
    size, tolerance, percent = _read(printed)
    return _holds(values, sign * size, tolerance) or (
        percent and _holds(values, sign * size / 100, tolerance / 100)
    )


@lru_cache(maxsize=4096)
def _read(printed: str) -> tuple[float, float, bool]:
    """The size of a number that `_NUMBER` found, half its last decimal, and whether it has a `%`.

    Most numbers of a day's texts are printed many times.
    """
    decimals, exponent, percent = _NUMBER.fullmatch(printed).groups()
    size = float(printed.rstrip("% ").replace(",", ""))
    power = int(exponent or 0) - len(decimals or "")
    # A last bit may be lost where the value itself is large.
    return size, 0.5 * 10.0**power * (1 + 1e-9) + size * 1e-12, bool(percent)


def _holds(ascending: Sequence[float], wanted: float, tolerance: float) -> bool:
    """Whether a value lies within `tolerance` of the one wanted."""
    at = bisect_left(ascending, wanted - tolerance)
    return at < len(ascending) and ascending[at] <= wanted + tolerance


def narrative_support(mission: Row, told: Told) -> Support:
    """What the narrative of `mission` may say, given what is told of its metrics.

    `mission` holds the event's columns, with the trigger as a dict or None.
    """
    trigger = mission["trigger"] or {}
    actions = [narrative.action_phrase(action or "") for action in mission["actions"] or ()]
    values = [trigger.get("observed"), trigger.get("threshold")]
    for row in told.shown:
        values += [row["pre"], row["post"], row["healthy"], row["problem_level"]]
        values.append(row["improvement_percent"])
    if any(0 < abs(row["improvement_percent"] or 0) < 0.05 for row in told.shown):
        values.append(0.1)  # "under 0.1 %"
    values += [told.hidden, told.hidden_worse]
    values.append(max(0, sum(map(bool, actions)) - narrative.MAX_ACTIONS))
    limit = narrative.QUOTE_LIMIT
    quoted = [
        wording.clean(mission["domain_id"]),
        *actions,
        *(
            wording.clean(text, limit).rstrip(".")
            for text in (mission["title"], mission["error"], trigger.get("description"))
        ),
        *(wording.spoken(row["metric"]) for row in told.shown),
        wording.spoken(trigger.get("metric") or ""),
    ]
    return Support(
        tuple(value for value in values if value is not None), tuple(q for q in quoted if q)
    )


def unsupported_narratives(
    missions: pa.Table, told: Iterable[Told], narratives: Sequence[str]
) -> list[tuple[str, str]]:
    """(mission id, number) for every number in the narratives that no row supports.

    `missions`: rows of `mission_events` or `mission_outcomes`; in the same order what is `told`
    of their metrics, and `narratives`.
    """
    columns = ("mission_id", "domain_id", "title", "error", "actions", "trigger")
    rows = rows_of(missions.select(columns))
    found = []
    for mission, of_mission, text in zip(rows, told, narratives, strict=True):
        support = narrative_support(mission, of_mission)
        numbers = unsupported_numbers(text, support.values, support.quoted)
        found += [(mission["mission_id"], printed) for printed in numbers]
    return found


def unsupported_in_brief(
    brief: Brief,
    text: str | None = None,
    pieces: Iterable[str] = (),
    as_shown: Callable[[str], str] = str,
) -> list[str]:
    """The numbers of a brief, or of a rendering of it, that its figures do not support.

    Each figure is held against its own values, the headline against the day's totals. With
    `text` (a rendering) whatever remains outside figures and passages from rows is held against
    nothing: a renderer has no numbers of its own. `pieces` are parts of figures that it sets
    apart, `as_shown` is what it does to passages from rows.
    """
    totals = brief.totals
    counts = [totals.missions, totals.failures, *totals.verdicts.values()]
    proven = totals.verdicts["effective"] + totals.verdicts["partial"]
    found = unsupported_numbers(brief.headline, [*counts, totals.missions - proven])
    for figure in brief.all_figures():
        found += unsupported_numbers(figure.text, figure.values)
    if text is not None:
        passages = map(as_shown, (*_worded(brief), *_from_rows(brief), *pieces))
        found += unsupported_numbers(text, (), passages)
    return found


def _worded(brief: Brief) -> Iterator[str]:
    """The brief's own statements, which are checked one by one."""
    yield brief.headline
    if brief.trends:
        yield f"{TREND_DAYS} days to {brief.trends[0].last}"
    for chapter in brief.chapters:
        yield from (chapter.title, chapter.more)
    for figure in brief.all_figures():
        yield figure.text
        yield figure.label


def _from_rows(brief: Brief) -> Iterator[str]:
    """Names, times and texts that a rendering takes over from rows as they are."""
    yield from (brief.brief_id, brief.date, brief.day_name, brief.timezone)
    for line in brief.trends:
        yield from (line.first, line.last)
    for section in brief.domains:
        yield wording.clean(section.domain_id)
        for example in (*section.examples, *section.setbacks):
            yield from (example.mission_id, example.title, example.narrative)
    for problem in brief.problems:
        yield from (problem.problem_id, wording.clean(problem.domain_id), problem.description)
    for line in brief.follow_ups:
        yield from (line.follow_up_id, wording.clean(line.domain_id), line.title, line.reason)
        yield from (line.opened_on, line.closed_by_mission_id or "")
