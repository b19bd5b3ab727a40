"""The tables on disk: one Parquet file a day and table, replaced whole or not at all.

Layout: `tables/<table>/date=YYYY-MM-DD/part-0.parquet` (hive, zstd); old days may lie in `months`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grace_assets.core.schemas import DATE, TABLES
from grace_assets.lake.conform import SchemaError, check_unique, conform, split_by_day
from grace_assets.lake.domains import EVERY, Domains
from grace_assets.lake.files import Files, Signature
from grace_assets.lake.local_files import LocalFiles
from grace_assets.lake.locks import Locks
from grace_assets.lake.months import Months
from grace_assets.lake.months import folder as months_folder
from grace_assets.lake.row_groups import by_day, each_group

PART = "part-0.parquet"
_WRITERS = 4
"""Days that are written at once, where there are more."""


class Lake:
    """Partitioned tables of a data directory `root`, whose files may lie elsewhere."""

    def __init__(self, root: Path, files: Files | None = None, locks: Locks | None = None) -> None:
        self._files = files or LocalFiles(root)
        self._months = Months(self._files)
        self._locks = locks or Locks(root)
        self.exclusive = self._locks.exclusive
        self.cache = root / "cache"

    def days(self, table: str, first: str = "", last: str = "~") -> list[str]:
        """The days that have been written, ascending; all, or those from `first` to `last`."""
        compacted = [day for day in self._months.days(table) if first <= day <= last]
        return sorted({*self.own_days(table, first, last), *compacted})

    def own_days(self, table: str, first: str = "", last: str = "~") -> list[str]:
        """The days that have a file of their own, in no order."""
        names = self._files.names(_folder(table))
        # Compared as they are: an answer lists years to find the few days of its window.
        low, high, start = f"{DATE}={first}", f"{DATE}={last}", len(f"{DATE}=")
        return [name[start:] for name in names if low <= name <= high]

    def signatures(self, table: str, days: Sequence[str]) -> list[Signature | None]:
        """What differs once a day was made again; null for a day that was never written."""
        own = self._own_signatures(table, days)
        if None not in own:
            return own
        months = self._months.days(table)
        files = sorted(
            {
                months[day]
                for day, one in zip(days, own, strict=True)
                if one is None and day in months
            }
        )
        signed = self._files.signatures(months_folder(table), files) if files else []
        by_file = dict(zip(files, signed, strict=True))
        return [
            one if one is not None else by_file.get(months.get(day, ""))
            for day, one in zip(days, own, strict=True)
        ]

    def read(
        self, table: str, days: Sequence[str], columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows of `days` with `date` in front; a day that was never written has none.

        A column that a file of an earlier version lacks is null in its rows; of lists, empty.
        """
        schema = _schema(table, columns)
        parts = {}
        days_of = {file_of(table, day): day for day in days}
        for name, source in self._files.sources(list(days_of)):
            # ParquetFile, not read_table: that one imports pyarrow.dataset.
            file = pq.ParquetFile(source)
            parts |= by_day(schema, file, {days_of[name]: range(file.num_row_groups)})
        # Looked for after the days' own files: those go once their month is there.
        missing = [day for day in days if day not in parts]
        for file, groups in self._months.read(table, missing) if missing else ():
            parts |= by_day(schema, file, groups)
        found = [parts[day] for day in days if day in parts]
        return pa.concat_tables(found) if found else schema.empty_table()

    def scan(
        self,
        table: str,
        days: Sequence[str],
        columns: Sequence[str] | None = None,
        domains: Domains = EVERY,
        missions: pa.Array | None = None,
    ) -> Iterator[pa.Table]:
        """As `read`, a row group at a time, of some domains or missions: for days of any size."""
        schema = _schema(table, columns)
        days_of = {file_of(table, day): day for day in days}
        missing = dict.fromkeys(days)
        for name, source in self._files.sources(list(days_of)):
            del missing[days_of[name]]
            file = pq.ParquetFile(source)
            groups = {days_of[name]: range(file.num_row_groups)}
            yield from each_group(schema, file, groups, domains, missions)
        for file, groups in self._months.read(table, list(missing)) if missing else ():
            yield from each_group(schema, file, groups, domains, missions)

    def read_domains(
        self,
        table: str,
        days: Sequence[str],
        domains: Domains,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """As `read`, of some domains."""
        if domains == EVERY:
            return self.read(table, days, columns)
        parts = list(self.scan(table, days, columns, domains))
        return pa.concat_tables(parts) if parts else _schema(table, columns).empty_table()

    def of_mission(self, table: str, day: str, mission_id: str) -> pa.Table:
        """The rows of one mission on a day."""
        parts = self.scan(table, [day], missions=pa.array([mission_id], pa.string()))
        return pa.concat_tables([_schema(table, None).empty_table(), *parts])

    def compact(self, table: str, month: str) -> tuple[int, int]:
        """Put the files of a month's days into one; returns the days that had files, and rows.

        What `read` returns is the same at every instant. Days that lie in the month already stay
        in it, unless they were made again since. Raises `SchemaError` where the month does not
        read as its days do; those stay then.
        """
        # Of the months' list of days, which days of other months are entered in as well.
        with self.exclusive(f"{table}.months"):
            own = sorted(day for day in self.own_days(table) if day.startswith(month))
            if not own:
                return 0, 0
            with self.exclusive(table, own):
                return self._fold(table, month, own)

    def size(self, table: str, days: Sequence[str]) -> int:
        """Bytes of the files that `days` have of their own."""
        return self._files.size(_folder(table), [file_of(table, day) for day in days])

    def _fold(self, table: str, month: str, own: Sequence[str]) -> tuple[int, int]:
        before = self._own_signatures(table, own)
        made = [day for day, signature in zip(own, before, strict=True) if signature is not None]
        rows = 0
        if made:
            self._locks.check()
            schema = TABLES[table].with_date()
            self._months.write(table, month, schema, self._whole_month(table, month, made))
            for file, groups in self._months.read(table, made):
                for day in groups:
                    part = by_day(schema, file, {day: groups[day]})[day]
                    if not part.equals(self.read(table, [day])):
                        raise SchemaError(
                            f"{table}: {day} reads differently in {month}; kept as it was"
                        )
                    rows += part.num_rows
            self._locks.check()
        # What a writer without our lock made meanwhile stays. Without a file goes the folder that
        # a compaction left when it was cut off.
        known, after = self._months.days(table), self._own_signatures(table, own)
        folded = [
            file_of(table, day)
            for day, was, now in zip(own, before, after, strict=True)
            if was == now and day in known
        ]
        self._files.remove(folded)
        return len(made), rows

    def _whole_month(
        self, table: str, month: str, made: Sequence[str]
    ) -> Iterator[tuple[str, pa.Table]]:
        """The days of a month and their rows, ascending: of `made` their own, else the month's."""
        kept = {day for day in self._months.days(table) if day.startswith(month)} - {*made}
        schema = TABLES[table].with_date()
        stored = self._months.read(table, sorted(kept))
        # Its file stays open, and as it was, until the last day is told.
        file, groups = next(stored) if kept else (None, {})
        for day in sorted({*made, *kept}):
            if day in kept:
                yield day, by_day(schema, file, {day: groups[day]})[day]
            else:
                yield day, self.read(table, [day])

    def _own_signatures(self, table: str, days: Sequence[str]) -> list[Signature | None]:
        return self._files.signatures(_folder(table), [file_of(table, day) for day in days])

    def replace(self, table: str, days: Sequence[str], rows: pa.Table) -> dict[str, int]:
        """Make `rows` the whole content of `days`; returns the number of rows per day.

        Every day of `days` is written, an empty one too, so that "nothing happened" differs
        from "never computed". Raises `SchemaError` before anything is written.
        """
        schema = TABLES[table]
        rows = conform(schema, rows)
        parts = split_by_day(rows)
        if strangers := set(parts) - set(days):
            raise SchemaError(f"{table}: rows of days not asked for: {sorted(strangers)}")
        parts = {day: parts.get(day, rows.slice(0, 0)) for day in days}
        for day, part in parts.items():
            check_unique(schema, day, part)

        def write(day: str) -> None:
            with self._writer(table, day) as writer:
                writer.write_table(parts[day].drop_columns([DATE]))

        with self.exclusive(table, days), ThreadPoolExecutor(_WRITERS) as pool:
            # Most of a small file's time is the wait for the disk; a few days wait in turn.
            for _ in (pool.map if len(days) > _WRITERS else map)(write, parts):
                pass
        return {day: part.num_rows for day, part in parts.items()}

    @contextmanager
    def replacing(self, table: str, day: str) -> Iterator[Callable[[pa.Table], None]]:
        """What takes the rows of a day, part by part; they become its content at the block's end.

        Parts come by domain, so that a reader of some domains finds them without the rest.
        """
        schema = TABLES[table]

        def write(rows: pa.Table) -> None:
            rows = conform(schema, rows)
            if strangers := {*pc.unique(rows[DATE]).to_pylist()} - {day}:
                raise SchemaError(f"{table}: rows of days not asked for: {sorted(strangers)}")
            check_unique(schema, day, rows)
            writer.write_table(rows.drop_columns([DATE]))

        with self.exclusive(table, [day]), self._writer(table, day) as writer:
            yield write

    @contextmanager
    def _writer(self, table: str, day: str) -> Iterator[pq.ParquetWriter]:
        with (
            self._files.replacing(file_of(table, day), self._locks.held) as target,
            pq.ParquetWriter(target, TABLES[table].arrow(), compression="zstd") as writer,
        ):
            yield writer

    def version(self, table: str) -> int:
        """Another number after each write of ours on this machine; 0 where nobody can tell.

        Compacting is none: rows stay as they are.
        """
        return self._files.version(_folder(table))


def _schema(table: str, columns: Sequence[str] | None) -> pa.Schema:
    """Of a table in memory: `date`, and all of its columns or some."""
    schema = TABLES[table].with_date()
    if columns is None:
        return schema
    return pa.schema([schema.field(name) for name in (DATE, *columns)])


def _folder(table: str) -> str:
    return f"tables/{table}"


def file_of(table: str, day: str) -> str:
    """The place of a day's file below the root."""
    return f"{_folder(table)}/{DATE}={day}/{PART}"
