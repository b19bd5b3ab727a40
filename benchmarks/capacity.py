"""`make capacity`: what a mission, a day and a sample cost here, and what that means for more.

Two sizes of missions, the same days: the difference is what missions cost, the rest what days cost.
Writes `docs/capacity.md`.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.backfill import DOMAINS, STEP_SECONDS, prepare
from benchmarks.harness import ROOT, run, script
from benchmarks.made import METRICS

PAGE = ROOT / "docs" / "capacity.md"
DAYS, SMALL, LARGE = 10, 2_000, 30_000
PLACES = {
    "landing": "state/landing.sqlite*",
    "tables": "tables/**/*.parquet",
    "search index": "state/world.sqlite*",
    "Dagster's events": "dagster/**/*.db*",
    "samples": "samples/**/*.parquet",
}
PLANNED = (1_000_000, 100_000_000, 1_000_000_000)
SAMPLES_PER_MISSION = 100
CORES, BUSY = 8, 0.5
"""Of a machine, and the share of a day in which its cores work: the rest is room for backfills."""


@dataclass(frozen=True)
class Measured:
    missions: int
    ingest_seconds: float
    run_seconds: float
    peak_mib: float
    bytes: dict[str, int]


def main(_arguments: Sequence[str]) -> None:
    with TemporaryDirectory(prefix="grace-capacity-") as folder:
        small, large = (measure(count, Path(folder) / str(count)) for count in (SMALL, LARGE))
    page = written(small, large)
    PAGE.write_text(page, encoding="utf-8")
    print(page)


def measure(missions: int, folder: Path) -> Measured:
    prepared = prepare(folder, missions, DAYS)
    taken = folder / "again"
    env = prepared.env() | {"GRACE_DATA_DIR": str(taken)}
    ingest = run([script("grace"), "ingest", prepared.events], env)
    ran = prepared.backfill()
    found = {
        name: sum(file.stat().st_size for file in prepared.data.glob(pattern))
        for name, pattern in PLACES.items()
    }
    return Measured(missions, ingest.seconds, ran.seconds, ran.peak_mib, found)


def written(small: Measured, large: Measured) -> str:
    more = large.missions - small.missions
    ingest = (large.ingest_seconds - small.ingest_seconds) / more
    mission = (large.run_seconds - small.run_seconds) / more
    day = (small.run_seconds - mission * small.missions) / DAYS
    size = {name: (large.bytes[name] - small.bytes[name]) / more for name in PLACES}
    samples = DOMAINS * len(METRICS) * DAYS * 86_400 // STEP_SECONDS
    sample = small.bytes["samples"] / samples
    kept = sum(size[name] for name in ("landing", "tables", "search index"))
    rows = "\n".join(planned(count, ingest + mission, kept, sample) for count in PLANNED)
    today = datetime.now(UTC).date().isoformat()
    return f"""# Capacity

What a mission costs, measured, and what that means for more of them, computed.

`make capacity`, {today}, Python {platform.python_version()}, {os.cpu_count()} cores, one process:
{small.missions:,} and {large.missions:,} missions of {DAYS} days in {DOMAINS} domains,
{len(METRICS)} metrics a mission, a sample every {STEP_SECONDS // 60} minutes. The difference of the
two is what missions cost.

## Measured

| what | costs |
|---|---|
| taking a mission in (`grace ingest`, up to three processes) | {ingest * 1e6:,.0f} µs |
| a mission through all tables, in a run of many | {mission * 1e6:,.0f} µs of a core |
| a day through all tables, whatever is in it, in a run of many | {day:,.2f} s |
| start, imports, an empty run | in the day's {day:,.2f} s, spread over {DAYS} |
| peak memory of the larger run | {large.peak_mib:,.0f} MiB |
| a mission on disk: landing | {size["landing"]:,.0f} bytes |
| a mission on disk: all tables | {size["tables"]:,.0f} bytes |
| a mission on disk: search index | {size["search index"]:,.0f} bytes |
| a sample on disk | {sample:,.1f} bytes |

## Computed

Only computed, from the figures above: {CORES} cores a machine, which work {BUSY:.0%} of the day
(the rest is for backfills and peaks); {SAMPLES_PER_MISSION} samples a mission; nothing dropped,
nothing compacted; costs that grow as missions do, which was measured up to
{large.missions // DAYS:,} missions a day and no further.

| missions a day | a second | core hours a day | machines | missions on disk, a year | samples |
|---|---|---|---|---|---|
{rows}

## What gives way first

- **The landing** is one database, and one writer at a time writes to it. Taking a mission in
  costs {ingest * 1e6:,.0f} µs, so one landing takes some {1 / ingest:,.0f} missions a second.
  Beyond that a fleet is split by domain into several installations, each with a landing and a
  prefix in the bucket of its own.
- **A domain's day is made whole.** `GRACE_MISSIONS_AT_ONCE` bounds the memory of long ranges and
  of large days, by days and by domains: [large-day.md](large-day.md). A domain of millions of
  missions a day takes the memory of all of them.
- **The search index** is one SQLite file a host. At {PLANNED[1]:,} missions a day it is no longer
  one host's: leave `world_model` out and search elsewhere.
- **A run's overhead** is {day:,.2f} s a day in long ranges and some seconds for a day alone, so
  machines that make few missions are mostly idle.
"""


def planned(missions: int, seconds: float, kept: float, sample: float) -> str:
    hours = missions * seconds / 3600
    machines = max(1, -(-hours // (CORES * 24 * BUSY)))
    year = missions * kept * 365
    samples = missions * SAMPLES_PER_MISSION * sample * 365
    per_second = missions / 86_400
    return (
        f"| {missions:,} | {per_second:,.0f} | {hours:,.1f} | {machines:,.0f} "
        f"| {year / 2**40:,.1f} TiB | {samples / 2**40:,.1f} TiB |"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
