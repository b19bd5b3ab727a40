"""Dagster's own failed and repaired runs become missions, from a real instance."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from grace_assets import run_history
from grace_assets.core.events import to_table
from grace_assets.definitions import build_definitions
from grace_assets.run_history import dagster_runs_sensor
from grace_assets.settings import Settings
from tests.test_loop import StoreAt

BROKEN: set[str] = set()
"""Assets and ops that fail now."""
DAYS = dg.DailyPartitionsDefinition("2026-03-01")


def breaks(name: str) -> None:
    if name in BROKEN:
        raise ValueError(f"{name} is empty; see ftp://vendor:canary@host/")


@dg.asset(partitions_def=DAYS)
def orders() -> None:
    breaks("orders")


@dg.asset(partitions_def=DAYS, deps=[orders])
def items() -> None:
    breaks("items")


@dg.op
def load():
    breaks("load")


@dg.op
def publish():
    breaks("publish")


@dg.job(executor_def=dg.in_process_executor)
def reload():
    load()
    publish()


def nightly_assets() -> dg.Definitions:
    nightly = dg.define_asset_job("nightly", selection=[orders, items])
    return dg.Definitions(assets=[orders, items], jobs=[nightly])


@pytest.fixture(autouse=True)
def nothing_broken():
    BROKEN.clear()


@pytest.fixture
def store(tmp_path) -> StoreAt:
    moment = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    return StoreAt(data_dir=str(tmp_path / "data"), timezone="UTC", moment=moment)


@pytest.fixture
def instance(tmp_path, monkeypatch):
    # On disk, because a re-execution opens the instance anew.
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        yield instance


def materialise(instance, broken: set[str], assets=(orders, items), **options):
    BROKEN.clear()
    BROKEN.update(broken)
    return dg.materialize(list(assets), instance=instance, raise_on_error=False, **options)


def tick(store, instance, cursor=None):
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"store": store})
    return dagster_runs_sensor(context)


def taken(store) -> list[dict]:
    """The missions of about today, in the order in which they ended."""
    now = datetime.now(UTC)
    days = [f"{now + timedelta(days=d):%Y-%m-%d}" for d in (-1, 0, 1)]
    with store.landing() as landing:
        assert landing.quarantine.lines() == []
        return to_table(landing.missions.events(days)).to_pylist()


def test_a_failed_partition_and_the_run_that_repaired_it_are_one_mission(store, instance):
    failed = materialise(instance, {"orders"}, partition_key="2026-03-02")
    materialise(instance, set(), partition_key="2026-03-03")
    first = tick(store, instance)
    assert taken(store) == []
    repaired = materialise(instance, set(), partition_key="2026-03-02")
    second = tick(store, instance, first.cursor)
    (mission,) = taken(store)
    assert (mission["domain_id"], mission["success"]) == ("orders", True)
    assert mission["mission_type"] == "failure_remediation"
    assert mission["title"] == "Repaired orders for 2026-03-02"
    told = mission["trigger"]["description"]
    assert told == "orders: ValueError"
    assert mission["onset_at"] < mission["detected_at"] <= mission["started_at"]
    assert mission["mission_id"] == f"dagster-{failed.run_id}-{repaired.run_id[:8]}"
    # Neither the next tick nor one that lost its cursor makes another.
    assert tick(store, instance, second.cursor).skip_reason.skip_message == "no new runs"
    tick(store, instance)
    (again,) = taken(store)
    assert (again["mission_id"], again["revision"]) == (mission["mission_id"], 1)


def test_a_named_job_is_repaired_by_the_asset_that_broke_in_it(store, instance):
    BROKEN.add("items")
    job = nightly_assets().resolve_job_def("nightly")
    job.execute_in_process(instance=instance, partition_key="2026-03-02", raise_on_error=False)
    materialise(instance, set(), [orders], partition_key="2026-03-02")
    materialise(instance, set(), [items], partition_key="2026-03-02")
    tick(store, instance)
    (mission,) = taken(store)
    assert (mission["domain_id"], mission["title"]) == (
        "nightly",
        "Repaired nightly for 2026-03-02",
    )
    assert mission["actions"][0].startswith("ran items for 2026-03-02 as run ")


def test_a_day_of_a_failed_range_is_repaired_and_then_the_range(store, instance):
    week = {
        "dagster/asset_partition_range_start": "2026-03-02",
        "dagster/asset_partition_range_end": "2026-03-08",
    }
    materialise(instance, {"orders"}, tags=week)
    materialise(instance, {"orders"}, partition_key="2026-03-05")
    materialise(instance, set(), partition_key="2026-03-05")
    materialise(instance, set(), partition_key="2026-03-09")
    materialise(instance, set(), tags=week)
    tick(store, instance)
    assert [(m["title"], m["success"]) for m in taken(store)] == [
        ("Tried to repair orders for 2026-03-05", False),
        ("Repaired orders for 2026-03-05 after 1 failed attempt", True),
        ("Repaired orders for 2026-03-02…2026-03-08 after 1 failed attempt", True),
    ]
    assert len({mission["detected_at"] for mission in taken(store)}) == 1


def test_a_run_that_is_executed_again_from_its_failure_is_a_repair(store, instance):
    BROKEN.add("publish")
    target = dg.reconstructable(reload)
    with dg.execute_job(target, instance=instance) as failed:
        assert not failed.success
    BROKEN.clear()
    again = dg.ReexecutionOptions.from_failure(failed.run_id, instance)
    with dg.execute_job(target, instance=instance, reexecution_options=again) as repaired:
        assert repaired.success
    tick(store, instance)
    (mission,) = taken(store)
    assert (mission["domain_id"], mission["title"]) == ("reload", "Repaired reload")
    assert mission["trigger"]["description"] == "publish: ValueError"
    assert mission["actions"] == [
        f"re-executed run {failed.run_id[:8]} as run {repaired.run_id[:8]}"
    ]


def test_what_failed_is_told_without_the_words_of_the_error(store, instance):
    failed = materialise(instance, {"orders"}, partition_key="2026-03-02")
    lost = instance.create_run_for_job(
        nightly_assets().resolve_job_def("nightly"), tags={"dagster/partition": "2026-03-07"}
    )
    instance.report_run_failed(lost, "the worker was evicted")
    assert run_history.what_failed(instance, lost.run_id) == (
        [],
        "the run failed before any step did",
    )
    told = run_history.what_failed(instance, failed.run_id)
    assert told == (["orders"], "orders: ValueError")


def test_what_is_older_than_the_history_is_left_alone(store, instance):
    materialise(instance, {"orders"}, partition_key="2026-03-02")
    materialise(instance, set(), partition_key="2026-03-02")
    later = (datetime.now(UTC) + timedelta(days=31)).isoformat()
    stale = (datetime.now(UTC) - timedelta(days=60)).isoformat()
    for cursor in (None, stale):
        aged = StoreAt(data_dir=store.data_dir, timezone="UTC", moment=later)
        tick(aged, instance, cursor)
    assert taken(store) == []


def test_it_is_off_unless_it_is_switched_on():
    def sensors(env: dict) -> set[str]:
        return {s.name for s in build_definitions(Settings.from_env(env)).sensors}

    assert "dagster_runs_sensor" not in sensors({})
    assert "dagster_runs_sensor" in sensors({"GRACE_DAGSTER_RUNS": "true"})
    assert "domain_health_sensor" not in sensors({})
    assert "domain_health_sensor" in sensors({"DOMAIN_HEALTH_URL": "http://x"})
