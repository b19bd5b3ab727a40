"""Old data: months put together, samples dropped, and what was judged stays as it was said."""

import shutil
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.core.schemas import TABLES
from grace_assets.definitions import build_definitions
from grace_assets.settings import Settings, SettingsError
from tests.test_loop import DAYS, Loop, StoreAt, event, missions, samples

NEVER = {DELIVER_TAG: "never"}
LONG_AFTER = "2026-06-10T12:00:00+00:00"


@pytest.fixture(scope="module")
def long_made(tmp_path_factory) -> Path:
    loop = Loop(tmp_path_factory.mktemp("long_made"), moment=LONG_AFTER)
    loop.take(*missions())
    loop.take_samples(samples())
    loop.run(*DAYS, **NEVER)
    return loop.root


@pytest.fixture
def loop(tmp_path, long_made) -> Loop:
    return Loop(Path(shutil.copytree(long_made, tmp_path / "loop")), moment=LONG_AFTER)


def maintain(loop: Loop, *, dry_run: bool = False, **settings: int) -> dict[str, dict]:
    """What the job's assets report."""
    asked = {"config": {"dry_run": dry_run}}
    how = {"ops": {"compacted_months": asked, "expired_samples": asked}}
    store = StoreAt(data_dir=str(loop.root), timezone="UTC", moment=loop.store.moment, **settings)
    job = build_definitions(Settings.from_env({}), store).resolve_job_def("maintenance_job")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, run_config=how if dry_run else None)
    made = result.get_asset_materialization_events()
    return {
        event.asset_key.to_user_string(): {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in made
    }


def nothing() -> pa.Table:
    return TABLES["mission_telemetry"].with_date().empty_table()


def tables(loop: Loop) -> dict[str, list[dict]]:
    return {name: loop.table(name) for name in TABLES}


def test_without_a_setting_nothing_changes(loop):
    before = sorted(loop.root.rglob("*.parquet"))
    told = maintain(loop)
    assert "GRACE_COMPACT_AFTER_DAYS" in told["compacted_months"]["skipped"]
    assert "GRACE_KEEP_SAMPLES_DAYS" in told["expired_samples"]["skipped"]
    assert sorted(loop.root.rglob("*.parquet")) == before


def test_old_months_become_a_file_each_and_every_table_stays_the_same(loop):
    before = tables(loop)
    told = maintain(loop, compact_after_days=60)["compacted_months"]
    assert told["months"] == ["2026-03"]
    assert told["files_put_together"] == len(TABLES) * len(DAYS)
    assert tables(loop) == before
    assert not list(loop.root.glob("tables/*/date=*")), "no folder is left behind"
    assert maintain(loop, compact_after_days=60)["compacted_months"]["files_put_together"] == 0


def test_a_dry_run_tells_the_same_and_changes_nothing(loop):
    settings = {"compact_after_days": 60, "keep_samples_days": 60}
    before = {path: path.read_bytes() for path in loop.root.rglob("*.parquet")}
    told = maintain(loop, dry_run=True, **settings)
    assert {path: path.read_bytes() for path in loop.root.rglob("*.parquet")} == before
    assert loop.store.samples().kept_since() is None
    done = maintain(loop, **settings)
    assert told["compacted_months"] == done["compacted_months"] | {"dry_run": True}
    unlike = {"dry_run": True, "kept_since": "ever"}
    assert told["expired_samples"] == done["expired_samples"] | unlike
    sizes = {name: 0 for name in ("tables", "samples")}
    for path, content in before.items():
        sizes[path.relative_to(loop.root).parts[0]] += len(content)
    assert done["compacted_months"]["bytes_before"] == sizes["tables"]
    assert done["expired_samples"]["bytes_dropped"] == sizes["samples"]


def test_a_month_that_is_not_old_enough_stays_in_days(loop):
    assert maintain(loop, compact_after_days=71)["compacted_months"]["months"] == []


def test_a_late_mission_of_a_compacted_day_is_made_and_told(loop):
    maintain(loop, compact_after_days=60)
    before = tables(loop)["mission_outcomes"]
    loop.take(
        event(
            "late",
            started_at=f"{DAYS[1]}T20:00:00Z",
            completed_at=f"{DAYS[1]}T20:10:00Z",
        )
    )
    loop.run(DAYS[1], **NEVER)
    after = {row["mission_id"] for row in tables(loop)["mission_outcomes"]}
    assert after == {row["mission_id"] for row in before} | {"late"}


def test_dropped_samples_change_nothing_that_was_said(loop):
    before = tables(loop)
    told = maintain(loop, keep_samples_days=60)["expired_samples"]
    assert (told["days_dropped"], told["kept_since"]) == (21, "2026-04-11")
    assert not list(loop.root.glob("samples/date=*"))
    run = loop.run(*DAYS, **NEVER)
    made = run.asset_materializations_for_node("mission_telemetry")
    assert [one.partition for one in made if "samples_dropped" in one.metadata] == DAYS
    after = tables(loop)
    for name in TABLES:
        for row in (*before[name], *after[name]):
            row.pop("received_at", None)
        assert after[name] == before[name], name


def test_a_late_mission_of_a_day_without_samples_is_insufficient_data_and_others_stay(loop):
    before = {row["mission_id"]: row["verdict"] for row in tables(loop)["mission_outcomes"]}
    maintain(loop, keep_samples_days=60)
    late = event("late", started_at=f"{DAYS[1]}T20:00:00Z", completed_at=f"{DAYS[1]}T20:10:00Z")
    loop.take(late)
    loop.run(*DAYS, **NEVER)
    after = {row["mission_id"]: row["verdict"] for row in tables(loop)["mission_outcomes"]}
    assert after == before | {"late": "insufficient_data"}


def test_days_with_all_their_samples_are_judged_anew(loop):
    """Two weeks of samples before a day say what is ordinary on it."""
    maintain(loop, keep_samples_days=115)
    assert loop.store.samples().kept_since() == "2026-02-15"
    assert loop.store.closed(DAYS) == DAYS[:2]
    for day in DAYS[:4]:
        loop.store.lake().replace("mission_telemetry", [day], nothing())
    loop.run(*DAYS, **NEVER)
    verdicts = {row["mission_id"]: row["verdict"] for row in tables(loop)["mission_outcomes"]}
    assert verdicts["pay-3-8"] == "effective"


def test_the_schedule_is_there_where_a_setting_asks_for_it():
    names = [
        [schedule.name for schedule in build_definitions(Settings.from_env(env)).schedules]
        for env in ({}, {"GRACE_COMPACT_AFTER_DAYS": "400"}, {"GRACE_KEEP_SAMPLES_DAYS": "400"})
    ]
    assert [("maintenance_schedule" in some) for some in names] == [False, True, True]


def test_samples_that_verdicts_still_look_at_cannot_be_dropped():
    with pytest.raises(SettingsError, match="GRACE_KEEP_SAMPLES_DAYS: '29'"):
        Settings.from_env({"GRACE_KEEP_SAMPLES_DAYS": "29"})
    assert Settings.from_env({"GRACE_KEEP_SAMPLES_DAYS": "30"}).keep_samples_days == 30
