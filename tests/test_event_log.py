"""The event log keeps its connections, and its file is Dagster's own."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pytest
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from sqlalchemy import event

from grace_assets.event_log import KeptSqliteEventLogStorage

KEY = dg.AssetKey("fixed")


@dg.asset
def fixed() -> None:
    pass


@pytest.fixture
def instance(tmp_path, monkeypatch):
    (tmp_path / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "event_log_storage:\n"
        "  module: grace_assets.event_log\n"
        "  class: KeptSqliteEventLogStorage\n"
        f"  config: {{base_dir: {tmp_path}}}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_a_run_opens_the_file_once_however_many_events_it_has(instance):
    assert dg.materialize([fixed], instance=instance).success
    opened = []
    event.listen(instance.event_log_storage._engine, "connect", lambda *_: opened.append(1))
    for _ in range(2):
        assert dg.materialize([fixed], instance=instance).success
    assert opened == []
    assert len(instance.fetch_materializations(KEY, limit=10).records) == 3


def test_dagsters_own_storage_reads_the_file_and_writes_it(instance, tmp_path):
    run = dg.materialize([fixed], instance=instance)
    theirs = ConsolidatedSqliteEventLogStorage(str(tmp_path))
    events = theirs.get_logs_for_run(run.run_id)
    assert "ASSET_MATERIALIZATION" in [
        e.dagster_event.event_type_value for e in events if e.dagster_event
    ]
    theirs.store_event(events[0])
    assert len(instance.all_logs(run.run_id)) == len(events) + 1


def test_threads_write_at_once_and_nothing_is_lost(tmp_path, instance):
    run = dg.materialize([fixed], instance=instance)
    storage = KeptSqliteEventLogStorage(str(tmp_path))
    entries = storage.get_logs_for_run(run.run_id)
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(storage.store_event, [entries[0]] * 200))
    assert len(storage.get_logs_for_run(run.run_id)) == len(entries) + 200
    storage.dispose()


@dg.asset(
    partitions_def=dg.StaticPartitionsDefinition(list("abc")),
    check_specs=[dg.AssetCheckSpec("sound", asset="ranged")],
)
def ranged(context: dg.AssetExecutionContext):
    for day in context.partition_keys:
        context.add_asset_metadata({"day": day}, asset_key=context.asset_key, partition_key=day)
    yield dg.MaterializeResult(tags={"kind": "ranged"})
    yield dg.AssetCheckResult(passed=True)


def test_a_batch_leaves_what_its_events_one_by_one_leave(tmp_path, monkeypatch):
    def run_with(storage: str) -> tuple[list, ...]:
        home = tmp_path / storage
        home.mkdir()
        (home / "dagster.yaml").write_text(
            "telemetry: {enabled: false}\n"
            "event_log_storage:\n"
            f"  module: {storage.rpartition('.')[0]}\n"
            f"  class: {storage.rpartition('.')[2]}\n"
            f"  config: {{base_dir: {home}}}\n",
            encoding="utf-8",
        )
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        tags = {
            "dagster/asset_partition_range_start": "a",
            "dagster/asset_partition_range_end": "c",
        }
        with dg.DagsterInstance.get() as instance:
            run = dg.materialize([ranged], instance=instance, tags=tags)
            assert run.success
            key = dg.AssetKey("ranged")
            record = instance.get_asset_records([key])[0].asset_entry
            found = instance.fetch_materializations(key, limit=10).records
            checks = instance.event_log_storage.get_asset_check_execution_history(
                dg.AssetCheckKey(key, "sound"), limit=10
            )
            return (
                [(e.dagster_event_type, e.step_key) for e in instance.all_logs(run.run_id)],
                [(r.partition_key, r.asset_materialization.metadata, r.storage_id) for r in found],
                [instance.get_materialized_partitions(key), instance.get_asset_keys()],
                [record.last_materialization_record.storage_id, record.last_run_id == run.run_id],
                [(check.status, check.partition) for check in checks],
            )

    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    theirs = run_with("dagster._core.storage.event_log.ConsolidatedSqliteEventLogStorage")
    ours = run_with("grace_assets.event_log.KeptSqliteEventLogStorage")
    assert ours == theirs
    assert len(ours[1]) == 3


KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from grace_assets.event_log import KeptSqliteEventLogStorage

@event.listens_for(Engine, "before_cursor_execute")
def strike(_connection, _cursor, statement, *_):
    if "CREATE TABLE asset_keys" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

KeptSqliteEventLogStorage(sys.argv[1])
"""


def test_a_file_whose_maker_was_killed_is_made_again(tmp_path):
    home = tmp_path / "dagster"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(home)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert KeptSqliteEventLogStorage(str(home)).has_table("asset_keys")
    assert [path.name for path in home.glob(".event_log.new")] == []
