"""What was fetched from pulled sources, and what failed: `state/sources.sqlite`, or a PostgreSQL.

A second run reads what the first fetched, so it has to be known which stretches are complete.
They are kept per UTC day, the unit in which samples are stored and asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from grace_assets.core.moments import micros
from grace_assets.lake.database import open_database

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
    def __init__(self, root: Path, url: str | None = None) -> None:
        self._open = partial(open_database, root, "sources", _SCHEMA, url)

    def fetched(
        self, source: str, metric: str, query: str, days: Sequence[str]
    ) -> dict[tuple[str, str], int]:
        """Until when (µs) each (domain, day) of a query has been fetched."""
        with closing(self._open()) as db, db.transaction():
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
        with closing(self._open()) as db, db.transaction():
            db.executemany(
                "INSERT INTO fetched VALUES (?,?,?,?,?,?) ON CONFLICT "
                "(source, metric, query, domain_id, day) DO UPDATE SET until = excluded.until",
                rows,
            )

    def replace_failures(self, days: Sequence[str], failures: Iterable[Failure]) -> None:
        """What is missing for the partitions `days` now; what was missing before is forgotten."""
        rows = [(f.day, f.source, f.metric, f.reason) for f in failures]
        with closing(self._open()) as db, db.transaction():
            db.executemany("DELETE FROM failed WHERE day = ?", [(day,) for day in days])
            db.executemany(
                "INSERT INTO failed VALUES (?,?,?,?) "
                "ON CONFLICT (day, source, metric) DO UPDATE SET reason = excluded.reason",
                rows,
            )

    def failures(self, days: Sequence[str]) -> list[Failure]:
        with closing(self._open()) as db, db.transaction():
            rows = db.execute(
                "SELECT day, source, metric, reason FROM failed WHERE day BETWEEN ? AND ? "
                "ORDER BY day, source, metric",
                (min(days), max(days)),
            ).fetchall()
        wanted = set(days)
        return [Failure(*row) for row in rows if row[0] in wanted]
