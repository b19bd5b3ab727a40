"""Days that wait to be judged anew, and until when: tables of the landing's database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from grace_assets.core.moments import micros, moment
from grace_assets.lake.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS rejudge (day TEXT PRIMARY KEY, due_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS source (day TEXT PRIMARY KEY, due_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS hold (day TEXT PRIMARY KEY, due_at INTEGER NOT NULL);
"""

Why = Literal["rejudge", "hold", "source"]
"""Why a day waits: for a window to close, a later look at its recoveries, a source that failed."""


class WaitingDays:
    def __init__(self, db: Database) -> None:
        self._db = db

    def set_due(self, why: Why, days: Sequence[str], due: dict[str, datetime]) -> None:
        """Remember when the verdicts of `days` can next change; a day without one waits no more."""
        with self._db.transaction():
            self._db.executemany(f"DELETE FROM {why} WHERE day = ?", [(day,) for day in days])
            self._db.executemany(
                f"INSERT INTO {why} VALUES (?, ?)", [(day, micros(at)) for day, at in due.items()]
            )

    def due(self, why: Why, now: datetime) -> dict[str, datetime]:
        """The days that wait no longer."""
        rows = self._db.execute(
            f"SELECT day, due_at FROM {why} WHERE due_at <= ? ORDER BY day", (micros(now),)
        )
        return {day: moment(due_at) for day, due_at in rows}
