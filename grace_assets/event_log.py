"""Dagster's event log in one SQLite file, with its connections kept.

Dagster's own storage makes an SQLAlchemy engine and opens the file for every event, and compiles
each statement anew: more than half of what a run of small days takes. The file and its schema
are Dagster's own, so either class can read what the other wrote.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from filelock import FileLock
from sqlalchemy import Connection, Engine, inspect

from grace_assets.kept_sqlite import kept_engine


class KeptSqliteEventLogStorage(ConsolidatedSqliteEventLogStorage):
    """`ConsolidatedSqliteEventLogStorage` on one engine a process; named in `dagster.yaml`."""

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

    def has_table(self, table_name: str) -> bool:
        return inspect(self._engine).has_table(table_name)

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()
