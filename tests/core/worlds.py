"""Small simulated worlds for the judge: many missions, each in a domain of its own.

Every domain has one metric with AR(1) noise, sampled each minute for two hours around the
mission's clock time on each of 15 days; the mission is on the last day.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import ndtri

from grace_assets.core.catalogue import Catalogue, parse_catalogue
from grace_assets.core.judge import judge
from grace_assets.core.schemas import TABLES

START = datetime(2026, 3, 15, 12, tzinfo=UTC)
LATER = START + timedelta(days=2)
DURATION = 5
MINUTES = np.arange(-70, 50)
"""Minutes of a day's samples, relative to the mission's start."""
HEALTHY, NOISE = 280.0, 0.15
STAMP = pa.timestamp("us", tz="UTC")
LATENCY = "latency_ms: {direction: lower, unit: ms}"


def catalogue(text: str = LATENCY) -> Catalogue:
    return parse_catalogue(text, "kpis.yaml")


def missions(*rows: dict) -> pa.Table:
    """`mission_events` rows; each dict over a valid mission at START that lasts 5 minutes."""
    schema = TABLES["mission_events"].with_date()
    full = []
    for row in rows:
        base = {
            "date": "2026-03-15",
            "mission_id": "m",
            "domain_id": "shop",
            "started_at": START,
            "success": True,
            "mission_type": "unspecified",
            "severity": "unknown",
            "actions": [],
            "metrics": [],
            "received_at": START,
            "revision": 1,
            "origin": "http",
        } | row
        base.setdefault("completed_at", base["started_at"] + timedelta(minutes=DURATION))
        base.setdefault("detected_at", base["started_at"])
        base.setdefault("record_id", f"r-{base['mission_id']}")
        full.append(base)
    return pa.Table.from_pylist(full, schema=schema)


def samples(*series: tuple, minutes: int = 1) -> pa.Table:
    """Samples from (source, domain, metric, first time, values), one a minute (or `minutes`)."""
    parts = [
        pa.table(
            {
                "source": pa.repeat(source, len(values)),
                "domain_id": pa.repeat(domain, len(values)),
                "metric": pa.repeat(metric, len(values)),
                "timestamp": pa.array(
                    [first + timedelta(minutes=minutes * i) for i in range(len(values))], STAMP
                ),
                "value": pa.array(values, pa.float64()),
            }
        )
        for source, domain, metric, first, values in series
    ]
    return pa.concat_tables(parts).sort_by(
        [(name, "ascending") for name in ("source", "domain_id", "metric", "timestamp")]
    )


def ar1(shape: tuple[int, ...], phi: float, rng: np.random.Generator) -> np.ndarray:
    """Stationary AR(1) of unit variance along the last axis."""
    noise = rng.standard_normal(shape)
    noise[..., 1:] *= np.sqrt(1 - phi**2)
    for i in range(1, shape[-1]):
        noise[..., i] += phi * noise[..., i - 1]
    return noise


def alarm(
    count: int,
    phi: float,
    rng: np.random.Generator,
    lead: int = 3,
    minutes: np.ndarray = MINUTES,
) -> np.ndarray:
    """Noise in which three samples in a row above p97.5 raised an alarm `lead` minutes before."""
    if phi == 0:  # three independent ones in a row are too rare to wait for
        noise = rng.standard_normal((count, len(minutes)))
        tail = ndtri(rng.uniform(0.975, 1.0, (count, 3)))
        noise[:, (minutes >= -lead - 2) & (minutes <= -lead)] = tail
        return noise
    long = ar1((count, 20_000), phi, rng)
    high = long > 1.96
    three = high[:, 2:] & high[:, 1:-1] & high[:, :-2]
    three[:, :200], three[:, -200:] = False, False
    assert three.any(axis=1).all()
    at = three.argmax(axis=1) + 2 + lead
    return np.take_along_axis(long, at[:, None] + minutes, axis=1)


def simulate(
    count: int,
    phi: float,
    *,
    before: float = 1.0,
    after: float = 1.0,
    onset: int = -28,
    season: Callable[[np.ndarray], np.ndarray] = np.ones_like,
    tripped: bool = False,
    tails: int | None = None,
    minutes: np.ndarray = MINUTES,
    seed: int = 1,
) -> np.ndarray:
    """Values (missions, 15 days, minutes): healthy days, then the day of the mission.

    `before` multiplies the level from `onset` (minutes) to the end of the mission, `after` from
    there on. `tails` are the degrees of freedom of Student noise on top of the AR(1) one.
    """
    rng = np.random.default_rng(seed)
    noise = ar1((count, 15, len(minutes)), phi, rng)
    if tripped:
        noise[:, -1] = alarm(count, phi, rng, minutes=minutes)
    if tails:
        noise = 0.7 * noise + 0.5 * rng.standard_t(tails, noise.shape)
    level = np.where(onset > minutes, 1.0, np.where(minutes < DURATION, before, after))
    values = HEALTHY * season(minutes) * np.exp(NOISE * noise)
    values[:, -1] *= level
    return values


def judged(
    values: np.ndarray, rules: str = LATENCY, minutes: np.ndarray = MINUTES, **mission: object
) -> pa.Table:
    """The judge's rows for simulated values, one mission a domain, in their order.

    NaN is a sample that never came.
    """
    count, days, width = values.shape
    metric = next(iter(catalogue(rules).rules))[0]
    start = int(START.timestamp()) // 60
    minute = start + minutes[None, :] + (np.arange(days) - days + 1)[:, None] * 1440
    stamps = np.tile(minute.ravel() * 60_000_000, count)
    names = [f"d{i:04}" for i in range(count)]
    table = pa.table(
        {
            "source": pa.repeat("rag_kpis", values.size),
            "domain_id": pa.DictionaryArray.from_arrays(
                np.repeat(np.arange(count, dtype=np.int32), days * width), names
            ),
            "metric": pa.repeat(metric, values.size),
            "timestamp": pa.array(stamps, pa.int64()).cast(STAMP),
            "value": pa.array(values.ravel()),
        }
    )
    rows = missions(*({"mission_id": n, "domain_id": n, **mission} for n in names))
    return judge(rows, table.filter(pc.is_finite(table["value"])), catalogue(rules), LATER)


def shares(table: pa.Table) -> dict[str, float]:
    """Share of each verdict."""
    verdicts = table["verdict"].to_pylist()
    return {v: verdicts.count(v) / len(verdicts) for v in set(verdicts)}
