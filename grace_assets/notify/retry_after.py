"""How long a server asks us to wait before we come again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def requested_wait(header: str | None, now: datetime) -> timedelta | None:
    """`Retry-After` in seconds or as an HTTP date (RFC 9110 10.2.3); `now` is aware.

    Null where it is absent, unreadable or in the past. The header is the server's: never raises.
    """
    value = (header or "").strip()
    if value.isascii() and value.isdigit():
        # Nine digits are years already, and more than a timedelta may hold.
        return timedelta(seconds=int(value[:9]))
    try:
        # Not astimezone: it overflows at the end of the year 9999, a subtraction does not.
        date = parsedate_to_datetime(value)
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return wait if wait > timedelta(0) else None
