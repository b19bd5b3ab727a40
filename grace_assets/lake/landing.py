"""The landing: where events are durable, known once, and remembered for good.

One database (`state/landing.sqlite`, or a PostgreSQL): every event ever accepted with
its raw bytes (the audit trail), the current one of each mission, what was rejected and why, how
far each file was read, and a journal of the days that changed. A method that returns has its
data on disk. Tables are derived from here and can always be made anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from grace_assets.core.events import Accepted, parse
from grace_assets.core.moments import HOUR, LocalDates, micros, moment
from grace_assets.lake import blocks, file_positions
from grace_assets.lake.arrivals import Arrival, Judged, Rejected, judge
from grace_assets.lake.blocks import Blocks, Line, Place, Stored, among
from grace_assets.lake.database import open_database
from grace_assets.lake.domains import EVERY, Domains
from grace_assets.lake.file_positions import FilePosition, FilePositions
from grace_assets.lake.landing_migration import move_into_blocks

if TYPE_CHECKING:
    import pyarrow as pa

_SCHEMA = f"""{blocks.SCHEMA}{file_positions.SCHEMA}
CREATE TABLE IF NOT EXISTS mission (
  mission_id TEXT PRIMARY KEY, day TEXT NOT NULL, domain_id TEXT NOT NULL,
  started_at INTEGER NOT NULL, completed_at INTEGER NOT NULL,
  revision INTEGER NOT NULL, block INTEGER NOT NULL, place INTEGER NOT NULL) WITHOUT ROWID;
