"""SIGKILL at each call of a process that replaces days of tables in a bucket.

The bucket is of a real S3 server beside it. After each kill every day of every table can be read
and is as before or as after; then the work is done again, and all is as after. A step that
returned stands in a journal on disk: none before it is as before.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from signal import SIGKILL
from uuid import uuid4

from benchmarks.reliability.landing_works import DAYS
from benchmarks.reliability.oracle import Tally
from benchmarks.reliability.part import ALL, Part
from benchmarks.reliability.tracing import Job, Worker, inject, write_calls
from benchmarks.reliability.works import TABLE_ROWS
from grace_assets.lake.s3_files import S3Files
from grace_assets.lake.tables import Lake

CALLS = ("connect", "sendto", "write")
OLD, NEW = "old", "new"


def _lake(folder: Path, place: str) -> Lake:
    return Lake(folder, S3Files(place))


def replace(folder: str, place: str) -> None:
    """A job for a worker: the days of each table as after, and the table in the journal."""
    lake = _lake(Path(folder), place)
    for name, rows in TABLE_ROWS.items():
        lake.replace(name, DAYS, rows(NEW, DAYS))
        with Path(folder, "journal").open("a", encoding="utf-8") as journal:
            journal.write(f"{name}\n")


def sweep(work: Worker, folder: Path, bucket: str, part: Part = ALL) -> Tally:
    """A kill at each call.

    `bucket` is a URL that AWS's variables, of this process and the worker's, lead to.
    """
    tally = Tally()
    work.warm_up(_prepared(folder / "warm", bucket)[0])
    traced, _ = _prepared(folder / "traced", bucket)
    made = write_calls(work, traced, folder / "strace.log")
    for call, number in part.among([point for point in made if point[0] in CALLS]):
        where = folder / f"{call}-{number}"
        job, place = _prepared(where, bucket)
        ended = work.run(job, inject(call, number, "signal=KILL"))
        # A run that made fewer calls than the first is no kill point.
        if ended.signal == SIGKILL:
            tally.points += 1
            done = (where / "journal").read_text(encoding="utf-8").split()
            _check(where, place, f"{call} {number}", done, tally)
            replace(str(where), place)
            _check(where, place, f"{call} {number}, done again", [*TABLE_ROWS], tally)
    return tally


def _prepared(folder: Path, bucket: str) -> tuple[Job, str]:
    """A place in the bucket with one day as before, and the work over it."""
    place = f"{bucket}/{uuid4().hex}"
    lake = _lake(folder, place)
    folder.mkdir()
    (folder / "journal").touch()
    for name, rows in TABLE_ROWS.items():
        lake.replace(name, DAYS[:1], rows(OLD, DAYS[:1]))
    arguments = {"folder": str(folder), "place": place}
    return Job("benchmarks.reliability.bucket_kills:replace", arguments), place


def _check(folder: Path, place: str, point: str, done: Collection[str], tally: Tally) -> None:
    lake = _lake(folder, place)
    for name, rows in TABLE_ROWS.items():
        for day in DAYS:
            try:
                found = lake.read(name, [day])
            except Exception as error:  # noqa: BLE001 (whatever a reader chokes on is torn)
                tally.torn.append(f"{point}: {name} of {day}: {type(error).__name__}: {error}")
                continue
            before = rows(OLD, [day] if day == DAYS[0] else [])
            allowed = [rows(NEW, [day])] if name in done else [before, rows(NEW, [day])]
            if not any(found.equals(table) for table in allowed):
                tally.lost.append(f"{point}: {name} of {day} has {found.num_rows} rows")
