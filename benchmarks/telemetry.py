"""Cutting windows from samples, and judging them: beside only reading the same Parquet."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import made
from benchmarks.harness import Result, Scale, compared, interleave, timed
from grace_assets.core import padded, windows
from grace_assets.core.catalogue import SHIPPED, parse_catalogue
from grace_assets.core.judge import judge
from grace_assets.core.windows import Locator
from grace_assets.lake.sample_merge import KEY

DOMAINS, DAYS = 14, 14
MISSIONS = 10_000
ROUNDS = 5
NAMES = [name for name in KEY if name != "timestamp"]


def measure(scale: Scale, folder: Path) -> list[Result]:
    found = made.missions(MISSIONS, DAYS, DOMAINS)
    missions = folder / "missions.parquet"
    events = made.event_table(found, DOMAINS)
    trigger = pa.nulls(
        len(found), pa.struct([("metric", pa.string()), ("threshold", pa.float64())])
    )
    pq.write_table(events.append_column("trigger", trigger), missions)
    made.write_samples(folder, found, DAYS, DOMAINS, step_seconds=60)
    days = sorted((folder / "samples").glob("*/*.parquet"))
    rows = pa.concat_tables([pq.ParquetFile(day).read() for day in days])
    sorted_rows, arrived = folder / "sorted.parquet", folder / "arrived.parquet"
    pq.write_table(rows.sort_by([(name, "ascending") for name in KEY]), sorted_rows)
    pq.write_table(rows.sort_by("timestamp"), arrived)
    tasks = {
        f"{name} {order}": lambda work=work, samples=samples: timed(lambda: work(missions, samples))
        for order, samples in (("sorted", sorted_rows), ("arrived", arrived))
        for name, work in (("read", read), ("windows", medians), ("judge", judged))
    }
    figures = interleave(tasks, ROUNDS)
    pairs = f"{MISSIONS * len(made.METRICS):,} pairs on {rows.num_rows / 1e6:.2g} M samples"
    reading = "reading the Parquet"

    def line(name: str, order: str, work: str, reach: float) -> Result:
        ours, peer = f"{name} {order}", f"read {order}"
        return compared(figures, ours, peer, work=work, against=reading, reach=reach)

    return [
        line("windows", "sorted", f"medians before and after, {pairs}, sorted", 2),
        line("windows", "arrived", "the same, samples in the order of arrival", 4.5),
        line("judge", "sorted", "the whole judge on the same, sorted", 12),
    ]


def read(missions: Path, samples: Path) -> tuple[pa.Table, pa.Table]:
    return pq.ParquetFile(missions).read(), pq.ParquetFile(samples).read()


def opened(missions: Path, samples: Path) -> tuple[pa.Table, pa.Table]:
    """As the store opens them: the names as dictionaries."""
    rows = pq.ParquetFile(samples, read_dictionary=NAMES).read()
    return pq.ParquetFile(missions).read(), rows


def medians(missions: Path, samples: Path) -> tuple[np.ndarray, np.ndarray]:
    """The published readings `pre` and `post`, by the functions that the judge cuts with."""
    catalogue = parse_catalogue(SHIPPED.read_text(encoding="utf-8"), "kpis.yaml")
    events, rows = opened(missions, samples)
    series = windows.series_of(rows, catalogue)
    ours = windows.missions_of(events)
    pairs = windows.pair(ours, series, catalogue)
    place = Locator(series)
    start, end = ours.started[pairs.mission], ours.completed[pairs.mission] + pairs.settle

    def median_of(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        begin = place.first_row(pairs.series, low)
        return padded.medians(series.values, begin, place.first_row(pairs.series, high) - begin)

    return median_of(start - pairs.window, start), median_of(end, end + pairs.window)


def judged(missions: Path, samples: Path) -> pa.Table:
    catalogue = parse_catalogue(SHIPPED.read_text(encoding="utf-8"), "kpis.yaml")
    events, rows = opened(missions, samples)
    return judge(events, rows, catalogue, made.FIRST + timedelta(days=DAYS + 1))
