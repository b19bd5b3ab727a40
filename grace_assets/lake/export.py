"""The audit trail for other systems: one record a mission, as JSON lines, CSV or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from grace_assets.core.schemas import TABLES
from grace_assets.core.told import rows_of

COLUMNS = (
    "record_id",
    "mission_id",
    "domain_id",
    "timestamp",
    "started_at",
    "completed_at",
    "success",
    "severity",
    "mission_type",
    "duration_seconds",
    "time_to_restore_seconds",
    "effectiveness_score",
    "verdict",
    "attribution",
    "metrics_delta",
    "narrative",
)
"""`timestamp` is when the mission completed; durations are seconds; unknown is null."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_trail(parts: Iterable[pa.Table], style: str, file: BinaryIO) -> None:
    """Write parts of `mission_outcomes`, one after the other, in `jsonl`, `csv` or `parquet`."""
    if style == "parquet":
        # A pipe cannot be written at random: build it whole, then send it.
        buffer = io.BytesIO()
        schema = _trail(TABLES["mission_outcomes"].with_date().empty_table()).schema
        with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
            for part in parts:
                writer.write_table(_trail(part))
        file.write(buffer.getbuffer())
        return
    records = (_plain(row) for part in parts for row in rows_of(_trail(part)))
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    if style == "jsonl":
        for record in records:
            text.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in r.items()} for r in records)
    text.detach()


def _trail(outcomes: pa.Table) -> pa.Table:
    return outcomes.append_column("timestamp", outcomes["completed_at"]).select(COLUMNS)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    row["metrics_delta"] = dict(row["metrics_delta"])
    return {
        name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    # A spreadsheet would run text that begins like this as a formula.
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
