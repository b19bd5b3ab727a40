"""Days of small tables as they were read, in a file a month: a process that starts opens few files.

A window of ninety days is ninety Parquet files, and to open one takes far longer than to read what
is in it. Each day here bears the signature of the file that it was read from, and stands for it
only while that file still has it; so nothing here is ever right to keep or wrong to delete.

Layout: `cache/<table>/YYYY-MM.arrow`, an Arrow IPC stream: rows by day, and in the metadata of the
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

from grace_assets.core.schemas import TABLES
from grace_assets.lake.durable import replace_file
from grace_assets.lake.files import Signature
from grace_assets.lake.tables import Lake

CACHED_TABLES = frozenset(
    {"domain_daily", "kpi_daily", "hold_daily", "problems", "follow_up_missions"}
)

_DAYS = b"grace.days"


@dataclass(frozen=True)
class _Month:
    """Rows by day; `days` says in their order of how many rows and of which file each was."""

    days: Mapping[str, tuple[int, Signature]]
    rows: pa.Table

    def has(self, day: str, signature: Signature) -> bool:
        return day in self.days and self.days[day][1] == signature

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
        self._months: dict[tuple[str, str], _Month] = {}

    def rows(
        self, table: str, days: Sequence[str], signatures: Sequence[Signature | None]
    ) -> list[pa.Table]:
        """All columns of `days` (ascending) as files of these signatures have them, in pieces."""
        pairs = zip(days, signatures, strict=True)
        wanted = {day: signature for day, signature in pairs if signature is not None}
        pieces = []
        for month, its_days in groupby(wanted, key=lambda day: day[:7]):
            pieces += self._month(table, month, {day: wanted[day] for day in its_days})
        return pieces

    def _month(self, table: str, month: str, wanted: Mapping[str, Signature]) -> list[pa.Table]:
        path = self._lake.cache / table / f"{month}.arrow"
        known = self._months.get((table, month))
        kept = known or _read(path, TABLES[table].with_date())
        missing = [day for day, signature in wanted.items() if not kept.has(day, signature)]
        if missing:
            kept = self._with(kept, table, {day: wanted[day] for day in missing})
            if known is None:
                # Once a process: a server is not to write whenever a day is made again. Where it
                # cannot be written, or another process writes it, reading goes on.
                with suppress(OSError):
                    _write(path, kept)
        self._months[table, month] = kept
        return kept.of(wanted)

    def _with(self, kept: _Month, table: str, missing: Mapping[str, Signature]) -> _Month:
        days, pieces = {}, []
        for day in sorted({*kept.days, *missing}):
            if day in missing:
                rows = self._lake.read(table, [day])
                days[day], part = (rows.num_rows, missing[day]), [rows]
            else:
                days[day], part = kept.days[day], kept.of((day,))
            pieces += part
        return _Month(days, pa.concat_tables(pieces).combine_chunks())


def _read(path: Path, schema: pa.Schema) -> _Month:
    """What the file has; nothing where it is missing, or not what this version writes."""
    try:
        # In one read: pyarrow's own files hand each part to a thread.
        rows = pa.ipc.open_stream(path.read_bytes()).read_all()
        listed = json.loads(rows.schema.metadata[_DAYS]) if rows.schema == schema else {}
    except (OSError, pa.ArrowInvalid):
        listed = {}
    if not listed:
        return _Month({}, schema.empty_table())
    days = {day: (count, tuple(signature)) for day, (count, signature) in listed.items()}
    return _Month(days, rows.replace_schema_metadata())


def _write(path: Path, month: _Month) -> None:
    rows = month.rows.replace_schema_metadata({_DAYS: json.dumps(month.days)})

    def write(target: object) -> None:
        with pa.ipc.new_stream(target, rows.schema) as writer:
            writer.write_table(rows)

    replace_file(path, write)
