"""Samples that arrive put among those of their day: a row group in memory at a time.

Both sides are sorted by identity. Each stored row group takes what arrived up to its last sample,
and becomes one row group, or several of about `GROUP_ROWS`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

NAMES = ("source", "domain_id", "metric")
KEY = (*NAMES, "timestamp")
SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("domain_id", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("timestamp", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)
GROUP_ROWS = 2**18
"""Rows of a row group, about: what a reader of one domain reads at least."""

DAY_MICROS = 86_400_000_000
_DAY_BITS = 37
"""Enough for the microseconds of a day."""


@dataclass
class SampleCounts:
    accepted: int = 0
    duplicate: int = 0
    restated: int = 0


@dataclass(frozen=True)
class Piece:
    """Neighbours in a day's file: what to keep of them, and which of these are new or differ."""

    kept: pa.Table
    changed: pa.Table

    @property
    def group_rows(self) -> int:
        """Of its row groups, so that none is much smaller than the others."""
        rows = self.kept.num_rows
        return -(-rows // max(1, round(rows / GROUP_ROWS)))


def merge(
    stored: pq.ParquetFile | None, arrived: pa.Table, counts: SampleCounts
) -> Iterator[Piece]:
    """The pieces of a day's new file, in order; adds what became of `arrived` to `counts`.

    Both are of one UTC day; `arrived` is in the order received.
    """
    order = np.argsort(_keys(_encoded(arrived)), kind="stable")
    arrived = arrived.take(pa.array(order)).cast(SCHEMA)
    groups = stored.num_row_groups if stored is not None else 0
    start = 0
    for group in range(groups):
        rows = stored.read_row_group(group)
        end = arrived.num_rows if group == groups - 1 else _up_to(arrived, start, rows)
        yield _piece(rows.cast(SCHEMA), arrived.slice(start, end - start), counts)
        start = end
    if not groups:
        yield _piece(SCHEMA.empty_table(), arrived, counts)


def _piece(stored: pa.Table, arrived: pa.Table, counts: SampleCounts) -> Piece:
    rows = _encoded(pa.concat_tables([stored, arrived]))
    keys = _keys(rows)
    # Stable: of one key the stored sample comes first, then what arrived as it did.
    order = np.argsort(keys, kind="stable")
    keys, value = keys[order], rows["value"].to_numpy()[order]
    same_key = np.r_[False, keys[1:] == keys[:-1]][: len(keys)]
    same_value = same_key & np.r_[False, value[1:] == value[:-1]][: len(keys)]
    new = order >= stored.num_rows
    duplicate, restated = new & same_value, new & same_key & ~same_value
    counts.duplicate += int(duplicate.sum())
    counts.restated += int(restated.sum())
    counts.accepted += int((new & ~same_key).sum())
    last_of_key = np.r_[~same_key[1:], True][: len(keys)]
    kept = rows.take(pa.array(order[last_of_key]))
    return Piece(kept, rows.take(pa.array(order[new & ~duplicate])))


def _up_to(arrived: pa.Table, start: int, stored: pa.Table) -> int:
    """How many of the sorted `arrived` come no later than the last row of `stored`."""

    def key(rows: pa.Table, place: int) -> tuple[str | datetime, ...]:
        return tuple(rows[name][place].as_py() for name in KEY)

    last = key(stored, stored.num_rows - 1)
    return bisect_right(range(arrived.num_rows), last, lo=start, key=lambda n: key(arrived, n))


def _encoded(rows: pa.Table) -> pa.Table:
    """With the names as dictionaries of their own, in one chunk."""
    rows = rows.combine_chunks()
    columns = [
        pc.dictionary_encode(rows[name]) if name in NAMES else rows[name] for name in SCHEMA.names
    ]
    return pa.table(columns, names=SCHEMA.names)


def _keys(rows: pa.Table) -> np.ndarray:
    """A number for each row of a day, in the order of `KEY`; names are dictionaries."""
    rank = series_rank(rows)
    if rank.size and int(rank.max()) >= 2 ** (63 - _DAY_BITS):
        # Many names that hardly ever meet: those that do are numbered anew.
        rank = np.unique(rank, return_inverse=True)[1]
    micros = rows["timestamp"].cast(pa.int64()).to_numpy() % DAY_MICROS
    return (rank.astype(np.int64) << _DAY_BITS) | micros


def series_rank(rows: pa.Table) -> np.ndarray:
    """For each row the rank of its series by source, domain and metric; names are dictionaries."""
    rank, size = np.zeros(rows.num_rows, np.int64), 1
    for name in NAMES:
        column = rows[name].combine_chunks()
        names = np.array(column.dictionary.to_pylist(), object)
        place = np.empty(len(names), np.int64)
        place[np.argsort(names)] = np.arange(len(names))
        rank = rank * len(names) + place[column.indices.to_numpy()]
        size *= len(names)
    # Few series: narrow integers, which numpy sorts by radix.
    return rank.astype(np.int16) if size < 2**15 else rank
