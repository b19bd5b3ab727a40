"""Range queries to the Prometheus HTTP API: one for all domains of a metric and stretch.

A metric's `promql` template names its domains as `$domains`, inside the double quotes of a label
matcher (`{service=~"$domains"}`), and keeps their label in the result; `promql_label` says which.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
import pyarrow as pa

from grace_assets.lake.samples import SCHEMA
from grace_assets.sources.http import Exchange, SourceError

MAX_POINTS = 11_000
"""Prometheus refuses more points of a series in one answer."""
PLACEHOLDER = "$domains"
_REGEX_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


class _Series(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct):
    resultType: str = ""
    result: list[_Series] = []


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""
    warnings: list[str] = []


_DECODER = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True)
class Fetched:
    """Samples of a stretch. `complete` is False where Prometheus warned that data is missing."""

    rows: pa.Table
    complete: bool
    dropped: int
    """Values that are no number (NaN, ±Inf)."""


def matcher(domains: Iterable[str]) -> str:
    """A regular expression for exactly these names, escaped for a double-quoted PromQL string."""
    names = (_REGEX_SPECIAL.sub(r"\\\g<0>", name) for name in domains)
    text = "|".join(names).replace("\\", "\\\\").replace('"', '\\"')
    # As it stands, Prometheus takes U+FFFD for broken UTF-8 and refuses the query for all.
    return text.replace("\ufffd", "\\ufffd")


def query_range(
    exchange: Exchange,
    template: str,
    label: str,
    domains: list[str],
    first: datetime,
    last: datetime,
    step_seconds: float,
    source: str,
    metric: str,
) -> Fetched:
    """Samples of `domains` with first ≤ timestamp < last; raises `SourceError`."""
    if not (first < last and (last - first).total_seconds() / step_seconds <= MAX_POINTS):
        raise ValueError("a stretch of 1 to 11,000 steps is needed")
    form = {
        "query": template.replace(PLACEHOLDER, matcher(domains)),
        "start": f"{first.timestamp():.3f}",
        # The end is inclusive there.
        "end": f"{last.timestamp() - 0.001:.3f}",
        "step": f"{step_seconds:g}",
    }
    answer = _decoded(exchange.ask("/api/v1/query_range", form))
    found = answer.data.result
    if found and not any(label in series.metric for series in found):
        raise SourceError("label_missing", f"nothing in the answer has the label {label!r}")
    wanted = set(domains)
    parts, dropped = [], 0
    for series in found:
        domain = series.metric.get(label)
        if domain not in wanted:
            continue
        # Servers that round the range to their own steps answer a little beyond it.
        values = [v for v in series.values if first.timestamp() <= v[0] < last.timestamp()]
        rows, lost = _samples(values, source, domain, metric)
        parts.append(rows)
        dropped += lost
    rows = pa.concat_tables(parts) if parts else SCHEMA.empty_table()
    if rows.group_by(["domain_id", "timestamp"]).aggregate([]).num_rows < rows.num_rows:
        text = f"several series answer for one domain: the query must aggregate by ({label})"
        raise SourceError("ambiguous", text)
    # Some versions put remarks on a query's style among the warnings: nothing is missing then.
    complete = all(text.startswith("PromQL info:") for text in answer.warnings)
    return Fetched(rows, complete, dropped)


def _decoded(body: bytes) -> _Answer:
    try:
        answer = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError("bad_answer", "the answer is not what Prometheus answers") from error
    if answer.status != "success" or answer.data is None:
        text = " ".join(answer.error.split())[:200] or "no reason given"
        raise SourceError("query_refused", f"Prometheus refused the query: {text}")
    if answer.data.resultType != "matrix":
        raise SourceError("bad_answer", f"a range was asked, {answer.data.resultType!r} came")
    return answer


def _samples(
    values: list[tuple[float, str]], source: str, domain: str, metric: str
) -> tuple[pa.Table, int]:
    numbers = [(at, value) for at, text in values if math.isfinite(value := _number(text))]
    stamps = np.array([round(at * 1_000_000) for at, _ in numbers], np.int64)
    rows = pa.table(
        {
            "source": pa.repeat(source, len(numbers)),
            "domain_id": pa.repeat(domain, len(numbers)),
            "metric": pa.repeat(metric, len(numbers)),
            "timestamp": pa.array(stamps).cast(SCHEMA.field("timestamp").type),
            "value": pa.array([value for _, value in numbers], pa.float64()),
        },
        schema=SCHEMA,
    )
    return rows, len(values) - len(numbers)


def _number(text: str) -> float:
    """Numbers come as strings, "NaN" and "+Inf" among them."""
    try:
        return float(text)
    except ValueError as error:
        raise SourceError("bad_answer", "a value in the answer is no number") from error


def midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)
