"""Dagster's event log in one SQLite file, with its connections kept.

Dagster's own storage makes an SQLAlchemy engine and opens the file for every event, and compiles
each statement anew: more than half of what a run of small days takes. The file and its schema
are Dagster's own, so either class can read what the other wrote.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from sqlalchemy import Connection, Engine, inspect

from grace_assets.kept_sqlite import kept_engine


class KeptSqliteEventLogStorage(ConsolidatedSqliteEventLogStorage):
    """`ConsolidatedSqliteEventLogStorage` on one engine a process; named in `dagster.yaml`."""

    @cached_property
    def _engine(self) -> Engine:
        return kept_engine(self._conn_string)

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def has_table(self, table_name: str) -> bool:
        return inspect(self._engine).has_table(table_name)

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()
