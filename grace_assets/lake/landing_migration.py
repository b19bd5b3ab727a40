"""A landing as it was before blocks: a row for each event, and a hash of what it says.

Its events are packed as they would be today. A killed process leaves the landing as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import zstandard

from grace_assets.lake.arrivals import BLOCK_BYTES, Line, pack
from grace_assets.lake.database import Database, make_tables

_EVENTS_AT_ONCE = 10_000


def move_into_blocks(db: Database, schema: str) -> None:
    """Bring the tables to `schema` where they are the earlier ones; alone with the database."""
    with db.transaction():
        if "event" not in db.tables():
            return
        db.execute("DROP INDEX mission_by_time")
        db.execute("ALTER TABLE mission RENAME TO mission_before")
        make_tables(db, schema)
        make_tables(
            db,
            "CREATE TABLE moved (seq INTEGER PRIMARY KEY, block INTEGER NOT NULL, "
            "place INTEGER NOT NULL)",
        )
        compressor = zstandard.ZstdCompressor(level=1)
        for block, (received_at, origin, seqs, lines) in enumerate(_packable(db), start=1):
            db.execute(
                "INSERT INTO block VALUES (?,?,?,?)",
                (block, received_at, origin, pack(lines, compressor)),
            )
            db.executemany(
                "INSERT INTO moved VALUES (?,?,?)",
                [(seq, block, place) for place, seq in enumerate(seqs)],
            )
        db.execute(
            "INSERT INTO mission SELECT mission_id, day, domain_id, started_at, completed_at, "
            "revision, block, place FROM mission_before JOIN moved USING (seq)"
        )
        db.execute(
            "INSERT INTO earlier SELECT mission_id, revision, block, place "
            "FROM event JOIN moved USING (seq) "
            "WHERE seq NOT IN (SELECT seq FROM mission_before)"
        )
        for table in ("event", "mission_before", "moved"):
            db.execute(f"DROP TABLE {table}")


_Packable = tuple[int, str, list[int], list[Line]]
"""When and from where lines were received, the events that they were, and the lines."""


def _packable(db: Database) -> Iterator[_Packable]:
    """The events in the order received, as many together as make a block."""
    for (received_at, origin), events in groupby(_events(db), key=lambda event: event[:2]):
        seqs, lines, size = [], [], 0
        for *_, seq, line in events:
            seqs.append(seq)
            lines.append(line)
            size += len(line.raw)
            if size >= BLOCK_BYTES:
                yield received_at, origin, seqs, lines
                seqs, lines, size = [], [], 0
        if lines:
            yield received_at, origin, seqs, lines


def _events(db: Database) -> Iterator[tuple[int, str, int, Line]]:
    seq = 0
    while rows := db.execute(
        "SELECT received_at, origin, seq, raw FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
        (seq, _EVENTS_AT_ONCE),
    ).fetchall():
        for received_at, place, seq, raw in rows:
            origin, _, number = place.rpartition(":")
            yield received_at, origin, seq, Line(int(number), bytes(raw))
