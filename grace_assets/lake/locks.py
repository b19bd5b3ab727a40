"""One writer at a time, from its reads to its last write: on this machine, or among hosts.

Dagster's pools do the same for runs that go through its queue; runs in process, from the command
line and on hosts with pools of more than one do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from pathlib import Path
from weakref import finalize
from zlib import crc32

from filelock import FileLock

from grace_assets.lake.database import Database, open_database
from grace_assets.lake.files import Held

_WHOLE = 0
"""In the place of a day's number: the whole table."""


class Locks:
    """Locks of tables: files below `root`, and with `url` PostgreSQL's advisory locks as well.

    On one machine a writer has the whole table; among hosts it has its days, so that each works
    on days of its own. Those locks end with the connection: a host that is gone holds none.
    """

    def __init__(self, root: Path, url: str | None = None) -> None:
        self._root, self._url = root, url
        self._files: dict[str, FileLock] = {}

    @contextmanager
    def exclusive(self, table: str, days: Sequence[str] | None = None) -> Iterator[None]:
        """Alone with `days` of a table, or with all of it. May be nested, on the same days."""
        if table not in self._files:
            folder = self._root / "state" / "locks"
            folder.mkdir(parents=True, exist_ok=True)
            self._files[table] = FileLock(folder / f"{table}.lock")
        with self._files[table]:
            if self._url is None:
                yield
                return
            held: list[tuple[str, int, int]] = []
            try:
                for lock in _wanted(table, days):
                    self._call("pg_advisory_lock", *lock)
                    held.append(lock)
                yield
            finally:
                for lock in reversed(held):
                    self._call("pg_advisory_unlock", *lock)

    @property
    def held(self) -> Held | None:
        """`check`, for `Files.replacing`; null where locks are files, which cannot be lost."""
        return self.check if self._url else None

    def check(self) -> None:
        """Raises `StateError` where the connection, and with it every lock, was lost."""
        if self._url is not None:
            self._database.execute("SELECT 1")

    @cached_property
    def _database(self) -> Database:
        database = open_database(self._root, "locks", "", self._url)
        # Nobody ends a lake: the connection ends with its last user.
        finalize(self, database.close).atexit = False
        return database

    def _call(self, function: str, shared: str, table: int, day: int) -> None:
        self._database.execute(f"SELECT {function}{shared}(?::int, ?::int)", (table, day))


def _wanted(table: str, days: Sequence[str] | None) -> list[tuple[str, int, int]]:
    """In the order in which everybody takes them, so that no two wait for each other."""
    name = crc32(table.encode()) - 2**31
    if days is None:
        return [("", name, _WHOLE)]
    numbers = sorted(date.fromisoformat(day).toordinal() for day in days)
    return [("_shared", name, _WHOLE), *(("", name, number) for number in numbers)]
