"""What the rows are measured on: missions and samples of any number of days, from one seed.

Each mission lifts its metrics from half an hour before its start until its end, so that the judge
has problems to find. Values are otherwise lognormal noise around a level.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.moments import micros
from grace_assets.core.schemas import TABLES
from grace_assets.lake.samples import SCHEMA, SampleStore

METRICS = ("cpu_percent", "error_rate", "latency_ms", "queue_depth", "throughput_rps")
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
"""The first partition by default."""
SECOND, DAY = 1_000_000, 86_400_000_000
SETTLE_SECONDS, WINDOW_SECONDS = 300, 3600
"""For samples that are five minutes apart: the shipped windows are half an hour, too few."""
STAMP = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Missions:
    """Columns, ordered by start: own and domain's number, start and end in microseconds."""

    number: np.ndarray
    domain: np.ndarray
    started: np.ndarray
    completed: np.ndarray
    success: np.ndarray

    def __len__(self) -> int:
        return len(self.domain)

    def of_days(self, first: int, last: int) -> Missions:
        """Those of the days first ≤ n < last, counted from `FIRST`."""
        edges = micros(FIRST) + np.array([first, last]) * DAY
        some = slice(*np.searchsorted(self.started, edges))
        return Missions(*(getattr(self, field.name)[some] for field in fields(self)))


def missions(count: int, days: int, domains: int, seed: int = 1) -> Missions:
    """`count` missions of 2 to 20 minutes, evenly over `days` from `FIRST`.

    None of their windows crosses midnight.
    """
    rng = np.random.default_rng(seed)
    day = np.arange(count) % days * DAY
    started = np.sort(micros(FIRST) + day + rng.integers(3600, 79_200, count) * SECOND)
    return Missions(
        number=np.arange(count),
        domain=rng.integers(0, domains, count),
        started=started,
        completed=started + rng.integers(120, 1200, count) * SECOND,
        success=rng.random(count) < 0.9,
    )


def domain_names(count: int) -> np.ndarray:
    return np.array([f"domain-{n:03}" for n in range(count)])


def write_events(path: Path, made: Missions, domains: int) -> None:
    """The missions as an operator writes them: some 560 bytes a line."""
    names = domain_names(domains)[made.domain]
    times = [
        np.datetime_as_string((column + shift * SECOND).astype("datetime64[us]"), unit="s")
        for column, shift in ((made.started, -60), (made.started, 0), (made.completed, 0))
    ]
    with path.open("w", encoding="utf-8") as file:
        rows = zip(made.number, names, *times, made.success, strict=True)
        file.writelines(
            f'{{"mission_id": "m-{n:08}", "domain_id": "{name}", "title": "Latency of {name} '
            f'above its limit", "mission_type": "performance_optimization", "severity": "high", '
            f'"detected_at": "{detected}Z", "started_at": "{started}Z", "completed_at": '
            f'"{completed}Z", "success": {"true" if success else "false"}, "trigger": {{"metric": '
            f'"latency_ms", "observed": 412.5, "threshold": 300.0, "description": "p95 above 300 '
            f'ms for ten minutes"}}, "actions": ["scaled workers from 4 to 8", "moved the hot '
            f'shard {n % 97}"], "metrics": {{"latency_ms": {400 + n % 50}.25, "error_rate": '
            f"1.75}}}}\n"
            for n, name, detected, started, completed, success in rows
        )


def write_samples(root: Path, made: Missions, days: int, domains: int, step_seconds: int) -> None:
    """Five metrics a domain, as the store keeps them: a file a day, sorted by series and time."""
    rng = np.random.default_rng(2)
    ticks = DAY // (step_seconds * SECOND)
    names, series = domain_names(domains), domains * len(METRICS)
    for day in range(days):
        start = micros(FIRST) + day * DAY
        times = start + np.arange(ticks) * step_seconds * SECOND
        value = 200 * np.exp(0.1 * rng.standard_normal((domains, len(METRICS), ticks)))
        value *= 1 + 0.8 * busy(made.of_days(day, day + 1), times, domains)[:, None, :]
        rows = pa.table(
            {
                "source": pa.repeat("rag_kpis", series * ticks),
                "domain_id": np.repeat(names, len(METRICS) * ticks),
                "metric": np.tile(np.repeat(np.array(METRICS), ticks), domains),
                "timestamp": pa.array(np.tile(times, series)).cast(STAMP),
                "value": value.reshape(-1),
            }
        ).cast(SCHEMA)
        SampleStore(root).add(rows, lambda touched: None)


