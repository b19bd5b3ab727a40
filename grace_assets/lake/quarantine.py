"""The quarantine: lines that broke a rule, as they came, in a table of the landing's database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from grace_assets.core.moments import micros, moment
from grace_assets.core.schemas import TABLES
from grace_assets.lake.arrivals import Rejected
from grace_assets.lake.database import Database

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = """
CREATE TABLE IF NOT EXISTS rejected (
  seq INTEGER PRIMARY KEY, received_at INTEGER NOT NULL, day TEXT NOT NULL, origin TEXT NOT NULL,
  line INTEGER NOT NULL, field TEXT, reason TEXT NOT NULL, raw BLOB NOT NULL, kind TEXT NOT NULL,
  replayed_at INTEGER);
CREATE INDEX IF NOT EXISTS rejected_by_day ON rejected (day);
"""


class Quarantine:
    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, rejected: Sequence[Rejected]) -> None:
        """Within the transaction that notes their days."""
        self._db.executemany(
            "INSERT INTO rejected (received_at, day, origin, line, field, reason, raw, kind) "
            "VALUES (?,?,?,?,?,?,?,?)",
            [
                (micros(r.received_at), r.day, r.origin, r.line, r.field, r.reason, r.raw, r.kind)
                for r in rejected
            ],
        )

    def lines(
        self, days: Sequence[str] | None = None, *, waiting_only: bool = False
    ) -> list[Rejected]:
        """Oldest first; `waiting_only` leaves out those replayed since."""
        where, values = [], []
        if days is not None:
            where.append("day BETWEEN ? AND ?")
            values += [min(days), max(days)]
        if waiting_only:
            where.append("replayed_at IS NULL")
        rows = self._db.execute(
            "SELECT received_at, day, origin, line, field, reason, raw, seq, kind FROM rejected"
            + (f" WHERE {' AND '.join(where)}" if where else "")
            + " ORDER BY seq",
            values,
        )
        return [
            Rejected(moment(row[0]), *row[1:]) for row in rows if days is None or row[1] in days
        ]

    def mark_replayed(self, seqs: Sequence[int], at: datetime) -> None:
        with self._db.transaction():
            self._db.executemany(
                "UPDATE rejected SET replayed_at = ? WHERE seq = ?",
                [(micros(at), seq) for seq in seqs],
            )


def to_table(rejected: Sequence[Rejected]) -> pa.Table:
    """The `rejected_events` rows (with `date`); bytes that are no UTF-8 are escaped."""
    import pyarrow as pa

    return pa.Table.from_pylist(
        [
            {
                "date": r.day,
                "received_at": r.received_at,
                "origin": r.origin,
                "line": r.line,
                "field": r.field,
                "reason": r.reason,
                "raw": r.raw.decode("utf-8", "backslashreplace"),
            }
            for r in rejected
        ],
        schema=TABLES["rejected_events"].with_date(),
    )
