"""The telemetry of the sample story: one sample a minute, with the faults of its missions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from grace_assets.lake.samples import SCHEMA

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Metric:
    """A series: usual level, the factor that a fault puts on it, day-night swing, noise."""

    name: str
    source: str
    level: float
    fault: float
    swing: float = 0.15
    noise: float = 0.04


@dataclass(frozen=True)
class Fault:
    """From `start` at full strength, from `eased` to `end` at `rest` of it.

    A rest of 0 is healed, one above 1 is worse than before.
    """

    start: datetime
    end: datetime
    eased: datetime
    rest: float


@dataclass(frozen=True)
class Episode:
    """A fault, and the mission against it unless it was left alone."""

    event: dict[str, Any] | None
    fault: Fault | None
    gap: tuple[datetime, datetime] | None


def series(
    domain_id: str,
    metric: Metric,
    first: datetime,
    until: datetime,
    episodes: list[Episode],
    rng: np.random.Generator,
) -> pa.Table:
    """One sample a minute: level × daily cycle × faults × AR(1) noise, less the gaps."""
    size = int((until - first) / MINUTE)
    minutes = np.arange(size)
    cycle = 1 + metric.swing * np.sin(2 * np.pi * (minutes % 1440 - 480) / 1440)
    strength = np.zeros(size)
    present = np.ones(size, dtype=bool)

    def span(start: datetime, end: datetime) -> slice:
        return slice(max(int((start - first) / MINUTE), 0), max(int((end - first) / MINUTE), 0))

    for episode in episodes:
        if fault := episode.fault:
            strength[span(fault.start, min(fault.eased, fault.end))] = 1.0
            strength[span(fault.eased, fault.end)] = fault.rest
        if episode.gap and metric.name != "vendor_score":
            present[span(*episode.gap)] = False
    values = (
        metric.level
        * cycle
        * (1 + strength * (metric.fault - 1))
        * np.exp(metric.noise * _autoregressive(size, rng))
    )
    stamps = (np.datetime64(first.replace(tzinfo=None), "us") + minutes * np.timedelta64(1, "m"))[
        present
    ]
    count = len(stamps)
    return pa.table(
        {
            "source": pa.repeat(metric.source, count),
            "domain_id": pa.repeat(domain_id, count),
            "metric": pa.repeat(metric.name, count),
            "timestamp": pa.array(stamps).cast(pa.timestamp("us")).cast(SCHEMA.field(3).type),
            "value": np.round(np.maximum(values[present], 0), 4),
        },
        schema=SCHEMA,
    )


def _autoregressive(size: int, rng: np.random.Generator, phi: float = 0.6) -> np.ndarray:
    """Stationary AR(1) noise of unit deviation, as a convolution (phi^40 is nothing)."""
    kernel = phi ** np.arange(40) * np.sqrt(1 - phi**2)
    return np.convolve(rng.standard_normal(size), kernel)[:size]