DROP INDEX IF EXISTS mission_by_day_domain;
DROP INDEX IF EXISTS mission_by_domain;
CREATE INDEX IF NOT EXISTS mission_by_day ON mission (day, domain_id, completed_at, started_at);
CREATE TABLE IF NOT EXISTS earlier (
  mission_id TEXT NOT NULL, revision INTEGER NOT NULL, block INTEGER NOT NULL,
  place INTEGER NOT NULL, PRIMARY KEY (mission_id, revision)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rejected (
  seq INTEGER PRIMARY KEY, received_at INTEGER NOT NULL, day TEXT NOT NULL, origin TEXT NOT NULL,
  line INTEGER NOT NULL, field TEXT, reason TEXT NOT NULL, raw BLOB NOT NULL, kind TEXT NOT NULL,
  replayed_at INTEGER);
CREATE INDEX IF NOT EXISTS rejected_by_day ON rejected (day);
CREATE TABLE IF NOT EXISTS change (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, cause TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rejudge (day TEXT PRIMARY KEY, due_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS source (day TEXT PRIMARY KEY, due_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS hold (day TEXT PRIMARY KEY, due_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


_ROWS_AT_ONCE = 100
"""Missions that one statement inserts: a statement for each takes half as long again."""

_DAYS = """
WITH RECURSIVE known (day) AS (
  SELECT min(day) FROM mission WHERE day >= ?
  UNION ALL
  SELECT (SELECT min(day) FROM mission WHERE mission.day > known.day) FROM known
  WHERE known.day IS NOT NULL)
SELECT day FROM known WHERE day IS NOT NULL
"""
"""The days that have missions, each found in the index by the one before."""

Due = Literal["rejudge", "hold", "source"]
"""Why a day waits: for a window to close, a later look at its recoveries, a source that failed."""


@dataclass
class Counts:
    """What became of the lines of an input; the four add up to the lines received."""

    accepted: int = 0
    duplicate: int = 0
    corrected: int = 0
    rejected: list[Rejected] = field(default_factory=list)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.accepted + other.accepted,
            self.duplicate + other.duplicate,
            self.corrected + other.corrected,
            self.rejected + other.rejected,
        )


def _within(domains: Domains) -> tuple[str, list[str]]:
    """What a WHERE has more, and its values."""
    if domains == EVERY:
        return "", []
    if domains.end is None:
        return " AND domain_id >= ?", [domains.first]
    return " AND domain_id >= ? AND domain_id < ?", [domains.first, domains.end]


def _say_the_same(one: Stored, other: Stored) -> bool:
    return one.raw == other.raw or (
        parse(one.raw, one.received_at) == parse(other.raw, other.received_at)
    )


class Landing:
    """The landing of one data directory, safe for several processes on one machine.

    With `url` it lies in a PostgreSQL, safe for several hosts.
    """

    def __init__(self, root: Path, zone: ZoneInfo, url: str | None = None) -> None:
        self._zone = zone
        self.date_of = LocalDates(zone)
        self._db = open_database(root, "landing", _SCHEMA, url)
        move_into_blocks(self._db, _SCHEMA)
        self._blocks = Blocks(self._db)
        self.files = FilePositions(self._db)
        self._follow_timezone()

    def close(self) -> None:
        self._db.close()

    # -- events in ---------------------------------------------------------------------------

    def add(
        self,
        origin: str,
        lines: Sequence[Line],
        received_at: datetime,
        *,
        keep_rejected: bool = True,
    ) -> Counts:
        """Take lines of one input, in order, in one transaction; blank lines are passed over.

        `keep_rejected` is false for lines that lie in quarantine already.
        """
        judged = judge(origin, lines, received_at, self.date_of)
        return self.store(judged, keep_rejected=keep_rejected)

    def store(
        self, judged: Judged, position: FilePosition | None = None, *, keep_rejected: bool = True
    ) -> Counts:
        """Take lines that were judged with `date_of`; otherwise as `add`.

        `position` is committed with them, so a file is read on from exactly where it stopped.
        """
        counts = Counts(rejected=judged.rejected)
        with self._db.transaction():
            self._store_events(judged, counts)
            if keep_rejected:
                self._store_rejected(judged.rejected)
            if position is not None:
                self.files.note(position)
        return counts

    def _store_events(self, judged: Judged, counts: Counts) -> None:
        arrivals = judged.arrivals
        if not arrivals:
            return
        first = self._blocks.add(judged.origin, judged.received_at, judged.blocks)
        counts.accepted = self._insert_new(arrivals.placed_from(first))
        if counts.accepted == len(arrivals):
            self._note_changes(set(arrivals.days), "event")
        else:
            self._settle(judged, first, counts)

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

    def _settle(self, judged: Judged, first: int, counts: Counts) -> None:
        """Tell duplicates from corrections among lines of which some missions were known."""
        known = self._known([arrival[0] for arrival in judged.arrivals])
        places = [(first + block, place) for *_, block, place in judged.arrivals]
        again = set()
        for arrival, own in zip(judged.arrivals, places, strict=True):
            place = known[arrival[0]][2]
            if place != own:
                again |= {place, own}
        stored = self._blocks.read(again)
        replaced, missions, days, kept = [], {}, set(), set()
        for arrival, own in zip(judged.arrivals, places, strict=True):
            mission_id, day, *rest = arrival[:5]
            earlier_day, revision, place = known[mission_id]
            if place != own:
                if _say_the_same(stored[place], stored[own]):
                    counts.duplicate += 1
                    continue
                counts.corrected += 1
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
        self._note_changes(days, "event")

    def _known(self, mission_ids: Sequence[str]) -> dict[str, tuple[str, int, Place]]:
        """Day, revision and place of current missions."""
        rows = among(
            self._db,
            "SELECT mission_id, day, revision, block, place FROM mission WHERE mission_id",
            mission_ids,
        )
        return {row[0]: (row[1], row[2], row[3:]) for row in rows}

    def _store_rejected(self, rejected: Sequence[Rejected]) -> None:
        self._db.executemany(
            "INSERT INTO rejected (received_at, day, origin, line, field, reason, raw, kind) "
            "VALUES (?,?,?,?,?,?,?,?)",
            [
                (micros(r.received_at), r.day, r.origin, r.line, r.field, r.reason, r.raw, r.kind)
                for r in rejected
            ],
        )
        self._note_changes({r.day for r in rejected}, "rejected")

    def reject(self, rejected: Sequence[Rejected]) -> None:
        """Keep lines that something other than the event parser refused."""
        with self._db.transaction():
            self._store_rejected(rejected)

    # -- what the tables are made of -----------------------------------------------------------

    def snapshot(self) -> AbstractContextManager[None]:
        """A block in which everything read is of one moment, whatever arrives meanwhile."""
        return self._db.snapshot()

    def events(self, days: Sequence[str], domains: Domains = EVERY) -> list[Accepted]:
        """The current events of `days`, by day and completion."""
        within, values = _within(domains)
        rows = self._db.execute(
            "SELECT day, revision, block, place FROM mission "
            f"WHERE day IN ({','.join('?' * len(days))}){within} "
            "ORDER BY day, completed_at, mission_id",
            [*days, *values],
        ).fetchall()
        stored = self._blocks.read(row[2:] for row in rows)
        return [
            Accepted(day, at.raw, at.received_at, revision, at.origin)
            for day, revision, *place in rows
            for at in [stored[tuple(place)]]
        ]

    def revisions(self, mission_id: str) -> list[bytes]:
        """What was ever accepted of a mission, as it came, the current one last."""
        rows = self._db.execute(
            "SELECT revision, block, place FROM earlier WHERE mission_id = ? UNION ALL "
            "SELECT revision, block, place FROM mission WHERE mission_id = ? ORDER BY revision",
            (mission_id, mission_id),
        ).fetchall()
        stored = self._blocks.read(row[1:] for row in rows)
        return [stored[row[1:]].raw for row in rows]

    def counts(self, days: Sequence[str]) -> dict[str, int]:
        """Missions by day, of days that have some."""
        rows = self._db.execute(
            "SELECT day, count(*) FROM mission WHERE day BETWEEN ? AND ? GROUP BY day",
            (min(days), max(days)),
        )
        return dict(rows.fetchall())

    def portions(self, day: str, missions: int) -> list[Domains]:
        """All domains, in ranges that each have no more missions on `day`, or are one domain."""
        rows = self._db.execute(
            "SELECT domain_id, count(*) FROM mission WHERE day = ? "
            "GROUP BY domain_id ORDER BY domain_id",
            (day,),
        )
        found, first, filled = [], EVERY.first, 0
        for domain_id, size in rows:
            if filled and filled + size > missions:
                found.append(Domains(first, domain_id))
                first, filled = domain_id, 0
            filled += size
        return [*found, Domains(first)]

    def domains(self, since: datetime) -> list[str]:
        """Domains with missions since then."""
        rows = self._db.execute(
            "SELECT DISTINCT domain_id FROM mission WHERE day >= ? AND completed_at >= ? "
            "ORDER BY domain_id",
            (self._day_before(micros(since)), micros(since)),
        )
        return [row[0] for row in rows]

    def neighbours(self, first: datetime, last: datetime, domains: Domains = EVERY) -> pa.Table:
        """Current missions that touch first..last: mission_id, domain_id and their two times.

        Read from here and not from the tables, so that it does not depend on which days have
        been materialised already.
        """
        import pyarrow as pa

        within, values = _within(domains)
        since, days = self._day_before(micros(first)), "day >= ?"
        if within:
            # Day by day, so that of each the index finds the domains without the others.
            days = f"day IN ({_DAYS})"
        rows = self._db.execute(
            "SELECT mission_id, domain_id, started_at, completed_at FROM mission "
            f"WHERE {days} AND completed_at >= ? AND started_at <= ?{within}",
            (since, micros(first), micros(last), *values),
        ).fetchall()
        columns = list(zip(*rows, strict=True)) or [[], [], [], []]
        stamp = pa.timestamp("us", tz="UTC")
        types = (pa.string(), pa.string(), stamp, stamp)
        names = ["mission_id", "domain_id", "started_at", "completed_at"]
        arrays = [pa.array(c, t) for c, t in zip(columns, types, strict=True)]
        return pa.table(arrays, names=names)

    def rejected(
        self, days: Sequence[str] | None = None, *, waiting_only: bool = False
    ) -> list[Rejected]:
        """Quarantined lines, oldest first; `waiting_only` leaves out those replayed since."""
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

    def holds_other_than(self, prefix: str) -> bool:
        """Whether there is a mission whose id does not begin with `prefix`."""
        row = self._db.execute(
            "SELECT 1 FROM mission WHERE substr(mission_id, 1, ?) <> ? LIMIT 1",
            (len(prefix), prefix),
        ).fetchone()
        return row is not None

    def mark_replayed(self, seqs: Sequence[int], at: datetime) -> None:
        with self._db.transaction():
            self._db.executemany(
                "UPDATE rejected SET replayed_at = ? WHERE seq = ?",
                [(micros(at), seq) for seq in seqs],
            )

    def _day_before(self, value: int) -> str:
        """A day that no mission completed since lies before, for the index begins with days.

        Where clocks were put back a later moment can lie on an earlier date.
        """
        return self.date_of(value - 24 * HOUR)

    # -- the journal of changed days ------------------------------------------------------------

    def _note_changes(self, days: Iterable[str], cause: str) -> None:
        self._db.executemany(
            "INSERT INTO change (day, cause) VALUES (?, ?)", [(day, cause) for day in sorted(days)]
        )

    def note_days(self, days: Iterable[str], cause: str) -> None:
        """Note days whose tables are to be made anew."""
        with self._db.transaction():
            self._note_changes(set(days), cause)

    def note_samples(
        self,
        spans: Sequence[tuple[str, datetime, datetime]],
        reach_seconds: float,
        reference_seconds: float = 0.0,
    ) -> None:
        """Note the days of missions whose windows touch new samples.

        Spans are (domain, first, last); `reach_seconds` is how far a window may lie from its
        mission, `reference_seconds` how far back from it samples say what is ordinary.
        """
        margin = int(reach_seconds * 1_000_000)
        back = int(reference_seconds * 1_000_000)
        wanted = [
            (domain_id, micros(first) - margin, micros(last) + margin + back)
            for domain_id, first, last in spans
        ]
        if not wanted:
            return
        since, until = min(w[1] for w in wanted), max(w[2] for w in wanted)
        of_domain: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        with self._db.transaction():
            # Once for all domains: thousands of them may have samples at each tick.
            found = self._db.execute(
                "SELECT domain_id, day, min(started_at), max(completed_at) FROM mission "
                "WHERE day >= ? AND completed_at >= ? AND started_at <= ? GROUP BY day, domain_id",
                (self._day_before(since), since, until),
            )
            for domain_id, *times in found:
                of_domain[domain_id].append(tuple(times))
            days = {
                day
                for domain_id, since, until in wanted
                for day, started_at, completed_at in of_domain.get(domain_id, ())
                if completed_at >= since and started_at <= until
            }
            self._note_changes(days, "samples")

    def changed_days(self, after: int) -> tuple[int, dict[str, int]]:
        """The latest entry of the journal, and the days changed after entry `after`.

        Each day maps to its own latest entry: a name for this state of the day.
        """
        rows = self._db.execute(
            "SELECT day, max(seq) FROM change WHERE seq > ? GROUP BY day ORDER BY day", (after,)
        ).fetchall()
        return max((seq for _, seq in rows), default=after), dict(rows)

    # -- verdicts that wait for their windows ------------------------------------------------------

    def set_due(self, what: Due, days: Sequence[str], due: dict[str, datetime]) -> None:
        """Remember when the verdicts of `days` can next change; a day without one waits no more."""
        with self._db.transaction():
            self._db.executemany(f"DELETE FROM {what} WHERE day = ?", [(day,) for day in days])
            self._db.executemany(
                f"INSERT INTO {what} VALUES (?, ?)", [(day, micros(at)) for day, at in due.items()]
            )

    def due(self, what: Due, now: datetime) -> dict[str, datetime]:
        """The days that wait no longer."""
        rows = self._db.execute(
            f"SELECT day, due_at FROM {what} WHERE due_at <= ? ORDER BY day", (micros(now),)
        )
        return {day: moment(due_at) for day, due_at in rows}

    # -- the time zone -------------------------------------------------------------------------

    def _follow_timezone(self) -> None:
        """Move missions to their days anew when `GRACE_TIMEZONE` has changed."""
        row = self._db.execute("SELECT value FROM setting WHERE name = 'timezone'").fetchone()
        if row and row[0] == self._zone.key:
            return
        with self._db.transaction():
            moved = [
                (self.date_of(completed_at), mission_id, day)
                for mission_id, day, completed_at in self._db.execute(
                    "SELECT mission_id, day, completed_at FROM mission"
                )
            ]
            moved = [(new, mission_id, old) for new, mission_id, old in moved if new != old]
            self._db.executemany(
                "UPDATE mission SET day = ? WHERE mission_id = ?", [m[:2] for m in moved]
            )
            self._note_changes({m[0] for m in moved} | {m[2] for m in moved}, "timezone")
            self._db.execute(
                "INSERT INTO setting VALUES ('timezone', ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (self._zone.key,),
            )
