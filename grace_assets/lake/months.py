"""Months of a table in one file each: what old days become, so that there are fewer files.

Layout: `compacted/<table>/month=YYYY-MM/part-0.parquet` (zstd, a row group a day, `date` among the
columns), and `compacted/<table>/days.json`, which says which days they hold. A day's own file
under `tables/` is newer than its month, and stands for it where both are there: so a day is in
one place for readers while it is in two on the disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from grace_assets.lake.files import Files, Signature

_ROW_GROUPS = b"grace.row_groups"
"""In a month's footer: day → its row group, or null for a day without rows."""


class Months:
    def __init__(self, files: Files) -> None:
        self._files = files
        self._known: dict[str, tuple[Signature | None, dict[str, str]]] = {}

    def days(self, table: str) -> Mapping[str, str]:
        """The days that lie in months, each with its file."""
        listed = f"{folder(table)}/days.json"
        (signature,) = self._files.signatures(folder(table), [listed])
        kept = self._known.get(table)
        if kept is None or kept[0] != signature:
            months = {}
            if signature is not None:
                months = {
                    month: days
                    for _, source in self._files.sources([listed])
                    for month, days in json.loads(source.read()).items()
                }
            found = {day: file_of(table, month) for month, days in months.items() for day in days}
            kept = self._known[table] = (signature, found)
        return kept[1]

    def read(
        self, table: str, days: Sequence[str]
    ) -> Iterator[tuple[pq.ParquetFile, dict[str, list[int]]]]:
        """Of those of `days` that lie in months: each file, and of its days the row groups."""
        known = self.days(table)
        wanted: dict[str, list[str]] = {}
        for day in days:
            if day in known:
                wanted.setdefault(known[day], []).append(day)
        for name, source in self._files.sources(list(wanted)):
            file = pq.ParquetFile(source)
            stored = json.loads(file.metadata.metadata[_ROW_GROUPS])
            groups = {day: stored[day] for day in wanted.pop(name)}
            yield file, {day: [] if group is None else [group] for day, group in groups.items()}
        if wanted:
            raise FileNotFoundError(f"{', '.join(sorted(wanted))}: listed in days.json, not there")

    def write(
        self, table: str, month: str, schema: pa.Schema, parts: Iterable[tuple[str, pa.Table]]
    ) -> None:
        """Make `parts` (days and their rows) the file of the month; on return durable.

        One day is held in memory at a time. Only one may write the months of a table.
        """
        groups: dict[str, int | None] = {}
        filled = 0
        with (
            self._files.replacing(file_of(table, month)) as target,
            pq.ParquetWriter(target, schema, compression="zstd") as writer,
        ):
            for day, rows in parts:
                groups[day] = None
                if rows.num_rows:
                    writer.write_table(rows, row_group_size=rows.num_rows)
                    groups[day], filled = filled, filled + 1
            writer.add_key_value_metadata({_ROW_GROUPS: json.dumps(groups)})
        months: dict[str, list[str]] = {}
        for day in {**self.days(table), **groups}:
            months.setdefault(day[:7], []).append(day)
        listed = json.dumps({month: sorted(days) for month, days in sorted(months.items())})
        # After the month: a day is never said to lie where it does not.
        with self._files.replacing(f"{folder(table)}/days.json") as target:
            target.write(listed.encode())


def folder(table: str) -> str:
    return f"compacted/{table}"


def file_of(table: str, month: str) -> str:
    """The place of a month's file below the root."""
    return f"{folder(table)}/month={month}/part-0.parquet"
