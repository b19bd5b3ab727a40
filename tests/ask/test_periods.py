"""Words for a period become the dates that people mean by them, or are refused."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grace_assets.ask.days import PeriodError
from grace_assets.ask.periods import Found, default_period, find_period, whole_record
from grace_assets.ask.words import words

WEDNESDAY = date(2026, 11, 25)
BEGINNING = date(2000, 1, 1)


def dates(words: str, today: date = WEDNESDAY) -> str:
    found = find_period(words, today, BEGINNING)
    return f"{found.period.start}..{found.period.end}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("today", "2026-11-25..2026-11-25"),
        ("yesterday", "2026-11-24..2026-11-24"),
        ("the day before yesterday", "2026-11-23..2026-11-23"),
        ("three days ago", "2026-11-22..2026-11-22"),
        ("last week", "2026-11-16..2026-11-22"),
        ("this week", "2026-11-23..2026-11-25"),
        ("the last week", "2026-11-19..2026-11-25"),
        ("past week", "2026-11-19..2026-11-25"),
        ("past 7 days", "2026-11-19..2026-11-25"),
        ("over the last two weeks", "2026-11-12..2026-11-25"),
        ("last 90 days", "2026-08-28..2026-11-25"),
        ("last 3 months", "2026-08-26..2026-11-25"),
        ("last month", "2026-10-01..2026-10-31"),
        ("this month", "2026-11-01..2026-11-25"),
        ("last quarter", "2026-07-01..2026-09-30"),
        ("last year", "2025-01-01..2025-12-31"),
        ("year to date", "2026-01-01..2026-11-25"),
        ("mtd", "2026-11-01..2026-11-25"),
        ("the weekend", "2026-11-21..2026-11-22"),
        ("since monday", "2026-11-23..2026-11-25"),
        ("since thursday", "2026-11-19..2026-11-25"),
        ("from monday on", "2026-11-23..2026-11-25"),
        ("on monday", "2026-11-23..2026-11-23"),
        ("last wednesday", "2026-11-18..2026-11-18"),
        ("monday to tuesday", "2026-11-23..2026-11-24"),
        ("between friday and sunday", "2026-11-20..2026-11-22"),
        ("from monday to friday", "2026-11-23..2026-11-25"),
        ("between saturday and yesterday", "2026-11-21..2026-11-24"),
        ("in october", "2026-10-01..2026-10-31"),
        ("in november", "2026-11-01..2026-11-25"),
        ("in december", "2025-12-01..2025-12-31"),
        ("last november", "2025-11-01..2025-11-30"),
        ("in may", "2026-05-01..2026-05-31"),
        ("march 2025", "2025-03-01..2025-03-31"),
        ("since october", "2026-10-01..2026-11-25"),
        ("2026-03", "2026-03-01..2026-03-31"),
        ("2026-03-01", "2026-03-01..2026-03-01"),
        ("2026-w10", "2026-03-02..2026-03-08"),
        ("in 2025", "2025-01-01..2025-12-31"),
        ("q3", "2026-07-01..2026-09-30"),
        ("q4", "2026-10-01..2026-11-25"),
        ("q4 2025", "2025-10-01..2025-12-31"),
        ("the first quarter of 2026", "2026-01-01..2026-03-31"),
        ("on 3 march", "2026-03-03..2026-03-03"),
        ("march 3rd", "2026-03-03..2026-03-03"),
        ("on the 3rd of march 2025", "2025-03-03..2025-03-03"),
        ("on december 3, 2025", "2025-12-03..2025-12-03"),
        ("monday 16 november", "2026-11-16..2026-11-16"),
        ("between 3 and 9 march", "2026-03-03..2026-03-09"),
        ("from the 3rd to the 9th of march", "2026-03-03..2026-03-09"),
        ("3-9 march 2025", "2025-03-03..2025-03-09"),
        ("march 3-9", "2026-03-03..2026-03-09"),
        ("from 28 february to 2 march", "2026-02-28..2026-03-02"),
        ("between march and may", "2026-03-01..2026-05-31"),
        ("between 2026-03-01 and 2026-03-09", "2026-03-01..2026-03-09"),
        ("2026-03-01 - 2026-03-09", "2026-03-01..2026-03-09"),
        ("between 3 march and 9 march 2025", "2025-03-03..2025-03-09"),
        ("all time", "2000-01-01..2026-11-25"),
    ],
)
def test_ordinary_words_mean_these_dates(words, expected):
    assert dates(words) == expected
    assert dates(f"mttr {words} please") == expected


@pytest.mark.parametrize(
    ("words", "today", "expected"),
    [
        # Across the turn of the year.
        ("last week", date(2027, 1, 1), "2026-12-21..2026-12-27"),
        ("this week", date(2027, 1, 1), "2026-12-28..2027-01-01"),
        ("last month", date(2027, 1, 31), "2026-12-01..2026-12-31"),
        ("last quarter", date(2027, 2, 1), "2026-10-01..2026-12-31"),
        ("in december", date(2027, 1, 1), "2026-12-01..2026-12-31"),
        ("in january", date(2027, 1, 1), "2027-01-01..2027-01-01"),
        ("on 31 december", date(2027, 1, 1), "2026-12-31..2026-12-31"),
        ("from 20 december to 5 january", date(2026, 11, 25), "2025-12-20..2026-01-05"),
        ("from 20 december to 5 january", date(2027, 1, 2), "2026-12-20..2027-01-02"),
        ("since monday", date(2027, 1, 1), "2026-12-28..2027-01-01"),
        # Leap days.
        ("on 29 february", date(2026, 11, 25), "2024-02-29..2024-02-29"),
        ("in february", date(2024, 3, 1), "2024-02-01..2024-02-29"),
        ("yesterday", date(2024, 3, 1), "2024-02-29..2024-02-29"),
        ("last year", date(2025, 2, 28), "2024-01-01..2024-12-31"),
        ("past year", date(2024, 2, 29), "2023-03-01..2024-02-29"),
        # Ends of months of different length.
        ("past month", date(2026, 3, 31), "2026-03-01..2026-03-31"),
        ("last 3 months", date(2026, 5, 31), "2026-03-01..2026-05-31"),
        ("last 2 months", date(2026, 7, 31), "2026-06-01..2026-07-31"),
        ("last month", date(2026, 3, 31), "2026-02-01..2026-02-28"),
        # The day itself is the first, or in the middle, of what is named.
        ("since monday", date(2026, 11, 23), "2026-11-23..2026-11-23"),
        ("last monday", date(2026, 11, 23), "2026-11-16..2026-11-16"),
        ("last week", date(2026, 11, 22), "2026-11-09..2026-11-15"),
        ("the weekend", date(2026, 11, 22), "2026-11-21..2026-11-22"),
        ("last weekend", date(2026, 11, 22), "2026-11-14..2026-11-15"),
        ("in october", date(2026, 10, 1), "2026-10-01..2026-10-01"),
        ("between monday and yesterday", date(2026, 11, 23), "2026-11-16..2026-11-22"),
    ],
)
def test_years_leap_days_and_month_ends_are_crossed_as_the_calendar_has_it(words, today, expected):
    assert dates(words, today) == expected


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("tomorrow", "future"),
        ("next week", "future"),
        ("next monday", "future"),
        ("this december", "future"),
        ("this weekend", "future"),
        ("on 26 november 2026", "future"),
        ("in 2027", "future"),
        ("in 1999", "before my records begin"),
        ("on 31 february", "no day"),
        ("2026-02-29", "no day"),
        ("2026-13", "no day"),
        ("2026-w60", "no week"),
        ("between 9 and 3 march", "ends before it begins"),
        ("2026-03-09 to 2026-03-01", "ends before it begins"),
        ("tuesday 16 november", "was a Monday"),
        ("yesterday and last week", "One period at a time"),
        ("3/4/2026", "which day"),
        ("03.04.2026", "which day"),
        ("last night", "whole days"),
        ("last 24 hours", "whole days"),
        ("two weeks ago", "several days"),
        ("a few days ago", "several days"),
        ("before october", "begins and ends"),
        ("until 3 march", "begins and ends"),
        ("early march", "begins and ends"),
        ("end of october", "begins and ends"),
        ("from 3 march", "one day or all since"),
        ("last 0 days", "no day"),
        ("9999-12-31 - january", "off the calendar"),
        ("from q3 to 0001-01-01", "off the calendar"),
        ("q1 0000", "off the calendar"),
    ],
)
def test_words_about_time_that_are_not_one_known_period_are_refused(words, reason):
    with pytest.raises(PeriodError, match=reason):
        find_period(f"mttr {words} please", WEDNESDAY, BEGINNING)


@pytest.mark.parametrize(
    "words", ["", "march on", "may i", "the second", "on mondays", "sat", "p95"]
)
def test_words_that_may_be_something_else_are_not_taken_for_a_period(words):
    assert find_period(words, WEDNESDAY, BEGINNING) is None


def test_a_period_is_cut_to_what_is_on_record_and_says_so():
    early = find_period("in 2025", WEDNESDAY, date(2025, 6, 1)).period
    assert (early.start, early.note) == (date(2025, 6, 1), "my records begin on 2025-06-01")
    late = find_period("from 20 to 30 november", WEDNESDAY, BEGINNING).period
    assert (late.end, late.unfinished) == (WEDNESDAY, True)
    assert late.note == "counted up to today, 2026-11-25"
    assert find_period("last week", WEDNESDAY, BEGINNING).period.note is None


def test_the_default_periods_end_today_and_begin_with_the_records_at_the_earliest():
    young = WEDNESDAY - timedelta(days=3)
    assert default_period(WEDNESDAY, BEGINNING).start == date(2026, 10, 27)
    assert default_period(WEDNESDAY, young).start == young
    assert whole_record(WEDNESDAY, young).start == young


pieces = words(
    "2026-11-25 last this past previous the in on since from to between and until week month "
    "quarter year weekend days 0 3 29 31 7 2024 2026 9999 0000 q1 q4 first quarter february march "
    "december jan monday sun yesterday today 2026-02-28 2024-02-29 0000-00-00 9999-12-31 "
    "ago - 3rd of"
)


@given(
    st.lists(st.sampled_from(sorted(pieces)), max_size=8).map(" ".join),
    st.dates(date(1970, 1, 1), date(2999, 12, 31)),
)
def test_whatever_is_said_a_period_is_in_order_and_on_record(text, today):
    first_day = min(BEGINNING, today)
    try:
        found = find_period(text, today, first_day)
    except PeriodError as error:
        assert str(error)
        return
    if isinstance(found, Found):
        assert first_day <= found.period.start <= found.period.end <= today
        assert found.period.unfinished == (found.period.end == today)
