"""A landing as it was before blocks: a row for each event, and a hash of what it says.

Its events are packed as they would be today. A killed process leaves the landing as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice

from grace_assets.core.moments import moment
from grace_assets.lake.blocks import Blocks, Line, pack
from grace_assets.lake.database import Database, make_tables

_EVENTS_AT_ONCE = 10_000
_Event = tuple[int, str, int, Line]
"""When and from where it was received, its `seq`, and the line that it was."""


def move_into_blocks(db: Database, schema: str) -> None:
    """Bring the tables to `schema` where they are the earlier ones; alone with the database."""
    with db.transaction():
        if "content_hash" not in db.columns("mission"):
            return
        db.execute("DROP INDEX mission_by_day")
        db.execute("ALTER TABLE mission RENAME TO mission_before")
        make_tables(db, schema)
        make_tables(
            db,
            "CREATE TABLE moved (seq INTEGER PRIMARY KEY, block INTEGER NOT NULL, "
            "place INTEGER NOT NULL)",
        )
        blocks = Blocks(db)
        for (received_at, origin), events in groupby(_events(db), key=lambda event: event[:2]):
            for some in _batched(events):
                lines = [line for *_, line in some]
                packed = list(pack(lines))
                first = blocks.add(origin, moment(received_at), [block for block, _ in packed])
                places = [
                    (first + number, place)
                    for number, (_, size) in enumerate(packed)
                    for place in range(size)
                ]
                db.executemany(
                    "INSERT INTO moved VALUES (?,?,?)",
                    [(event[2], *place) for event, place in zip(some, places, strict=True)],
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


def _batched(events: Iterator[_Event]) -> Iterator[list[_Event]]:
    while some := list(islice(events, _EVENTS_AT_ONCE)):
        yield some


def _events(db: Database) -> Iterator[_Event]:
    seq = 0
    while rows := db.execute(
        "SELECT received_at, origin, seq, raw FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
        (seq, _EVENTS_AT_ONCE),
    ).fetchall():
        for received_at, place, seq, raw in rows:
            origin, _, number = place.rpartition(":")
            yield received_at, origin, seq, Line(int(number), bytes(raw))
