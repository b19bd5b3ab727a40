"""Dagster's own failed and repaired runs become missions, from a real instance."""

import dagster as dg
import pytest

from grace_assets.core.events import to_table
from grace_assets.definitions import build_definitions
from grace_assets.run_history import dagster_runs_sensor
from grace_assets.settings import Settings
from tests.test_loop import StoreAt

BROKEN = {"now": True}


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-03-01"))
def orders(context):
    if BROKEN["now"]:
        raise ValueError("the vendor's file is empty")


@pytest.fixture
def store(tmp_path) -> StoreAt:
    from datetime import UTC, datetime, timedelta

    moment = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    return StoreAt(data_dir=str(tmp_path), timezone="UTC", moment=moment)


def tick(store, instance, cursor=None):
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"store": store})
    return dagster_runs_sensor(context)


def taken(store) -> list:
    from datetime import UTC, datetime

    with store.landing() as landing:
        return to_table(landing.events([f"{datetime.now(UTC):%Y-%m-%d}"])).to_pylist()


def test_a_failed_partition_and_the_run_that_repaired_it_are_one_mission(store):
    with dg.DagsterInstance.ephemeral() as instance:

        def materialise(broken: bool, day: str, **tags):
            BROKEN["now"] = broken
            return dg.materialize(
                [orders], partition_key=day, instance=instance, raise_on_error=False, tags=tags
            )

        failed = materialise(True, "2026-03-02")
        materialise(False, "2026-03-03")
        first = tick(store, instance)
        assert taken(store) == []
        repaired = materialise(False, "2026-03-02")
        second = tick(store, instance, first.cursor)
        (mission,) = taken(store)
        assert mission["success"] is True
        assert mission["mission_type"] == "failure_remediation"
        assert mission["title"].endswith("for 2026-03-02")
        assert mission["trigger"]["description"] == "orders: ValueError"
        assert mission["detected_at"] <= mission["started_at"] <= mission["completed_at"]
        assert failed.run_id in mission["mission_id"]
        assert repaired.run_id[:8] in mission["mission_id"]
        # Neither the next tick nor one that lost its cursor makes another.
        tick(store, instance, second.cursor)
        tick(store, instance)
        assert [m["mission_id"] for m in taken(store)] == [mission["mission_id"]]


def test_it_is_off_unless_it_is_switched_on():
    def sensors(env: dict) -> set[str]:
        return {s.name for s in build_definitions(Settings.from_env(env)).sensors}

    assert "dagster_runs_sensor" not in sensors({})
    assert "dagster_runs_sensor" in sensors({"GRACE_DAGSTER_RUNS": "true"})
    assert "domain_health_sensor" not in sensors({})
    assert "domain_health_sensor" in sensors({"DOMAIN_HEALTH_URL": "http://x"})
