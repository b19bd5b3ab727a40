"""Single words for days, weeks, months, quarters and years, turned into first and last day.

`periods` puts them together. A month, date, weekday or quarter without a year floats: it is the
latest that had begun on a given day.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, timedelta

Span = tuple[date, date]
"""First and last day."""

_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_ORDINALS = ("first", "second", "third", "fourth")
_EITHER = {"may", "march"}
"""Months whose names are verbs too."""

MONTH = rf"(?:{'|'.join(_MONTHS)}|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"
SURE_MONTH = rf"(?:{'|'.join(m for m in _MONTHS if m not in _EITHER)})"
FULL_WEEKDAY = rf"(?:{'|'.join(_WEEKDAYS)})"
WEEKDAY = rf"(?:{'|'.join(_WEEKDAYS)}|mon|tues?|wed|thu(?:rs?)?|fri|sat|sun)"
NUMBER = rf"(?:\d{{1,4}}|{'|'.join(_NUMBERS)})"
_NTH = r"\d{1,2}(?:st|nd|rd|th)?(?!\d)"
DAY = (
    rf"(?:(?:{WEEKDAY},? (?:the )?)?"
    rf"(?:(?:the )?{_NTH} (?:of )?{MONTH}(?:,? \d{{4}})?"
    rf"|{MONTH} (?:the )?{_NTH}(?:,? \d{{4}})?))"
)
"""A date with its month by name; the year and the weekday may be missing."""

_ISO_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_ISO_WEEK = re.compile(r"(\d{4})-w(\d{1,2})")
_ISO_MONTH = re.compile(r"(\d{4})-(\d{2})")
_DAY_OF_MONTH = re.compile(r"(?<!\d)(\d{1,2})(?!\d)")
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_LEAP_CYCLE = 8
"""29 February comes at least once in so many years."""
_LAST, _THIS = ("last", "previous"), ("this", "current")


class PeriodError(ValueError):
    """Words about time that are not one known period; the message says why."""


def as_names(words: str) -> str:
    """Words with the names of months and weekdays written as names."""
    names = rf"(?<!\w)(?:{'|'.join((*_MONTHS, *_WEEKDAYS))})(?!\w)"
    return re.sub(names, lambda match: match[0].capitalize(), words)


def number(words: str) -> int:
    """A whole number in digits or, up to twelve, in words."""
    return int(words) if words.isdigit() else _NUMBERS.index(words)


def trailing(n: int, unit: str, today: date) -> Span:
    """The last n days, weeks, months or years up to and with today."""
    try:
        if unit in ("day", "week"):
            return today - timedelta(days=n * (7 if unit == "week" else 1) - 1), today
        months = today.year * 12 + today.month - 1 - n * (12 if unit == "year" else 1)
        year, month = divmod(months, 12)
        day = min(today.day, monthrange(year, month + 1)[1])
        return date(year, month + 1, day) + timedelta(days=1), today
    except (OverflowError, ValueError):
        return date.min, today  # longer than the calendar: everything there is


def stretch(first: str, last: str, today: date) -> Span:
    """From the beginning of one unit to the end of another, the latest such stretch begun."""
    if _floats(last):
        start = unit(first, today)[0]
        # The first such unit from there on; a year or a week later it would come again.
        reach = timedelta(days=6 if _weekday(last) is not None else 364)
        begins, end = unit(last, today, start + reach)
        same_month = begins.month == start.month and begins.year != start.year
        if begins < start or (same_month and _floats(first)):
            raise PeriodError(f"“{first.strip()}” to “{last.strip()}” ends before it begins.")
        return start, end
    end = unit(last, today)[1]
    return unit(first, today, end)[0], end


def unit(words: str, today: date, begun_by: date | None = None) -> Span:
    """First and last day of one unit; a floating one is the latest begun by `begun_by`."""
    words = re.sub(r"\s+", " ", words).removeprefix("the ").strip(" ,")
    by = begun_by or today
    if (span := _iso(words)) or (span := _relative(words, today)):
        return span
    if "quarter" in words or re.search(r"q[1-4]", words):
        return _quarter(words, by)
    if (month := _month(words)) is not None:
        return _in_month(words, month, today, by)
    if (weekday := _weekday(words)) is not None:
        return _on_weekday(words, weekday, today, by)
    if year := _YEAR.fullmatch(words):
        return date(int(year[0]), 1, 1), date(int(year[0]), 12, 31)
    raise PeriodError(f"I do not know which days “{words}” means.")


def _floats(words: str) -> bool:
    words = words.strip().removeprefix("the ")
    if _YEAR.search(words) or words.startswith((*_LAST, *_THIS)):
        return False
    return (
        _month(words) is not None
        or _weekday(words) is not None
        or "quarter" in words
        or re.match(r"q[1-4]", words) is not None
    )


def _date(year: int, month: int, day: int, words: str) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise PeriodError(f"There is no day “{words}”.") from None


def _iso(words: str) -> Span | None:
    if match := _ISO_DAY.fullmatch(words):
        day = _date(*(int(part) for part in match.groups()), words)
        return day, day
    if match := _ISO_WEEK.fullmatch(words):
        try:
            monday = date.fromisocalendar(int(match[1]), int(match[2]), 1)
            return monday, monday + timedelta(days=6)
        except (ValueError, OverflowError):
            raise PeriodError(f"There is no week “{words}”.") from None
    if match := _ISO_MONTH.fullmatch(words):
        first = _date(int(match[1]), int(match[2]), 1, words)
        return first, _month_end(first)
    return None


def _relative(words: str, today: date) -> Span | None:
    """Units named by their distance from today; `last` ones are over, `this` may be running."""
    if words in ("today", "yesterday", "day before yesterday"):
        day = today - timedelta(days=("today", "yesterday", "day before yesterday").index(words))
        return day, day
    monday = today - timedelta(days=today.weekday())
    saturday = monday + timedelta(days=5)
    which, _, what = words.rpartition(" ")
    which = which.removesuffix(" calendar")
    if what == "weekend":
        begun = saturday if today >= saturday else saturday - timedelta(days=7)
        over = saturday - timedelta(days=7)
        first = {"": begun, **dict.fromkeys(_LAST, over), **dict.fromkeys(_THIS, saturday)}[which]
        return first, first + timedelta(days=1)
    months = {"month": 1, "quarter": 3, "year": 12}.get(what, 0)
    if which not in _LAST + _THIS or not (months or what == "week"):
        return None
    first = monday if what == "week" else _first_of(today, months)
    if which in _LAST:
        before = first - timedelta(days=1)
        return (first - timedelta(days=7) if what == "week" else _first_of(before, months)), before
    return first, (monday + timedelta(days=6) if what == "week" else _end_after(first, months))


def _first_of(day: date, months: int) -> date:
    """The first day of the month, quarter or year that a day is in."""
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def _quarter(words: str, by: date) -> Span:
    nth = next((i for i, word in enumerate(_ORDINALS, 1) if word in words), None)
    nth = nth or int(re.search(r"q([1-4])|([1-4])(?:st|nd|rd|th)", words)[0].strip("qstndrh"))
    if year := _YEAR.search(words):
        first = date(int(year[0]), 3 * nth - 2, 1)
    else:
        first = date(by.year, 3 * nth - 2, 1)
        first = first if first <= by else first.replace(year=by.year - 1)
    return first, _end_after(first, 3)


def _in_month(words: str, month: int, today: date, by: date) -> Span:
    year_match = _YEAR.search(words)
    day_match = _DAY_OF_MONTH.search(re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", words))
    fixed = [int(year_match[0])] if year_match else []
    if words.startswith("this "):
        fixed = [today.year]
    if words.startswith("last "):
        this_year = date(today.year, month, 1)
        fixed = fixed or [today.year - (_month_end(this_year) >= today)]
    if not day_match:
        year = fixed[0] if fixed else by.year - (month > by.month)
        first = _date(year, month, 1, words)
        return first, _month_end(first)
    day = int(day_match[1])
    if not 1 <= day <= monthrange(2000, month)[1]:
        raise PeriodError(f"There is no day “{words}”.")
    if fixed:
        found = _date(fixed[0], month, day, words)
    else:
        years = range(by.year, max(by.year - _LEAP_CYCLE, 0), -1)
        dates = (date(y, month, day) for y in years if day <= monthrange(y, month)[1])
        found = next((d for d in dates if d <= by), None)
        if found is None:
            raise PeriodError(f"There is no day “{words}” up to {by}.")
    named = _weekday(words)
    if named is not None and named != found.weekday():
        raise PeriodError(f"{found} was a {_WEEKDAYS[found.weekday()].capitalize()}.")
    return found, found


def _on_weekday(words: str, weekday: int, today: date, by: date) -> Span:
    if words.startswith("this "):
        day = today + timedelta(days=weekday - today.weekday())
    else:
        if words.startswith("last "):
            by = today - timedelta(days=1)
        day = by - timedelta(days=(by.weekday() - weekday) % 7)
    return day, day


def _month(words: str) -> int | None:
    match = re.search(rf"(?<!\w){MONTH}(?!\w)", words)
    return next(i for i, m in enumerate(_MONTHS, 1) if m[:3] == match[0][:3]) if match else None


def _weekday(words: str) -> int | None:
    match = re.search(rf"(?<!\w){WEEKDAY}(?!\w)", words)
    return next(i for i, d in enumerate(_WEEKDAYS) if d[:3] == match[0][:3]) if match else None


def _month_end(first: date) -> date:
    return first.replace(day=monthrange(first.year, first.month)[1])


def _end_after(first: date, months: int) -> date:
    return _month_end(first.replace(month=first.month + months - 1))
