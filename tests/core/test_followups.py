"""Follow-ups as a fold over history: one open one per domain and episode, whatever the order."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grace_assets.core.followups import (
    completed_follow_ups,
    fold_follow_ups,
    follow_up_id,
    follow_ups_by_day,
)
from grace_assets.core.schemas import TABLES

PROBLEMS = TABLES["problems"].with_date()
OUTCOMES = TABLES["mission_outcomes"].with_date()


def day(number: int) -> str:
    return f"2026-03-{number:02}"


def on(number: int, domain: str = "payments") -> str:
    """The id of the follow-up that a problem on that day of March opens."""
    return follow_up_id(domain, date(2026, 3, number))


def problem(number: int, type_: str = "low_effectiveness", **columns) -> dict:
    severity = "high" if type_ in ("mission_failures", "degrading_kpi") else "medium"
    return {
        "date": day(number),
        "problem_id": f"pr-{number}-{type_}",
        "domain_id": "payments",
        "type": type_,
        "severity": severity,
        "description": f"{type_} on {day(number)}",
        "evidence": [f"m{number}"],
        **columns,
    }


def carried_out(id_: str, number: int, mission_id: str = "m-fix", hour: int = 12) -> dict:
    return dict.fromkeys(OUTCOMES.names) | {
        "date": day(number),
        "mission_id": mission_id,
        "domain_id": "payments",
        "completed_at": datetime(2026, 3, number, hour, tzinfo=UTC),
        "verdict": "effective",
        "follow_up_id": id_,
    }


def fold(problems: list[dict], missions: list[dict] = (), issued: dict | None = None) -> list[dict]:
    outcomes = pa.Table.from_pylist(list(missions), schema=OUTCOMES)
    table = fold_follow_ups(
        pa.Table.from_pylist(problems, schema=PROBLEMS),
        completed_follow_ups(outcomes),
        issued or {},
    )
    assert table.schema == TABLES["follow_up_missions"].with_date()
    return table.to_pylist()


def brief(rows: list[dict]) -> list[tuple]:
    return [(row["date"], row["status"], row["closed_by_mission_id"]) for row in rows]


def test_the_first_problem_day_opens_one_with_all_its_words():
    (row,) = fold([problem(4), problem(4, "mission_failures", evidence=["m4", "error: boom"])])
    assert row == {
        "date": day(4),
        "follow_up_id": on(4),
        "domain_id": "payments",
        "title": "Investigate payments issues",
        "type": "failure_remediation",
        "reason": (
            f"Auto-brief flagged problems: mission_failures on {day(4)}; "
            f"low_effectiveness on {day(4)}"
        ),
        "priority": "high",
        "status": "open",
        "opened_on": date(2026, 3, 4),
        "closed_by_mission_id": None,
        "verdict": None,
        "evidence": [f"{day(4)}: m4", f"{day(4)}: error: boom"],
    }


@pytest.mark.parametrize(
    ("types", "mission_type", "priority"),
    [
        (["recurring_issue"], "error_remediation", "medium"),
        (["low_effectiveness", "recurring_issue"], "performance_optimization", "medium"),
        (["degrading_kpi", "recurring_issue"], "performance_optimization", "high"),
        (["degrading_kpi", "mission_failures"], "failure_remediation", "high"),
    ],
)
def test_the_dominant_problem_chooses_the_kind_of_mission(types, mission_type, priority):
    (row,) = fold([problem(4, type_) for type_ in types])
    assert (row["type"], row["priority"]) == (mission_type, priority)


def test_later_days_add_evidence_and_may_raise_the_priority():
    (row,) = fold([problem(4), problem(6, "mission_failures", evidence=["m6", "m6"])])
    assert row["follow_up_id"] == on(4)
    assert row["evidence"] == [f"{day(4)}: m4", f"{day(6)}: m6"]
    assert (row["priority"], row["type"]) == ("high", "performance_optimization")
    assert day(6) not in row["reason"]


def test_it_closes_with_the_first_mission_that_carried_it_out():
    missions = [
        carried_out(on(4), 6, "m-late", hour=13),
        carried_out(on(4), 6, "m-first", hour=9) | {"verdict": "no_effect"},
    ]
    (row,) = fold([problem(4)], missions)
    assert brief([row]) == [(day(4), "closed", "m-first")]
    assert row["verdict"] == "no_effect"


def test_problems_of_the_closing_day_belong_to_it_and_later_ones_open_a_new_one():
    rows = fold([problem(4), problem(6), problem(7)], [carried_out(on(4), 6)])
    assert brief(rows) == [(day(4), "closed", "m-fix"), (day(7), "open", None)]
    assert rows[0]["evidence"] == [f"{day(4)}: m4", f"{day(6)}: m6"]
    assert rows[1]["follow_up_id"] == on(7)


def test_domains_have_their_own_follow_ups():
    rows = fold([problem(4), problem(4, domain_id="検索")], [carried_out(on(4), 4)])
    assert {row["domain_id"]: row["status"] for row in rows} == {
        "payments": "closed",
        "検索": "open",
    }


def test_a_mission_with_an_unknown_follow_up_is_ignored():
    assert brief(fold([problem(4)], [carried_out("fu-unknown", 5)])) == [(day(4), "open", None)]


def test_a_clock_that_runs_behind_closes_it_on_the_day_it_opened():
    rows = fold([problem(4), problem(5)], [carried_out(on(4), 3)])
    assert brief(rows) == [(day(4), "closed", "m-fix"), (day(5), "open", None)]


def test_the_order_of_rows_changes_nothing():
    problems = [problem(n, type_) for n in range(1, 20) for type_ in ("recurring_issue", "other")]
    problems = [p | {"type": "mission_failures"} if p["type"] == "other" else p for p in problems]
    missions = [carried_out(on(1), 5), carried_out(on(6), 6, "a"), carried_out(on(6), 9, "b")]
    expected = fold(problems, missions)
    assert brief(expected) == [
        (day(1), "closed", "m-fix"),
        (day(6), "closed", "a"),
        (day(7), "open", None),
    ]
    for seed in range(5):
        shuffled = random.Random(seed).sample(problems, len(problems))
        assert fold(shuffled, missions[::-1]) == expected


def test_announcing_what_the_fold_gave_changes_nothing():
    problems = [problem(n) for n in (1, 4, 6, 9, 12)]
    missions = [carried_out(on(1), 4), carried_out(on(6), 9)]
    rows = fold(problems, missions)
    for count in range(len(rows) + 1):
        issued = {r["follow_up_id"]: (r["domain_id"], r["opened_on"]) for r in rows[:count]}
        assert fold(problems, missions, issued) == rows


def issued_on(*numbers: int) -> dict:
    return {on(number): ("payments", date(2026, 3, number)) for number in numbers}


def test_a_problem_found_late_becomes_evidence_of_what_was_announced():
    (row,) = fold([problem(3), problem(10)], issued=issued_on(10))
    assert (row["follow_up_id"], row["date"]) == (on(10), day(10))
    assert row["evidence"] == [f"{day(3)}: m3", f"{day(10)}: m10"]
    assert day(3) not in row["reason"]


def test_of_two_announced_ones_the_next_takes_what_was_found_late():
    rows = fold([problem(3)], [carried_out(on(5), 6)], issued=issued_on(9, 5))
    assert [(row["follow_up_id"], bool(row["evidence"])) for row in rows] == [
        (on(5), True),
        (on(9), False),
    ]


def test_a_problem_found_much_earlier_is_an_episode_of_its_own():
    rows = fold([problem(2), problem(10)], issued=issued_on(10))
    assert [row["follow_up_id"] for row in rows] == [on(2), on(10)]
    assert [row["evidence"] for row in rows] == [[f"{day(2)}: m2"], [f"{day(10)}: m10"]]


def test_an_announced_follow_up_stays_when_its_problems_are_corrected_away():
    (row,) = fold([], [carried_out(on(4), 6)], issued=issued_on(4))
    assert brief([row]) == [(day(4), "closed", "m-fix")]
    assert row["reason"] == "Auto-brief flagged problems that later corrections removed"
    assert (row["priority"], row["evidence"]) == ("medium", [])


def test_an_open_announced_one_takes_the_next_problem_instead_of_a_second_one():
    rows = fold([problem(12)], [carried_out(on(4), 6)], issued=issued_on(1, 4))
    assert brief(rows) == [(day(1), "open", None), (day(4), "closed", "m-fix")]
    assert rows[0]["evidence"] == [f"{day(12)}: m12"]


def test_no_history_gives_no_follow_up():
    assert fold([]) == []


NUMBERS = st.integers(1, 20)
KINDS = st.sampled_from(["mission_failures", "recurring_issue", "low_effectiveness"])


@settings(max_examples=300)
@given(
    st.sets(st.tuples(NUMBERS, KINDS)),
    st.dictionaries(NUMBERS, NUMBERS),
    st.sets(NUMBERS),
)
def test_each_day_knows_what_a_fold_of_the_history_up_to_it_knows(problems, closed, announced):
    problems = [problem(*one) for one in problems]
    missions = [carried_out(on(n), at, f"m-{n}") for n, at in closed.items()]
    days = range(1, 22)
    found = follow_ups_by_day(
        pa.Table.from_pylist(problems, schema=PROBLEMS),
        completed_follow_ups(pa.Table.from_pylist(missions, schema=OUTCOMES)),
        issued_on(*announced),
        [date(2026, 3, number) for number in days],
    )
    for number, rows in zip(days, found, strict=True):
        until = [
            [row for row in some if row["date"] <= day(number)] for some in (problems, missions)
        ]
        folded = fold(*until, issued_on(*(n for n in announced if n <= number)))
        assert rows.to_pylist() == [
            {name: value for name, value in row.items() if name != "evidence"} for row in folded
        ]
