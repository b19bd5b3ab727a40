"""Small durable state in SQL: a SQLite file of this machine, or a PostgreSQL that hosts share.

Both take the same statements, with `?` for values. A transaction is alone with its database: on
PostgreSQL an advisory lock does what SQLite's write lock does. On return from it the data is on
disk.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

from grace_assets.lake.durable import make_folder
from grace_assets.lake.sqlite import transaction, use_wal

BUSY_SECONDS = 60.0
"""How long to wait for another process that is writing."""


class StateError(Exception):
    """The database cannot be used; the message holds no password."""


class Database(Protocol):
    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """A cursor as of PEP 249."""
        ...

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> Any: ...

    def transaction(self) -> Any:
        """A context that is committed as a whole, or not at all, and alone meanwhile."""
        ...

    def snapshot(self) -> Any:
        """A context in which nothing is written, and what is read is of one moment."""
        ...

    def columns(self, table: str) -> set[str]:
        """The names of a table's columns; none where there is no such table."""
        ...

    def dialect(self, statement: str) -> str:
        """A statement that is SQLite's alone, in this database's words."""
        ...

    def close(self) -> None: ...


def state_url() -> str | None:
    """The database that hosts share. It may hold a password, so it is no setting."""
    return os.environ.get("GRACE_STATE_URL") or None


def open_database(root: Path, name: str, schema: str, url: str | None = None) -> Database:
    """The database `name` with the tables of `schema` (SQLite's dialect, made where missing).

    It is `state/<name>.sqlite` below `root`, or the PostgreSQL at `url`, where the tables lie in a
    schema of that name. Raises `StateError` for a URL that cannot be used.
    """
    database = _Postgres(url, f"grace_{name}") if url else _Sqlite(root / "state", name)
    with database.transaction():
        make_tables(database, schema)
    return database


def make_tables(database: Database, schema: str) -> None:
    for statement in filter(str.strip, schema.split(";\n")):
        database.execute(database.dialect(statement))


class _Sqlite:
    def __init__(self, folder: Path, name: str) -> None:
        make_folder(folder)
        self._db = sqlite3.connect(
            folder / f"{name}.sqlite",
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        use_wal(self._db)
        self._db.execute("PRAGMA synchronous=FULL")
        self.execute, self.executemany = self._db.execute, self._db.executemany
        self.close = self._db.close

    def dialect(self, statement: str) -> str:
        return statement

    def columns(self, table: str) -> set[str]:
        rows = self.execute("SELECT name FROM pragma_table_info(?)", (table,))
        return {name for (name,) in rows}

    def transaction(self) -> Any:
        return transaction(self._db)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")


class _Postgres:
    """PostgreSQL by psycopg; `schema` keeps our tables apart from Dagster's in one database."""

    def __init__(self, url: str, schema: str) -> None:
        self._psycopg, plain = _driver(), sound_url("GRACE_STATE_URL", url)
        with self._told():
            self._db = self._psycopg.connect(
                plain.set(drivername="postgresql").render_as_string(hide_password=False),
                autocommit=True,
                connect_timeout=10,
            )
        self._lock = crc32(schema.encode())
        with self.transaction():
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        self.execute(f"SET search_path TO {schema}")

    def dialect(self, statement: str) -> str:
        for ours, theirs in _DIALECT:
            statement = re.sub(ours, theirs, statement)
        return statement

    def columns(self, table: str) -> set[str]:
        rows = self.execute(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = current_schema() AND table_name = ?",
            (table,),
        )
        return {name for (name,) in rows}

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        with self._told():
            return self._db.execute(_marks(statement), [_text(value) for value in values])

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> Any:
        with self._told():
            cursor = self._db.cursor()
            cursor.executemany(_marks(statement), [[_text(value) for value in row] for row in rows])
            return cursor

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._told(), self._db.transaction():
            self._db.execute("SELECT pg_advisory_xact_lock(%s)", [self._lock])
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            self.execute("ROLLBACK")

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._psycopg.Error as error:
            # The driver's first line says what is the matter; what follows may quote values.
            why = str(error).partition("\n")[0]
            raise StateError(f"the state database refused: {why}") from error


_DIALECT = (
    (
        r"\bINTEGER PRIMARY KEY( AUTOINCREMENT)?",
        "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
    ),
    (r"\bINTEGER\b", "BIGINT"),
    (r"\bBLOB\b", "BYTEA"),
    # Sorted and compared by bytes, as SQLite does it, whatever the database's language.
    (r"\bTEXT\b", 'TEXT COLLATE "C"'),
    (r"\) WITHOUT ROWID", ")"),
    (r"\bOR ROLLBACK ", ""),
)


def _marks(statement: str) -> str:
    return statement.replace("?", "%s")


def _text(value: Any) -> Any:
    """PostgreSQL's text cannot hold U+0000; raw bytes are kept beside it as they came."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _driver() -> Any:
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise StateError(
            "a PostgreSQL needs the extra: pip install 'grace-assets[postgres]'"
        ) from error
    return psycopg


def sound_url(variable: str, text: str) -> Any:
    """The SQLAlchemy URL in an environment variable; `StateError` where it is none."""
    import sqlalchemy as sa

    try:
        url = sa.make_url(text)
        url.get_dialect()
    except (sa.exc.ArgumentError, ValueError):
        url = None
    # An unescaped "@" in a password puts the rest of it into the host's name, and drivers quote
    # that in their errors.
    if url is None or "@" in f"{url.host}{url.database}":
        raise StateError(f"{variable}: is not a database URL; in a password @ is written %40")
    return url
