"""The missions of the landing: which are current, on which day and in which domain each lies.

Two tables of its database: the current revision of every mission, and where those before it are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from grace_assets.core.events import Accepted
from grace_assets.core.moments import HOUR, LocalDates, micros
from grace_assets.lake.blocks import Blocks
from grace_assets.lake.database import Database
from grace_assets.lake.domains import EVERY, Domains

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = """
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
"""

_DAYS = """
WITH RECURSIVE known (day) AS (
  SELECT min(day) FROM mission WHERE day >= ?
  UNION ALL
  SELECT (SELECT min(day) FROM mission WHERE mission.day > known.day) FROM known
  WHERE known.day IS NOT NULL)
SELECT day FROM known WHERE day IS NOT NULL
"""
"""The days that have missions, each found in the index by the one before."""


def _within(domains: Domains) -> tuple[str, list[str]]:
    """What a WHERE has more, and its values."""
    if domains == EVERY:
        return "", []
    if domains.end is None:
        return " AND domain_id >= ?", [domains.first]
    return " AND domain_id >= ? AND domain_id < ?", [domains.first, domains.end]


class Missions:
    """Reads them; as they arrive `Deduplication` writes them."""

    def __init__(self, db: Database, blocks: Blocks, date_of: LocalDates) -> None:
        self._db = db
        self._blocks = blocks
        self._date_of = date_of

    def events(self, days: Sequence[str], domains: Domains = EVERY) -> list[Accepted]:
        """The current events of `days`, by day and completion."""
        within, values = _within(domains)
        rows = self._db.execute(
            "SELECT day, revision, block, place FROM mission "
            f"WHERE day IN ({','.join('?' * len(days))}){within} "
            "ORDER BY day, completed_at, mission_id",
            [*days, *values],
        ).fetchall()
        stored = dict(self._blocks.read(row[2:] for row in rows))
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
        stored = dict(self._blocks.read(row[1:] for row in rows))
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
        return _times_table(rows)

    def causes(self, days: Sequence[str], domains: Domains = EVERY) -> pa.Table:
        """Current missions of `days` with what called for them.

        Columns: mission_id, domain_id, started_at, completed_at, trigger_metric, follow_up_id.
        From here for the same reason as `neighbours`.
        """
        import pyarrow as pa

        from grace_assets.core.events import cause_of

        within, values = _within(domains)
        rows = self._db.execute(
            "SELECT mission_id, domain_id, started_at, completed_at, block, place FROM mission "
            f"WHERE day IN ({','.join('?' * len(days))}){within}",
            [*days, *values],
        ).fetchall()
        found = {
            place: cause_of(stored.raw)
            for place, stored in self._blocks.read(row[4:] for row in rows)
        }
        causes = [found[row[4:]] for row in rows]
        metrics = [cause.trigger.metric if cause.trigger else None for cause in causes]
        asked = [cause.follow_up_id for cause in causes]
        times = _times_table([row[:4] for row in rows])
        times = times.append_column("trigger_metric", pa.array(metrics, pa.string()))
        return times.append_column("follow_up_id", pa.array(asked, pa.string()))

    def holds_other_than(self, prefix: str) -> bool:
        """Whether there is a mission whose id does not begin with `prefix`."""
        row = self._db.execute(
            "SELECT 1 FROM mission WHERE substr(mission_id, 1, ?) <> ? LIMIT 1",
            (len(prefix), prefix),
        ).fetchone()
        return row is not None

    def days_beside(
        self, spans: Sequence[tuple[str, datetime, datetime]], before: int, after: int
    ) -> set[str]:
        """Days with a mission that touches one of the spans of its domain (domain, first, last).

        A span begins `before` microseconds earlier than it says, and ends `after` later.
        """
        wanted = [
            (domain_id, micros(first) - before, micros(last) + after)
            for domain_id, first, last in spans
        ]
        since, until = min(w[1] for w in wanted), max(w[2] for w in wanted)
        of_domain: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        # Once for all domains: thousands of them may have samples at each tick.
        found = self._db.execute(
            "SELECT domain_id, day, min(started_at), max(completed_at) FROM mission "
            "WHERE day >= ? AND completed_at >= ? AND started_at <= ? GROUP BY day, domain_id",
            (self._day_before(since), since, until),
        )
        for domain_id, *times in found:
            of_domain[domain_id].append(tuple(times))
        return {
            day
            for domain_id, since, until in wanted
            for day, started_at, completed_at in of_domain.get(domain_id, ())
            if completed_at >= since and started_at <= until
        }

    def move_to_their_days(self) -> set[str]:
        """Move missions to the days of another time zone; the days that lost or won some.

        Within the transaction that notes those.
        """
        moved = [
            (self._date_of(completed_at), mission_id, day)
            for mission_id, day, completed_at in self._db.execute(
                "SELECT mission_id, day, completed_at FROM mission"
            )
        ]
        moved = [(new, mission_id, old) for new, mission_id, old in moved if new != old]
        self._db.executemany(
            "UPDATE mission SET day = ? WHERE mission_id = ?", [m[:2] for m in moved]
        )
        return {m[0] for m in moved} | {m[2] for m in moved}

    def _day_before(self, value: int) -> str:
        """A day that no mission completed since lies before, for the index begins with days.

        Where clocks were put back a later moment can lie on an earlier date.
        """
        return self._date_of(value - 24 * HOUR)


def _times_table(rows: Sequence[tuple[str, str, int, int]]) -> pa.Table:
    """mission_id, domain_id, started_at, completed_at; the rows have microseconds."""
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) or [[], [], [], []]
    stamp = pa.timestamp("us", tz="UTC")
    types = (pa.string(), pa.string(), stamp, stamp)
    names = ["mission_id", "domain_id", "started_at", "completed_at"]
    arrays = [pa.array(c, t) for c, t in zip(columns, types, strict=True)]
    return pa.table(arrays, names=names)
