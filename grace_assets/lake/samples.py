"""The store of KPI samples: one Parquet file a UTC day, `samples/date=YYYY-MM-DD/`.

A sample is identified by source, domain, metric and timestamp: the same value again is a
duplicate, another value a restatement, and the last received wins (CONTRACT section 2). Files
are sorted by that identity, so windows are cut from them without sorting again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grace_assets.lake.domains import EVERY, Domains, bounds
from grace_assets.lake.files import Files
from grace_assets.lake.local_files import LocalFiles
from grace_assets.lake.locks import Locks
from grace_assets.lake.sample_merge import (
    DAY_MICROS,
    NAMES,
    SCHEMA,
    Piece,
    SampleCounts,
    merge,
    series_rank,
)

_KEPT_SINCE = "samples/kept-since"


@dataclass(frozen=True)
class Touched:
    """The span of a domain's samples that an input added or changed."""

    domain_id: str
    first: datetime
    last: datetime


class SampleStore:
    """Samples under `samples/date=YYYY-MM-DD/` (UTC days) of a data directory, or elsewhere."""

    def __init__(self, root: Path, files: Files | None = None, locks: Locks | None = None) -> None:
        self._files = files or LocalFiles(root)
        self._locks = locks or Locks(root)

    def _opened(self, days: Sequence[str], **how: Any) -> Iterator[pq.ParquetFile]:
        """The files of those of `days` that have one."""
        for _, source in self._files.sources([_file(day) for day in days]):
            yield pq.ParquetFile(source, **how)

    def add(
        self,
        rows: pa.Table,
        before_write: Callable[[list[Touched]], None],
        counts: SampleCounts | None = None,
    ) -> SampleCounts:
        """Merge samples in the order received; on return they are on disk, and in `counts`.

        `before_write` hears what each day's file is about to gain. It comes first so that a
        crash between the two can announce a change that did not happen, never hide one.
        """
        counts = counts or SampleCounts()
        if rows.num_rows == 0:
            return counts
        with self._locks.exclusive("samples"):
            for day, arrived in _by_day(rows):
                self._merge_day(day, arrived, counts, before_write)
        return counts

    def _merge_day(
        self,
        day: str,
        arrived: pa.Table,
        counts: SampleCounts,
        before_write: Callable[[list[Touched]], None],
    ) -> None:
        touched: dict[str, Touched] = {}
        # Kept until the end: with it the file that is read would be closed.
        opened = self._opened([day])
        stored = next(opened, None)
        with (
            suppress(_NothingNew),
            self._files.replacing(_file(day), self._locks.held) as target,
        ):
            with pq.ParquetWriter(target, SCHEMA, compression="zstd") as writer:
                for piece in merge(stored, arrived, counts):
                    writer.write_table(piece.kept.cast(SCHEMA), piece.group_rows)
                    _touch(touched, piece)
            if not touched:
                raise _NothingNew
            before_write([*touched.values()])

    def read(
        self,
        first: datetime,
        last: datetime,
        names: Sequence[str] = (),
        domains: Domains = EVERY,
    ) -> pa.Table:
        """Samples with first ≤ timestamp < last, sorted by identity, each once.

        Of the domains in `names`, or else of all in `domains`. Columns as in `SCHEMA`, the three
        names dictionary-encoded.
        """
        parts = list(self._cuts(first, last, SCHEMA.names, names, domains))
        if not parts:
            return SCHEMA.empty_table()
        rows = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
        # Each day is sorted by identity, and days ascend: a stable sort by series is all it takes.
        order = pa.array(np.argsort(series_rank(rows), kind="stable"))
        return rows.combine_chunks().take(order)

    def series(self, first: datetime, last: datetime) -> pa.Table:
        """The series that have samples then: distinct source, domain_id and metric."""
        kinds = pa.schema([SCHEMA.field(name) for name in NAMES])
        found = [
            part.select(NAMES).group_by(NAMES).aggregate([]).select(NAMES).cast(kinds)
            for part in self._cuts(first, last, (*NAMES, "timestamp"))
        ]
        if not found:
            return kinds.empty_table()
        return pa.concat_tables(found).group_by(NAMES).aggregate([]).select(NAMES)

    def _cuts(
        self,
        first: datetime,
        last: datetime,
        columns: Sequence[str],
        names: Sequence[str] = (),
        domains: Domains = EVERY,
    ) -> Iterator[pa.Table]:
        """What each row group has of a time and some domains; those that have none are not read."""
        begin, end = (at.astimezone(UTC).date() for at in (first, last))
        days = [(begin + timedelta(days=n)).isoformat() for n in range((end - begin).days + 1)]
        wanted = sorted(names)
        for file in self._opened(days, read_dictionary=list(NAMES)):
            for group in range(file.num_row_groups):
                known = bounds(file, group)
                if known and not (domains.meet(*known) and _meet(wanted, *known)):
                    continue
                rows = _cut(file.read_row_group(group, columns=columns), first, last, wanted)
                yield rows if domains == EVERY else domains.of(rows)

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
                with self._files.replacing(_KEPT_SINCE) as target:
                    target.write(since.encode())
                self._files.remove([_file(name) for name in old])
        return old, size

    def kept_since(self) -> str | None:
        """The first UTC day whose samples were not dropped; null where none ever were."""
        return next((s.read().decode() for _, s in self._files.sources([_KEPT_SINCE])), None)

    def counts(self, day: str) -> dict[str, int]:
        """Samples of a UTC day by source."""
        found: dict[str, int] = {}
        for file in self._opened([day]):
            for group in range(file.num_row_groups):
                sources = file.read_row_group(group, columns=["source"])["source"]
                for count in pc.value_counts(sources).to_pylist():
                    name = str(count["values"])
                    found[name] = found.get(name, 0) + count["counts"]
        return found


class _NothingNew(Exception):
    """What arrived is there already: the file stays."""


def _by_day(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each UTC day, in the order they have."""
    number = rows["timestamp"].cast(pa.int64()).to_numpy() // DAY_MICROS
    order = np.argsort(number, kind="stable")
    days, starts = np.unique(number[order], return_index=True)
    rows = rows.take(pa.array(order))
    for day, start, end in zip(days, starts, [*starts[1:], len(order)], strict=True):
        name = np.datetime_as_string(np.datetime64(int(day), "D"))
        yield str(name), rows.slice(start, end - start)


def _meet(wanted: Sequence[str], low: str, high: str) -> bool:
    """Whether one of the sorted names lies in low..high; of none all are wanted."""
    place = bisect_left(wanted, low)
    return not wanted or (place < len(wanted) and wanted[place] <= high)


def _cut(rows: pa.Table, first: datetime, last: datetime, domains: Sequence[str]) -> pa.Table:
    stamp = rows["timestamp"]
    mask = pc.and_(pc.greater_equal(stamp, first), pc.less(stamp, last))
    if domains:
        mask = pc.and_(mask, pc.is_in(rows["domain_id"], pa.array(domains)))
    return rows.filter(mask)


def _file(day: str) -> str:
    return f"samples/date={day}/part-0.parquet"


def _touch(touched: dict[str, Touched], piece: Piece) -> None:
    """Widen the spans of domains by what a piece changes."""
    spans = piece.changed.group_by("domain_id").aggregate(
        [("timestamp", "min"), ("timestamp", "max")]
    )
    for row in spans.to_pylist():
        name, first, last = row["domain_id"], row["timestamp_min"], row["timestamp_max"]
        if known := touched.get(name):
            first, last = min(first, known.first), max(last, known.last)
        touched[name] = Touched(name, first, last)
