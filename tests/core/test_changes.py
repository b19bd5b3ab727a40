"""A window beside the one before it: better, worse, no detectable change, or too few to tell."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pyarrow as pa

from grace_assets.core.calendar_windows import window
from grace_assets.core.changes import Changes, compare
from grace_assets.core.rollups import domain_daily
from tests.rows import failed, outcome, table

END = date(2026, 3, 20)
WEEK = window(10, END)
NOW = [(END - timedelta(days=n)).isoformat() for n in range(10)]
BEFORE = [(END - timedelta(days=n)).isoformat() for n in range(10, 20)]


def missions(days: list[str], seconds: float, score: float, per_day: int = 3) -> list[dict]:
    rng = random.Random(5)
    return [
        outcome(
            f"{day}-{n}",
            date=day,
            time_to_restore_seconds=seconds * rng.uniform(0.8, 1.25),
            effectiveness_score=min(1.0, score * rng.uniform(0.9, 1.1)),
        )
        for day in days
        for n in range(per_day)
    ]


def failures(days: list[str]) -> list[dict]:
    return [failed(f"{day}-f{n}", date=day) for day in days for n in range(2)]


def compared(rows: list[dict], domain_id: str | None = None) -> Changes:
    outcomes = table("mission_outcomes", rows)
    return compare(domain_daily(outcomes), outcomes, WEEK, domain_id)


def test_the_days_compared_are_told():
    found = compared([])
    assert (found.start_date, found.end_date) == ("2026-03-11", "2026-03-20")
    assert (found.previous_start_date, found.previous_end_date) == ("2026-03-01", "2026-03-10")


def test_shorter_times_more_successes_and_higher_scores_are_better_and_the_reverse_worse():
    good = (300.0, 0.9)
    bad = (900.0, 0.4)
    found = compared([*missions(NOW, *good), *missions(BEFORE, *bad), *failures(BEFORE)])
    answers = [found.mttr_seconds, found.success_rate, found.avg_effectiveness_score]
    assert [change.answer for change in answers] == ["better"] * 3
    times = found.mttr_seconds
    assert times.current < 400 < 800 < times.previous
    assert times.difference == times.current - times.previous
    assert times.interval[0] < times.difference < times.interval[1] < 0
    assert (times.current_n, times.previous_n) == (30, 30)
    rate = found.success_rate
    assert (rate.current, rate.current_n, rate.previous, rate.previous_n) == (1.0, 30, 0.6, 50)
    found = compared([*missions(NOW, *bad), *failures(NOW), *missions(BEFORE, *good)])
    answers = [found.mttr_seconds, found.success_rate, found.avg_effectiveness_score]
    assert [change.answer for change in answers] == ["worse"] * 3


def test_the_same_figures_with_noise_are_no_detectable_change():
    found = compared([*missions(NOW, 300.0, 0.8, 4), *missions(BEFORE, 305.0, 0.79)])
    assert found.mttr_seconds.answer == "no detectable change"
    assert found.success_rate.answer == "no detectable change"
    assert found.avg_effectiveness_score.answer == "no detectable change"


def test_a_few_missions_or_none_are_too_few_and_their_figures_null_where_unknown():
    found = compared([*missions(NOW[:1], 300.0, 0.8), *missions(["2026-02-01"], 9.0, 0.1)])
    assert found.mttr_seconds.answer == found.success_rate.answer == "too few"
    assert found.mttr_seconds.current_n == 3
    assert found.mttr_seconds.previous is None
    assert found.mttr_seconds.difference is None
    assert found.success_rate.current == 1.0
    assert found.success_rate.previous is None
    found = compared([*failures(NOW), *missions(BEFORE, 60.0, 0.5)])
    assert found.success_rate.answer == "worse"
    assert (found.mttr_seconds.answer, found.mttr_seconds.current) == ("too few", None)
    assert found.avg_effectiveness_score.current is None


def test_other_domains_do_not_count_where_one_is_named():
    rows = [*missions(NOW, 300.0, 0.8), *missions(BEFORE, 900.0, 0.4)]
    search = [row | {"domain_id": "search", "mission_id": f"s{row['mission_id']}"} for row in rows]
    assert compared([*rows, *search[:30]], "search").mttr_seconds.answer == "too few"
    assert compared([*rows, *search], "search").mttr_seconds == compared(rows).mttr_seconds


def test_the_order_of_rows_does_not_matter():
    rows = [*missions(NOW, 300.0, 0.8), *missions(BEFORE, 310.0, 0.7)]
    outcomes = table("mission_outcomes", rows)
    backwards = outcomes.take(pa.array(range(len(rows))[::-1]))
    one = compare(domain_daily(outcomes), outcomes, WEEK)
    other = compare(domain_daily(backwards), backwards, WEEK)
    assert one.mttr_seconds == other.mttr_seconds
    assert one.avg_effectiveness_score.answer == other.avg_effectiveness_score.answer
