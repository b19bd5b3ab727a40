"""Rollups: sums and counts that add up over any range, and never take unknown for 0."""

from __future__ import annotations

import math
import random

import pyarrow as pa
import pytest

from grace_assets.core import rollups
from grace_assets.core.schemas import TABLES


def outcome(mission_id: str, date: str = "2026-03-04", **columns) -> dict:
    row = dict.fromkeys(TABLES["mission_outcomes"].with_date().names)
    return row | {
        "date": date,
        "mission_id": mission_id,
        "domain_id": "payments",
        "success": True,
        "verdict": "effective",
        "duration_seconds": 60.0,
        **columns,
    }


def outcomes(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=TABLES["mission_outcomes"].with_date())


def reading(mission_id: str, source: str, **columns) -> dict:
    row = dict.fromkeys(TABLES["mission_telemetry"].with_date().names)
    return row | {
        "date": "2026-03-04",
        "mission_id": mission_id,
        "domain_id": "payments",
        "source": source,
        "metric": "latency_ms",
        "pre": 100.0,
        "post": 80.0,
        **columns,
    }


def telemetry(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=TABLES["mission_telemetry"].with_date())


def test_a_day_of_a_domain_is_counted_and_summed():
    table = outcomes(
        outcome("m1", time_to_restore_seconds=90.0, effectiveness_score=0.9),
        outcome("m2", success=False, verdict="worse", effectiveness_score=0.0, error="boom"),
        outcome("m3", time_to_restore_seconds=30.0, verdict="pending", follow_up_id="fu-1"),
    )
    (row,) = rollups.domain_daily(table).to_pylist()
    assert row == {
        "date": "2026-03-04",
        "domain_id": "payments",
        "missions": 3,
        "successes": 2,
        "failures": 1,
        "assessed": 2,
        "effective": 1,
        "duration_seconds_sum": 180.0,
        "mttr_seconds_sum": 120.0,
        "mttr_count": 2,
        "effectiveness_sum": 0.9,
        "effectiveness_count": 2,
        "follow_up_missions": 1,
        "mttr_seconds_values": [30.0, 90.0],
        "verdicts": [("effective", 1.0), ("pending", 1.0), ("worse", 1.0)],
    }


def random_outcomes(seed: int) -> list[dict]:
    rng = random.Random(seed)
    return [
        outcome(
            f"m{number}",
            date=f"2026-03-0{rng.randint(1, 5)}",
            domain_id=rng.choice(["payments", "Müller – Edition", "検索"]),
            success=rng.random() < 0.7,
            verdict=rng.choice(["effective", "partial", "worse", "pending"]),
            duration_seconds=rng.lognormvariate(5, 1),
            time_to_restore_seconds=rng.choice([None, rng.lognormvariate(5, 1)]),
            effectiveness_score=rng.choice([None, rng.random()]),
        )
        for number in range(300)
    ]


def test_rollups_equal_a_plain_recomputation():
    rows = random_outcomes(1)
    rolled = rollups.domain_daily(outcomes(*rows)).to_pylist()
    assert [(r["date"], r["domain_id"]) for r in rolled] == sorted(
        {(r["date"], r["domain_id"]) for r in rows}
    )
    for row in rolled:
        mine = [r for r in rows if (r["date"], r["domain_id"]) == (row["date"], row["domain_id"])]
        times = sorted(
            r["time_to_restore_seconds"] for r in mine if r["time_to_restore_seconds"] is not None
        )
        scores = [r["effectiveness_score"] for r in mine if r["effectiveness_score"] is not None]
        assert row["missions"] == len(mine) == row["successes"] + row["failures"]
        assert row["mttr_seconds_values"] == times
        assert row["mttr_count"] == len(times)
        assert math.isclose(row["mttr_seconds_sum"], math.fsum(times))
        assert row["effectiveness_count"] == row["assessed"] == len(scores)
        assert math.isclose(row["effectiveness_sum"], math.fsum(scores))
        assert sum(n for _, n in row["verdicts"]) == len(mine)
        assert dict(row["verdicts"]).get("partial", 0) == sum(
            r["verdict"] == "partial" for r in mine
        )


def test_many_days_at_once_equal_day_by_day_to_the_last_bit_in_any_order():
    rows = random_outcomes(2)
    together = rollups.domain_daily(outcomes(*rows))
    random.Random(3).shuffle(rows)
    days = sorted({row["date"] for row in rows})
    apart = [rollups.domain_daily(outcomes(*(r for r in rows if r["date"] == d))) for d in days]
    assert pa.concat_tables(apart).to_pylist() == together.to_pylist()


@pytest.mark.parametrize(
    ("rows", "percent_changes"),
    [
        ([("service_mesh", 1.0), ("rag_kpis", 2.0), ("domain_health", 3.0)], [2.0]),
        ([("zabbix", 1.0), ("acme", 2.0)], [2.0]),
        ([("acme", 1.0), ("service_mesh", 2.0)], [2.0]),
    ],
    ids=["stored KPIs before health before mesh", "others by name", "roles before others"],
)
def test_one_source_speaks_for_a_metric(rows, percent_changes):
    table = telemetry(*(reading("m1", source, percent_change=value) for source, value in rows))
    (row,) = rollups.kpi_daily(table).to_pylist()
    assert row["missions"] == row["percent_change_count"] == 1
    assert row["percent_change_sum"] == sum(percent_changes)


def test_a_source_without_both_readings_lets_the_next_one_speak():
    table = telemetry(
        reading("m1", "rag_kpis", post=None),
        reading("m1", "domain_health", pre=None),
        reading("m1", "service_mesh", percent_change=-20.0, improvement_percent=20.0),
    )
    (row,) = rollups.kpi_daily(table).to_pylist()
    assert (row["missions"], row["percent_change_sum"], row["percent_change_count"]) == (1, -20, 1)


def test_a_mission_without_readings_counts_as_a_mission_and_nothing_else():
    table = telemetry(reading("m1", "rag_kpis", post=None), reading("m1", "service_mesh", pre=None))
    (row,) = rollups.kpi_daily(table).to_pylist()
    assert row == {
        "date": "2026-03-04",
        "domain_id": "payments",
        "metric": "latency_ms",
        "missions": 1,
        "percent_change_sum": 0.0,
        "percent_change_count": 0,
        "improvement_percent_sum": 0.0,
        "improvement_percent_count": 0,
        "improved": 0,
        "worsened": 0,
    }


def test_unchanged_is_neither_improved_nor_worsened():
    table = telemetry(
        reading("better", "s", delta=-9.0, improvement_percent=9.0, improved=True),
        reading("worse", "s", delta=9.0, improvement_percent=-9.0, improved=False),
        reading("same", "s", delta=0.0, improvement_percent=0.0, improved=False),
        reading("worse from zero", "s", delta=3.0, improvement_percent=None, improved=False),
        reading("unknown", "s", delta=3.0),
    )
    (row,) = rollups.kpi_daily(table).to_pylist()
    assert (row["missions"], row["improved"], row["worsened"]) == (5, 1, 2)


def test_nothing_in_gives_an_empty_table_of_the_right_columns():
    for name, roll_up, empty in (
        ("domain_daily", rollups.domain_daily, outcomes()),
        ("kpi_daily", rollups.kpi_daily, telemetry()),
    ):
        table = roll_up(empty)
        assert table.num_rows == 0
        assert table.schema == TABLES[name].with_date()
