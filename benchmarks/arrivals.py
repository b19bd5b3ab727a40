"""From a file dropped into the inbox to the narrative in the table, and what looking costs."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import blake2b
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import dagster as dg
import numpy as np

from benchmarks.harness import (
    ROOT,
    Result,
    Scale,
    clean_env,
    compared,
    interleave,
    script,
    seconds,
    timed,
)
from grace_assets.definitions import build_definitions
from grace_assets.lake.blocks import Line
from grace_assets.lake.tables import Lake
from grace_assets.resources import StoreResource
from grace_assets.sensors import mission_events_sensor
from grace_assets.settings import Settings
from tests.rows import part

SEEN = {"hundred": 100, "many": 100_000}
TICKS = 9
SAMPLE_FILES, SAMPLES_EACH, LOOKS = {"hundred": 100, "thousand": 1_000}, 100, 3
DROPS, SECONDS_BETWEEN, PATIENCE = 12, 13, 120


def measure(scale: Scale, folder: Path) -> list[Result]:
    return [ticks(folder), sample_files(folder / "samples"), fresh(folder / "live")]


def ticks(folder: Path) -> Result:
    """A tick of the inbox' sensor where nothing is new, after few and many files."""
    tasks = {}
    for name, count in SEEN.items():
        store = StoreResource(data_dir=str(folder / name), timezone="UTC")
        remember(store, count)
        tasks[name] = ticking(store)
    return compared(
        interleave(tasks, TICKS),
        "many",
        "hundred",
        work=f"tick of the inbox' sensor, {SEEN['many']:,} files already seen",
        against=f"with {SEEN['hundred']}",
        reach=1.5,
    )


def ticking(store: StoreResource) -> Callable[[], float]:
    """Seconds of a tick, after a first one that took in what is there."""
    definitions = build_definitions(Settings.from_env({}), store)

    def tick(cursor: str | None) -> str | None:
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(
                instance=instance,
                cursor=cursor,
                definitions=definitions,
                resources={"store": store},
            )
            return mission_events_sensor.evaluate_tick(context).cursor

    cursor = tick(None)
    return lambda: timed(lambda: tick(cursor))


def remember(store: StoreResource, count: int) -> None:
    """Files of one mission as ticks leave them: taken in, archived, known to the landing.

    Written straight into its table of files: a transaction a file would take a quarter of an hour.
    """
    archive, known = store.root / "archive" / "inbox", []
    archive.mkdir(parents=True)
    lines = [event(n, date(2025, 1, 1)) for n in range(count)]
    for number, raw in enumerate(lines):
        path = archive / f"{number:06}.jsonl"
        path.write_bytes(raw)
        status, digest = path.stat(), blake2b(raw, digest_size=16).digest()
        known.append((str(path), status.st_dev, status.st_ino, len(raw), 1, digest, number))
    with store.landing() as landing:
        landing.add("archive", [Line(1, raw) for raw in lines], store.now())
    with closing(sqlite3.connect(store.root / "state" / "landing.sqlite")) as db, db:
        db.executemany("INSERT INTO file VALUES (?,?,?,?,?,?,?)", known)


def event(number: int, day: date) -> bytes:
    fields = {
        "mission_id": f"m-{number:06}",
        "domain_id": "payments",
        "started_at": f"{day}T10:00:00Z",
        "completed_at": f"{day}T10:10:00Z",
        "success": True,
    }
    return json.dumps(fields).encode() + b"\n"


def sample_files(folder: Path) -> Result:
    """A look at the inbox that takes small sample files of one day, and ten times as many."""

    def look(count: int) -> float:
        with ExitStack() as ending:
            root = ending.enter_context(TemporaryDirectory(dir=folder))
            store = StoreResource(data_dir=root, timezone="UTC")
            inbox = store.inbox(ending.enter_context(store.landing()))
            for number in range(count):
                path = inbox.folder / "kpis" / f"{number:04}.csv"
                path.write_text(samples(number))
                os.utime(path, (number, number))
            return timed(lambda: inbox.take(datetime.now(UTC), budget_seconds=PATIENCE))

    folder.mkdir()
    return compared(
        interleave({name: partial(look, n) for name, n in SAMPLE_FILES.items()}, LOOKS),
        "thousand",
        "hundred",
        work=f"{SAMPLE_FILES['thousand']:,} sample files of one day, taken by a look at the inbox",
        against=f"{SAMPLE_FILES['hundred']} of them",
        reach=10.5,
        note=f"{SAMPLES_EACH} samples a file, durable and archived",
    )


def samples(number: int) -> str:
    """A file of one moment's samples."""
    at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    rows = (f"s,d{n % 20},m{n // 20},{at.isoformat()},{n}\n" for n in range(SAMPLES_EACH))
    return "source,domain_id,metric,timestamp,value\n" + "".join(rows)


def fresh(data: Path) -> Result:
    """Files dropped one after the other while the daemon runs, each of a day of its own."""
    env, lake = clean_env(data), Lake(data)
    inbox = data / "inbox"
    inbox.mkdir(parents=True)
    command = [script("dagster-daemon"), "run", "-w", "workspace.yaml"]
    with (data / "log").open("wb") as log:
        daemon = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        # The first one waits for the daemon to be up, too.
        came(lake, drop(inbox, 0), PATIENCE)
        dropped = []
        for number in range(1, DROPS + 1):
            dropped.append((drop(inbox, number), time.time()))
            time.sleep(SECONDS_BETWEEN)
        waits = [came(lake, day, PATIENCE) - at for day, at in dropped]
    finally:
        daemon.terminate()
        try:
            daemon.wait(30)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(daemon.pid, signal.SIGKILL)
    slowest = float(np.quantile(waits, 0.95))
    return Result(
        work="event file dropped until its narrative is in the table, 95 % quantile",
        against="default intervals, daemon running",
        ours=f"median {seconds(median(waits))}, worst {seconds(max(waits))}",
        peer="–",
        measured=slowest,
        reach=45,
        unit=" s",
        note=f"{DROPS} files, one every {SECONDS_BETWEEN} s, each of another day",
    )


def drop(inbox: Path, number: int) -> str:
    """Put a file of one mission into the inbox, whole at once; returns its day."""
    day = datetime.now(UTC).date() - timedelta(days=30 + number)
    hidden = inbox / f".{number}.tmp"
    hidden.write_bytes(event(number, day))
    hidden.rename(inbox / f"{number}.jsonl")
    return day.isoformat()


def came(lake: Lake, day: str, patience: float) -> float:
    """When the narrative of a day's only mission was written, in seconds since 1970."""
    path, end = part(lake, "mission_outcomes", day), time.monotonic() + patience
    while not path.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"no narrative of {day} within {patience} s")
        time.sleep(0.2)
    (narrative,) = lake.read("mission_outcomes", [day], ["narrative"])["narrative"].to_pylist()
    if not narrative:
        raise ValueError(f"the mission of {day} has no narrative")
    return path.stat().st_mtime
