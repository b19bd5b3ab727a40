"""The store of KPI samples: one Parquet file a UTC day, `samples/date=YYYY-MM-DD/`.

A sample is identified by source, domain, metric and timestamp: the same value again is a
duplicate, another value a restatement, and the last received wins (CONTRACT section 2). Files
are sorted by that identity, so windows are cut from them without sorting again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grace_assets.lake.files import Files, LocalFiles
from grace_assets.lake.locks import Locks
from grace_assets.lake.tables import write_parquet

_KEPT_SINCE = "samples/kept-since"
_NAMES = ("source", "domain_id", "metric")
KEY = (*_NAMES, "timestamp")
SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("domain_id", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("timestamp", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Touched:
    """The span of a domain's samples that an input added or changed."""

    domain_id: str
    first: datetime
    last: datetime


@dataclass
class SampleCounts:
    accepted: int = 0
    duplicate: int = 0
    restated: int = 0


class SampleStore:
    """Samples under `samples/date=YYYY-MM-DD/` (UTC days) of a data directory, or elsewhere."""

    def __init__(self, root: Path, files: Files | None = None, locks: Locks | None = None) -> None:
        self._files = files or LocalFiles(root)
        self._locks = locks or Locks(root)

    def _opened(self, days: Sequence[str], **how: Any) -> Iterator[pq.ParquetFile]:
        """The files of those of `days` that have one."""
        for _, source in self._files.sources([_file(day) for day in days]):
            yield pq.ParquetFile(source, **how)

    def add(self, rows: pa.Table, before_write: Callable[[list[Touched]], None]) -> SampleCounts:
        """Merge samples in the order received; on return they are on disk.

        `before_write` hears what each day's file is about to gain. It comes first so that a
        crash between the two can announce a change that did not happen, never hide one.
        """
        counts = SampleCounts()
        if rows.num_rows == 0:
            return counts
        with self._locks.exclusive("samples"):
            days = pc.strftime(rows["timestamp"], format="%Y-%m-%d")
            for day in sorted(pc.unique(days).to_pylist()):
                self._merge_day(day, rows.filter(pc.equal(days, day)), counts, before_write)
        return counts

    def _merge_day(
        self,
        day: str,
        arrived: pa.Table,
        counts: SampleCounts,
        before_write: Callable[[list[Touched]], None],
    ) -> None:
        stored = next((file.read() for file in self._opened([day])), SCHEMA.empty_table())
        merged = pa.concat_tables([stored.cast(SCHEMA), arrived]).combine_chunks()
        order = pa.array(np.arange(merged.num_rows))
        merged = merged.append_column("order", order)
        merged = merged.take(
            pc.sort_indices(merged, sort_keys=[(name, "ascending") for name in (*KEY, "order")])
        )
        same_key = _same_as_previous(merged, KEY)
        same_value = same_key & _same_as_previous(merged, ("value",))
        new = merged["order"].to_numpy() >= stored.num_rows
        duplicate = new & same_value
        restated = new & same_key & ~same_value
        counts.duplicate += int(duplicate.sum())
        counts.restated += int(restated.sum())
        counts.accepted += int((new & ~same_key).sum())
        changed = new & ~duplicate
        if not changed.any():
            return
        last_of_key = np.r_[~same_key[1:], True]
        before_write(_touched(merged.filter(pa.array(changed))))
        kept = merged.filter(pa.array(last_of_key)).drop_columns(["order"])
        write_parquet(self._files, _file(day), kept, self._locks.held)

    def read(self, first: datetime, last: datetime, domains: Sequence[str] = ()) -> pa.Table:
        """Samples with first ≤ timestamp < last, sorted by identity, each once.

        Columns as in `SCHEMA`, the three names dictionary-encoded.
        """
        begin, end = (at.astimezone(UTC).date() for at in (first, last))
        days = [(begin + timedelta(days=n)).isoformat() for n in range((end - begin).days + 1)]
        parts = [
            _cut(file.read(), first, last, domains)
            for file in self._opened(days, read_dictionary=list(_NAMES))
        ]
        if not parts:
            return SCHEMA.empty_table()
        rows = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
        # Each day is sorted by identity, and days ascend: a stable sort by series is all it takes.
        order = pa.array(np.argsort(_series_rank(rows), kind="stable"))
        return rows.combine_chunks().take(order)

    def before(self, day: str) -> tuple[list[str], int]:
        """The UTC days before `day` that there are samples of, ascending, and their bytes."""
        names = (name for name in self._files.names("samples") if name.startswith("date="))
        days = sorted(name.removeprefix("date=") for name in names if name < f"date={day}")
        return days, self._files.size("samples", [_file(old) for old in days])

    def drop_before(self, day: str) -> tuple[list[str], int]:
        """Take away the UTC days before `day`; returns what `before` did."""
        with self._locks.exclusive("samples"):
            old, size = self.before(day)
            if old:
                # First: a day must never look complete whose samples are going. Never earlier
                # than before, though less may be dropped now: what is gone is gone.
                since = max(day, self.kept_since() or day)
                self._files.replace(_KEPT_SINCE, lambda target: target.write(since.encode()))
                self._files.remove([_file(name) for name in old])
        return old, size

    def kept_since(self) -> str | None:
        """The first UTC day whose samples were not dropped; null where none ever were."""
        return next((s.read().decode() for _, s in self._files.sources([_KEPT_SINCE])), None)

    def counts(self, day: str) -> dict[str, int]:
        """Samples of a UTC day by source."""
        for file in self._opened([day]):
            sources = file.read(columns=["source"])["source"]
            return {str(n["values"]): n["counts"] for n in pc.value_counts(sources).to_pylist()}
        return {}


def _cut(rows: pa.Table, first: datetime, last: datetime, domains: Sequence[str]) -> pa.Table:
    stamp = rows["timestamp"]
    mask = pc.and_(pc.greater_equal(stamp, first), pc.less(stamp, last))
    if domains:
        mask = pc.and_(mask, pc.is_in(rows["domain_id"], pa.array(domains)))
    return rows.filter(mask)


def _file(day: str) -> str:
    return f"samples/date={day}/part-0.parquet"


def _series_rank(rows: pa.Table) -> np.ndarray:
    """For each row the rank of its series, by source, domain and metric."""
    rank, size = np.zeros(rows.num_rows, np.int64), 1
    for name in _NAMES:
        column = rows[name].combine_chunks()
        names = np.array(column.dictionary.to_pylist(), object)
        place = np.empty(len(names), np.int64)
        place[np.argsort(names)] = np.arange(len(names))
        rank = rank * len(names) + place[column.indices.to_numpy()]
        size *= len(names)
    # Few series: narrow integers, which numpy sorts by radix.
    return rank.astype(np.int16) if size < 2**15 else rank


def _same_as_previous(rows: pa.Table, names: Sequence[str]) -> np.ndarray:
    same = np.ones(rows.num_rows, dtype=bool)
    same[0] = False
    for name in names:
        column = rows[name].combine_chunks()
        same[1:] &= pc.equal(column.slice(1), column.slice(0, len(column) - 1)).to_numpy(
            zero_copy_only=False
        )
    return same


def _touched(rows: pa.Table) -> list[Touched]:
    spans = rows.group_by("domain_id").aggregate([("timestamp", "min"), ("timestamp", "max")])
    return [
        Touched(row["domain_id"], row["timestamp_min"], row["timestamp_max"])
        for row in spans.to_pylist()
    ]
