"""The check that names days whose latest attempt failed."""

import dagster as dg
import pytest

from grace_assets.checks import WATCHED, failed_partitions
from grace_assets.partitions import DAILY

DAYS = DAILY.get_partition_keys()[:4]


class Day(dg.Config):
    fails: bool


@dg.asset(name="mission_outcomes", partitions_def=DAILY)
def outcomes(config: Day) -> None:
    if config.fails:
        raise dg.Failure("as asked")


def attempt(instance: dg.DagsterInstance, day: str, fails: bool) -> None:
    config = {"ops": {"mission_outcomes": {"config": {"fails": fails}}}}
    dg.materialize(
        [outcomes], partition_key=day, run_config=config, instance=instance, raise_on_error=False
    )


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_nothing_failed_where_nothing_was_tried(instance):
    assert failed_partitions(instance) == {}


def test_only_days_whose_latest_attempt_failed_are_named(instance):
    for day, attempts in zip(DAYS, ([True], [False], [True, False], [False, True]), strict=True):
        for fails in attempts:
            attempt(instance, day, fails)
    assert failed_partitions(instance) == {"mission_outcomes": [DAYS[0], DAYS[3]]}


def test_it_names_what_dagster_itself_calls_failed(instance):
    for day, fails in zip(DAYS, (True, False, True, False), strict=True):
        attempt(instance, day, fails)
    key = dg.AssetKey("mission_outcomes")
    assert "mission_outcomes" in WATCHED
    theirs = instance.get_status_by_partition(key, DAILY.get_partition_keys(), DAILY)
    named = [day for day, status in theirs.items() if status and status.name == "FAILED"]
    assert failed_partitions(instance)["mission_outcomes"] == named
