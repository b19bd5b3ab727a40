"""Analytics read the days they need from the tables, as the tables are at that moment."""

from __future__ import annotations

import os
import random
import tracemalloc
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from grace_assets.core.rollups import domain_daily, kpi_daily
from grace_assets.core.schemas import VERDICTS
from grace_assets.lake.analytics import Analytics, UnknownDomain
from grace_assets.lake.tables import Lake
from tests.analytics_in_sql import check_answers, check_comparisons
from tests.rows import follow_up, outcome, part, problem, reading, table

DAY, NEXT = "2026-03-01", "2026-03-02"
END = date(2026, 3, 2)


def fill(lake: Lake, day: str, *rows: dict) -> None:
    """One day as the assets would leave it."""
    rows = [row | {"date": day} for row in rows]
    outcomes = table("mission_outcomes", rows)
    readings = [reading(row["mission_id"], date=day, domain_id=row["domain_id"]) for row in rows]
    lake.replace("mission_outcomes", [day], outcomes)
    lake.replace("domain_daily", [day], domain_daily(outcomes))
    lake.replace("kpi_daily", [day], kpi_daily(table("mission_telemetry", readings)))
    lake.replace("problems", [day], table("problems", []))
    lake.replace("follow_up_missions", [day], table("follow_up_missions", []))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    fill(lake, DAY, outcome("m1"), outcome("m2", domain_id="Müller – Edition"))
    fill(lake, NEXT, outcome("m3", time_to_restore_seconds=120.0))
    return lake


def test_all_answers_are_given_from_the_tables(lake):
    found = Analytics(lake)
    payments = found.domain_trend("payments", 2, END)
    assert (payments.total_missions, payments.mttr_seconds) == (2, 420.0)
    assert payments.kpi_trends == {"latency_ms": pytest.approx(-46.153846)}
    assert [t.domain_id for t in found.domain_trends(2, END)] == ["Müller – Edition", "payments"]
    assert found.stats(2, END).total_missions == 3
    assert found.missions_per_domain(2, END)["payments"][1].date == NEXT
    assert [p.mttr_seconds for p in found.mttr_trend(2, END, "payments")] == [720.0, 120.0]
    assert [p.count for p in found.effectiveness_trend(2, END, granularity="monthly")] == [3]
    assert found.compare(1, END).mttr_seconds.previous_n == 2
    assert found.outcome_stats().total_outcomes == 3
    assert found.brief_stats().total_briefs == 0


def test_long_windows_of_few_rows_are_kept_within_the_bound(lake, monkeypatch):
    monkeypatch.setattr("grace_assets.lake.analytics.WINDOWS_BYTES", 1 << 20)
    found, first = Analytics(lake), date.fromisoformat(DAY)
    tracemalloc.start()
    for days in range(20_000, 20_005):
        assert found.mttr_trend(days, first + timedelta(days=days - 1))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 4 << 20


def test_a_new_a_remade_and_a_removed_day_show_at_once(lake):
    found = Analytics(lake)
    assert found.stats(30, date(2026, 3, 3)).total_missions == 3
    fill(lake, "2026-03-03", outcome("m4"), outcome("m5", domain_id="new"))
    assert found.stats(30, date(2026, 3, 3)).total_missions == 5
    assert found.knows("new")
    fill(lake, "2026-03-03")
    assert found.stats(30, date(2026, 3, 3)).total_missions == 3
    assert not found.knows("new")
    part(lake, "domain_daily", DAY).unlink()
    assert found.stats(30, date(2026, 3, 3)).total_missions == 1


def test_a_day_remade_with_as_many_bytes_at_the_same_time_shows_too(lake):
    found = Analytics(lake)
    path = part(lake, "domain_daily", NEXT)
    before = path.stat()
    assert found.mttr_trend(1, END)[0].mttr_seconds == 120.0
    fill(lake, NEXT, outcome("m3", time_to_restore_seconds=121.0))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert found.mttr_trend(1, END)[0].mttr_seconds == 121.0