def busy(made: Missions, times: np.ndarray, domains: int) -> np.ndarray:
    """(domains, ticks): whether a mission's problem shows at that time."""
    change = np.zeros((domains, len(times) + 1), np.int64)
    begin = np.searchsorted(times, made.started - 1800 * SECOND)
    end = np.searchsorted(times, made.completed)
    np.add.at(change, (made.domain, begin), 1)
    np.add.at(change, (made.domain, end), -1)
    return np.cumsum(change, axis=1)[:, :-1] > 0


def event_table(made: Missions, domains: int) -> pa.Table:
    """The columns of `mission_events` that judging reads, with `date`."""
    days = made.started.astype("datetime64[us]").astype("datetime64[D]")
    return pa.table(
        {
            "date": pa.array(days.astype(str)),
            "mission_id": [f"m-{n:08}" for n in made.number],
            "domain_id": domain_names(domains)[made.domain],
            "started_at": pa.array(made.started).cast(STAMP),
            "completed_at": pa.array(made.completed).cast(STAMP),
        }
    )


def outcomes(made: Missions, domains: int) -> pa.Table:
    """Rows of `mission_outcomes`, with `date`: as if each metric had changed by some percent."""
    count, rng = len(made), np.random.default_rng(3)
    events = event_table(made, domains)
    duration = (made.completed - made.started) / SECOND
    changes = pa.MapArray.from_arrays(
        pa.array(np.arange(count + 1) * len(METRICS), pa.int32()),
        pa.array(METRICS).take(pa.array(np.tile(np.arange(len(METRICS)), count))),
        pa.array(rng.normal(-20, 15, count * len(METRICS))),
    )
    ids = events["mission_id"]
    columns = {
        **{name: events[name] for name in events.column_names},
        "detected_at": pa.array(made.started - 60 * SECOND).cast(STAMP),
        "success": pa.array(made.success),
        "mission_type": pa.repeat("performance_optimization", count),
        "severity": pa.repeat("high", count),
        "duration_seconds": pa.array(duration),
        "time_to_restore_seconds": pa.array(duration + 60, mask=~made.success),
        "effectiveness_score": pa.array(rng.random(count), mask=rng.random(count) < 0.2),
        "verdict": pa.array(["effective", "partial", "inconclusive"]).take(
            pa.array(rng.integers(0, 3, count))
        ),
        "attribution": pa.repeat("coincident", count),
        "metrics_delta": changes,
        "narrative": pc.binary_join_element_wise(
            "I repaired", events["domain_id"], "in the mission", ids, "by scaling workers.", " "
        ),
        "knowledge_id": ids,
        "record_id": ids,
        "judged_at": events["completed_at"],
        "method_version": pa.repeat("2", count),
    }
    schema = TABLES["mission_outcomes"].with_date()
    for field in schema:
        if field.name not in columns:
            columns[field.name] = _nothing(field, count)
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)


def _nothing(field: pa.Field, count: int) -> pa.Array:
    if field.nullable:
        return pa.nulls(count, field.type)
    return pa.repeat(pa.scalar([], field.type), count)


def telemetry(rows: pa.Table) -> pa.Table:
    """What `kpi_daily` reads of `mission_telemetry`, for rows that `outcomes` made."""
    changes = rows["metrics_delta"].combine_chunks()
    missions = pa.array(np.repeat(np.arange(rows.num_rows), len(METRICS)))
    percent = changes.items
    return pa.table(
        {
            **{name: rows[name].take(missions) for name in ("date", "mission_id", "domain_id")},
            "metric": changes.keys,
            "source": pa.repeat("rag_kpis", len(percent)),
            "pre": pa.repeat(100.0, len(percent)),
            "post": pc.add(percent, 100.0),
            "delta": percent,
            "percent_change": percent,
            "improvement_percent": pc.negate(percent),
            "improved": pc.less(percent, 0.0),
        }
    )
