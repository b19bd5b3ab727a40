"""Reading KPI sample files: Parquet, CSV and JSONL, validated line by line.

Where the samples are kept is the business of `samples`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from grace_assets.core.events import EventError, valid_domain
from grace_assets.lake.blocks import Line
from grace_assets.lake.samples import SCHEMA

NAME_MAX_LENGTH = 200
PARQUET_ROWS, JSON_LINES, CSV_BYTES = 4_000_000, 500_000, 2**26
"""Of a batch: a day is written again for each, so few are better, and each lies in memory."""
_OFFSET = r"(?i)^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$"
_FIRST, _END = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""Python's dates, less the years whose neighbouring days it cannot tell."""
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


_UNREADABLE = (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowTypeError, pa.ArrowNotImplementedError)


class SampleFileError(ValueError):
    """A sample file that cannot be read at all; the message names the file and why."""


class _Sample(msgspec.Struct):
    source: str
    domain_id: str
    metric: str
    timestamp: str
    value: float


_DECODER = msgspec.json.Decoder(_Sample)
_FIELD = re.compile(r"`\$\.(\w+)`$|missing required field `(\w+)`")
"""The field that a message of the decoder is about."""


@dataclass(frozen=True)
class BadSample:
    line: int
    field: str | None
    reason: str
    raw: bytes


@dataclass
class SampleBatch:
    """Samples in the order received, and the lines that are none."""

    rows: pa.Table
    rejected: list[BadSample] = field(default_factory=list)


def read_file(path: Path) -> Iterator[SampleBatch]:
    """Samples of a `.parquet`, `.csv` or `.jsonl` file, validated line by line.

    They come in batches, for files of any size.
    """
    readers = {".parquet": _read_parquet, ".csv": _read_csv, ".jsonl": _read_jsonl}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise SampleFileError(f"{path}: KPI samples come as .parquet, .csv or .jsonl")
    try:
        yield from reader(path)
    except (*_UNREADABLE, OSError) as error:
        # The disk's own errors have a number; what Arrow says of a broken page has none.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise SampleFileError(f"{path}: {error}") from error


def _read_parquet(path: Path) -> Iterator[SampleBatch]:
    file = pq.ParquetFile(path)
    names = file.schema_arrow.names
    _require_columns(path, names)
    kind = file.schema_arrow.field("timestamp").type
    if not (_is_text(kind) or (pa.types.is_timestamp(kind) and kind.tz)):
        raise SampleFileError(f"{path}: timestamp: must be text or a timestamp with a time zone")
    before = 0
    for part in file.iter_batches(PARQUET_ROWS, columns=SCHEMA.names):
        yield _of_parquet(pa.Table.from_batches([part]).select(SCHEMA.names), before)
        before += part.num_rows


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _of_parquet(rows: pa.Table, before: int) -> SampleBatch:
    time = rows["timestamp"]
    if _is_text(time.type):
        moments = _moments(time.cast(pa.string()))
    else:
        moments = time.cast(SCHEMA.field("timestamp").type)
    text = [rows[name].cast(pa.string()) for name in ("source", "domain_id", "metric")]
    value = rows["value"].cast(pa.float64())
    lines = np.arange(1, rows.num_rows + 1) + before
    raw = [name.combine_chunks() for name in text]
    return _validate(
        lines,
        dict(zip(SCHEMA.names, [*text, moments, value], strict=True)),
        lambda i: f"{raw[0][i]},{raw[1][i]},{raw[2][i]},{time[i]},{value[i]}".encode(),
    )


def _read_csv(path: Path) -> Iterator[SampleBatch]:
    ragged: list[tuple[int, str]] = []

    def keep(row: pv.InvalidRow) -> str:
        ragged.append((row.number, row.text))
        return "skip"

    # All columns as text: what Arrow takes a column for by its first block, a later one may not be.
    anything = pv.ParseOptions(invalid_row_handler=lambda _: "skip")
    names = pv.open_csv(path, parse_options=anything).schema.names
    _require_columns(path, names)
    reader = pv.open_csv(
        path,
        # One thread: only then does Arrow know the number of a ragged line.
        read_options=pv.ReadOptions(use_threads=False, block_size=CSV_BYTES),
        parse_options=pv.ParseOptions(invalid_row_handler=keep),
        convert_options=pv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            strings_can_be_null=False,
        ),
    )
    next_line = 2
    for part in reader:
        rows = pa.Table.from_batches([part])
        # The reader is ahead of us: some of these lines come later.
        skipped = [number for number, _ in ragged]
        span = np.arange(next_line, next_line + rows.num_rows + len(skipped))
        lines = span[~np.isin(span, skipped)][: rows.num_rows]
        next_line = int(lines[-1]) + 1 if len(lines) else next_line
        yield _validate(lines, _from_text(rows), partial(_csv_line, rows))
    why = "has another number of fields than the header"
    bad = [BadSample(number, None, why, text.encode()) for number, text in ragged]
    yield SampleBatch(SCHEMA.empty_table(), bad)


def _csv_line(rows: pa.Table, index: int) -> bytes:
    return ",".join(str(column[index]) for column in rows.columns).encode()


