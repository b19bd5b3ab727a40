"""`make large-day`: one day of many missions through all tables, within bounded memory.

make large-day                                                        # 200,000 missions, minutes
make large-day ARGS="--missions 10000000 --samples 100000000"         # two hours

Each step is a process of its own, whose peak of resident memory is told. Writes
`docs/large-day.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import made
from benchmarks.backfill import CATALOGUE
from benchmarks.harness import ROOT, Ran, clean_env, run, script, seconds
from grace_assets.core.moments import micros
from grace_assets.lake.samples import SCHEMA
from grace_assets.lake.tables import Lake

PAGE = ROOT / "docs" / "large-day.md"
STEP_SECONDS, FILE_ROWS = 300, 5_000_000
TICKS = 86_400 // STEP_SECONDS
METRIC = "latency_ms"
DATE = made.FIRST.date().isoformat()
LIMIT_MIB = 4096
COUNTED = ("mission_events", "mission_telemetry", "mission_outcomes", "mission_verdicts")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.large_day", description=__doc__)
    parser.add_argument("--missions", type=int, default=200_000)
    parser.add_argument("--samples", type=int, default=2_000_000)
    parser.add_argument("--write", action="store_true", help="write docs/large-day.md")
    parser.add_argument("--in", dest="folder", help="work here, and leave what was made")
    options = parser.parse_args(arguments)
    domains = options.samples // TICKS
    with _folder(options.folder) as folder:
        steps, counts = measure(folder, options.missions, domains)
    page = written(steps, counts, options.missions, domains)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
    print(page)
    return int(max(ran.peak_mib for ran in steps.values()) > LIMIT_MIB)


@contextmanager
def _folder(given: str | None) -> Iterator[Path]:
    if given:
        Path(given).mkdir(parents=True, exist_ok=True)
        yield Path(given)
        return
    with TemporaryDirectory(prefix="grace-large-day-") as folder:
        yield Path(folder)


def measure(folder: Path, missions: int, domains: int) -> tuple[dict[str, Ran], dict[str, int]]:
    """What each step took, and the rows of some tables afterwards."""
    data, events = folder / "data", folder / "missions.jsonl"
    data.mkdir()
    rules = CATALOGUE.format(settle=made.SETTLE_SECONDS, window=made.WINDOW_SECONDS)
    (data / "kpis.yaml").write_text(rules, encoding="utf-8")
    every = made.missions(missions, 1, domains)
    made.write_events(events, every, domains)
    files = write_sample_files(folder, every, domains)
    env = clean_env(data, GRACE_KPI_CATALOG=str(data / "kpis.yaml"))
    grace, steps = script("grace"), {}

    def step(name: str, *command: str | Path) -> None:
        steps[name] = ran = run([grace, *command], env)
        print(f"{name}: {seconds(ran.seconds)}, {ran.peak_mib:,.0f} MiB", flush=True)

    step("`grace ingest` of the samples", "ingest", "--kpis", *files)
    step("`grace ingest` of the missions", "ingest", events)
    step("`grace backfill` of the day, all tables", "backfill", "--from", DATE, "--to", DATE)
    lake = Lake(data)
    counts = {name: sum(p.num_rows for p in lake.scan(name, [DATE], [])) for name in COUNTED}
    if not missions == counts["mission_events"] == counts["mission_outcomes"]:
        raise RuntimeError(f"{missions:,} missions were taken in, and the tables have {counts}")
    return steps, counts


def write_sample_files(folder: Path, every: made.Missions, domains: int) -> list[Path]:
    """Samples as they arrive, all domains tick by tick, in files of some five million."""
    rng = np.random.default_rng(2)
    names = pa.array(made.domain_names(domains))
    times = micros(made.FIRST) + np.arange(TICKS) * STEP_SECONDS * made.SECOND
    busy = made.busy(every, times, domains)
    at_once = max(1, FILE_ROWS // domains)
    files = []
    for first in range(0, TICKS, at_once):
        ticks = times[first : first + at_once]
        size = len(ticks) * domains
        value = 200 * np.exp(0.1 * rng.standard_normal((len(ticks), domains)))
        value *= 1 + 0.8 * busy[:, first : first + at_once].T
        of_domains = np.tile(np.arange(domains, dtype=np.int32), len(ticks))
        rows = pa.table(
            {
                "source": pa.repeat("rag_kpis", size),
                "domain_id": pa.DictionaryArray.from_arrays(of_domains, names),
                "metric": pa.repeat(METRIC, size),
                "timestamp": pa.array(np.repeat(ticks, domains)).cast(made.STAMP),
                "value": value.reshape(-1),
            }
        ).cast(SCHEMA)
        files.append(folder / f"samples-{first:03}.parquet")
        pq.write_table(rows, files[-1])
    return files


def written(steps: dict[str, Ran], counts: dict[str, int], missions: int, domains: int) -> str:
    rows = "\n".join(
        f"| {name} | {seconds(ran.seconds)} | {ran.peak_mib:,.0f} MiB |"
        for name, ran in steps.items()
    )
    kept = "\n".join(f"| `{name}` | {count:,} |" for name, count in counts.items())
    today = datetime.now(UTC).date().isoformat()
    samples = domains * TICKS
    return f"""# One large day

A day of more missions than `GRACE_MISSIONS_AT_ONCE` (50,000) is worked through by domain: each
table's file is written range by range, and takes the place of the old one as a whole. Readers of
a range find it by the row groups' statistics. So memory follows the setting, which the processes
of a run share (`GRACE_PROCESSES`), and the largest domain, and not the day.

`make large-day ARGS="--write --missions {missions} --samples {samples}"`, {today}, Python
{platform.python_version()}, {os.cpu_count()} cores: {missions:,} missions of one day in {domains:,}
domains, one metric a mission, {samples:,} samples that arrive tick by tick (every
{STEP_SECONDS // 60} minutes), on a local disk with everything as shipped. No step may take more
than {LIMIT_MIB:,} MiB, all its processes together.

| step | time | peak memory |
|---|---|---|
{rows}

| table | rows |
|---|---|
{kept}

With {samples / missions:.0f} samples a mission most windows overlap another mission of their
domain, so few verdicts are clear; they cost no less. The missions' ids ascend as they arrive.

In a bucket a reader fetches a whole file for each range, and a writer holds the whole file that
it puts there: bounded memory is a promise of local disks. Compacting a month holds a day of it.

A row of `mission_verdicts` has no domain: when a large day is made again, the ids of its history
are looked through once for each range.
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
