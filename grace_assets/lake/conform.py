"""What is written to a table: rows that fit its schema, day by day."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.schemas import DATE, TableSchema


class SchemaError(ValueError):
    """Rows do not fit their table; the message names the table, the column and the day."""


def conform(schema: TableSchema, rows: pa.Table) -> pa.Table:
    """`rows` in exactly the declared columns and types; `SchemaError` where they do not fit."""
    expected = schema.with_date()
    missing = [name for name in expected.names if name not in rows.column_names]
    unknown = [name for name in rows.column_names if name not in expected.names]
    if missing or unknown:
        raise SchemaError(f"{schema.name}: missing columns {missing}, unknown columns {unknown}")
    for field in expected:
        if not field.nullable and rows[field.name].null_count:
            raise SchemaError(f"{schema.name}.{field.name}: null in a required column")
    try:
        return rows.select(expected.names).cast(expected)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise SchemaError(f"{schema.name}: {error}") from error


def split_by_day(rows: pa.Table) -> Mapping[str, pa.Table]:
    """Rows per `date`, keeping their order within the day."""
    if rows.num_rows == 0:
        return {}
    rows = rows.take(pc.sort_indices(rows, sort_keys=[(DATE, "ascending")]))
    dates = np.asarray(rows[DATE].to_numpy(zero_copy_only=False), dtype=str)
    starts = np.flatnonzero(np.r_[True, dates[1:] != dates[:-1]])
    ends = np.r_[starts[1:], len(dates)]
    return {
        str(dates[start]): rows.slice(start, end - start)
        for start, end in zip(starts, ends, strict=True)
    }


def check_unique(schema: TableSchema, day: str, rows: pa.Table) -> None:
    for column in schema.unique_columns:
        counts = pc.value_counts(rows[column])
        twice = counts.filter(pc.greater(counts.field("counts"), 1))
        if len(twice):
            raise SchemaError(f"{schema.name}.{column}: {twice[0]['values']} twice on {day}")