def _read_jsonl(path: Path) -> Iterator[SampleBatch]:
    with path.open("rb") as file:
        lines = (Line(number, raw.removesuffix(b"\n")) for number, raw in enumerate(file, start=1))
        while some := list(islice(lines, JSON_LINES)):
            yield read_lines(some)


def read_lines(lines: Sequence[Line]) -> SampleBatch:
    """Samples of JSON lines; blank ones are passed over."""
    good: list[Line] = []
    samples: list[_Sample] = []
    rejected: list[BadSample] = []
    for line in lines:
        if not line.raw.strip():
            continue
        try:
            samples.append(_DECODER.decode(line.raw))
            good.append(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            name = _FIELD.search(str(error))
            rejected.append(
                BadSample(line.number, name and name[name.lastindex], str(error), line.raw)
            )
    rows = pa.table({name: [getattr(s, name) for s in samples] for name in SCHEMA.names})
    columns = _from_text(
        rows.cast(pa.schema([(name, _text_or_value(name)) for name in rows.column_names]))
    )
    batch = _validate(
        np.array([line.number for line in good], dtype=np.int64), columns, lambda i: good[i].raw
    )
    batch.rejected += rejected
    return batch


def _text_or_value(name: str) -> pa.DataType:
    return pa.float64() if name == "value" else pa.string()


def _require_columns(path: Path, names: Sequence[str]) -> None:
    if missing := [name for name in SCHEMA.names if name not in names]:
        raise SampleFileError(f"{path}: has no column {', '.join(missing)}")
    if twice := [name for name in SCHEMA.names if names.count(name) > 1]:
        raise SampleFileError(f"{path}: has the column {', '.join(twice)} twice")


def _from_text(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Timestamps and values parsed from text; null where they are none."""
    value = rows["value"]
    if pa.types.is_string(value.type):
        value = pc.utf8_trim_whitespace(value)
        numeric = pc.match_substring_regex(value, _NUMBER)
        value = pc.if_else(numeric, value, None).cast(pa.float64())
    return {
        "source": rows["source"],
        "domain_id": rows["domain_id"],
        "metric": rows["metric"],
        "timestamp": _moments(rows["timestamp"]),
        "value": value,
    }


def _moments(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """RFC 3339 times with an offset as moments, microseconds at most; null where they are none."""
    kind = SCHEMA.field("timestamp").type
    proper = pc.if_else(pc.match_substring_regex(text, _OFFSET), text, None)
    try:
        return proper.cast(kind)
    except pa.ArrowInvalid:
        # Arrow refuses all for one, and does not know nanoseconds or small letters.
        return pa.chunked_array([[_moment(one) for one in proper.to_pylist()]], kind)


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None


def _validate(
    lines: np.ndarray, columns: dict[str, pa.ChunkedArray], raw_of: Callable[[int], bytes]
) -> SampleBatch:
    """Split columns into valid samples and reasons, the first broken rule of a line counting."""
    count = len(lines)
    why: dict[int, tuple[str, str]] = {}
    for name in ("source", "domain_id", "metric"):
        columns[name], bad = _check_names(name, columns[name])
        for index in bad:
            why.setdefault(index, (name, bad[index]))
    stamp = columns["timestamp"]
    outside = pc.or_(pc.less(stamp, _FIRST), pc.greater_equal(stamp, _END)).fill_null(False)
    value = columns["value"].to_numpy()
    for wrong, reason in (
        (stamp.is_null(), "is not an RFC 3339 time with an offset"),
        (outside, "is not in the years 2 to 9998"),
    ):
        for index in np.flatnonzero(wrong.to_numpy()):
            why.setdefault(int(index), ("timestamp", reason))
    for index in np.flatnonzero(~np.isfinite(value.astype(float))):
        why.setdefault(int(index), ("value", "is not a finite number"))
    keep = np.ones(count, dtype=bool)
    keep[list(why)] = False
    rows = pa.table([columns[f.name].cast(f.type) for f in SCHEMA], names=SCHEMA.names)
    rejected = [
        BadSample(int(lines[i]), field_name, reason, raw_of(i))
        for i, (field_name, reason) in sorted(why.items())
    ]
    return SampleBatch(rows.filter(pa.array(keep)).cast(SCHEMA), rejected)


def _check_names(column: str, values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, dict[int, str]]:
    """Names checked once per distinct value; returns them normalised, and the bad rows."""
    encoded = pc.dictionary_encode(values.combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    normal, faults = [], {}
    for code, name in enumerate(encoded.dictionary.to_pylist()):
        try:
            if column != "domain_id" and not (
                0 < len(name) <= NAME_MAX_LENGTH and name.isprintable()
            ):
                raise EventError(column, f"must be 1 to {NAME_MAX_LENGTH} printable characters")
            normal.append(valid_domain(name) if column == "domain_id" else name)
        except EventError as error:
            normal.append(name)
            faults[code] = error.reason
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    bad = {int(i): "is missing" for i in np.flatnonzero(codes < 0)}
    for code, reason in faults.items():
        bad.update({int(i): reason for i in np.flatnonzero(codes == code)})
    return pa.chunked_array([pa.array(normal, pa.string()).take(encoded.indices)]), bad
