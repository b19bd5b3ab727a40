"""The landing: where events are durable, known once, and remembered for good.

One database (`state/landing.sqlite`, or a PostgreSQL): every event ever accepted with
its raw bytes (the audit trail), the current one of each mission, what was rejected and why, how
far each file was read, and a journal of the days that changed. A method that returns has its
data on disk. Tables are derived from here and can always be made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from grace_assets.core.moments import LocalDates
from grace_assets.lake import blocks, file_positions, journal, missions, quarantine, waiting_days
from grace_assets.lake.arrivals import Judged, Rejected, judge
from grace_assets.lake.blocks import Blocks, Line
from grace_assets.lake.database import open_database
from grace_assets.lake.deduplication import Deduplication
from grace_assets.lake.file_positions import FilePosition, FilePositions
from grace_assets.lake.journal import Journal
from grace_assets.lake.landing_migration import move_into_blocks
from grace_assets.lake.missions import Missions
from grace_assets.lake.quarantine import Quarantine
from grace_assets.lake.waiting_days import WaitingDays

_PARTS = (blocks, file_positions, missions, quarantine, journal, waiting_days)
_SCHEMA = f"""{"".join(part.SCHEMA for part in _PARTS)}
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


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


class Landing:
    """The landing of one data directory, safe for several processes on one machine.

    With `url` it lies in a PostgreSQL, safe for several hosts. What changes days is written by
    its methods, in one transaction with the journal; all else is asked of its parts.
    """

    def __init__(self, root: Path, zone: ZoneInfo, url: str | None = None) -> None:
        self._zone = zone
        self.date_of = LocalDates(zone)
        self._db = open_database(root, "landing", _SCHEMA, url)
        move_into_blocks(self._db, _SCHEMA)
        raw_lines = Blocks(self._db)
        self._deduplication = Deduplication(self._db, raw_lines)
        self.missions = Missions(self._db, raw_lines, self.date_of)
        self.quarantine = Quarantine(self._db)
        self.journal = Journal(self._db)
        self.waiting = WaitingDays(self._db)
        self.files = FilePositions(self._db)
        self._follow_timezone()

    def close(self) -> None:
        self._db.close()

    def snapshot(self) -> AbstractContextManager[None]:
        """A block in which everything read is of one moment, whatever arrives meanwhile."""
        return self._db.snapshot()

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
        with self._db.transaction():
            settled = self._deduplication.store(judged)
            self.journal.note(settled.days, "event")
            if keep_rejected:
                self._keep(judged.rejected)
            if position is not None:
                self.files.note(position)
        return Counts(settled.accepted, settled.duplicate, settled.corrected, judged.rejected)

    def reject(self, rejected: Sequence[Rejected]) -> None:
        """Keep lines that something other than the event parser refused."""
        with self._db.transaction():
            self._keep(rejected)

    def _keep(self, rejected: Sequence[Rejected]) -> None:
        self.quarantine.add(rejected)
        self.journal.note({r.day for r in rejected}, "rejected")

    def note_days(self, days: Iterable[str], cause: str) -> None:
        """Note days whose tables are to be made anew."""
        with self._db.transaction():
            self.journal.note(set(days), cause)

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
        if not spans:
            return
        margin = int(reach_seconds * 1_000_000)
        back = int(reference_seconds * 1_000_000)
        with self._db.transaction():
            days = self.missions.days_beside(spans, before=margin, after=margin + back)
            self.journal.note(days, "samples")

    def _follow_timezone(self) -> None:
        """Move missions to their days anew when `GRACE_TIMEZONE` has changed."""
        row = self._db.execute("SELECT value FROM setting WHERE name = 'timezone'").fetchone()
        if row and row[0] == self._zone.key:
            return
        with self._db.transaction():
            self.journal.note(self.missions.move_to_their_days(), "timezone")
            self._db.execute(
                "INSERT INTO setting VALUES ('timezone', ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (self._zone.key,),
            )
