"""Moments as whole microseconds since 1970, UTC, and the local dates that they lie on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

HOUR = 3_600_000_000
_HOURS_KEPT = 100_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


EARLIEST = datetime(1, 1, 3, tzinfo=UTC)
"""The first day that has a day before it in every zone; unset times of Go lie earlier."""


def earlier(at: datetime, span: timedelta) -> datetime:
    """`at` less `span`, or `EARLIEST` where the calendar has no such moment."""
    return at - min(span, at - EARLIEST)


def micros(moment: datetime) -> int:
    """Microseconds since the epoch; exact, where `timestamp()` rounds."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(value: int) -> datetime:
    return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)


class LocalDates:
    """Local dates of many moments; of an hour that lies on one date it is looked up once."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._of_hours: dict[int, str] = {}

    def __call__(self, value: int) -> str:
        """The date as ISO 8601 has it; `OverflowError` outside the years 1 to 9999."""
        return self._of_hours.get(value // HOUR) or self._look_up(value)

    def _look_up(self, value: int) -> str:
        start = value // HOUR * HOUR
        first, last = (moment(at).astimezone(self._zone) for at in (start, start + HOUR - 1))
        # Where clocks change within the hour its ends do not tell what lies between them.
        if first.date() != last.date() or first.utcoffset() != last.utcoffset():
            return moment(value).astimezone(self._zone).date().isoformat()
        if len(self._of_hours) == _HOURS_KEPT:
            self._of_hours.clear()
        name = self._of_hours[start // HOUR] = first.date().isoformat()
        return name
