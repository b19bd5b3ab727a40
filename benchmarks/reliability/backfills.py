"""SIGKILL at calls of a whole `grace backfill`: our tables, and Dagster's own databases.

The process makes three days in a home that is new, so that Dagster's databases (SQLite, under
`dagster/`) are made as well. It is killed before one of its writing calls, anywhere in the run.
Then the same command is done again: it ends well, the tables are those of an undisturbed run,
Dagster's databases are sound and have every day of every asset, and after a tick of the sensor of
failures no run is left under way. In the end eight backfills begin at once in one new home.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from signal import SIGKILL
from time import monotonic

import dagster as dg

from benchmarks import made
from benchmarks.harness import clean_env, run, script
from benchmarks.reliability.oracle import Tally
from benchmarks.reliability.part import ALL, Part
from benchmarks.reliability.tracing import Job, Worker, inject, write_calls
from benchmarks.same_tables import differences
from grace_assets.backfills import daily_assets
from grace_assets.cli import main as grace
from grace_assets.failures import UNDER_WAY, end_abandoned
from grace_assets.lake.local_files import LocalFiles
from grace_assets.lake.tables import Lake
from grace_assets.settings import Settings

CALLS = ("fdatasync", "fsync", "ftruncate", "mkdir", "pwrite64", "rename", "unlink", "write")
PAGES = 10
"""Of the writes of single pages one in so many counts."""
DAYS, MISSIONS, DOMAINS, STEP_SECONDS = 3, 60, 3, 300
ENDS = [(made.FIRST + timedelta(days=n)).date().isoformat() for n in (0, DAYS - 1)]
ARGUMENTS = ["backfill", "--from", ENDS[0], "--to", ENDS[1]]
AT_ONCE = 8
AT_ONCE_SECONDS = 300.0
"""What is not done by then on a slow machine has locked up: a backfill takes five seconds."""
SAYS = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}


def backfill(data: str) -> None:
    """A job for a worker: the command, as its process has it."""
    os.environ.update(GRACE_DATA_DIR=data, DAGSTER_HOME=f"{data}/dagster")
    grace(ARGUMENTS)


def load() -> None:
    """A job for a worker: what each run imports, and nothing that it opens."""
    daily_assets(Settings.from_env({}))


def sweep(work: Worker, folder: Path, part: Part = ALL) -> Tally:
    tally, data, undisturbed = Tally(), folder / "data", folder / "undisturbed"
    _prepare(folder / "prepared")
    command = [str(script("grace")), *ARGUMENTS]
    run(command, _fresh(undisturbed))
    work.warm_up(Job("benchmarks.reliability.backfills:load", {}))
    job = Job("benchmarks.reliability.backfills:backfill", {"data": str(data)})
    _fresh(data)
    made_calls = write_calls(work, job, folder / "strace.log")
    for call, number in part.among([point for point in made_calls if _counts(*point)]):
        _fresh(data)
        # A run that made fewer calls than the first is no kill point.
        if work.run(job, inject(call, number, "signal=KILL")).signal == SIGKILL:
            tally.points += 1
            again = work.run(job)
            said = again.said if again.code or again.signal else ""
            _check(data, undisturbed, f"{call} {number}", said, tally)
    env, began = _fresh(data), monotonic()
    runs = [subprocess.Popen(command, env=env, **SAYS) for _ in range(AT_ONCE)]
    said = [why for process in runs if (why := _ended(process))]
    tally.notes.append(f"{AT_ONCE} backfills at once took {monotonic() - began:.0f} s")
    tally.points += 1
    _check(data, undisturbed, f"{AT_ONCE} at once", " ".join(said), tally)
    return tally


def _counts(call: str, number: int) -> bool:
    return call in CALLS and (call != "pwrite64" or number % PAGES == 0)


def _prepare(data: Path) -> None:
    """A data directory with missions and samples that no table was made of yet."""
    data.mkdir()
    missions = made.missions(MISSIONS, DAYS, DOMAINS)
    made.write_events(data / "events.jsonl", missions, DOMAINS)
    made.write_samples(data, missions, DAYS, DOMAINS, STEP_SECONDS)
    run([script("grace"), "ingest", data / "events.jsonl"], clean_env(data))
    shutil.rmtree(data / "dagster")


def _fresh(data: Path) -> dict[str, str]:
    """What was prepared, again, with an empty home for Dagster; the environment of its commands."""
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(data.with_name("prepared"), data)
    return clean_env(data)


def _ended(process: subprocess.Popen[str]) -> str:
    """Empty where it ended well in time, else what it said."""
    try:
        said, _ = process.communicate(timeout=AT_ONCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return f"not done after {AT_ONCE_SECONDS:.0f} s: {process.communicate()[0][-500:]}"
    return said[-500:] if process.returncode or "locked" in said else ""


def _check(data: Path, undisturbed: Path, point: str, said: str, tally: Tally) -> None:
    """The command was done again, and `said` what kept it from that."""
    if said:
        tally.lost.append(f"{point}: cannot be done again: {said}")
        return
    for path in (data / "dagster").rglob("*.db"):
        with closing(sqlite3.connect(path)) as db:
            [sound] = db.execute("PRAGMA integrity_check").fetchone()
        if sound != "ok":
            tally.torn.append(f"{point}: {path.name}: {sound}")
    days = Lake(undisturbed).days("mission_events")
    _, differ = differences(LocalFiles(data), LocalFiles(undisturbed), data, days)
    tally.lost += [f"{point}: {table}" for table in differ]
    os.environ["DAGSTER_HOME"] = str(data / "dagster")
    with dg.DagsterInstance.get() as instance:
        end_abandoned(instance)
        left = instance.get_runs_count(dg.RunsFilter(statuses=UNDER_WAY))
        if left:
            tally.lost.append(f"{point}: {left} runs are under way by name only")
        for path in daily_assets(Settings.from_env({})):
            there = instance.get_materialized_partitions(dg.AssetKey(path))
            if missed := set(days) - there:
                tally.lost.append(f"{point}: Dagster knows no {'/'.join(path)} of {missed}")
