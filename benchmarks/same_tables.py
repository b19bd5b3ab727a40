"""Whether two places hold the same tables, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from grace_assets.core.schemas import TABLES
from grace_assets.lake.files import Files
from grace_assets.lake.tables import Lake

DIFFERS = {"received_at", "judged_at", "origin", "first_attempt_at", "last_attempt_at", "retry_at"}
"""When and from where something came: what two runs cannot have in common."""


def differences(
    one: Files, other: Files, root: Path, days: Sequence[str], names: Iterable[str] = TABLES
) -> tuple[int, list[str]]:
    """The rows that were compared, and each table that differs. `root` is for locks."""
    lakes, rows, found = (Lake(root, one), Lake(root, other)), 0, []
    for name in names:
        columns = [column for column in TABLES[name].with_date().names if column not in DIFFERS]
        pair = [_ordered(lake.read(name, days).select(columns)) for lake in lakes]
        rows += pair[0].num_rows
        if pair[0] != pair[1]:
            found.append(f"{name}: {pair[0].num_rows:,} rows, {pair[1].num_rows:,} rows")
    return rows, found


def _ordered(rows: pa.Table) -> pa.Table:
    """By what identifies a row, which is text."""
    text = [f.name for f in rows.schema if pa.types.is_string(f.type)]
    return rows.sort_by([(name, "ascending") for name in text]).combine_chunks()
