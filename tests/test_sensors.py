"""What arrives or falls due launches exactly the days it concerns, once."""

import os
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.definitions import build_definitions
from grace_assets.failures import WILL_RETRY_TAG
from grace_assets.instance import PROCESS_TAG
from grace_assets.partitions import DAILY, RANGE_END_TAG, RANGE_START_TAG
from grace_assets.resources import StoreResource
from grace_assets.sensors import (
    AGAIN_TAG,
    holds_sensor,
    lost_runs_sensor,
    mission_events_sensor,
    pending_verdicts_sensor,
    read_cursor,
    spans,
    write_cursor,
)
from grace_assets.settings import Settings
from tests.conftest import encode, event

RETRIES = {"max_retries": 3, "enabled": True, "retry_on_asset_or_op_failure": False}


@pytest.fixture
def store(tmp_path) -> StoreResource:
    return StoreResource(data_dir=str(tmp_path), timezone="UTC")


@pytest.fixture
def tick(store):
    """One tick of a sensor after another, the cursor carried along."""
    definitions = build_definitions(Settings.from_env({}), store)

    class Tick:
        cursor = None
        instance = None

        def __call__(self, sensor) -> list[dg.RunRequest]:
            with dg.DagsterInstance.ephemeral() as instance:
                context = dg.build_sensor_context(
                    instance=self.instance or instance,
                    cursor=self.cursor,
                    definitions=definitions,
                    resources={"store": store},
                )
                data = sensor.evaluate_tick(context)
            self.cursor = data.cursor
            return data.run_requests

    return Tick()


def drop(store, name: str, *events: dict) -> None:
    folder = store.root / "inbox"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(encode(*events))


def on(day: str, mission_id: str, **fields) -> dict:
    return event(
        mission_id, started_at=f"{day}T10:00:00Z", completed_at=f"{day}T10:10:00Z", **fields
    )


def covered(requests) -> list[tuple[str, str]]:
    return [
        (r.partition_key, r.partition_key)
        if r.partition_key
        else (r.tags[RANGE_START_TAG], r.tags[RANGE_END_TAG])
        for r in requests
    ]


def test_dropped_events_launch_their_days_and_no_other(store, tick):
    drop(store, "a.jsonl", *(on(d, d) for d in ("2026-03-01", "2026-03-02", "2026-03-05")))
    today = datetime.now(UTC).date().isoformat()
    assert covered(tick(mission_events_sensor)) == [
        ("2026-03-01", "2026-03-02"),
        ("2026-03-05", "2026-03-05"),
    ]
    assert tick(mission_events_sensor) == []
    drop(store, "b.jsonl", on("2026-03-02", "late"), {"mission_id": "broken"})
    assert covered(tick(mission_events_sensor)) == [("2026-03-02",) * 2, (today,) * 2]


def test_days_of_a_run_that_has_not_begun_are_not_asked_for_again(store, tick):
    days = ("2026-03-01", "2026-03-02", "2026-03-05")
    queued = {"dagster/partition": "2026-03-05"}, {RANGE_START_TAG: days[0], RANGE_END_TAG: days[1]}
    job = build_definitions(Settings.from_env({}), store).resolve_job_def("missions_job")
    with dg.DagsterInstance.ephemeral() as instance:
        tick.instance = instance
        runs = [
            instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)
            for tags in queued
        ]
        drop(store, "a.jsonl", *(on(day, day) for day in (*days, "2026-03-06")))
        assert covered(tick(mission_events_sensor)) == [("2026-03-06",) * 2]
        instance.report_run_canceled(runs[0])
        drop(store, "b.jsonl", *(on(day, f"late-{day}") for day in days))
        assert covered(tick(mission_events_sensor)) == [("2026-03-05",) * 2]


def test_a_run_that_was_lost_and_given_up_is_launched_again_as_it_was(store, tick):
    days = {RANGE_START_TAG: "2026-03-01", RANGE_END_TAG: "2026-03-02"}
    lost = {
        "missions_job": days,
        "brief_job": {"dagster/partition": "2026-03-05", DELIVER_TAG: "always"},
    }
    definitions = build_definitions(Settings.from_env({}), store)
    with dg.DagsterInstance.ephemeral(settings={"run_retries": RETRIES}) as instance:
        tick.instance = instance

        def fail(name: str, tags: dict[str, str]) -> None:
            run = instance.create_run_for_job(definitions.resolve_job_def(name), tags=tags)
            instance.report_run_failed(run)
            # Its daemon's word comes after Dagster's first guess.
            instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: tags[WILL_RETRY_TAG]})

        given_up = {WILL_RETRY_TAG: "false"}
        for name, tags in lost.items():
            fail(name, tags | given_up)
            # Not these: Dagster makes the first again, a person the second, nobody the others.
            fail(name, tags | {WILL_RETRY_TAG: "true"})
            fail(name, tags | given_up | {PROCESS_TAG: "host/1/2"})
            fail(name, tags | given_up | {AGAIN_TAG: "3"})
            fail(name, tags | given_up | {"dagster/retry_number": "3"})
        requests = tick(lost_runs_sensor)
        assert [(r.job_name, r.tags[AGAIN_TAG]) for r in requests] == [
            ("brief_job", "1"),
            ("missions_job", "1"),
        ]
        assert covered(requests) == [("2026-03-05",) * 2, ("2026-03-01", "2026-03-02")]
        assert requests[0].tags[DELIVER_TAG] == "always"
        assert [r.run_key for r in tick(lost_runs_sensor)] == [r.run_key for r in requests]


