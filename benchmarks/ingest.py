"""Taking missions in, and writing a day out: beside decoding the lines, and a bare write."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks import made
from benchmarks.harness import Result, Scale, clean_env, compared, interleave, run, script, timed
from grace_assets.core.schemas import DATE
from grace_assets.lake.local_files import LocalFiles

DOMAINS, DAYS = 20, 365
DECODE = "import json, sys\nfor line in open(sys.argv[1], 'rb'):\n    json.loads(line)\n"
DAY_ROWS = 100_000
ROUNDS = 3
WRITES = 7


def measure(scale: Scale, folder: Path) -> list[Result]:
    return [take_in(scale, folder), day_write(folder)]


def take_in(scale: Scale, folder: Path) -> Result:
    """`grace ingest` into an empty landing; whole processes."""
    count = scale.of(1_000_000)
    lines = folder / "missions.jsonl"
    made.write_events(lines, made.missions(count, DAYS, DOMAINS), DOMAINS)
    data = folder / "data"

    def ingest() -> float:
        shutil.rmtree(data, ignore_errors=True)
        return run([script("grace"), "ingest", lines], clean_env(data)).seconds

    figures = interleave(
        {
            "ingest": ingest,
            "json.loads": lambda: run([sys.executable, "-c", DECODE, lines]).seconds,
        },
        ROUNDS,
    )
    return compared(
        figures,
        "ingest",
        "json.loads",
        work=f"`grace ingest` of {count:,} missions, validated, durable",
        against="`json.loads` of the lines",
        reach=1.0,
        note=f"{lines.stat().st_size / count:.0f} bytes a line; whole processes",
    )


def day_write(folder: Path) -> Result:
    """A day of `mission_outcomes`, replaced atomically."""
    rows = made.outcomes(made.missions(DAY_ROWS, 1, DOMAINS), DOMAINS).drop_columns([DATE])
    atomic, bare = "tables/date=2025-01-01/part-0.parquet", folder / "bare.parquet"

    def replace() -> None:
        with LocalFiles(folder).replacing(atomic) as target:
            pq.write_table(rows, target, compression="zstd")

    figures = interleave(
        {
            "atomic": lambda: timed(replace),
            "bare": lambda: timed(lambda: pq.write_table(rows, bare, compression="zstd")),
        },
        WRITES,
    )
    return compared(
        figures,
        "atomic",
        "bare",
        work=f"atomic write of a day of {DAY_ROWS:,} outcomes",
        against="`pq.write_table`",
        reach=1.15,
    )
