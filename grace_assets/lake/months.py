"""Months of a table in one file each: what old days become, so that there are fewer files.

Layout: `compacted/<table>/month=YYYY-MM/part-0.parquet` (zstd, a row group a day, `date` among the
columns), and `compacted/<table>/days.json`, which says which days they hold. A day's own file
under `tables/` is newer than its month, and stands for it where both are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

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
    ) -> Iterator[tuple[str, pq.ParquetFile, list[int]]]:
        """Of those of `days` that lie in months: the day, its file and its row groups."""
        known = self.days(table)
        wanted: dict[str, list[str]] = {}
        for day in days:
            if day in known:
                wanted.setdefault(known[day], []).append(day)
        for name, source in self._files.sources(list(wanted)):
            file = pq.ParquetFile(source)
            groups = json.loads(file.schema_arrow.metadata[_ROW_GROUPS])
            for day in wanted[name]:
                group = groups[day]
                yield day, file, [] if group is None else [group]

    def write(self, table: str, month: str, parts: Mapping[str, pa.Table]) -> None:
        """Make `parts` (day → its rows, with `date`) the file of the month; on return durable."""
        filled = [day for day, rows in parts.items() if rows.num_rows]
        groups = {day: filled.index(day) if day in filled else None for day in parts}
        schema = next(iter(parts.values())).schema.with_metadata({_ROW_GROUPS: json.dumps(groups)})

        def write(target: object) -> None:
            with pq.ParquetWriter(target, schema, compression="zstd") as writer:
                for day in filled:
                    rows = parts[day].cast(schema)
                    writer.write_table(rows, row_group_size=rows.num_rows)

        self._files.replace(file_of(table, month), write)
        months: dict[str, list[str]] = {}
        for day in {**self.days(table), **parts}:
            months.setdefault(day[:7], []).append(day)
        listed = json.dumps({month: sorted(days) for month, days in sorted(months.items())})
        # After the month: a day is never said to lie where it does not.
        self._files.replace(
            f"{folder(table)}/days.json", lambda target: target.write(listed.encode())
        )


def folder(table: str) -> str:
    return f"compacted/{table}"


def file_of(table: str, month: str) -> str:
    """The place of a month's file below the root."""
    return f"{folder(table)}/month={month}/part-0.parquet"
