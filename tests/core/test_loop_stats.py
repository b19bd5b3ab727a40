"""How many missions got their telemetry, and what became of the briefs."""

from __future__ import annotations

from datetime import date

import pytest

from grace_assets.core.loop_stats import brief_stats, outcome_stats
from grace_assets.core.schemas import TABLES
from tests.rows import follow_up, outcome, table, unscored


def test_a_backfill_is_a_mission_with_a_reading_before_and_after():
    found = outcome_stats(
        table(
            "mission_outcomes",
            [
                outcome("m1", metrics_delta={"latency_ms": -40.0, "errors": -3.0}),
                outcome("from zero", metrics_delta={"errors": None}),
                unscored("m2"),
                unscored("m3", "pending"),
                unscored("m4", "pending", metrics_delta={"latency_ms": -1.0}),
            ],
        )
    )
    assert (found.total_outcomes, found.pending, found.telemetry_backfills) == (5, 2, 2)
    assert found.backfill_success_rate == pytest.approx(2 / 3)
    low, high = found.backfill_success_interval
    assert 0.2 < low < 2 / 3 < high < 1
    assert found.assessed == 2
    assert found.verdicts == {"effective": 2, "pending": 2, "insufficient_data": 1}


def test_the_rate_is_null_and_not_zero_while_nothing_was_looked_up():
    for rows in ([], [unscored("m1", "pending")]):
        found = outcome_stats(table("mission_outcomes", rows))
        assert found.backfill_success_rate is None
        assert found.backfill_success_interval is None
        assert found.telemetry_backfills == 0
        assert found.total_outcomes == found.pending == len(rows)


def row(name: str, day: str, **columns) -> dict:
    return dict.fromkeys(TABLES[name].with_date().names) | {"date": day} | columns


def test_briefs_are_counted_with_what_they_asked_for_and_where_they_went():
    briefs = [
        row("status_briefs", "2026-03-01", missions=3, revision=1),
        row("status_briefs", "2026-03-02", missions=0, revision=1),
        row("status_briefs", "2026-03-03", missions=2, revision=2),
    ]
    sent = [
        row("deliveries", "2026-03-01", status=status) for status in ("sent", "sent", "unknown")
    ]
    asked = [follow_up("a"), follow_up("b", date(2026, 3, 1), status="closed")]
    found = brief_stats(
        table("status_briefs", briefs),
        table("follow_up_missions", asked),
        table("deliveries", sent),
    )
    assert (found.total_briefs, found.missions, found.days_without_missions) == (3, 5, 1)
    assert (found.first_date, found.last_date) == ("2026-03-01", "2026-03-03")
    assert (found.revised, found.follow_ups, found.open_follow_ups) == (1, 2, 1)
    assert found.deliveries == {"sent": 2, "unknown": 1}


def test_without_a_brief_there_is_no_first_day():
    names = ("status_briefs", "follow_up_missions", "deliveries")
    found = brief_stats(*(table(name, []) for name in names))
    assert (found.total_briefs, found.first_date, found.missions) == (0, None, 0)
