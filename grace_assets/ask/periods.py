"""Ordinary words for a period, turned into inclusive dates.

Written by hand because the libraries look for moments, not for periods, and guess: dateparser
reads "in October" as the 23rd and "31 February" as February, parsedatetime reads "last 30 days"
as next month. Here a phrase has one documented meaning or is refused with the reason.

Weeks start on Monday. "last week" is the calendar week before, "the last week", "past week" and
"past 7 days" are the 7 dates that end today. A month, date or weekday without a year is the
latest that has begun.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from grace_assets.ask import days
from grace_assets.ask.days import DAY, MONTH, NUMBER, PeriodError, Span

DEFAULT_DAYS = 30


@dataclass(frozen=True)
class Period:
    """Inclusive dates. `words` is how it was put; `note` says where it was cut, and why."""

    start: date
    end: date
    words: str
    defaulted: bool = False
    unfinished: bool = False
    """The last day is today: more may still happen on it."""
    note: str | None = None


@dataclass(frozen=True)
class Found:
    """A period and where in the text it stands."""

    period: Period
    at: tuple[int, int]


def default_period(today: date, first_day: date) -> Period:
    """The dates that count where a question names none."""
    start = max(today - timedelta(days=DEFAULT_DAYS - 1), min(first_day, today))
    return Period(start, today, f"the last {DEFAULT_DAYS} days", defaulted=True, unfinished=True)


def period_up_to(last: date, first_day: date) -> Period:
    """As `default_period`, up to the last mission, where those days had none."""
    start = max(last - timedelta(days=DEFAULT_DAYS - 1), first_day)
    words = f"the {DEFAULT_DAYS} days to the last mission"
    note = f"the last {DEFAULT_DAYS} days had none"
    return Period(start, last, words, defaulted=True, note=note)


def whole_record(today: date, first_day: date) -> Period:
    """Everything on record: for a question on one mission, which has a day of its own."""
    start = min(first_day, today)
    return Period(start, today, "all days on record", defaulted=True, unfinished=True)


def find_period(text: str, today: date, first_day: date) -> Found | None:
    """The period that a text names, or None if it names none.

    `text` is in lower case. Raises `PeriodError` for words that are about time and cannot be
    read as one period: a guess would be answered with the wrong days.
    """
    found = _first(text, today)
    if found is None:
        return None
    span, at = found
    rest = text[: at[0]] + " " * (at[1] - at[0]) + text[at[1] :]
    if (again := _first(rest, today)) is not None:
        both = f"“{text[slice(*at)].strip()}” and “{text[slice(*again[1])].strip()}”"
        raise PeriodError(f"One period at a time: I read {both}.")
    return Found(_within(span, text[slice(*at)].strip(" ,"), today, first_day), at)


def _first(text: str, today: date) -> tuple[Span, tuple[int, int]] | None:
    for pattern, read in _GRAMMAR:
        if match := pattern.search(text):
            try:
                return read(match, today), match.span()
            except PeriodError:
                raise
            except (OverflowError, ValueError):
                raise PeriodError(f"“{match[0].strip()}” is off the calendar.") from None
    return None


def _within(span: Span, words: str, today: date, first_day: date) -> Period:
    start, end = span
    if start > end:
        raise PeriodError(f"“{words}” ends before it begins.")
    if start > today:
        raise PeriodError(f"“{words}” lies in the future; I tell what has happened.")
    if end < first_day:
        raise PeriodError(f"“{words}” is before my records begin ({first_day}).")
    notes = []
    if start < first_day:
        notes.append(f"my records begin on {first_day}")
    if end > today and not words.startswith(("this", "current")):
        notes.append(f"counted up to today, {today}")
    start, end = max(start, first_day), min(end, today)
    note = " and ".join(notes) or None
    return Period(start, end, words, unfinished=end == today, note=note)


# Readers: one phrase each, (match, today) -> (first day, last day), uncut.


def _single(match: re.Match[str], today: date) -> Span:
    return days.unit(match["a"], today)


def _since(match: re.Match[str], today: date) -> Span:
    return days.unit(match["a"], today)[0], today


def _between(match: re.Match[str], today: date) -> Span:
    return days.stretch(match["a"], match["b"], today)


def _day_numbers(match: re.Match[str], today: date) -> Span:
    first, last, month, year = match["d1"], match["d2"], match["month"], match["year"] or ""
    return days.stretch(f"{first} {month} {year}", f"{last} {month} {year}", today)


def _trailing(match: re.Match[str], today: date) -> Span:
    n = days.number(match["n"] or "1")
    if n < 1:
        raise PeriodError(f"“{match[0].strip()}” holds no day.")
    return days.trailing(n, match["unit"], today)


def _days_ago(match: re.Match[str], today: date) -> Span:
    day = today - timedelta(days=days.number(match["n"]))
    return day, day


def _to_date(match: re.Match[str], today: date) -> Span:
    unit = match["unit"] or {"y": "year", "q": "quarter", "m": "month"}[match["short"]]
    return days.unit(f"this {unit}", today)[0], today


def _record(_: re.Match[str], today: date) -> Span:
    return date.min, today


def _refuse(why: str) -> Callable[[re.Match[str], date], Span]:
    def refuse(match: re.Match[str], _: date) -> Span:
        raise PeriodError(why.format(match[0].strip()))

    return refuse


_IN = r"(?:\b(?:in|on|during|over|for|of|within|throughout|from)\s+(?:the\s+)?|\bthe\s+)?"
_TO = r"\s*(?:\bto\b|\buntil\b|\btill\b|\bthrough\b|\bup to\b|[-–—])\s*"
_RELATIVE = (
    r"(?:the day before yesterday|yesterday|today"
    r"|(?:last|previous|this|current) (?:calendar )?(?:week|month|quarter|year|weekend)"
    r"|(?:the )?weekend)"
)
_QUARTER = (
    r"(?:q[1-4](?:,? ?\d{4})?"
    r"|(?:the )?(?:first|second|third|fourth|1st|2nd|3rd|4th) quarter(?: of)?(?: \d{4})?"
    r"|\d{4}[- ]?q[1-4])"
)
_ISO = r"(?:\d{4}-\d{1,2}-\d{1,2}|\d{4}-w\d{1,2}|\d{4}-\d{2}(?![-\d]))"
_MONTH_YEAR = rf"(?:(?:last |this )?{MONTH}(?:,? (?:of )?\d{{4}})?)"
_YEAR = r"(?:(?:19|20)\d{2}(?![-\d]))"
_WEEKDAY = rf"(?:(?:last |this )?{days.WEEKDAY})"
# Longer forms first: a regular expression takes the first alternative that fits.
_ANY = rf"(?:{_ISO}|{DAY}|{_RELATIVE}|{_QUARTER}|{_MONTH_YEAR}|{_WEEKDAY}|{_YEAR})"
# Words that are also something else ("may", "march", "sat") need a preposition in front of them.
_SURE = (
    rf"(?:{_ISO}|{DAY}|{_RELATIVE}|{_QUARTER}|{days.SURE_MONTH}(?:,? \d{{4}})?"
    rf"|{MONTH},? \d{{4}}|(?:last |this ){MONTH}|(?:last |this )?{days.FULL_WEEKDAY})"
)
_D = r"(?:the )?(?P<{}>\d{{1,2}})(?:st|nd|rd|th)?"

_PHRASES: tuple[tuple[str, Callable[[re.Match[str], date], Span]], ...] = (
    (
        r"tomorrow|\b(?:next|coming|upcoming) (?:few )?(?:\w+ )?"
        rf"(?:days?|weeks?|months?|quarters?|years?|weekend|{days.WEEKDAY}|{MONTH})",
        _refuse("“{}” lies in the future; I tell what has happened."),
    ),
    (
        r"last night|tonight|this (?:morning|afternoon|evening)|\d{1,2}:\d{2}|\d+ ?[ap]m"
        rf"|(?:last|past|previous) (?:{NUMBER} )?(?:hours?|minutes?)",
        _refuse("I count whole days, so I cannot cut out “{}”."),
    ),
    (
        r"\d{1,2}/\d{1,2}(?:/\d{2,4})?|\d{1,2}\.\d{1,2}\.(?:\d{2,4})?|\d{4}/\d{1,2}/\d{1,2}",
        _refuse("I cannot tell which day “{}” is; write it like 2026-03-01."),
    ),
    (
        rf"(?:a|{NUMBER}) (?:weeks?|months?|quarters?|years?) ago"
        r"|(?:a )?(?:few|couple of|several|some) (?:days|weeks|months)(?: ago)?",
        _refuse("“{}” may be several days; name the first and the last."),
    ),
    (
        rf"(?:(?<!day )before|after|until|till|by|up to|around|early|mid|late|end of|start of"
        rf"|beginning of|middle of)[ -](?:in )?(?:the )?{_ANY}",
        _refuse("I cannot tell where “{}” begins and ends; name the first and the last day."),
    ),
    (rf"{_IN}(?:between|from) {_D.format('d1')}(?: and |{_TO}){_D.format('d2')}"
     rf" (?:of )?(?P<month>{MONTH})(?:,? (?P<year>\d{{4}}))?", _day_numbers),
    (rf"{_IN}\b{_D.format('d1')}{_TO}{_D.format('d2')} (?:of )?(?P<month>{MONTH})"
     rf"(?:,? (?P<year>\d{{4}}))?", _day_numbers),
    (rf"{_IN}(?:between |from |\b)(?P<month>{MONTH}) {_D.format('d1')}(?: and |{_TO})"
     rf"{_D.format('d2')}\b(?!-)(?:,? (?P<year>\d{{4}}))?", _day_numbers),
    (rf"{_IN}between (?:the )?(?P<a>{_ANY}) and (?:the )?(?P<b>{_ANY})", _between),
    (rf"{_IN}from (?:the )?(?P<a>{_ANY}){_TO}(?:the )?(?P<b>{_ANY})", _between),
    (rf"{_IN}(?P<a>{_SURE}){_TO}(?:the )?(?P<b>{_ANY})", _between),
    (rf"(?:ever )?since (?P<a>{_ANY})", _since),
    (rf"from (?P<a>{_ANY}) (?:on|onwards?)\b", _since),
    (rf"from (?P<a>{DAY}|{_WEEKDAY}|\d{{4}}-\d{{1,2}}-\d{{1,2}})",
     _refuse("“{}” may be one day or all since: say “on” or “since”.")),
    (rf"{_IN}(?:last|past|previous) (?P<n>{NUMBER}) (?P<unit>day|week|month|year)s?\b", _trailing),
    (rf"{_IN}past (?P<n>)(?P<unit>day|week|month|year)\b", _trailing),
    (r"(?:(?:in|over|during|within|for|of) )?the last (?P<n>)(?P<unit>week|month|year)\b",
     _trailing),
    (rf"{_IN}(?P<n>{NUMBER}) days? ago", _days_ago),
    (r"(?P<unit>year|month|quarter|week)[- ]to[- ]date|(?P<short>[yqm])td", _to_date),
    (rf"{_IN}(?:of )?all time|since (?:the )?(?:beginning|start|ever)|\bever\b|all days on record",
     _record),
    (rf"{_IN}(?P<a>{_SURE})", _single),
    (r"(?:in|during|of|for|throughout|on) (?:the )?"
     rf"(?P<a>{_MONTH_YEAR}|{_WEEKDAY}|{_YEAR})", _single),
)  # fmt: skip
_GRAMMAR = tuple((re.compile(rf"(?<!\w)(?:{p})(?!\w)"), read) for p, read in _PHRASES)
