"""What all our SQLite files share: write-ahead logging, and transactions that end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done in the block, on disk when it ends, or nothing of it.

    `db` can be used on after any failure: a commit that the disk refused is rolled back too.
    """
    # Taking the write lock at once lets the busy timeout work; upgrading a read lock would fail.
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # SQLite ends a transaction by itself where the disk is full or broken.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
