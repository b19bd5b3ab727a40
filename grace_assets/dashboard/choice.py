"""What a page is asked for in its address: dates and a domain."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from grace_assets.core.calendar_windows import Granularity, Window, label

DEFAULT_DAYS = 30
QUICK_DAYS = (7, 30, 90)
MAX_DAYS = 3660
DAILY_UP_TO, WEEKLY_UP_TO = 31, 200
_PERIODS = {"daily": "day", "weekly": "week", "monthly": "month"}


class BadChoice(ValueError):
    """The address asks for what no page has; the message is for its reader."""


@dataclass(frozen=True)
class Choice:
    """Dates, both included, and a domain; none means all."""

    window: Window
    domain_id: str | None

    @property
    def days(self) -> int:
        return self.window.period_days

    @property
    def granularity(self) -> Granularity:
        """Bars that can be told apart, also on a phone."""
        if self.days <= DAILY_UP_TO:
            return "daily"
        return "weekly" if self.days <= WEEKLY_UP_TO else "monthly"

    @property
    def period(self) -> str:
        return _PERIODS[self.granularity]

    def dates(self) -> list[str]:
        """The labels of the window's days, weeks or months."""
        days = (self.window.first + timedelta(days=n) for n in range(self.days))
        return list(dict.fromkeys(label(day, self.granularity).isoformat() for day in days))

    def query(self, **changed: str | int | None) -> str:
        """The address's part after `?`, for links that keep the choice."""
        values = {
            "from": self.window.first.isoformat(),
            "to": self.window.last.isoformat(),
            "domain_id": self.domain_id,
            **changed,
        }
        return urlencode({name: value for name, value in values.items() if value})

    def quick(self, today: date) -> list[tuple[str, str, bool]]:
        """Links to the days that end today: words, query, whether it is this choice."""
        links = []
        for days in QUICK_DAYS:
            span = Window(today - timedelta(days=days - 1), today)
            query = Choice(span, self.domain_id).query()
            links.append((f"{days} days", query, span == self.window))
        return links


def choice_of(query: Mapping[str, str], today: date, domains: Sequence[str]) -> Choice:
    """The choice of an address; `BadChoice` says what is wrong with it."""
    last = _day(query.get("to"), "to") or today
    try:
        default = last - timedelta(days=DEFAULT_DAYS - 1)
    except OverflowError as error:
        raise BadChoice("The calendar has no such days.") from error
    first = _day(query.get("from"), "from") or default
    if first > last:
        raise BadChoice("The first day is after the last.")
    window = Window(first, last)
    if window.period_days > MAX_DAYS:
        raise BadChoice(f"More than {MAX_DAYS:,} days.")
    # Missions carry it in NFC; a keyboard may not.
    domain_id = unicodedata.normalize("NFC", query.get("domain_id", "")) or None
    if domain_id is not None and domain_id not in domains:
        raise BadChoice("No mission of this domain is known.")
    return Choice(window, domain_id)


def _day(text: str | None, name: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadChoice(f"“{name}” must be a date such as 2026-03-01.") from error
    if day.isoformat() != text:
        raise BadChoice(f"“{name}” must be a date such as 2026-03-01.")
    return day
