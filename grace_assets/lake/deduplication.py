"""Deduplication: an event that is stored is a new mission, the same again, or a correction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from grace_assets.core.events import parse
from grace_assets.lake.arrivals import Arrival, Judged
from grace_assets.lake.blocks import Blocks, Place, Stored, among
from grace_assets.lake.database import Database

_ROWS_AT_ONCE = 100
"""Missions that one statement inserts: a statement for each takes half as long again."""


@dataclass(frozen=True)
class Settled:
    """What became of valid lines, and the days whose missions have changed."""

    accepted: int = 0
    duplicate: int = 0
    corrected: int = 0
    days: set[str] = field(default_factory=set)


def _say_the_same(one: Stored, other: Stored) -> bool:
    return one.raw == other.raw or (
        parse(one.raw, one.received_at) == parse(other.raw, other.received_at)
    )


class Deduplication:
    """Writes the missions of the landing; every call is within a transaction."""

    def __init__(self, db: Database, blocks: Blocks) -> None:
        self._db = db
        self._blocks = blocks

    def store(self, judged: Judged) -> Settled:
        arrivals = judged.arrivals
        if not arrivals:
            return Settled()
        first = self._blocks.add(judged.origin, judged.received_at, judged.blocks)
        accepted = self._insert_new(arrivals.placed_from(first))
        if accepted == len(arrivals):
            return Settled(accepted, days=set(arrivals.days))
        return self._settle(judged, first, accepted)

    def _insert_new(self, arrivals: Iterator[Arrival]) -> int:
        """Insert missions that are not known; how many those are."""
        inserted = 0
        while some := [*islice(arrivals, _ROWS_AT_ONCE)]:
            rows = ",".join(["(?,?,?,?,?,1,?,?)"] * len(some))
            # Any other conflict ends the transaction: to undo the statement alone, SQLite would
            # write down every page before it is changed, which of random ids is one for each.
            statement = self._db.dialect(
                f"INSERT OR ROLLBACK INTO mission VALUES {rows} ON CONFLICT DO NOTHING"
            )
            inserted += self._db.execute(statement, [*chain.from_iterable(some)]).rowcount
        return inserted

    def _settle(self, judged: Judged, first: int, accepted: int) -> Settled:
        """Tell duplicates from corrections among lines of which some missions were known."""
        known = self._known([arrival[0] for arrival in judged.arrivals])
        places = [(first + block, place) for *_, block, place in judged.arrivals]
        again = set()
        for arrival, own in zip(judged.arrivals, places, strict=True):
            place = known[arrival[0]][2]
            if place != own:
                again |= {place, own}
        stored = dict(self._blocks.read(again))
        duplicate, replaced, missions, days, kept = 0, [], {}, set(), set()
        for arrival, own in zip(judged.arrivals, places, strict=True):
            mission_id, day, *rest = arrival[:5]
            earlier_day, revision, place = known[mission_id]
            if place != own:
                if _say_the_same(stored[place], stored[own]):
                    duplicate += 1
                    continue
                days.add(earlier_day)
                replaced.append((mission_id, revision, *place))
                known[mission_id] = day, revision + 1, own
                missions[mission_id] = (day, *rest, revision + 1, *own, mission_id)
            days.add(day)
            kept.add(own[0])
        self._db.executemany("INSERT INTO earlier VALUES (?,?,?,?)", replaced)
        self._db.executemany(
            "UPDATE mission SET day = ?, domain_id = ?, started_at = ?, completed_at = ?, "
            "revision = ?, block = ?, place = ? WHERE mission_id = ?",
            missions.values(),
        )
        # Of duplicates alone nothing is kept.
        unwanted = set(range(first, first + len(judged.blocks))) - kept
        self._blocks.remove(unwanted)
        return Settled(accepted, duplicate, len(replaced), days)

    def _known(self, mission_ids: Sequence[str]) -> dict[str, tuple[str, int, Place]]:
        """Day, revision and place of current missions."""
        rows = among(
            self._db,
            "SELECT mission_id, day, revision, block, place FROM mission WHERE mission_id",
            mission_ids,
        )
        return {row[0]: (row[1], row[2], row[3:]) for row in rows}
