"""How long judging takes beside only reading the same samples.

`make judge-speed` makes 10 million samples (100 domains × 5 metrics, a minute apart, 14 days) and
100,000 missions of the last day, all with free reference days, writes the samples as the store
does, and times in turn, each in a process of its own: reading the files, and judging from them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from grace_assets.core.catalogue import SHIPPED, parse_catalogue
from grace_assets.core.judge import judge
from grace_assets.core.outcomes import summarise
from grace_assets.core.schemas import TABLES
from grace_assets.lake.samples import SCHEMA, SampleStore

METRICS = ("latency_ms", "error_rate", "throughput_rps", "queue_depth", "cpu_percent")
DOMAINS, DAYS, MISSIONS = 100, 14, 100_000
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
LAST = FIRST + timedelta(days=DAYS)
MICROSECOND = timedelta(microseconds=1)
STAMP = pa.timestamp("us", tz="UTC")


def make(root: Path) -> None:
    rng = np.random.default_rng(1)
    names = np.array([f"domain-{n:03}" for n in range(DOMAINS)])
    for day in range(DAYS):
        start = (FIRST + timedelta(days=day) - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND
        minutes = start + np.arange(1440) * 60_000_000
        series = DOMAINS * len(METRICS)
        rows = pa.table(
            {
                "source": pa.repeat("rag_kpis", series * 1440),
                "domain_id": np.repeat(names, len(METRICS) * 1440),
                "metric": np.tile(np.repeat(np.array(sorted(METRICS)), 1440), DOMAINS),
                "timestamp": pa.array(np.tile(minutes, series)).cast(STAMP),
                "value": 200 * np.exp(0.1 * rng.standard_normal(series * 1440)),
            }
        ).cast(SCHEMA)
        SampleStore(root).add(rows, lambda touched: None)
    # The last day but its first and last hour, for the windows.
    started = LAST - timedelta(hours=23)
    offset = rng.integers(0, 21 * 3600, MISSIONS) * 1_000_000
    begin = (started - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND + offset
    missions = pa.table(
        {
            "date": pa.repeat((LAST - timedelta(days=1)).date().isoformat(), MISSIONS),
            "mission_id": [f"m{n:06}" for n in range(MISSIONS)],
            "domain_id": names[rng.integers(0, DOMAINS, MISSIONS)],
            "started_at": pa.array(begin).cast(STAMP),
            "completed_at": pa.array(begin + 300_000_000).cast(STAMP),
            "trigger": pa.nulls(MISSIONS, TABLES["mission_events"].arrow().field("trigger").type),
        }
    )
    pq.write_table(missions, root / "missions.parquet")


def read(root: Path) -> int:
    """The floor: every sample file read, nothing done with it."""
    files = sorted((root / "samples").glob("*/*.parquet"))
    return sum(pq.ParquetFile(file).read().num_rows for file in files)


def judge_all(root: Path) -> int:
    catalogue = parse_catalogue(SHIPPED.read_text(encoding="utf-8"), "kpis.yaml")
    missions = pq.ParquetFile(root / "missions.parquet").read()
    samples = SampleStore(root).read(FIRST, LAST)
    now = LAST + timedelta(days=1)
    rows = judge(missions, samples, catalogue, now)
    summarise(missions, rows, None, now, catalogue)
    return rows.num_rows


def child(task: str, root: Path) -> dict[str, float]:
    """Run one task in a process of its own: seconds of the task, and the process' peak memory."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.judge_speed", "--task", task, str(root)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs=2, metavar=("TASK", "FOLDER"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    tasks = {"read": read, "judge": judge_all}
    if options.task:
        task, root = options.task
        started = time.perf_counter()
        rows = tasks[task](Path(root))
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"rows": rows, "seconds": seconds, "peak_mib": peak}))
        return
    with TemporaryDirectory(prefix="grace-speed-") as folder:
        root = Path(folder)
        make(root)
        runs = {task: [] for task in tasks}
        for _ in range(options.rounds):
            for task in tasks:
                runs[task].append(child(task, root))
    for task, found in runs.items():
        seconds = sorted(run["seconds"] for run in found)
        print(
            f"{task:6} {found[0]['rows']:>10,} rows   {seconds[0]:6.2f} / {median(seconds):6.2f} / "
            f"{seconds[-1]:6.2f} s (min, median, max)   {found[0]['peak_mib']:,.0f} MiB at peak"
        )
    pairs = zip(runs["judge"], runs["read"], strict=True)
    ratios = sorted(ours["seconds"] / floor["seconds"] for ours, floor in pairs)
    print(f"judging is {median(ratios):.1f} times reading ({ratios[0]:.1f} to {ratios[-1]:.1f})")


if __name__ == "__main__":
    main()