def test_a_window_asked_for_again_is_put_together_once(lake, monkeypatch):
    found = Analytics(lake)
    days = [DAY, NEXT]
    rows = found.of_days("domain_daily", days)
    assert found.of_days("domain_daily", days) is rows
    monkeypatch.setattr("grace_assets.lake.analytics.WINDOWS_BYTES", 0)
    assert found.of_days("domain_daily", [NEXT]).num_rows == 1
    assert found.of_days("domain_daily", days) is not rows
    assert found.of_days("domain_daily", days).equals(rows)


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("first", ["2026-02-27", "2026-02-28", DAY])
def test_a_window_has_the_days_that_are_there_wherever_they_are_missing(lake, first, compacted):
    fill(lake, "2026-02-27", outcome("m0", domain_id="search"))
    fill(lake, "2026-03-05", outcome("m5", domain_id="search"))
    if compacted:
        for month in ("2026-02", "2026-03"):
            lake.compact("domain_daily", month)
    last = date(2026, 3, 6)
    period = (last - date.fromisoformat(first)).days + 1
    expected = [day for day in ("2026-02-27", DAY, NEXT, "2026-03-05") if day >= first]
    found = Analytics(lake)
    assert [point.date for point in found.mttr_trend(period, last)] == expected
    assert found.stats(period, last).total_missions == len(expected) + 1
    fill(lake, "2026-03-06", outcome("m6"))
    assert [point.date for point in found.mttr_trend(period, last)] == [*expected, "2026-03-06"]


def test_a_domain_of_the_window_is_known_without_reading_other_days(lake):
    part(lake, "domain_daily", DAY).write_bytes(b"not Parquet")
    assert [p.mttr_seconds for p in Analytics(lake).mttr_trend(1, END, "payments")] == [120.0]


def test_days_outside_the_window_are_not_read(lake):
    for name in ("domain_daily", "kpi_daily", "problems", "mission_outcomes"):
        part(lake, name, DAY).write_bytes(b"not Parquet")
    found = Analytics(lake)
    assert found.stats(1, END).total_missions == 1
    assert len(found.domain_trends(1, END)) == len(found.missions_per_domain(1, END)) == 1
    with pytest.raises(pa.ArrowInvalid, match="Parquet"):
        found.stats(2, END)


def test_a_domain_never_seen_differs_from_one_with_nothing_in_the_window(lake):
    found = Analytics(lake)
    quiet = found.domain_trend("payments", 30, date(2030, 1, 1))
    assert (quiet.total_missions, quiet.mttr_seconds, quiet.top_issues) == (0, None, [])
    assert found.mttr_trend(30, date(2030, 1, 1), "payments") == []
    for ask in (found.domain_trend, lambda d, n, end: found.mttr_trend(n, end, d)):
        with pytest.raises(UnknownDomain):
            ask("nobody", 30, END)
    with pytest.raises(UnknownDomain):
        found.compare(30, END, "nobody")
    with pytest.raises(UnknownDomain):
        found.effectiveness_trend(30, END, "nobody")


def test_a_name_in_another_unicode_form_is_the_same_domain(lake):
    assert Analytics(lake).domain_trend("Mu\u0308ller – Edition", 2, END).total_missions == 1


def test_nothing_is_known_before_the_first_day_is_made(tmp_path):
    found = Analytics(Lake(tmp_path))
    assert found.domain_trends(30, END) == found.mttr_trend(30, END) == []
    assert found.missions_per_domain(30, END) == {}
    assert found.stats(30, END).success_rate is None
    assert found.outcome_stats().backfill_success_rate is None
    assert not found.knows("payments")


