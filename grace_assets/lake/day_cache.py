"""Days of small tables as they were read, in a file a month: a process that starts opens few files.

A window of ninety days is ninety Parquet files, and to open one takes far longer than to read what
is in it. Each day here bears the signature of the file that it was read from, and stands for it
only while that file still has it; so nothing here is ever right to keep or wrong to delete.

Layout: `cache/<table>/YYYY-MM.arrow`, an Arrow IPC file: rows by day, and in the metadata of the
schema how many each day has, and of which file.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.schemas import DATE, TABLES
from grace_assets.lake.durable import replacing
from grace_assets.lake.files import Signature
from grace_assets.lake.tables import Lake

CACHED_TABLES = frozenset(
    {"domain_daily", "kpi_daily", "hold_daily", "problems", "follow_up_missions"}
)

Columns = tuple[str, ...] | None
"""Of a table, beside `date`; all of them for null."""

_DAYS = b"grace.days"


@dataclass(frozen=True)
class _Month:
    """Rows by day; `days` says in their order of how many rows and of which file each was."""

    days: Mapping[str, tuple[int, Signature]]
    rows: pa.Table

    def lacks(self, wanted: Mapping[str, Signature]) -> list[str]:
        """Those of the wanted days that it has not as their files are now."""
        own = {day: signature for day, (_, signature) in self.days.items()}
        return [day for day, signature in wanted.items() if own.get(day) != signature]

    def of_columns(self, columns: Columns) -> _Month:
        names = self.rows.column_names if columns is None else [DATE, *columns]
        return _Month(self.days, self.rows.select(names))

    def of(self, wanted: Collection[str]) -> list[pa.Table]:
        """The rows of the wanted days, those of neighbours in one piece."""
        pieces, start = [], 0
        for is_wanted, run in groupby(self.days.items(), key=lambda item: item[0] in wanted):
            size = sum(count for _, (count, _) in run)
            if is_wanted:
                pieces.append(self.rows.slice(start, size))
            start += size
        return pieces


class DayCache:
    """Rows of days of `CACHED_TABLES` of `lake`; safe to use from several threads."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._months: dict[tuple[str, Columns, str], _Month] = {}

    def rows(
        self,
        table: str,
        days: Sequence[str],
        signatures: Sequence[Signature | None],
        columns: Columns = None,
    ) -> list[pa.Table]:
        """As `Lake.read`, in pieces: `days` (ascending) as files of these signatures have them."""
        pairs = zip(days, signatures, strict=True)
        wanted = {day: signature for day, signature in pairs if signature is not None}
        pieces = []
        for month, its_days in groupby(wanted, key=lambda day: day[:7]):
            of_month = {day: wanted[day] for day in its_days}
            pieces += self._month(table, columns, month, of_month).of(of_month)
        return pieces

    def _month(
        self, table: str, columns: Columns, month: str, wanted: Mapping[str, Signature]
    ) -> _Month:
        path = self._lake.cache / table / f"{month}.arrow"
        kept = self._months.get((table, columns, month))
        if kept is None:
            kept = _read(path, table, columns)
            if kept.lacks(wanted):
                # Once a process and columns: a server is not to write whenever a day is made again.
                whole = self._completed(_read(path, table), table, None, wanted)
                # Where it cannot be written, or another process writes it, reading goes on.
                with suppress(OSError):
                    _write(path, whole)
                kept = whole.of_columns(columns)
        kept = self._completed(kept, table, columns, wanted)
        self._months[table, columns, month] = kept
        return kept

    def _completed(
        self, kept: _Month, table: str, columns: Columns, wanted: Mapping[str, Signature]
    ) -> _Month:
        """With the days that it lacks, as their files have them."""
        missing = kept.lacks(wanted)
        if not missing:
            return kept
        # At once: those that are compacted lie in one file.
        rows = self._lake.read(table, sorted(missing), columns)
        sizes = {n["values"]: n["counts"] for n in pc.value_counts(rows[DATE]).to_pylist()}
        days, pieces, start = {}, [], 0
        for day in sorted({*kept.days, *missing}):
            if day in missing:
                size = sizes.get(day, 0)
                days[day], part = (size, wanted[day]), [rows.slice(start, size)]
                start += size
            else:
                days[day], part = kept.days[day], kept.of((day,))
            pieces += part
        return _Month(days, pa.concat_tables(pieces).combine_chunks())


def _read(path: Path, table: str, columns: Columns = None) -> _Month:
    """What the file has; nothing where it is missing, or not what this version writes."""
    schema = TABLES[table].with_date()
    names = schema.names if columns is None else [DATE, *columns]
    fields = sorted(schema.get_field_index(name) for name in names)
    expected = pa.schema([schema.field(field) for field in fields])
    # Read whole, and without threads: for files this small they take longer to start than to read,
    # and of a file's own Arrow starts some.
    options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
    listed, rows = {}, None
    with suppress(OSError, pa.ArrowInvalid):
        reader = pa.ipc.open_file(pa.BufferReader(path.read_bytes()), options=options)
        if reader.schema == expected:
            rows = reader.read_all()
            listed = json.loads((reader.schema.metadata or {}).get(_DAYS, "{}"))
    if rows is None:
        rows = expected.empty_table()
    days = {day: (count, tuple(signature)) for day, (count, signature) in listed.items()}
    return _Month(days, rows.select(names).replace_schema_metadata())


def _write(path: Path, month: _Month) -> None:
    rows = month.rows.replace_schema_metadata({_DAYS: json.dumps(month.days)})
    with replacing(path) as target, pa.ipc.new_file(target, rows.schema) as writer:
        writer.write_table(rows)
