"""The thirty days behind a brief: unknown is no zero, and means are over missions."""

from datetime import date, timedelta

import pytest

from grace_assets.core.brief import content_hash
from grace_assets.core.brief_trend import COLUMNS, DayTotals, day_totals, trend_lines
from grace_assets.core.claims import unsupported_in_brief
from grace_assets.render import text
from tests.rows import DAY, brief, eventful_day, outcome, table


def days_before(*distances: int) -> list[str]:
    return [(DAY - timedelta(days=n)).isoformat() for n in distances]


def lines(totals: dict[int, DayTotals], known: range = range(30)) -> dict:
    named = {days_before(n)[0]: day for n, day in totals.items()}
    return {line.kind: line for line in trend_lines(DAY, named, days_before(*known))}


def test_a_day_that_was_never_made_is_unknown_and_one_without_missions_is_none():
    found = lines({0: DayTotals(4), 1: DayTotals(8)}, known=range(3))["missions"]
    assert found.values[-4:] == (None, 0.0, 8.0, 4.0)
    assert len(found.values) == 30
    assert (found.first, found.last) == ("2024-12-05", "2025-01-03")
    assert found.fact.text == "4 on the day; 4 on average over 30 days (n = 3 days), from 0 to 8"


def test_means_are_over_missions_and_gaps_stay_gaps():
    found = lines({0: DayTotals(9, 900.0, 9, 4.5, 5), 2: DayTotals(1, 1_100.0, 1)})
    mttr, effectiveness = found["mttr"], found.get("effectiveness")
    assert mttr.values[-3:] == (1_100.0, None, 100.0)
    assert "3 min 20 s on average over 30 days (n = 10 missions)" in mttr.fact.text
    assert effectiveness is None, "one day is no line"


def test_a_day_without_a_value_of_its_own_says_so():
    found = lines({1: DayTotals(1, 60.0, 1), 2: DayTotals(1, 90.0, 1)})
    assert found["mttr"].fact.text.startswith("none on the day; ")
    assert found["missions"].fact.text.startswith("0 on the day; ")


@pytest.mark.parametrize("totals", [{}, {0: DayTotals()}, {0: DayTotals(3)}])
def test_what_is_no_line_is_not_drawn(totals):
    assert lines(totals, known=range(1)) == {}
    if not any(day.missions for day in totals.values()):
        assert lines(totals) == {}


def test_blocks_rise_with_the_values_and_leave_gaps():
    found = lines({n: DayTotals(30 - n, 60.0 + n, 1) for n in (0, 1, 29)}, known=range(30))
    assert found["missions"].blocks == "▁" * 28 + "█" * 2
    assert found["mttr"].blocks == "█" + " " * 27 + "▁▁"
    flat = lines({0: DayTotals(1, 60.0, 1), 1: DayTotals(1, 60.0, 1)})["mttr"]
    assert flat.blocks.strip() == "▁▁"


def test_the_sums_of_all_domains_are_a_day():
    fields = dict.fromkeys(
        (
            *("successes", "failures", "assessed", "effective", "duration_seconds_sum"),
            "follow_up_missions",
        ),
        0,
    ) | {"mttr_seconds_values": [], "verdicts": {}}
    sums = dict(zip(COLUMNS, (2, 120.0, 2, 0.5, 1), strict=True))
    rows = [
        {"date": day, "domain_id": domain, **fields, **sums}
        for day, domain in (("2025-01-01", "a"), ("2025-01-01", "b"), ("2025-01-02", "a"))
    ]
    assert day_totals(table("domain_daily", rows)) == {
        "2025-01-01": DayTotals(4, 240.0, 4, 1.0, 2),
        "2025-01-02": DayTotals(2, 120.0, 2, 0.5, 1),
    }


def test_every_number_of_the_lines_is_supported_and_other_days_correct_nothing():
    day = eventful_day()
    assert len(day.trends) == 3
    assert unsupported_in_brief(day) == []
    assert "30 days to 2025-01-03" in text.render(day)
    plain = brief([outcome()])
    with_lines = brief([outcome()], trends=day.trends)
    assert content_hash(plain) == content_hash(with_lines)
    assert date.fromisoformat(day.trends[0].last) == DAY
