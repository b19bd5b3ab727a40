"""The runs keep their connections, and their file is Dagster's own."""

import dagster as dg
import pytest
from dagster._core.storage.runs import SqliteRunStorage
from sqlalchemy import event, text

KEEPING = """
telemetry: {{enabled: false}}
run_storage:
  module: grace_assets.run_storage
  class: KeptSqliteRunStorage
  config: {{base_dir: {home}}}
event_log_storage:
  module: grace_assets.event_log
  class: KeptSqliteEventLogStorage
  config: {{base_dir: {home}}}
"""


@dg.asset
def fixed() -> None:
    pass


@pytest.fixture
def instance(tmp_path, monkeypatch):
    text = KEEPING.format(home=tmp_path)
    (tmp_path / "dagster.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_runs_open_the_file_once_however_many_there_are(instance):
    opened = []
    event.listen(instance.run_storage._engine, "connect", lambda *_: opened.append(1))
    for _ in range(3):
        assert dg.materialize([fixed], instance=instance).success
    assert len(opened) <= 1
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS] * 3


def test_dagsters_own_storage_reads_the_file_and_writes_it(instance, tmp_path):
    run = dg.materialize([fixed], instance=instance)
    theirs = SqliteRunStorage.from_local(str(tmp_path))
    assert [run.run_id for run in theirs.get_runs()] == [run.run_id]
    theirs.delete_run(run.run_id)
    assert instance.get_runs() == []


def test_commits_wait_for_the_disk_only_where_the_file_could_break(instance):
    for storage in (instance.run_storage, instance.event_log_storage):
        with storage._engine.connect() as connection:
            normal = connection.execute(text("PRAGMA synchronous")).scalar()
            journal = connection.execute(text("PRAGMA journal_mode")).scalar()
        assert (normal, journal) == (1, "wal")
