"""What all our SQLite files share: how they enter write-ahead logging."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from filelock import FileLock


def use_wal(db: sqlite3.Connection) -> None:
    """Put the file of `db` into WAL mode, where several processes may do so at once.

    SQLite does not wait for a lock when it changes the journal mode: of two processes that open
    a new file together, one would fail with "database is locked" whatever its timeout.
    """
    file = Path(db.execute("PRAGMA database_list").fetchone()[2])
    with FileLock(file.with_name(f".{file.name}.wal-lock")):
        db.execute("PRAGMA journal_mode = WAL")
