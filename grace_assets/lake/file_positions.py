"""How far each file of the inbox was read: a table of the landing's database."""

from __future__ import annotations

from dataclasses import dataclass

from grace_assets.lake.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
  path TEXT PRIMARY KEY, device INTEGER NOT NULL, inode INTEGER NOT NULL, "offset" INTEGER NOT NULL,
  line INTEGER NOT NULL, prefix BLOB NOT NULL, archived INTEGER);
CREATE INDEX IF NOT EXISTS file_archived ON file (archived);
"""


@dataclass(frozen=True)
class FilePosition:
    """How far a file was read. `prefix` is a digest of the bytes before `offset`."""

    path: str
    device: int
    inode: int
    offset: int
    line: int
    prefix: bytes


class FilePositions:
    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, path: str) -> FilePosition | None:
        row = self._db.execute(
            'SELECT path, device, inode, "offset", line, prefix FROM file WHERE path = ?', (path,)
        ).fetchone()
        return FilePosition(*row) if row else None

    def note(self, p: FilePosition) -> None:
        """Within the transaction that takes what lies before the position."""
        self._db.execute(
            "INSERT INTO file VALUES (?,?,?,?,?,?,NULL) ON CONFLICT (path) DO UPDATE SET "
            'device = excluded.device, inode = excluded.inode, "offset" = excluded."offset", '
            "line = excluded.line, prefix = excluded.prefix, archived = NULL",
            (p.path, p.device, p.inode, p.offset, p.line, p.prefix),
        )

    def archive(self, path: str, archived_as: str) -> None:
        """Follow a file that was moved out of the inbox."""
        with self._db.transaction():
            self._db.execute("DELETE FROM file WHERE path = ?", (archived_as,))
            self._db.execute(
                "UPDATE file SET path = ?, archived = "
                "(SELECT coalesce(max(archived), 0) + 1 FROM file) WHERE path = ?",
                (archived_as, path),
            )

    def archived_last(self, limit: int) -> list[str]:
        rows = self._db.execute(
            "SELECT path FROM file WHERE archived IS NOT NULL ORDER BY archived DESC LIMIT ?",
            (limit,),
        )
        return [row[0] for row in rows]