def test_a_follow_up_opened_long_ago_is_open_until_the_day_it_was_carried_out(lake):
    opened = date(2025, 6, 1)
    row = follow_up("fu", opened, status="closed", closed_by_mission_id="m3")
    lake.replace("follow_up_missions", ["2025-06-01"], table("follow_up_missions", [row]))
    found = Analytics(lake)
    assert found.domain_trend("payments", 1, date(2026, 3, 1)).open_follow_ups == 1
    assert found.domain_trend("payments", 1, END).open_follow_ups == 0
    assert found.stats(1, date(2025, 5, 31)).open_follow_ups == 0


def test_problems_of_the_window_become_issues(lake):
    rows = table("problems", [problem(date=NEXT), problem("p2", date=NEXT, domain_id="search")])
    lake.replace("problems", [NEXT], rows)
    found = Analytics(lake)
    (issue,) = found.domain_trend("payments", 1, END).top_issues
    assert (issue.type, issue.last_date) == ("mission_failures", NEXT)
    assert found.stats(1, END).problems == 2
    assert found.stats(1, date(2026, 3, 1)).problems == 0


@pytest.fixture(scope="module")
def winter(tmp_path_factory) -> Path:
    """A hundred days of all kinds of missions, across the turn of the year."""
    root, rng = tmp_path_factory.mktemp("winter"), random.Random(8)
    first, domains = date(2025, 11, 1), ["payments", "Müller – Edition", "検索", "quiet"]
    days = [(first + timedelta(days=n)).isoformat() for n in range(101)]
    outcomes = [
        outcome(
            f"m{n}",
            date=rng.choice(days),
            domain_id=rng.choices(domains, [6, 3, 3, 0.05])[0],
            success=(worked := rng.random() < 0.8),
            time_to_restore_seconds=rng.lognormvariate(6, 1) if worked else None,
            duration_seconds=rng.lognormvariate(5, 1),
            effectiveness_score=rng.choice([None, rng.random(), 1.0]),
            verdict=rng.choice(VERDICTS),
        )
        for n in range(400)
    ]
    readings = [
        reading(
            mission["mission_id"],
            date=mission["date"],
            domain_id=mission["domain_id"],
            metric=rng.choice(["latency_ms", "errors"]),
            percent_change=rng.choice([None, rng.uniform(-90, 40)]),
        )
        for mission in outcomes
    ]
    types = ["mission_failures", "recurring_issue", "degrading_kpi"]
    found = [
        problem(
            f"p{n}",
            date=rng.choice(days),
            domain_id=rng.choice(domains),
            type=(kind := rng.choice(types)),
            severity="medium" if kind == "recurring_issue" else "high",
            description=f"no. {n}",
        )
        for n in range(150)
    ]
    asked = [
        follow_up(
            f"f{n}",
            date.fromisoformat(rng.choice(days[:60])),
            domain_id=rng.choice(domains),
            status=rng.choice(["open", "closed"]),
        )
        for n in range(20)
    ]
    late = [mission["mission_id"] for mission in outcomes if mission["date"] > days[60]]
    for row in asked:
        row["closed_by_mission_id"] = rng.choice(late) if row["status"] == "closed" else None
    rows = table("mission_outcomes", outcomes)
    telemetry = table("mission_telemetry", readings)
    for name, content in {
        "mission_outcomes": rows,
        "mission_telemetry": telemetry,
        "domain_daily": domain_daily(rows),
        "kpi_daily": kpi_daily(telemetry),
        "problems": table("problems", found),
        "follow_up_missions": table("follow_up_missions", asked),
    }.items():
        Lake(root).replace(name, days, content)
    return root


@pytest.mark.parametrize(
    ("period_days", "end"),
    [
        (30, date(2026, 1, 14)),
        (7, date(2026, 1, 4)),
        (90, date(2026, 2, 9)),
        (20, date(2025, 1, 1)),
    ],
)
def test_answers_equal_a_recomputation_in_sql(winter, period_days, end):
    check_answers(winter, period_days, end)
    check_comparisons(winter, period_days, end)
