"""Moments in microseconds, and their local dates."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from grace_assets.core.events import day_of
from grace_assets.core.moments import EARLIEST, HOUR, LocalDates, earlier, micros, moment

# Clocks that change at midnight, a minute after it, by half an hour, over the date line; offsets
# of minutes and, in early years, of seconds.
ZONES = (
    *("UTC", "Europe/Berlin", "America/Sao_Paulo", "America/St_Johns", "Australia/Lord_Howe"),
    *("Pacific/Apia", "Pacific/Kwajalein", "Asia/Kathmandu", "Europe/Amsterdam"),
)
CHANGES = (
    *("1969-09-30T12:00Z", "1987-10-25T02:31Z", "2011-12-30T10:00Z", "2018-02-18T02:00Z"),
    *("2026-03-29T01:00Z", "2026-04-04T15:00Z", "1937-07-01T00:00Z", "0001-01-02T00:00Z"),
)


def test_moments_keep_their_microseconds():
    for text in ("2026-03-01T10:00:00.123457+00:00", "1969-12-31T23:59:59.999999+00:00"):
        assert moment(micros(datetime.fromisoformat(text))) == datetime.fromisoformat(text)


@pytest.mark.parametrize("name", ZONES)
def test_the_date_of_many_moments_is_that_of_each(name):
    zone = ZoneInfo(name)
    changes = [micros(datetime.fromisoformat(change)) for change in CHANGES]
    values = [at + n * HOUR // 60 for at in changes for n in range(-180, 180)]
    date_of = LocalDates(zone)
    assert [date_of(v) for v in values] == [day_of(moment(v), zone) for v in values]


def test_the_end_of_the_calendar_is_told():
    with pytest.raises(OverflowError):
        LocalDates(ZoneInfo("America/New_York"))(micros(datetime(1, 1, 1, tzinfo=UTC)))


def test_what_lies_before_the_calendar_begins_with_it():
    assert earlier(datetime(2026, 3, 15, tzinfo=UTC), timedelta(days=14)).day == 1
    for at in (datetime(1, 1, 1, tzinfo=UTC), EARLIEST, datetime(1, 1, 10, tzinfo=UTC)):
        assert earlier(at, timedelta(days=14)) == EARLIEST
