"""The journal of days whose tables are to be made anew: a table of the landing's database."""

from __future__ import annotations

from collections.abc import Iterable

from grace_assets.lake.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS change (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, cause TEXT NOT NULL);
"""


class Journal:
    def __init__(self, db: Database) -> None:
        self._db = db

    def note(self, days: Iterable[str], cause: str) -> None:
        """Within the transaction that changes what the tables of `days` are made of."""
        self._db.executemany(
            "INSERT INTO change (day, cause) VALUES (?, ?)", [(day, cause) for day in sorted(days)]
        )

    def changed_days(self, after: int) -> tuple[int, dict[str, int]]:
        """The latest entry of the journal, and the days changed after entry `after`.

        Each day maps to its own latest entry: a name for this state of the day.
        """
        rows = self._db.execute(
            "SELECT day, max(seq) FROM change WHERE seq > ? GROUP BY day ORDER BY day", (after,)
        ).fetchall()
        return max((seq for _, seq in rows), default=after), dict(rows)
