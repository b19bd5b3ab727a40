"""Moments as whole microseconds since 1970, UTC, and the local dates that they lie on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

HOUR, DAY = 3_600_000_000, 86_400_000_000
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_FIRST = _EPOCH.toordinal()


def micros(moment: datetime) -> int:
    """Microseconds since the epoch; exact, where `timestamp()` rounds."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)


class LocalDates:
    """Local dates of many moments: what a zone is ahead of UTC is looked up once an hour."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._ahead: dict[int, int] = {}
        self._names: dict[int, str] = {}

    def __call__(self, value: int) -> str:
        """The date as ISO 8601 has it; `OverflowError` outside the years 1 to 9999."""
        hour = value // HOUR
        ahead = self._ahead.get(hour)
        if ahead is None:
            ahead = self._offset(value)
            # Clocks change within some hours.
            if self._offset(hour * HOUR) == self._offset(hour * HOUR + HOUR - 1):
                self._ahead[hour] = ahead
        day = (value + ahead) // DAY
        name = self._names.get(day)
        if name is None:
            name = self._names[day] = date.fromordinal(_FIRST + day).isoformat()
        return name

    def _offset(self, value: int) -> int:
        return micros(moment(value).astimezone(self._zone).replace(tzinfo=UTC)) - value
