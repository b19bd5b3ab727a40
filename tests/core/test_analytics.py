"""What analytics answer: windows of dates, means over missions, unknown told as unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grace_assets.core import analytics, series
from grace_assets.core.calendar_windows import Window, label, window
from grace_assets.core.events import day_of
from grace_assets.core.rollups import domain_daily, kpi_daily
from tests.rows import failed, follow_up, outcome, problem, reading, table, unscored

END = date(2026, 3, 31)
MONTH = window(30, END)


def mission(mission_id: str, day: str, **fields) -> dict:
    return outcome(mission_id, date=day, **fields)


def daily(rows: Iterable[dict]) -> pa.Table:
    return domain_daily(table("mission_outcomes", list(rows)))


def kpis(*rows: dict) -> pa.Table:
    return kpi_daily(table("mission_telemetry", list(rows)))


def problems(*rows: dict) -> pa.Table:
    return table("problems", list(rows))


def trend(
    rows: Iterable[dict] = (),
    readings: Iterable[dict] = (),
    found: Iterable[dict] = (),
    span: Window = MONTH,
) -> analytics.DomainTrend:
    return analytics.domain_trend(
        "payments", daily(rows), kpis(*readings), problems(*found), {}, span
    )


# -- windows -------------------------------------------------------------------------------------


def test_a_window_holds_both_its_ends_and_nothing_beyond():
    span = window(30, END)
    assert (span.first, span.last, span.period_days) == (date(2026, 3, 2), END, 30)
    rows = [mission(day, day) for day in ("2026-03-01", "2026-03-02", "2026-03-31", "2026-04-01")]
    assert trend(rows).total_missions == 2
    assert window(1, END) == Window(END, END)


def test_the_window_before_has_the_same_length_and_touches():
    before = window(30, END).before()
    assert (before.first, before.last) == (date(2026, 1, 31), date(2026, 3, 1))


@pytest.mark.parametrize(("days", "end"), [(0, END), (-1, END), (40, date(1, 1, 31))])
def test_a_window_that_no_calendar_has_is_refused(days, end):
    with pytest.raises(ValueError, match=r"period_days|calendar"):
        window(days, end)


def test_a_window_before_the_first_date_is_refused():
    with pytest.raises(ValueError, match="calendar"):
        window(31, date(1, 1, 31)).before()


@pytest.mark.parametrize(("zone", "last"), [("UTC", "2026-03-28"), ("Europe/Berlin", "2026-03-29")])
def test_a_day_of_23_hours_is_a_date_like_any_other(zone, last):
    """23:30 UTC on the day before the clocks go forward is already the short day in Berlin."""
    moments = [datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 3, 28, 23, 30, tzinfo=UTC)]
    days = [str(day_of(moment, ZoneInfo(zone))) for moment in moments]
    assert days == ["2026-03-27", last]
    rows = daily(mission(f"m{n}", day) for n, day in enumerate(days))
    counts = series.missions_per_domain(rows, window(1, date.fromisoformat(last)))
    assert counts == {"payments": [series.MissionCount(last, 1)]}


def test_windows_over_both_clock_changes_count_dates_and_not_hours():
    year = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    rows = daily(mission(str(day), day.isoformat()) for day in year)
    for end in (date(2026, 3, 30), date(2026, 10, 26)):
        points = series.missions_per_domain(rows, window(7, end))["payments"]
        assert [p.date for p in points] == [
            (end - timedelta(days=n)).isoformat() for n in range(6, -1, -1)
        ]


# -- weeks and months ----------------------------------------------------------------------------


@given(st.dates())
def test_a_week_is_labelled_by_its_monday_and_a_month_by_its_first(day):
    monday = label(day, "weekly")
    assert monday.isocalendar().weekday == 1
    assert monday.isocalendar()[:2] == day.isocalendar()[:2]
    first = label(day, "monthly")
    assert (first.year, first.month, first.day) == (day.year, day.month, 1)
    assert label(day, "daily") == day


def test_weeks_and_months_go_across_the_turn_of_the_year():
    days = ["2024-12-29", "2024-12-30", "2024-12-31", "2025-01-01", "2025-01-05", "2025-01-06"]
    rows = daily(mission(f"m{n}", day) for n, day in enumerate(days))
    span = window(30, date(2025, 1, 6))

    def counts(granularity) -> dict[str, int]:
        points = series.missions_per_domain(rows, span, granularity)["payments"]
        return {point.date: point.count for point in points}

    assert counts("weekly") == {"2024-12-23": 1, "2024-12-30": 4, "2025-01-06": 1}
    assert counts("monthly") == {"2024-12-01": 3, "2025-01-01": 3}
    assert counts("daily") == dict.fromkeys(days, 1)


def test_a_week_that_the_window_cuts_counts_its_days_in_the_window_alone():
    days = [(date(2026, 3, 23) + timedelta(days=n)).isoformat() for n in range(9)]
    rows = daily(mission(day, day) for day in days)
    points = series.missions_per_domain(rows, window(5, date(2026, 3, 31)), "weekly")["payments"]
    assert points == [series.MissionCount("2026-03-23", 3), series.MissionCount("2026-03-30", 2)]


def test_another_granularity_is_refused():
    with pytest.raises(ValueError, match="daily, weekly, monthly"):
        series.missions_per_domain(daily([mission("m", "2026-03-31")]), MONTH, "yearly")


# -- figures -------------------------------------------------------------------------------------


def test_a_window_without_missions_has_nulls_and_empty_lists_and_no_zero_for_unknown():
    empty = trend([mission("long ago", "2025-01-01")])
    assert asdict(empty) == {
        "domain_id": "payments",
        "total_missions": 0,
        "successes": 0,
        "failures": 0,
        "success_rate": None,
        "success_rate_interval": None,
        "avg_duration_seconds": None,
        "assessed": 0,
        "avg_effectiveness_score": None,
        "mttr_seconds": None,
        "mttr_count": 0,
        "without_time_to_restore": 0,
        "mttr_p50_seconds": None,
        "mttr_p50_interval": (None, None),
        "mttr_p90_seconds": None,
        "mttr_p90_interval": (None, None),
        "verdicts": {},
        "open_follow_ups": 0,
        "top_issues": [],
        "kpi_trends": {},
    }
    none = daily([])
    assert series.missions_per_domain(none, MONTH) == {}
    assert series.mttr_trend(none, MONTH) == series.effectiveness_trend(none, MONTH) == []
    assert analytics.domain_trends(none, kpis(), problems(), {}, MONTH) == []
    total = analytics.stats(none, problems(), {}, MONTH)
    assert (total.domains, total.total_missions, total.mttr_seconds) == (0, 0, None)


def test_missions_that_restored_nothing_have_no_time_and_are_counted_beside_it():
    found = trend([failed("m1", date="2026-03-30"), failed("m2", date="2026-03-31")])
    assert (found.total_missions, found.successes, found.failures) == (2, 0, 2)
    assert (found.mttr_seconds, found.mttr_p50_seconds, found.mttr_p90_seconds) == (None,) * 3
    assert (found.mttr_count, found.without_time_to_restore) == (0, 2)
    assert (found.success_rate, found.avg_effectiveness_score, found.assessed) == (0.0, None, 0)
    low, high = found.success_rate_interval
    assert low == 0.0
    assert high == pytest.approx(0.6576, abs=1e-4)


def test_means_are_over_missions_and_quantiles_over_times_of_all_days():
    times = [10.0, 20.0, 30.0, 40.0, 50.0, 600.0]
    rows = [
        mission(
            f"m{n}",
            "2026-03-30" if n else "2026-03-29",
            time_to_restore_seconds=seconds,
            duration_seconds=seconds / 2,
            effectiveness_score=n / 10,
        )
        for n, seconds in enumerate(times)
    ]
    rows += [failed("f1", date="2026-03-31"), unscored("u1", "pending", date="2026-03-31")]
    rows[-1]["time_to_restore_seconds"] = None
    found = trend(rows)
    assert found.mttr_seconds == 125.0
    assert found.mttr_p50_seconds == 35.0
    assert found.mttr_p90_seconds == 325.0
    assert found.mttr_p50_interval == (10.0, 600.0)
    assert found.mttr_p90_interval == (40.0, None)
    assert (found.mttr_count, found.without_time_to_restore) == (6, 2)
    assert found.avg_duration_seconds == (375 + 600 + 600) / 8
    assert found.avg_effectiveness_score == pytest.approx(0.25)
    assert found.assessed == 6
    assert found.verdicts == {"effective": 6, "pending": 1, "insufficient_data": 1}
    assert list(found.verdicts) == ["effective", "pending", "insufficient_data"]


def test_trends_by_date_leave_out_dates_without_a_value():
    rows = daily(
        [
            mission("m1", "2026-03-02", time_to_restore_seconds=60.0, effectiveness_score=1.0),
            mission("m2", "2026-03-02", time_to_restore_seconds=120.0, effectiveness_score=0.0),
            mission("m3", "2026-03-02", domain_id="search", time_to_restore_seconds=30.0),
            failed("m4", date="2026-03-03"),
            mission("m5", "2026-03-31", time_to_restore_seconds=0.0, effectiveness_score=0.0),
        ]
    )
    own = analytics.of_domain(rows, "payments")
    assert series.mttr_trend(own, MONTH) == [
        series.MttrPoint("2026-03-02", 90.0, 2),
        series.MttrPoint("2026-03-31", 0.0, 1),
    ]
    assert series.mttr_trend(rows, MONTH)[0] == series.MttrPoint("2026-03-02", 70.0, 3)
    assert series.mttr_trend(rows, MONTH, "monthly") == [
        series.MttrPoint("2026-03-01", 52.5, 4),
    ]
    assert series.effectiveness_trend(own, MONTH) == [
        series.EffectivenessPoint("2026-03-02", 0.5, 2),
        series.EffectivenessPoint("2026-03-31", 0.0, 1),
    ]


def test_every_domain_with_missions_has_its_own_trend_and_equals_it_asked_for_alone():
    names = ["payments", "Müller – Edition", "検索"]
    rows = daily(
        mission(f"{name}{n}", f"2026-03-{10 + n}", domain_id=name, time_to_restore_seconds=n * 7.0)
        for name in names
        for n in range(6)
    )
    rows = pa.concat_tables([rows, daily([mission("old", "2025-01-01", domain_id="gone")])])
    readings = kpis(*(reading(f"{name}0", domain_id=name, date="2026-03-10") for name in names[:2]))
    found = problems(problem(date="2026-03-11", domain_id="検索"))
    still_open = {"payments": 2}
    trends = analytics.domain_trends(rows, readings, found, still_open, MONTH)
    assert [t.domain_id for t in trends] == sorted(names)
    for one in trends:
        alone = analytics.domain_trend(one.domain_id, rows, readings, found, still_open, MONTH)
        assert one == alone
        assert one.total_missions == 6
    total = analytics.stats(rows, found, still_open, MONTH)
    assert (total.domains, total.total_missions, total.problems) == (3, 18, 1)
    assert total.open_follow_ups == 2
    assert (total.start_date, total.end_date, total.period_days) == ("2026-03-02", "2026-03-31", 30)


def test_each_of_many_domains_has_its_own_times():
    rows = daily(
        mission(f"m{n}-{day}", day, domain_id=f"domain-{n}", time_to_restore_seconds=float(n))
        for n in range(200)
        for day in ("2026-03-03", "2026-03-04")
    )
    trends = analytics.domain_trends(rows, kpis(), problems(), {}, MONTH)
    found = {t.domain_id: (t.mttr_seconds, t.mttr_p50_seconds, t.mttr_count) for t in trends}
    assert found == {f"domain-{n}": (float(n), float(n), 2) for n in range(200)}
    assert list(found) == sorted(found)


def test_kpi_trends_are_means_over_missions_of_the_change_as_measured():
    day, next_day = "2026-03-10", "2026-03-11"
    found = trend(
        readings=[
            reading("m1", date=day, percent_change=-50.0),
            reading("m2", date=next_day, percent_change=-20.0),
            reading("m3", date=next_day, percent_change=10.0),
            reading("m4", date="2026-02-01", percent_change=900.0),
            reading("m5", date=day, metric="errors", pre=0.0, percent_change=None),
            reading("m6", date=day, domain_id="search", percent_change=900.0),
        ]
    )
    assert found.kpi_trends == {"latency_ms": -20.0, "errors": None}


def test_issues_are_told_by_type_the_most_frequent_first_with_the_latest_words():
    found = trend(
        found=[
            problem("p1", date="2026-03-10", description="1 of 3 failed"),
            problem("p2", date="2026-03-12", description="2 of 2 failed"),
            problem("p3", date="2026-03-11", type="recurring_issue", severity="medium"),
            problem("p4", date="2026-03-11", type="did_not_hold", description="gone"),
            problem("p5", date="2026-02-01", type="degrading_kpi"),
            problem("p6", date="2026-03-11", type="degrading_kpi", domain_id="search"),
        ]
    )
    assert found.top_issues[0] == analytics.Issue(
        "mission_failures", 2, "high", "2026-03-12", "2 of 2 failed"
    )
    assert [i.type for i in found.top_issues[1:]] == ["did_not_hold", "recurring_issue"]


def test_follow_ups_are_open_from_their_day_until_the_mission_that_closed_them():
    rows = table(
        "follow_up_missions",
        [
            follow_up("old", date(2025, 1, 1)),
            follow_up("today", END),
            follow_up("tomorrow", END + timedelta(days=1)),
            follow_up("done", date(2026, 3, 1), status="closed", closed_by_mission_id="m1"),
            follow_up("later", date(2026, 3, 1), status="closed", closed_by_mission_id="m2"),
            follow_up("other", date(2026, 3, 1), domain_id="search"),
        ],
    )
    assert analytics.open_follow_ups(rows, {"m2"}, END) == {"payments": 3, "search": 1}
    assert analytics.open_follow_ups(rows.slice(0, 0), set(), END) == {}


def test_answers_are_json_with_null_for_unknown():
    text = msgspec.json.encode(trend([failed("m1", date="2026-03-30")])).decode()
    assert '"mttr_seconds":null' in text
    assert '"success_rate_interval":[0.0,0.79' in text
