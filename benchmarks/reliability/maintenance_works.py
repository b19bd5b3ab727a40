"""The works that put old days together and drop old samples, and what readers see of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from benchmarks.reliability.landing_works import DAYS, Contents
from grace_assets.lake.samples import SCHEMA, SampleStore
from grace_assets.lake.tables import Lake
from tests.rows import problem, table

APRIL = "2026-04-01"
TABLE = "problems"


def _make(root: Path, day: str, word: str) -> None:
    Lake(root).replace(TABLE, [day], table(TABLE, [problem(word) | {"date": day}]))


def days_and_a_month(root: Path) -> None:
    """March is one file, and one of its days was made again; April lies in days."""
    root.mkdir()
    for day in (*DAYS, APRIL):
        _make(root, day, "old")
    Lake(root).compact(TABLE, DAYS[0][:7])
    _make(root, DAYS[0], "late")


def compact(root: Path) -> Iterator[str]:
    for month in (DAYS[0][:7], APRIL[:7]):
        Lake(root).compact(TABLE, month)
        yield month
    _make(root, DAYS[1], "later")
    yield "a day made again"
    Lake(root).compact(TABLE, DAYS[1][:7])
    yield "folded in"


def compacted(root: Path) -> Contents:
    lake = Lake(root)
    return {day: lake.read(TABLE, [day]).to_pylist() for day in lake.days(TABLE)}


SAMPLED = [f"2026-03-{number:02}" for number in range(1, 6)]


def samples_of_five_days(root: Path) -> None:
    at = datetime(2026, 3, 1, 10, tzinfo=UTC)
    rows = [
        ("domain_health", "payments", "latency_ms", at + timedelta(days=n), float(n))
        for n in range(len(SAMPLED))
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    SampleStore(root).add(pa.table(columns, schema=SCHEMA), lambda _: None)


def drop(root: Path) -> Iterator[str]:
    for first in (SAMPLED[2], SAMPLED[4]):
        SampleStore(root).drop_before(first)
        yield first


def sampled(root: Path) -> Contents:
    """Raises where a day has lost its samples and still counts as one that can be judged."""
    store = SampleStore(root)
    counts = {day: store.counts(day) for day in SAMPLED}
    since = store.kept_since() or SAMPLED[0]
    if gone := [day for day, count in counts.items() if not count and day >= since]:
        raise ValueError(f"kept since {since}, and nothing of {gone}")
    return {day: count for day, count in counts.items() if count} | {"since": since}
