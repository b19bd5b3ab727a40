"""The rules that turn a day's figures into problems: their thresholds, words and evidence."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from grace_assets.core.problems import find_problems, poisson_tail
from grace_assets.core.rollups import domain_daily
from grace_assets.core.schemas import TABLES

DAY = "2026-03-29"
OUTCOMES = TABLES["mission_outcomes"].with_date()
KPIS = TABLES["kpi_daily"].with_date()


def mission(number: int, day: str = DAY, **columns) -> dict:
    row = dict.fromkeys(OUTCOMES.names)
    return row | {
        "date": day,
        "mission_id": f"{day}/m{number:03}",
        "domain_id": "payments",
        "completed_at": datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=number),
        "success": True,
        "verdict": "effective",
        "duration_seconds": 60.0,
        "effectiveness_score": 0.9,
        "metrics_delta": [],
        **columns,
    }


def missions(counts: dict[str, int], **columns) -> list[dict]:
    return [mission(n, day, **columns) for day, count in counts.items() for n in range(count)]


def before(days: int, count: int) -> dict[str, int]:
    """`count` missions on each of the `days` days before `DAY`."""
    start = date.fromisoformat(DAY)
    return {(start - timedelta(days=n)).isoformat(): count for n in range(1, days + 1)}


def kpi(metric: str, total: float, count: int) -> dict:
    row = dict.fromkeys(KPIS.names, 0)
    figures = {"improvement_percent_sum": total, "improvement_percent_count": count}
    return row | {"date": DAY, "domain_id": "payments", "metric": metric, **figures}


def found(rows: list[dict], kpis: list[dict] = (), days: list[str] | None = None) -> list[dict]:
    outcomes = pa.Table.from_pylist(rows, schema=OUTCOMES)
    kpi_rows = pa.Table.from_pylist(list(kpis), schema=KPIS)
    daily = domain_daily(outcomes)
    problems = find_problems([DAY] if days is None else days, outcomes, daily, kpi_rows)
    assert problems.schema == TABLES["problems"].with_date()
    return problems.to_pylist()


def test_a_quiet_day_has_no_problem():
    assert found([mission(1), mission(2)]) == []


def test_three_missions_recur_where_the_usual_rate_is_unknown():
    (problem,) = found(missions({DAY: 3}))
    assert (problem["type"], problem["severity"]) == ("recurring_issue", "medium")
    words = f"3 missions on {DAY}, usual rate not known yet (0 days of history)"
    assert problem["description"] == words
    assert problem["evidence"] == [
        "missions=3",
        "history_days=0",
        *(f"{DAY}/m00{n}" for n in range(3)),
    ]


def test_follow_up_missions_do_not_count_as_recurring():
    carried_out = mission(9, follow_up_id="fu-1")
    assert found([*missions({DAY: 2}), carried_out]) == []
    (problem,) = found([*missions({DAY: 3}), carried_out])
    assert carried_out["mission_id"] not in problem["evidence"]
    assert "missions=3" in problem["evidence"]


@pytest.mark.parametrize(
    ("history", "usual", "today", "flagged"),
    [
        (13, 3, 3, True),  # a day short of a usual rate
        (14, 3, 3, False),
        (28, 3, 8, False),  # P(N >= 8 | 3) = 0.0119
        (28, 3, 9, True),  # P(N >= 9 | 3) = 0.0038
        (28, 1, 4, False),  # P(N >= 4 | 1) = 0.0190
        (28, 1, 5, True),  # P(N >= 5 | 1) = 0.0037
        (40, 3, 8, False),
    ],
)
def test_a_busy_domain_is_flagged_only_beyond_its_usual_rate(history, usual, today, flagged):
    problems = found(missions({**before(history, usual), DAY: today}))
    assert [problem["type"] for problem in problems] == ["recurring_issue"] * flagged


def test_the_description_states_rate_and_chance():
    (problem,) = found(missions({**before(28, 1), DAY: 5}))
    assert problem["description"] == (
        f"5 missions on {DAY}, against a usual 1 a day "
        "(mean of the 28 days before, chance of 5 or more: 0.4 %)"
    )
    assert problem["evidence"][:4] == [
        "missions=5",
        "history_days=28",
        "expected=1.00",
        "chance=0.0037",
    ]


def test_days_without_a_mission_of_the_domain_count_as_zero_in_its_usual_rate():
    others = missions(before(20, 1), domain_id="search")
    problems = found([*others, *missions({DAY: 3})])
    assert "usual 0 a day (mean of the 20 days before" in problems[0]["description"]


def test_only_the_base_rate_window_counts():
    long_ago = (date.fromisoformat(DAY) - timedelta(days=29)).isoformat()
    (problem,) = found(missions({long_ago: 50, DAY: 3}))
    assert "history_days=0" in problem["evidence"]


def test_failures_are_a_problem_with_their_texts():
    rows = [
        mission(1, success=False, error="pool\nexhausted"),
        mission(2, success=False, error="pool exhausted"),
        mission(3, success=False, error="x" * 500),
        mission(4, success=False),
    ]
    problems = {problem["type"]: problem for problem in found(rows)}
    problem = problems["mission_failures"]
    assert problem["severity"] == "high"
    assert problem["description"] == f"4 of 4 missions failed on {DAY}"
    ids = [row["mission_id"] for row in rows]
    assert problem["evidence"][:6] == ["missions=4", "failures=4", *ids]
    assert "error: pool exhausted (1×)" in problem["evidence"]
    assert max(len(text) for text in problem["evidence"]) < 220


def test_one_failure_of_one_mission_reads_naturally():
    (problem,) = found([mission(1, success=False)])
    assert problem["description"] == f"1 of 1 mission failed on {DAY}"


@pytest.mark.parametrize(
    ("scores", "flagged"), [([0.4, 0.5], True), ([0.5, 0.5], False), ([None, None], False)]
)
def test_low_effectiveness_is_a_mean_below_one_half(scores, flagged):
    rows = [mission(n, effectiveness_score=score) for n, score in enumerate(scores)]
    problems = found(rows)
    assert [problem["type"] for problem in problems] == ["low_effectiveness"] * flagged


def test_low_effectiveness_names_the_missions_that_were_scored():
    (problem,) = found([mission(1, effectiveness_score=0.2), mission(2, effectiveness_score=None)])
    assert problem["description"] == f"mean effectiveness 0.2 on {DAY} (n = 1, below 0.5)"
    assert problem["evidence"] == ["mean_effectiveness=0.200", "scored=1", f"{DAY}/m001"]


def test_a_metric_degrades_below_minus_five_percent_in_the_mean():
    rows = [mission(1, metrics_delta=[("latency_ms", 24.0)]), mission(2)]
    kpis = [kpi("latency_ms", -24.0, 2), kpi("error_rate", -10.0, 2), kpi("lag", 0.0, 0)]
    (problem,) = found(rows, kpis)
    assert (problem["type"], problem["severity"]) == ("degrading_kpi", "high")
    assert problem["description"] == f"latency got 12 % worse on {DAY} (mean of n = 2)"
    assert problem["evidence"] == [
        "latency_ms: mean_improvement_percent=-12.0, n=2",
        f"{DAY}/m001",
    ]


def test_two_metrics_of_a_day_are_two_problems():
    problems = found([mission(1)], [kpi("a", -10.0, 1), kpi("b", -10.0, 1)])
    assert len({problem["problem_id"] for problem in problems}) == 2


def test_evidence_is_capped_and_says_so():
    (problem,) = found(missions({DAY: 50}))
    assert problem["evidence"][-1] == "… and 30 more"
    assert len(problem["evidence"]) == 2 + 20 + 1


def test_days_found_together_equal_days_found_apart():
    # Each day alone sees only the 28 days before it, as a run of that day would.
    counts = {**before(60, 1), DAY: 6}
    counts[(date.fromisoformat(DAY) - timedelta(days=30)).isoformat()] = 7
    del counts[(date.fromisoformat(DAY) - timedelta(days=58)).isoformat()]
    rows = missions(counts, effectiveness_score=0.1, success=False, error="boom")
    days = sorted(counts)
    together = found(rows, days=days)
    apart = []
    for day in days:
        oldest = (date.fromisoformat(day) - timedelta(days=28)).isoformat()
        apart += found([row for row in rows if oldest <= row["date"] <= day], days=[day])
    assert together == apart
    assert [problem["date"] for problem in together if problem["type"] == "recurring_issue"] == [
        "2026-02-27",
        DAY,
    ]


def test_only_the_days_asked_for_are_looked_at():
    rows = missions({"2026-03-28": 3, DAY: 3})
    assert {problem["date"] for problem in found(rows, days=["2026-03-28"])} == {"2026-03-28"}
    assert found(rows, days=[]) == []


def test_ids_are_stable_and_tell_domains_apart():
    rows = [*missions({DAY: 3}), *missions({DAY: 3}, domain_id="Müller – Edition")]
    ids = [problem["problem_id"] for problem in found(rows)]
    assert ids == [problem["problem_id"] for problem in found(rows)]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("k", "mean", "chance"),
    [
        # From the series, summed with forty decimal digits.
        (0, 3.0, 1.0),
        (3, 3.0, 0.5768099188731565),
        (3, 1.0, 0.0803013970713942),
        (9, 3.0, 0.003802992061675957),
        (40, 20.0, 0.00005320202512146),
        (1, 0.0, 0.0),
        (0, 0.0, 1.0),
    ],
)
def test_the_chance_of_a_count_is_the_poisson_tail(k, mean, chance):
    assert math.isclose(poisson_tail(k, mean), chance, rel_tol=1e-9, abs_tol=1e-12)


def test_the_chance_holds_for_large_rates():
    assert 0.4 < poisson_tail(5000, 5000.0) < 0.6
    assert poisson_tail(6000, 5000.0) < 1e-9
