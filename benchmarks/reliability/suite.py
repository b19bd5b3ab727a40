"""`make reliability`: one line a suite, and what must not be, by name.

make reliability                    # all suites (under half an hour)
make reliability ARGS="kills races" # some
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import kill_delivery
from benchmarks.reliability import bucket_kills, clocks, errors, kills, model, power, races
from benchmarks.reliability.oracle import Tally
from benchmarks.reliability.tracing import Worker, worker
from benchmarks.reliability.works import WORKS
from tests.seaweed import BUCKET, seaweed


def _of_each_work(sweep: Callable[[str, Worker, Path], Tally], works: Sequence[str]) -> Tally:
    total = Tally()
    with worker() as work:
        for name in works:
            with TemporaryDirectory(prefix="grace-reliability-") as folder:
                total += sweep(name, work, Path(folder))
    return total


def _deliveries(_works: Sequence[str]) -> Tally:
    found = kill_delivery.sweep(seconds=DELIVERY_SECONDS)
    return Tally(found.points, found.flagged, lost=found.lost, unflagged=found.unflagged)


def _races(_works: Sequence[str]) -> Tally:
    with TemporaryDirectory(prefix="grace-reliability-") as folder:
        return races.sweep(Path(folder))


def _bucket(_works: Sequence[str]) -> Tally:
    with TemporaryDirectory(prefix="grace-reliability-") as home:
        folder = Path(home)
        with seaweed(folder) as env:
            os.environ.update(env)
            with worker() as work:
                return bucket_kills.sweep(work, folder, f"s3://{BUCKET}")


def _clocks(_works: Sequence[str]) -> Tally:
    return clocks.sweep(CLOCK_STORIES)


def _model(_works: Sequence[str]) -> Tally:
    with worker() as work:
        return model.tell(work, STORIES)


STORIES = 100
CLOCK_STORIES = 1000
DELIVERY_SECONDS = 300
"""`make kill-delivery` takes as long as all of its points need."""
SUITES: dict[str, Callable[[Sequence[str]], Tally]] = {
    "kills": partial(_of_each_work, kills.sweep),
    "deliveries": _deliveries,
    "errors": partial(_of_each_work, errors.sweep),
    "power": partial(_of_each_work, power.sweep),
    "races": _races,
    "clocks": _clocks,
    "bucket": _bucket,
    "model": _model,
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.reliability.suite", description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], metavar="SUITE")
    parser.add_argument("--works", nargs="+", choices=[*WORKS], default=[*WORKS], metavar="WORK")
    options = parser.parse_args(arguments)
    if shutil.which("strace") is None:
        print("strace is not installed: run scripts/install-test-servers", file=sys.stderr)
        return 2
    failed = False
    for name in options.suites or SUITES:
        started = time.monotonic()
        tally = SUITES[name](options.works)
        print(f"{name}: {tally} ({time.monotonic() - started:.0f} s)", flush=True)
        for note in tally.notes:
            print(f"  {note}", flush=True)
        for problem in tally.problems:
            print(f"  {problem}", file=sys.stderr, flush=True)
        failed = failed or bool(tally.problems) or not tally.points
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
