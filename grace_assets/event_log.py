"""Dagster's event log in one SQLite file; its connections are kept, its batches written at once.

Dagster's own storage makes an SQLAlchemy engine and opens the file for every event, and compiles
each statement anew: more than half of what a run of small days takes. The file and its schema
are Dagster's own, so either class can read what the other wrote.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from dagster import EventLogEntry
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from filelock import FileLock
from sqlalchemy import Connection, Engine, inspect

from grace_assets.kept_sqlite import kept_engine


def use_batches() -> None:
    """Let this process hand the events of a range to the event log together.

    Dagster does so only where it is told, by a variable that it reads at each event.
    """
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")


class KeptSqliteEventLogStorage(ConsolidatedSqliteEventLogStorage):
    """`ConsolidatedSqliteEventLogStorage` on one engine a process; named in `dagster.yaml`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        use_batches()

    @cached_property
    def _engine(self) -> Engine:
        return kept_engine(self._conn_string)

    def _init_db(self) -> None:
        """Make the file elsewhere and put it there whole.

        Dagster takes a file that is there for one that has its tables: killed before it had them,
        no run in that home would ever succeed.
        """
        home = Path(self._base_dir)
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / ".event_log.lock"):
            if Path(self.get_db_path()).exists():
                return
            new = home / ".event_log.new"
            shutil.rmtree(new, ignore_errors=True)
            made = ConsolidatedSqliteEventLogStorage(str(new))
            Path(made.get_db_path()).rename(self.get_db_path())
            new.rmdir()

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """As `store_event` one by one, in one transaction.

        With an asset only the last of its events of a kind is entered: none else would be left.
        """
        table = SqlEventLogStorageTable
        insert = table.insert().returning(table.c.id, sort_by_parameter_order=True)
        with self._connect() as connection:
            ids = connection.scalars(insert, [self._event_to_row(event) for event in events]).all()
            stored = list(zip(ids, events, strict=True))
            of_assets = [
                (number, event)
                for number, event in stored
                if event.dagster_event_type in ASSET_EVENTS and event.dagster_event.asset_key
            ]
            self._store_asset_event_tags(
                connection, [event for _, event in of_assets], [number for number, _ in of_assets]
            )
            last = {
                (event.dagster_event.asset_key, event.dagster_event_type): (event, number)
                for number, event in of_assets
            }
            for event, number in last.values():
                self._store_asset_event(connection, event, number)
        for number, event in stored:
            if event.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(event, number)

    def _has_asset_key_index_cols_on_connection(self, conn: Connection) -> bool:  # noqa: ARG002
        # With every Dagster that we run on; to look at each event costs as much as the event.
        return True

    def has_table(self, table_name: str) -> bool:
        return inspect(self._engine).has_table(table_name)

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()
