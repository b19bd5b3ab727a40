"""Which run repaired which failure, on tables of runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from grace_assets.core.events import parse
from grace_assets.sources.dagster_runs import Run, encode, mission, repairs

START = datetime(2026, 3, 15, 8, tzinfo=UTC)
NEXT_DAY = START + timedelta(days=1)
DAY = ("2026-03-14", "2026-03-14")
WEEK = ("2026-03-09", "2026-03-15")
PICKED = "__ASSET_JOB"


def run(name: str, hour: float, success: bool, **changes) -> Run:
    """A run of ten minutes; its name is the first letter of its id."""
    fields = {
        "run_id": f"{name}-0000-0000",
        "root_run_id": f"{name}-0000-0000",
        "job": "nightly",
        "success": success,
        "started": START + timedelta(hours=hour),
        "ended": START + timedelta(hours=hour, minutes=10),
        "part": DAY,
    }
    return Run(**fields | changes)


def picked(name: str, hour: float, success: bool, assets: str, broken: str = "", **changes) -> Run:
    """A run of assets that were picked by hand, each a letter."""
    changes |= {"job": PICKED, "assets": frozenset(assets), "broken": frozenset(broken)}
    return run(name, hour, success, **changes)


def pairs(*runs: Run) -> list[tuple[str, str, int]]:
    """(repairing run, failed run, attempts between them), by the end of the repair."""
    found = repairs(runs, START - timedelta(days=99))
    return [(r.run.run_id[0], r.failed.run_id[0], len(r.attempts)) for r in found]


def event(repair):
    return parse(encode(mission(repair)), NEXT_DAY)


FAILED = run("a", 0, False)
UNPARTITIONED = ("", "")


@pytest.mark.parametrize(
    ("later", "repaired"),
    [
        (run("b", 1, True), True),
        (run("b", 1, True, part=WEEK), True),
        (run("b", 1, True, part=("2026-03-15", "2026-03-15")), False),
        (run("b", 1, True, part=UNPARTITIONED), False),
        (run("b", 1, True, job="other"), False),
        (run("b", 1, True, location="elsewhere"), False),
        (run("b", 1, True, job="other", part=UNPARTITIONED, root_run_id=FAILED.run_id), True),
        (run("b", -1, True), False),
        (run("b", 0.1, True), False),
    ],
)
def test_a_later_run_repairs_the_same_partitions_or_what_it_retries(later, repaired):
    assert pairs(FAILED, later) == ([("b", "a", 0)] if repaired else [])


@pytest.mark.parametrize(
    ("failed", "later", "repaired"),
    [
        ("x", picked("b", 1, True, "x"), True),
        ("x", picked("b", 1, True, "xyz"), True),
        ("x", picked("b", 1, True, "y"), False),
        ("xy", picked("b", 1, True, "x"), False),
        ("x", run("b", 1, True, assets=frozenset("xyz")), True),
        ("x", run("b", 1, True), False),
    ],
)
def test_assets_are_repaired_by_a_run_of_all_that_broke_whatever_its_job(failed, later, repaired):
    for first in (
        picked("a", 0, False, "xyz", failed),
        run("a", 0, False, job="hourly", assets=frozenset("xyz"), broken=frozenset(failed)),
    ):
        assert pairs(first, later) == ([("b", "a", 0)] if repaired else [])


def test_attempts_that_failed_are_missions_too_and_the_last_carries_the_first_failure():
    runs = [
        replace(FAILED, failure="load: ValueError"),
        run("b", 1, False, failure="load: OSError"),
        run("c", 2, False),
        run("d", 3, True),
    ]
    assert pairs(*runs) == [("b", "a", 0), ("c", "a", 1), ("d", "a", 2)]
    tried, _, done = repairs(runs, START)
    assert event(tried).success is False
    assert event(tried).title == "Tried to repair nightly for 2026-03-14"
    assert event(tried).error == "load: OSError"
    assert event(done).success is True
    assert event(done).title == "Repaired nightly for 2026-03-14 after 2 failed attempts"
    assert event(done).trigger.description == "load: ValueError"
    assert (event(done).onset_at, event(done).detected_at) == (FAILED.started, FAILED.ended)
    assert (event(done).started_at, event(done).completed_at) == (runs[3].started, runs[3].ended)


def test_what_was_repaired_once_is_not_repaired_again_by_the_next_run():
    runs = [FAILED, run("b", 1, True), run("c", 2, True)]
    assert pairs(*runs) == [("b", "a", 0)]
    again = [*runs, run("d", 3, False), run("e", 4, True)]
    assert pairs(*again) == [("b", "a", 0), ("e", "d", 0)]


def test_a_day_of_a_failed_range_is_repaired_by_itself_and_once():
    failed = run("a", 0, False, part=WEEK)
    runs = [failed, run("b", 1, False), run("c", 2, True), run("d", 3, True)]
    runs.append(run("e", 4, True, part=("2026-03-10", "2026-03-11")))
    runs.append(run("f", 5, True, part=WEEK))
    runs.append(run("g", 6, True, part=WEEK))
    assert pairs(*runs) == [("b", "a", 0), ("c", "a", 1), ("e", "a", 0), ("f", "a", 1)]
    titles = [event(repair).title for repair in repairs(runs, START)]
    assert titles == [
        "Tried to repair nightly for 2026-03-14",
        "Repaired nightly for 2026-03-14 after 1 failed attempt",
        "Repaired nightly for 2026-03-10…2026-03-11",
        "Repaired nightly for 2026-03-09…2026-03-15 after 1 failed attempt",
    ]


def test_a_range_that_repairs_two_failures_is_a_mission_for_each():
    other = run("b", 1, False, part=("2026-03-11", "2026-03-11"))
    runs = [FAILED, other, run("c", 2, True, part=WEEK)]
    assert pairs(*runs) == [("c", "a", 0), ("c", "b", 0)]
    assert len({event(repair).mission_id for repair in repairs(runs, START)}) == 2


def test_a_try_at_more_than_had_failed_is_also_a_failure_of_its_own():
    wide = run("b", 1, False, part=WEEK)
    tuesday = run("c", 2, True, part=("2026-03-10", "2026-03-10"))
    assert pairs(FAILED, wide, tuesday) == [("b", "a", 0), ("c", "b", 0)]


def test_where_a_retry_gets_further_what_it_broke_at_is_what_is_left_to_repair():
    first = picked("a", 0, False, "xy", "x")
    further = picked("b", 1, False, "xy", "y", root_run_id=first.run_id)
    assert pairs(first, further, picked("c", 2, True, "x")) == [("b", "a", 0)]
    assert pairs(first, further, picked("c", 2, True, "y")) == [("b", "a", 0), ("c", "a", 1)]


def test_only_runs_after_the_cursor_are_told_and_always_with_the_same_id():
    runs = [FAILED, run("b", 1, False), run("c", 2, True)]
    (late,) = repairs(runs, runs[1].ended)
    assert mission(late) == mission(repairs(reversed(runs), START)[-1])
    assert repairs(runs, runs[2].ended) == []


@pytest.mark.parametrize(
    ("failed", "domain", "target"),
    [
        (FAILED, "nightly", "nightly"),
        (picked("a", 0, False, "xyz", "x"), "x", "x"),
        (picked("a", 0, False, "xyz", "zy"), "y", "y and 1 more"),
        (picked("a", 0, False, ["raw/orders"], ["raw/orders"]), "raw-orders", "raw/orders"),
        (picked("a", 0, False, ""), PICKED, PICKED),
    ],
)
def test_the_domain_is_the_job_or_the_first_asset_that_broke(failed, domain, target):
    again = replace(failed, run_id="b", success=True, started=failed.ended, ended=NEXT_DAY)
    (repair,) = repairs([failed, again], START)
    assert event(repair).domain_id == domain
    assert event(repair).title == f"Repaired {target} for 2026-03-14"