def test_a_run_in_which_a_step_failed_is_not_launched_again(store, tick):
    @dg.op
    def fails() -> None:
        raise ValueError

    @dg.job(name="missions_job", partitions_def=DAILY)
    def failing() -> None:
        fails()

    with dg.DagsterInstance.ephemeral(settings={"run_retries": RETRIES}) as instance:
        tick.instance = instance
        tags = {WILL_RETRY_TAG: "false"}
        failing.execute_in_process(
            instance=instance, partition_key="2026-03-01", tags=tags, raise_on_error=False
        )
        [run] = instance.get_runs()
        assert run.tags[WILL_RETRY_TAG] == "false"
        assert tick(lost_runs_sensor) == []


def test_a_correction_that_moves_launches_both_days(store, tick):
    drop(store, "a.jsonl", on("2026-03-01", "m"))
    tick(mission_events_sensor)
    drop(store, "b.jsonl", on("2026-03-09", "m"))
    assert covered(tick(mission_events_sensor)) == [("2026-03-01",) * 2, ("2026-03-09",) * 2]


def test_a_lost_cursor_asks_again_under_the_same_run_keys(store, tick):
    drop(store, "a.jsonl", on("2026-03-01", "m"))
    first = tick(mission_events_sensor)
    tick.cursor = None
    assert [r.run_key for r in tick(mission_events_sensor)] == [r.run_key for r in first]


def test_new_samples_launch_the_days_whose_windows_they_reach(store, tick):
    # Two weeks of samples say what is ordinary: the 15th has the 1st among its reference days.
    days = ("2026-02-26", "2026-03-01", "2026-03-15", "2026-03-16")
    drop(store, "a.jsonl", *(on(day, f"m-{day}") for day in days))
    tick(mission_events_sensor)
    path = store.root / "inbox" / "kpis" / "s.csv"
    path.write_text(
        "source,domain_id,metric,timestamp,value\n"
        "domain_health,payments,latency_ms,2026-03-01T10:20:00Z,280\n",
        encoding="utf-8",
    )
    os.utime(path, (0, 0))
    assert covered(tick(mission_events_sensor)) == [("2026-03-01",) * 2, ("2026-03-15",) * 2]


def test_a_day_ahead_waits_until_it_is_there(store, tick, monkeypatch):
    ahead = datetime.now(UTC) + timedelta(hours=23)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    if ahead.date().isoformat() != tomorrow:
        ahead = ahead + timedelta(minutes=59)
    stamp = ahead.isoformat()
    drop(store, "a.jsonl", event("m", started_at=stamp, completed_at=stamp))
    assert covered(tick(mission_events_sensor)) == []
    assert read_cursor(tick.cursor)[1].keys() == {tomorrow}


def test_days_before_the_start_date_are_not_launched(store, tick):
    drop(store, "a.jsonl", on("2013-01-01", "old"))
    assert tick(mission_events_sensor) == []


def test_pending_verdicts_are_judged_when_their_window_closes(store, tick):
    past = datetime.now(UTC) - timedelta(minutes=1)
    with store.landing() as landing:
        landing.waiting.set_due(
            "rejudge",
            ["2026-03-01", "2026-03-02"],
            {"2026-03-01": past, "2026-03-02": past + timedelta(hours=1)},
        )
    first = tick(pending_verdicts_sensor)
    assert covered(first) == [("2026-03-01",) * 2]
    again = tick(pending_verdicts_sensor)
    assert [r.run_key for r in again] == [r.run_key for r in first]


@pytest.mark.parametrize(
    ("what", "sensor"), [("rejudge", pending_verdicts_sensor), ("hold", holds_sensor)]
)
def test_a_day_that_fell_due_and_is_no_partition_keeps_no_other_waiting(store, tick, what, sensor):
    # GRACE_START_DATE was set later meanwhile, say.
    gone, there = "2024-12-31", "2026-03-01"
    at = datetime(2026, 3, 2, tzinfo=UTC)
    with store.landing() as landing:
        landing.waiting.set_due(what, [gone, there], {gone: at, there: at})
    assert covered(tick(sensor)) == [(there, there)]


def test_the_brief_schedule_asks_for_the_day_before_in_local_time():
    definitions = build_definitions(Settings.from_env({"GRACE_TIMEZONE": "Europe/Berlin"}))
    schedule, *_ = definitions.schedules
    for at, day in (
        ("2026-03-29T08:00:00+02:00", "2026-03-28"),
        ("2026-03-30T08:00:00+02:00", "2026-03-29"),  # the day of 23 h
        ("2026-10-26T08:00:00+01:00", "2026-10-25"),  # the day of 25 h
        ("2026-01-01T00:30:00+01:00", "2025-12-31"),
    ):
        context = dg.build_schedule_context(
            scheduled_execution_time=datetime.fromisoformat(at),
            repository_def=definitions.get_repository_def(),
        )
        (request,) = schedule.evaluate_tick(context).run_requests
        assert (request.partition_key, request.tags["grace/deliver"]) == (day, "always")
        assert request.run_key == f"brief:{day}"


def test_spans_are_consecutive_days():
    days = ["2026-02-28", "2026-03-01", "2026-03-03"]
    assert list(spans(reversed(days))) == [days[:2], days[2:]]
    assert list(spans([])) == []


def test_the_cursor_is_read_as_it_was_written():
    assert read_cursor(None) == (0, {})
    assert read_cursor(write_cursor(7, {"2026-03-02": 5})) == (7, {"2026-03-02": 5})
