"""`make random-kills`: kill -9 at random over the whole loop, while missions arrive and briefs go.

A webserver, a daemon and `grace serve` run on loopback as in production, and a sender keeps a
journal of what it was told is safe. Every few seconds one of them is killed, with all that it
started or alone, or the code server or a run of the daemon is; what a supervisor would start
again is started again. In the end everything in the journal stands once in `mission_events`, the
ledger and the servers that messages arrive at agree, no run is left "started", and the tables
are those of an undisturbed run over the same landing.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from benchmarks.harness import clean_env, run, script
from benchmarks.hosts import kill
from benchmarks.reliability import sinks
from benchmarks.reliability.live import UNDER_WAY, Loop, running
from benchmarks.reliability.oracle import Tally
from benchmarks.reliability.sending import Journal, drop, posting
from benchmarks.reliability.vital_signs import children, is_code_server
from grace_assets.lake.tables import Lake

KILLS, RATE = 42, 20.0
PAUSE_SECONDS = (2.0, 12.0)
"""Between two kills: a restart of Python, a tick and some of a run fit into it, or do not."""
PATIENCE = 900.0
"""Dagster looks after its runs every two minutes, and does a killed one again."""
CLOSED_DAYS = 3
COMPARED = ("mission_events", "kpi_daily", "domain_daily")
"""Tables in which nothing depends on when they were made, and what else was known by then."""
STARTED = dg.DagsterRunStatus.STARTED


def whole(name: str) -> Callable[[Loop], bool]:
    """A process and all that it started: a container that is out of memory."""

    def strike(loop: Loop) -> bool:
        kill(loop.processes[name])
        loop.start(name)
        return True

    return strike


def alone(name: str) -> Callable[[Loop], bool]:
    """A process by itself: its children go on, or notice."""

    def strike(loop: Loop) -> bool:
        process = loop.processes[name]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        loop.start(name)
        return True

    return strike


def daemon_in_a_run(loop: Loop) -> bool:
    """The daemon, its code server and the run that it makes, all at once."""
    return bool(loop.runs([STARTED])) and whole("daemon")(loop)


def code_server(loop: Loop) -> bool:
    """What the daemon has its runs made by; the daemon starts another."""
    return _strike(_code_servers(loop))


def a_run(loop: Loop) -> bool:
    """A process that makes a run."""
    return _strike(_runs(loop))


VICTIMS: Mapping[str, Callable[[Loop], bool]] = {
    "the API": whole("api"),
    "the webserver": whole("webserver"),
    "the daemon and all in a run": daemon_in_a_run,
    "the daemon alone": alone("daemon"),
    "the daemon's code server": code_server,
    "a run": a_run,
}


def _code_servers(loop: Loop) -> Iterator[int]:
    return (pid for pid in children(loop.processes["daemon"].pid) if is_code_server(pid))


def _runs(loop: Loop) -> Iterator[int]:
    started = (pid for server in _code_servers(loop) for pid in children(server))
    return (pid for pid in started if _makes_a_run(pid))


def _strike(pids: Iterator[int]) -> bool:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def _makes_a_run(pid: int) -> bool:
    try:
        return b"multiprocessing.spawn" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def torment(loop: Loop, journal: Journal, kills: int, pick: random.Random) -> Counter[str]:
    """So many kills, of each victim as many; returns how often each was struck."""
    struck: Counter[str] = Counter()
    victims = list(islice(cycle(VICTIMS), kills))
    pick.shuffle(victims)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with posting(loop.url, journal, RATE):
        for number, victim in enumerate(victims):
            day = midnight - timedelta(days=1 + number % CLOSED_DAYS)
            drop(loop.data / "inbox", journal, number, day)
            if number % 4 == 0:
                loop.ask_for_brief(day.date().isoformat())
            time.sleep(pick.uniform(*PAUSE_SECONDS))
            # A run is not there at any time.
            end = time.monotonic() + PATIENCE
            while not VICTIMS[victim](loop):
                if time.monotonic() > end:
                    raise TimeoutError(f"nothing to kill: {victim}")
                time.sleep(0.1)
            struck[victim] += 1
    return struck


def judge(loop: Loop, journal: Journal, folder: Path, tally: Tally) -> None:
    found, sent = loop.missions(), set(journal.missions())
    tally.notes.append(f"{len(sent):,} missions were acknowledged")
    tally.lost += sorted(sent - set(found))[:10]
    tally.unflagged += [f"{name} stands {n} times" for name, n in found.items() if n > 1][:10]
    counted = sinks.count(loop.data / "state" / "delivery.sqlite", loop.slack, loop.mail)
    tally.notes.append(str(counted))
    tally.flagged += counted.flagged
    tally.unflagged += [p for p in counted.problems if p.startswith("unflagged")]
    # What was killed in its repeat as well is left to a person.
    tally.lost += [
        p for p in counted.problems if not p.endswith("is unknown") and p not in tally.unflagged
    ]
    if left := loop.runs(UNDER_WAY):
        tally.lost.append(f"{left} runs are under way by name only")
    done = {
        s.value: loop.runs([s]) for s in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)
    }
    tally.notes.append(f"runs: {done}")
    tally.torn += _differences(loop.data, folder / "undisturbed")


def _differences(data: Path, undisturbed: Path) -> list[str]:
    """Where tables are not as one run over a copy of the landing makes them."""
    days = Lake(data).days("mission_events")
    (undisturbed / "state").mkdir(parents=True)
    for path in (data / "state").glob("landing.sqlite*"):
        shutil.copy(path, undisturbed / "state")
    run([script("grace"), "backfill", "--from", days[0], "--to", days[-1]], clean_env(undisturbed))
    made, expected = Lake(data), Lake(undisturbed)
    return [
        f"{name} of {day} is not as an undisturbed run makes it"
        for name in COMPARED
        for day in expected.days(name)
        if made.read(name, [day]).to_pylist() != expected.read(name, [day]).to_pylist()
    ]


def sweep(kills: int, seed: int = 5) -> Tally:
    tally = Tally(points=kills)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="grace-random-kills-")))
        journal = Journal(folder / "journal")
        stack.callback(journal.close)
        loop = stack.enter_context(running(folder))
        struck = torment(loop, journal, kills, random.Random(seed))
        tally.notes.append(", ".join(f"{name} {n}" for name, n in sorted(struck.items())))
        started = time.monotonic()
        settled = loop.settle(journal.count, PATIENCE)
        tally.notes.append(f"settled {time.monotonic() - started:.0f} s after the last kill")
        if not settled:
            tally.lost.append(f"not settled after {PATIENCE:.0f} s")
        judge(loop, journal, folder, tally)
    return tally


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmarks.reliability.random_kills", description=__doc__
    )
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tally = sweep(options.kills, options.seed)
    print(f"random kills: {tally}")
    for line in (*tally.notes, *tally.problems):
        print(f"  {line}")
    return int(bool(tally.problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
