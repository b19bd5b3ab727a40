"""`make soak`: events for an hour while briefs are made and sent; nothing lost, nothing growing.

    make soak                                  # three minutes
    make soak ARGS="--minutes 60 --rate 50"    # as in docs/reliability.md

A webserver, a daemon and `grace serve` run on loopback as in production. A sender posts missions
of now and drops files of late ones; each minute the brief of a closed day is made and sent to a
strict Slack and a real SMTP server. What the sender was told is safe stands in a journal of its
own, what went out is counted where it arrived.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from benchmarks.reliability import sinks
from benchmarks.reliability.live import UNDER_WAY, WAITING, Loop, running
from benchmarks.reliability.sending import Journal, drop, posting
from benchmarks.reliability.vital_signs import Signs, report

SAMPLE_SECONDS, PATIENCE = 60.0, 1800.0
CLOSED_DAYS = 20
"""Over which late missions and briefs go round."""


def soak(loop: Loop, journal: Journal, minutes: float, rate: float) -> Signs:
    """Send for so long, or until SIGINT; what was sent by then is judged all the same."""
    signs = Signs(loop.instance, {name: p.pid for name, p in loop.processes.items()})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    with posting(loop.url, journal, rate), suppress(KeyboardInterrupt):
        for minute in range(round(minutes * 60 / SAMPLE_SECONDS)):
            _spend(loop, journal, minute, started + (minute + 1) * SAMPLE_SECONDS)
            waiting, under_way = loop.runs(WAITING), loop.runs(UNDER_WAY)
            behind = journal.count - loop.missions().total()
            print(signs.look(waiting=waiting, running=under_way, behind=behind), flush=True)
    elapsed = time.monotonic() - started
    each = journal.count / elapsed
    print(f"{journal.count:,} acknowledged in {elapsed:,.0f} s, {each:.1f} a second", flush=True)
    return signs


def _spend(loop: Loop, journal: Journal, minute: int, end: float) -> None:
    """A minute: a file of late missions of a closed day, and its brief made and sent."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = midnight - timedelta(days=1 + minute % CLOSED_DAYS)
    drop(loop.data / "inbox", journal, minute, day)
    loop.ask_for_brief(day.date().isoformat())
    time.sleep(max(0.0, end - time.monotonic()))
    loop.all_run()


def judge(loop: Loop, journal: Journal) -> list[str]:
    """What must not be: a mission lost or doubled, a brief lost or repeated, a run that failed."""
    found, sent = loop.missions(), set(journal.missions())
    lost, doubled = sent - set(found), [name for name, count in found.items() if count > 1]
    print(f"{len(sent):,} missions acknowledged, {len(lost)} lost, {len(doubled)} doubled")
    problems = [f"lost: {name}" for name in sorted(lost)[:10]]
    problems += [f"doubled: {name}" for name in doubled[:10]]
    counted = sinks.count(loop.data / "state" / "delivery.sqlite", loop.slack, loop.mail)
    print(counted)
    failed = loop.runs([dg.DagsterRunStatus.FAILURE])
    print(f"{loop.runs([dg.DagsterRunStatus.SUCCESS])} runs succeeded, {failed} failed")
    return [*problems, *counted.problems, *([f"{failed} runs failed"] if failed else [])]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.reliability.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--rate", type=float, default=50, help="missions a second")
    parser.add_argument("--keep", type=Path, help="an empty folder for data and logs, which stay")
    options = parser.parse_args(arguments)
    # Whoever stops this leaves no servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(TemporaryDirectory(prefix="grace-soak-")))
        journal = Journal(folder / "journal")
        stack.callback(journal.close)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
        loop = stack.enter_context(running(folder))
        signs = soak(loop, journal, options.minutes, options.rate)
        started = time.monotonic()
        done = loop.settle(journal.count, PATIENCE)
        word = "all done" if done else "not done"
        print(f"{word} {time.monotonic() - started:,.0f} s after the last was sent")
        problems = judge(loop, journal)
        print(report(signs))
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
