"""What an address asks for, and which days are owed."""

from datetime import date

import pytest

from grace_assets.core.calendar_windows import Window
from grace_assets.core.schemas import TABLES
from grace_assets.dashboard.choice import BadChoice, choice_of
from grace_assets.dashboard.freshness import freshness, named
from grace_assets.lake.tables import Lake

TODAY = date(2026, 3, 31)


def test_nothing_asked_is_the_last_30_days_of_all_domains():
    choice = choice_of({}, TODAY, [])
    assert (choice.window.first, choice.window.last) == (date(2026, 3, 2), TODAY)
    assert choice.domain_id is None
    assert [words for words, _, here in choice.quick(TODAY) if here] == ["30 days"]


@pytest.mark.parametrize(
    ("first", "period", "dates"),
    [("2026-03-30", "day", 2), ("2026-01-01", "week", 14), ("2025-01-01", "month", 15)],
)
def test_long_windows_are_shown_by_week_and_month(first, period, dates):
    choice = choice_of({"from": first}, TODAY, [])
    assert (choice.period, len(choice.dates())) == (period, dates)


def test_a_domain_is_found_however_its_accents_are_typed():
    name = "M\u00fcller & Co"
    choice = choice_of({"domain_id": "Mu\u0308ller & Co"}, TODAY, [name])
    assert choice.domain_id == name
    assert choice.query(page=2).endswith("domain_id=M%C3%BCller+%26+Co&page=2")


@pytest.mark.parametrize(
    "query", [{"from": "x"}, {"to": "2026-3-1"}, {"from": "2026-04-01"}, {"domain_id": "x"}]
)
def test_what_cannot_be_is_said(query):
    with pytest.raises(BadChoice):
        choice_of(query, TODAY, [])


def test_a_day_between_the_first_and_yesterday_that_a_table_lacks_is_missing(tmp_path):
    lake = Lake(tmp_path)
    for day in ("2026-03-27", "2026-03-29"):
        lake.replace("problems", [day], lake.read("problems", []))
    window = Window(date(2026, 3, 1), TODAY)
    failed = {"deliveries": ["2026-03-28", "2026-02-01"]}
    rows = {row.table: row for row in freshness(lake, window, TODAY, lambda: failed)}
    assert set(rows) == set(TABLES)
    assert rows["problems"].missing == ("2026-03-28", "2026-03-30")
    assert (rows["problems"].last, rows["problems"].word) == ("2026-03-29", "incomplete")
    assert rows["kpi_daily"].missing == ("2026-03-27", "2026-03-28", "2026-03-29", "2026-03-30")
    assert (rows["kpi_daily"].last, rows["kpi_daily"].word) == (None, "empty")
    assert rows["deliveries"].failed == ("2026-03-28",)
    assert rows["deliveries"].word == "failed"


def test_an_empty_lake_owes_nothing(tmp_path):
    rows = freshness(Lake(tmp_path), Window(date(2026, 3, 1), TODAY), TODAY, None)
    assert {row.missing for row in rows} == {()}


def test_the_latest_days_are_named_and_the_rest_counted():
    assert named([]) == "none"
    days = [f"2026-03-0{n}" for n in range(1, 8)]
    assert named(days).startswith("2026-03-07, ")
    assert named(days).endswith(", 2 more")
