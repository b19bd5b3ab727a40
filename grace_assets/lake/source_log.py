"""What was fetched from pulled sources, and what failed: `state/sources.sqlite`.

A second run reads what the first fetched, so it has to be known which stretches are complete.
They are kept per UTC day, the unit in which samples are stored and asked for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from grace_assets.lake.durable import make_folder
from grace_assets.lake.landing import micros
from grace_assets.lake.sqlite import use_wal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fetched (
  source TEXT NOT NULL, metric TEXT NOT NULL, query TEXT NOT NULL, domain_id TEXT NOT NULL,
  day TEXT NOT NULL, until INTEGER NOT NULL,
  PRIMARY KEY (source, metric, query, domain_id, day)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failed (
  day TEXT NOT NULL, source TEXT NOT NULL, metric TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (day, source, metric)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Failure:
    """A metric that could not be fetched for the missions of a partition."""

    day: str
    source: str
    metric: str
    reason: str


class SourceLog:
    def __init__(self, root: Path) -> None:
        folder = root / "state"
        make_folder(folder)
        self._path = folder / "sources.sqlite"
        with self._open() as db:
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=60, isolation_level=None)
        try:
            use_wal(db)
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()

    def fetched(
        self, source: str, metric: str, query: str, days: Sequence[str]
    ) -> dict[tuple[str, str], int]:
        """Until when (µs) each (domain, day) of a query has been fetched."""
        with self._open() as db:
            rows = db.execute(
                "SELECT domain_id, day, until FROM fetched "
                "WHERE source = ? AND metric = ? AND query = ? AND day BETWEEN ? AND ?",
                (source, metric, query, min(days), max(days)),
            ).fetchall()
        return {(domain, day): until for domain, day, until in rows}

    def note_fetched(
        self,
        source: str,
        metric: str,
        query: str,
        domains: Iterable[str],
        ends: dict[str, datetime],
    ) -> None:
        """Remember that these domains are complete up to each day's end."""
        rows = [
            (source, metric, query, domain, day, micros(until))
            for domain in domains
            for day, until in ends.items()
        ]
        with self._open() as db:
            db.executemany("INSERT OR REPLACE INTO fetched VALUES (?,?,?,?,?,?)", rows)

    def replace_failures(self, days: Sequence[str], failures: Iterable[Failure]) -> None:
        """What is missing for the partitions `days` now; what was missing before is forgotten."""
        rows = [(f.day, f.source, f.metric, f.reason) for f in failures]
        with self._open() as db:
            db.executemany("DELETE FROM failed WHERE day = ?", [(day,) for day in days])
            db.executemany("INSERT OR REPLACE INTO failed VALUES (?,?,?,?)", rows)

    def failures(self, days: Sequence[str]) -> list[Failure]:
        with self._open() as db:
            rows = db.execute(
                "SELECT day, source, metric, reason FROM failed WHERE day BETWEEN ? AND ? "
                "ORDER BY day, source, metric",
                (min(days), max(days)),
            ).fetchall()
        wanted = set(days)
        return [Failure(*row) for row in rows if row[0] in wanted]
