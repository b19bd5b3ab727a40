"""Which run repaired which failure, on tables of runs."""

from datetime import UTC, datetime, timedelta

import pytest

from grace_assets.core.events import parse
from grace_assets.sources.dagster_runs import ASSET_JOB, Run, encode, mission, missions

START = datetime(2026, 3, 15, 8, tzinfo=UTC)


def run(name: str, hour: float, success: bool, **changes) -> Run:
    fields = {
        "run_id": f"{name}-0000-0000",
        "root_run_id": f"{name}-0000-0000",
        "job": "nightly",
        "success": success,
        "started": START + timedelta(hours=hour),
        "ended": START + timedelta(hours=hour, minutes=10),
        "first_partition": "2026-03-14",
        "last_partition": "2026-03-14",
    }
    return Run(**fields | changes)


def pairs(*runs: Run) -> list[tuple[str, str, int]]:
    found = missions(list(runs), sorted(runs, key=lambda r: r.ended))
    return [(r.run_id[:1], failed.run_id[:1], len(between)) for r, failed, between in found]


FAILED = run("a", 0, False)


@pytest.mark.parametrize(
    ("later", "repairs"),
    [
        (run("b", 1, True), True),
        (run("b", 1, True, first_partition="2026-03-13", last_partition="2026-03-15"), True),
        (run("b", 1, True, first_partition="2026-03-15", last_partition="2026-03-15"), False),
        (run("b", 1, True, first_partition=None, last_partition=None), False),
        (run("b", 1, True, job="other"), False),
        (run("b", 1, True, job="other", root_run_id=FAILED.run_id), True),
        (run("b", -1, True), False),
    ],
)
def test_a_later_run_repairs_the_same_partitions_or_what_it_retries(later, repairs):
    assert pairs(FAILED, later) == ([("b", "a", 0)] if repairs else [])


def test_assets_are_repaired_by_a_run_that_holds_them_all_whatever_its_job():
    failed = run("a", 0, False, job=ASSET_JOB, assets=frozenset({"orders", "items"}))
    part = run("b", 1, True, job=ASSET_JOB, assets=frozenset({"orders"}))
    whole = run("c", 2, True, job="nightly", assets=frozenset({"orders", "items", "more"}))
    assert pairs(failed, part, whole) == [("c", "a", 0)]
    assert failed.target == "items and 1 more"


def test_attempts_that_failed_are_missions_too_and_the_last_carries_the_first_failure():
    runs = [FAILED, run("b", 1, False), run("c", 2, False), run("d", 3, True)]
    assert pairs(*runs) == [("b", "a", 0), ("c", "a", 1), ("d", "a", 2)]
    event = parse(encode(mission(runs[3], FAILED, "x", runs[1:3])), START + timedelta(days=1))
    assert event.success
    assert event.detected_at == FAILED.ended
    assert event.title == "Repaired nightly for 2026-03-14 after 2 failed attempts"
    tried = parse(encode(mission(runs[1], FAILED, "x", [])), START + timedelta(days=1))
    assert (tried.success, tried.title) == (False, "Tried to repair nightly for 2026-03-14")


def test_what_was_repaired_once_is_not_repaired_again_by_the_next_run():
    runs = [FAILED, run("b", 1, True), run("c", 2, True)]
    assert pairs(*runs) == [("b", "a", 0)]
    again = [*runs, run("d", 3, False), run("e", 4, True)]
    assert pairs(*again) == [("b", "a", 0), ("e", "d", 0)]
