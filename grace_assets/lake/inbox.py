"""The inbox folder: finding what was dropped, reading on where reading stopped.

`inbox/*.jsonl` holds mission events and may grow: it is read up to its last newline, and read on
from there. `inbox/kpis/` holds sample files. A file that has been quiet for a while is moved to
`archive/`, so that a look at the inbox costs what is new and not what was ever there. Names that
begin with a dot or end in `.tmp` are somebody's unfinished business and left alone.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from grace_assets.core.events import day_of
from grace_assets.lake.arrivals import Rejected, judge
from grace_assets.lake.bucket_inbox import SAMPLES, dropped, stamped
from grace_assets.lake.durable import make_folder, sync_folder
from grace_assets.lake.file_positions import FilePosition
from grace_assets.lake.landing import Counts, Landing
from grace_assets.lake.mission_files import batches, take_file
from grace_assets.lake.s3_files import S3Files
from grace_assets.lake.sample_files import SampleFileError
from grace_assets.lake.sample_intake import SampleIntake
from grace_assets.lake.samples import SampleCounts, SampleStore
from grace_assets.sources import cloudevents

QUIET_SECONDS = 60.0
"""A file unchanged for so long is complete: its torn tail is judged and the file archived."""
SETTLE_SECONDS = 2.0
"""A sample file unchanged for so long is whole: Parquet and CSV have no other end mark."""
WRONG_CLOCK_SECONDS = 3600.0
"""A file from further ahead was written by a clock that was wrong, and is not waited for."""
LOOK_BACK = 200
"""Archived files looked at again each time, for a writer that still held one open."""


@dataclass
class Intake:
    """What a look at the inbox, or a command, took in."""

    missions: Counts = field(default_factory=Counts)
    samples: SampleCounts = field(default_factory=SampleCounts)
    bad_samples: int = 0
    files: int = 0


class Inbox:
    def __init__(
        self,
        root: Path,
        zone: ZoneInfo,
        landing: Landing,
        reach_seconds: float,
        store: SampleStore | None = None,
        bucket: S3Files | None = None,
    ) -> None:
        self.folder = root / "inbox"
        self._archive = root / "archive"
        self._zone = zone
        self._landing = landing
        self._store = store or SampleStore(root)
        self._reach = reach_seconds
        self._bucket = bucket
        make_folder(self.folder / "kpis")

    def take(self, now: datetime, budget_seconds: float = 30.0) -> Intake:
        """Take what is new, oldest file first, until nothing is left or the budget is spent."""
        intake, samples = Intake(), self._sample_intake()
        intake.samples = samples.counts
        deadline = time.monotonic() + budget_seconds

        def in_time(_: object) -> bool:
            return time.monotonic() <= deadline

        for path in takewhile(in_time, self._files(self.folder, (".jsonl",))):
            quiet = _untouched(path, now, QUIET_SECONDS)
            self._take_missions(path, intake, whole=quiet)
            if quiet:
                self._move_away(path)
        for path in takewhile(in_time, self._files(self.folder / "kpis", SAMPLES)):
            if _untouched(path, now, SETTLE_SECONDS):
                self._read_samples(samples, path, str(path), intake)
                samples.then(partial(self._move_away, path))
        samples.flush()
        for name in self._landing.files.archived_last(LOOK_BACK):
            if Path(name).exists():
                self._take_missions(Path(name), intake, whole=False)
        for drop in takewhile(in_time, dropped(self._bucket) if self._bucket else ()):
            if drop.holds_samples:
                self._read_samples(samples, drop.local, drop.name, intake)
                samples.then(drop.archive)
            else:
                intake.missions += take_file(self._landing, drop.local, drop.name)
                intake.files += 1
                drop.archive()
        samples.flush()
        return intake

    def take_sample_file(self, path: Path) -> tuple[SampleCounts, list[Rejected]]:
        """All samples of a file; durable on return. Raises `SampleFileError`."""
        samples = self._sample_intake()
        try:
            rejected = samples.read(path, str(path))
        finally:
            samples.flush()
        return samples.counts, rejected

    def take_sample_line(self, raw: bytes) -> bool:
        """Take one quarantined JSON sample again; false where it still breaks a rule.

        A CSV or Parquet row cannot stand alone (its header is not with it).
        """
        samples = self._sample_intake()
        taken = samples.read_line(raw)
        samples.flush()
        return taken

    def _sample_intake(self) -> SampleIntake:
        return SampleIntake(self._landing, self._store, self._zone, self._reach)

    def _files(self, folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
        with os.scandir(folder) as entries:
            found = [
                (entry.stat().st_mtime, entry.path)
                for entry in entries
                if entry.name.endswith(suffixes)
                and not entry.name.startswith(".")
                and entry.is_file(follow_symlinks=False)
            ]
        return [_in_utf8(Path(path)) for _, path in sorted(found)]

    def _take_missions(self, path: Path, intake: Intake, *, whole: bool) -> None:
        """Read a file on from where it was left; `whole` takes a last line without newline too."""
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            position = self._resume(path, status, file)
            file.seek(position.offset)
            offset, line, digest = position.offset, position.line, position.prefix
            for batch in batches(file, status.st_size - offset, line + 1):
                taken = [entry for entry in batch if entry.raw.endswith(b"\n") or whole]
                if not taken:
                    break
                offset += sum(len(entry.raw) for entry in taken)
                line = taken[-1].number
                digest = _digest(file, offset)
                judged = judge(
                    path.name,
                    taken,
                    datetime.now(UTC),
                    self._landing.date_of,
                    cloudevents.opened,
                )
                intake.missions += self._landing.store(
                    judged,
                    FilePosition(str(path), status.st_dev, status.st_ino, offset, line, digest),
                )
                intake.files += 1

    def _resume(self, path: Path, status: os.stat_result, file: BinaryIO) -> FilePosition:
        """The place to read on: the old one if the bytes before it are still the same ones.

        A file that was rewritten or shortened is read from its start: events known already
        are duplicates, so nothing is taken twice and nothing is missed.
        """
        start = FilePosition(str(path), status.st_dev, status.st_ino, 0, 0, b"")
        position = self._landing.files.of(str(path))
        if position is None or status.st_size < position.offset:
            return start
        return position if _digest(file, position.offset) == position.prefix else start

    def _read_samples(self, samples: SampleIntake, path: Path, origin: str, intake: Intake) -> None:
        """A sample file that cannot be read is quarantined."""
        try:
            intake.bad_samples += len(samples.read(path, origin))
        except SampleFileError as error:
            now = datetime.now(UTC)
            reason = str(error).removeprefix(f"{path}: ")
            bad = Rejected(
                now, day_of(now, self._zone), path.name, 0, None, reason, b"", kind="file"
            )
            self._landing.reject([bad])
            intake.bad_samples += 1
        intake.files += 1

    def _move_away(self, path: Path) -> None:
        """Move a finished file out of the inbox; never over another one."""
        target_folder = self._archive / path.parent.relative_to(self.folder.parent)
        make_folder(target_folder)
        target = target_folder / path.name
        if target.exists():
            target = stamped(target)
        # The landing follows first: after a crash between the two the file is still in the
        # inbox and is read again, as duplicates.
        self._landing.files.archive(str(path), str(target))
        path.rename(target)
        sync_folder(target_folder)


def _in_utf8(path: Path) -> Path:
    """The file under a name that can be noted; one with another name would stop all after it."""
    name = path.name.encode("utf-8", "backslashreplace").decode()
    if name == path.name:
        return path
    target = path.with_name(name)
    return path.rename(stamped(target) if target.exists() else target)


def _untouched(path: Path, now: datetime, seconds: float) -> bool:
    """Whether a file has been as it is for so long."""
    age = now.timestamp() - path.stat().st_mtime
    return age >= seconds or age < -WRONG_CLOCK_SECONDS


def _digest(file: BinaryIO, offset: int) -> bytes:
    """A digest of the last bytes before `offset`; leaves the file where it was.

    The last 4 KiB are enough to know a rewritten file, and cost the same for any size.
    """
    here = file.tell()
    start = max(0, offset - 4096)
    file.seek(start)
    digest = blake2b(file.read(offset - start), digest_size=16).digest()
    file.seek(here)
    return digest
