"""`make reliability`: one line a suite, and what must not be, by name.

make reliability                          # all suites, all points (half an hour)
make reliability ARGS="--part"            # what CI runs: a part of each, always the same one
make reliability ARGS="kills races"       # some
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import AsyncResult
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import kill_delivery
from benchmarks.reliability import (
    bucket_kills,
    clocks,
    disks,
    errors,
    fuse,
    kills,
    model,
    mounts,
    power,
    races,
)
from benchmarks.reliability.oracle import Tally
from benchmarks.reliability.part import ALL, Part
from benchmarks.reliability.tracing import Worker, worker
from benchmarks.reliability.works import WORKS
from tests.seaweed import BUCKET, seaweed

STORIES = 100
PART_SECONDS = 1500.0
"""When the part for CI is given up, whatever hangs."""
PART_KILLS = 1000
"""Points with a SIGKILL that the part must reach, however slow the machine is."""
KILLING = ("loop", "backfills", "deliveries", "kills", "bucket")
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2**28


@dataclass(frozen=True)
class Suite:
    """`sweep` is given a work's name (if the suite has works), an empty folder and a part."""

    sweep: Callable[[str, Path, Part], Tally]
    in_part: Part
    works: bool = True
    whole: Part = ALL
    missing: Callable[[], str] = str
    """What it needs and is not here."""


def _with_worker(
    sweep: Callable[[str, Worker, Path, Part], Tally], name: str, folder: Path, part: Part
) -> Tally:
    with worker() as work:
        return sweep(name, work, folder, part)


def _deliveries(_name: str, _folder: Path, part: Part) -> Tally:
    found = kill_delivery.sweep(part)
    return Tally(found.points, found.flagged, lost=found.lost, unflagged=found.unflagged)


def _races(_name: str, folder: Path, _part: Part) -> Tally:
    return races.sweep(folder)


def _bucket(_name: str, folder: Path, part: Part) -> Tally:
    with seaweed(folder) as env:
        os.environ.update(env)
        with worker() as work:
            return bucket_kills.sweep(work, folder, f"s3://{BUCKET}", part)


def _clocks(_name: str, _folder: Path, part: Part) -> Tally:
    return clocks.sweep(part)


def _model(_name: str, _folder: Path, part: Part) -> Tally:
    with worker() as work:
        return model.tell(work, STORIES // part.of)


def _backfills(_name: str, folder: Path, part: Part) -> Tally:
    from benchmarks.reliability import backfills

    with worker() as work:
        return backfills.sweep(work, folder, part)


def _loop(_name: str, _folder: Path, part: Part) -> Tally:
    from benchmarks.reliability import random_kills

    return random_kills.sweep(random_kills.KILLS // part.of)


SUITES: dict[str, Suite] = {
    "loop": Suite(_loop, Part(7), works=False),
    # Each is a run and another, ten seconds: a part of its calls is the whole.
    "backfills": Suite(_backfills, Part(250, 150), works=False, whole=Part(40)),
    # `make kill-delivery` takes as long as all of its points need.
    "deliveries": Suite(_deliveries, Part(8, 200), works=False, whole=Part(seconds=300)),
    "kills": Suite(partial(_with_worker, kills.sweep), Part(2, 120)),
    "errors": Suite(partial(_with_worker, errors.sweep), Part(6, 40)),
    "power": Suite(partial(_with_worker, power.sweep), Part(2, 30)),
    "fuse": Suite(partial(_with_worker, fuse.sweep), Part(4, 30), missing=fuse.missing),
    "disks": Suite(partial(_with_worker, disks.sweep), Part(4, 20), missing=mounts.missing),
    "races": Suite(_races, ALL, works=False),
    "clocks": Suite(_clocks, Part(8, 120), works=False),
    "bucket": Suite(_bucket, Part(2, 60), works=False),
    "model": Suite(_model, Part(5), works=False),
}


def _begin() -> None:
    """What each process of the pool begins with."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not mounts.missing():
        mounts.keep_to_ourselves()


def _do(suite: str, work: str, in_part: bool) -> tuple[Tally, float]:
    started, wanted = time.monotonic(), SUITES[suite]
    # A killed process leaves its pages, so no flush is needed; those take half of the time.
    in_memory = wanted.works and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
    tempfile.tempdir = str(MEMORY) if in_memory else None
    with TemporaryDirectory(prefix="grace-reliability-") as folder:
        tally = wanted.sweep(work, Path(folder), wanted.in_part if in_part else wanted.whole)
    return tally, time.monotonic() - started


def _print(line: str, tally: Tally) -> None:
    print(line, flush=True)
    for note in tally.notes:
        print(f"  {note}", flush=True)
    for problem in tally.problems:
        print(f"  {problem}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.reliability.suite", description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], metavar="SUITE")
    parser.add_argument("--works", nargs="+", choices=[*WORKS], default=[*WORKS], metavar="WORK")
    parser.add_argument("--part", action="store_true", help="the part that CI runs")
    options = parser.parse_args(arguments)
    if shutil.which("strace") is None:
        print("strace is not installed: run scripts/install-test-servers", file=sys.stderr)
        return 2
    started, failed, killed = time.monotonic(), False, 0
    tasks: list[tuple[str, str, bool]] = []
    for name in options.suites or SUITES:
        if what := SUITES[name].missing():
            print(f"{name}: not run, as {what} is missing", flush=True)
        else:
            works = options.works if SUITES[name].works else [""]
            tasks += [(name, work, options.part) for work in works]
    # A sweep is one process that waits for another: one on each core.
    processes = min(os.cpu_count() or 1, len(tasks)) or 1
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_begin) as pool:
        begun: dict[str, list[AsyncResult[tuple[Tally, float]]]] = defaultdict(list)
        for task in tasks:
            begun[task[0]].append(pool.apply_async(_do, task))
        for name, answers in begun.items():
            tally, seconds = Tally(), 0.0
            for answer in answers:
                left = started + PART_SECONDS - time.monotonic() if options.part else None
                try:
                    found, took = answer.get(left)
                except multiprocessing.TimeoutError:
                    print(f"{name}: not done after {PART_SECONDS:.0f} s", file=sys.stderr)
                    return 1
                tally, seconds = tally + found, seconds + took
            _print(f"{name}: {tally} ({seconds:.0f} s)", tally)
            failed = failed or bool(tally.problems) or not tally.points
            killed += tally.points if name in KILLING else 0
        pool.close()
        pool.join()
    if options.part and not options.suites and killed < PART_KILLS:
        print(f"only {killed} of {PART_KILLS} kills were reached in time", file=sys.stderr)
        failed = True
    print(f"All of it took {time.monotonic() - started:.0f} s.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
