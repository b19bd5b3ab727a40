"""Dagster's runs in its own SQLite file, with its connections kept (see `event_log`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Self

from dagster._core.storage.runs import SqliteRunStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine

from grace_assets.kept_sqlite import kept_engine


class KeptSqliteRunStorage(SqliteRunStorage):
    """`SqliteRunStorage` on one engine a process; named in `dagster.yaml`."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: dict[str, str]
    ) -> Self:
        return cls.from_local(inst_data=inst_data, **config_value)

    @cached_property
    def _engine(self) -> Engine:
        return kept_engine(self._conn_string)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()
