"""What `Retry-After` may hold, of servers that mean well and of others."""

from datetime import UTC, datetime, timedelta

import pytest

from grace_assets.notify.retry_after import requested_wait


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        (" 7 ", 7),
        ("9" * 5000, 999_999_999),
        ("Mon, 02 Mar 2026 08:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 08:01:00 -0000", 60),
        ("Mon, 02 Mar 2026 07:00:00 GMT", None),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
        (None, None),
        ("soon", None),
        ("-1", None),
        ("²", None),
    ],
)
def test_retry_after_in_all_its_forms(header: str | None, seconds: float | None):
    found = requested_wait(header, datetime(2026, 3, 2, 8, tzinfo=UTC))
    assert found == (None if seconds is None else timedelta(seconds=seconds))


def test_the_last_moment_of_the_calendar_is_a_wait_too():
    now = datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert requested_wait("Fri, 31 Dec 9999 23:59:59 -1200", now) > timedelta(days=365)
