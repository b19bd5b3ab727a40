"""A seeded story for the demo: ninety days of missions, and telemetry that fits them.

Every mission id begins with `sample-`, so sample data is marked wherever it is shown. Each
mission has a hidden truth (fixed, partly fixed, useless, …) from which its fault is drawn into
the series; the judge sees the series alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from grace_assets import sample_fleet
from grace_assets.sample_series import MINUTE, Episode, Fault, Metric, series

HISTORY_DAYS = 14
"""Telemetry begins before the missions, so that the first ones have reference days."""
BAD_WEEK = range(40, 47)
"""A deploy breaks payments in the sixth week."""
EMPTY_DAY = 23


@dataclass(frozen=True)
class Domain:
    name: str
    missions_a_day: float
    metrics: tuple[Metric, ...]

    @property
    def slug(self) -> str:
        return re.sub(r"\W+", "-", self.name.lower()).strip("-")


def _domain(name: str, rate: float, latency: float, *others: Metric) -> Domain:
    return Domain(name, rate, (Metric("latency_ms", "rag_kpis", latency, 2.2), *others))


_ERRORS = Metric("error_rate", "rag_kpis", 0.8, 4.0, swing=0.05, noise=0.06)
_CPU = Metric("cpu_percent", "service_mesh", 42.0, 1.6, swing=0.2)
DOMAINS = (
    _domain("payments", 5.5, 240.0, _ERRORS, _CPU),
    _domain("checkout", 5.0, 310.0, _ERRORS, Metric("throughput_rps", "domain_health", 850, 0.55)),
    _domain("search", 5.5, 120.0, Metric("cache_hit_rate", "service_mesh", 0.92, 0.6, 0.01, 0.01)),
    _domain("recommendations", 5.0, 180.0, _CPU),
    _domain("inventory", 4.5, 95.0, Metric("queue_depth", "domain_health", 60, 3.5, 0.1, 0.08)),
    # Its only metric has no entry in the catalogue: recorded, and never scored.
    Domain(
        "Müller – Edition", 1.5, (Metric("vendor_score", "domain_health", 7.5, 0.75, swing=0.05),)
    ),
)

TRUTHS = {
    "fixed": 0.56,
    "partly_fixed": 0.09,
    "useless": 0.08,
    "made_worse": 0.04,
    "noise": 0.12,
    "no_readings": 0.04,
    "healed_itself": 0.04,
    "failed": 0.03,
}
SEVERITIES = {"low": 0.2, "medium": 0.45, "high": 0.25, "critical": 0.1}
_ACTIONS = (
    ("scaled workers from {a} to {b}", "performance_optimization"),
    ("raised the connection pool from {a} to {b}", "performance_optimization"),
    ("rolled back release 4.{b}.{a}", "error_remediation"),
    ("restarted {a} unhealthy pods", "failure_remediation"),
    ("evicted {b} stale cache entries", "performance_optimization"),
    ("switched {a} percent of traffic to the standby", "failure_remediation"),
)
_ERROR_TEXTS = ("rollback refused by the deploy lock", "timed out waiting for pods to be ready")


@dataclass(frozen=True)
class Sample:
    """Events in the format of CONTRACT section 1, and samples in the store's schema."""

    missions: list[dict[str, Any]]
    samples: pa.Table


def generate(
    end_day: date,
    days: int = 90,
    seed: int = 7,
    timezone: str = "UTC",
    until: datetime | None = None,
) -> Sample:
    """The story of the `days` local days that end with `end_day`; nothing lies after `until`."""
    zone = ZoneInfo(timezone)
    start = datetime.combine(end_day - timedelta(days=days - 1), time(), zone).astimezone(UTC)
    midnight = datetime.combine(end_day + timedelta(days=1), time(), zone).astimezone(UTC)
    until = min(until or midnight, midnight)
    rng = np.random.default_rng(seed)
    missions: list[dict[str, Any]] = []
    tables = []
    first = start - timedelta(days=HISTORY_DAYS)
    for domain, episodes in _stories(start, days, until, rng):
        for metric in domain.metrics:
            rows = series(domain.name, metric, first, until, episodes, rng)
            _observe(episodes, metric, rows)
            tables.append(rows)
        missions += [_encode(episode.event) for episode in episodes if episode.event]
    missions.sort(key=lambda event: (event["completed_at"], event["mission_id"]))
    order = [(name, "ascending") for name in ("source", "domain_id", "metric", "timestamp")]
    return Sample(missions, pa.concat_tables(tables).sort_by(order))


def _stories(
    start: datetime, days: int, until: datetime, rng: np.random.Generator
) -> Iterator[tuple[Domain, list[Episode]]]:
    """Every domain with what befalls it; missions that end after `until` are not told yet."""

    def told(episode: Episode) -> bool:
        return episode.event is None or episode.event["completed_at"] <= until

    for domain in DOMAINS:
        episodes = list(filter(told, _episodes(domain, start, days, rng)))
        if domain.name == "search":
            episodes.append(_still_open(until))
        yield domain, episodes
    fleet: dict[str, list[Episode]] = {sample_fleet.name(c): [] for c in sample_fleet.CITIES}
    for shop, episode in sample_fleet.incidents(start, days, rng):
        fleet[shop].append(episode)
    for shop, episodes in fleet.items():
        yield Domain(shop, 0, (sample_fleet.LATENCY,)), list(filter(told, episodes))


def write(sample: Sample, folder: Path) -> tuple[Path, Path]:
    """Write both as files to ingest; returns the paths of missions and samples."""
    folder.mkdir(parents=True, exist_ok=True)
    missions, samples = folder / "missions.jsonl", folder / "kpi_samples.parquet"
    lines = (json.dumps(event, ensure_ascii=False) + "\n" for event in sample.missions)
    missions.write_text("".join(lines), encoding="utf-8")
    pq.write_table(sample.samples, samples, compression="zstd")
    return missions, samples


def follow_up_missions(
    requests: list[dict[str, Any]], now: datetime, seed: int = 7
) -> list[dict[str, Any]]:
    """Follow-ups carried out: two thirds within a week of their opening, the others weeks later.

    Each depends on its own id and `seed` alone, so asking again gives the same missions.
    """
    missions = []
    for request in requests:
        rng = np.random.default_rng([seed, crc32(request["follow_up_id"].encode())])
        days = rng.integers(1, 8) if rng.random() < 2 / 3 else rng.integers(14, 29)
        wait = timedelta(days=int(days), hours=9)
        start = datetime.combine(request["opened_on"], time(), UTC) + wait
        end = start + timedelta(minutes=45)
        if end <= now:
            event = {
                "mission_id": f"sample-followup-{request['follow_up_id']}",
                "domain_id": request["domain_id"],
                "title": request["title"],
                "mission_type": request["type"],
                "severity": request["priority"],
                "started_at": start,
                "completed_at": end,
                "success": bool(rng.random() < 0.9),
                "actions": ["reviewed the evidence of the last days", "removed the root cause"],
                "follow_up_id": request["follow_up_id"],
            }
            missions.append(_encode(event))
    return missions


def _episodes(
    domain: Domain, start: datetime, days: int, rng: np.random.Generator
) -> Iterator[Episode]:
    number = 0
    for day in range(days):
        bad = domain.name == "payments" and day in BAD_WEEK
        quiet = domain.name == "inventory" and 30 <= day < 50
        rate = domain.missions_a_day * (1.6 if bad else 0.3 if quiet else 1.0)
        count = 0 if day == EMPTY_DAY else min(int(rng.poisson(rate)), 8)
        # Slots of two and a half hours keep one mission's windows clear of the next one's.
        slots = sorted(rng.choice(9, size=count, replace=False)) if count else []
        for slot in slots:
            number += 1
            at = start + timedelta(days=day, minutes=40 + 155 * int(slot) + int(rng.integers(30)))
            truth = str(rng.choice(list(TRUTHS), p=list(TRUTHS.values())))
            if bad:
                truth = str(rng.choice(["failed", "useless", "fixed"], p=[0.45, 0.35, 0.2]))
            yield _episode(domain, number, at, truth, rng)


def _episode(
    domain: Domain, number: int, at: datetime, truth: str, rng: np.random.Generator
) -> Episode:
    started, lasted = at, timedelta(minutes=int(rng.integers(10, 26)))
    completed = started + lasted
    onset = started - timedelta(minutes=int(rng.integers(31, 40)))
    detected = onset + timedelta(minutes=int(rng.integers(3, 9)))
    persists = completed + timedelta(minutes=75)
    faults = {
        "fixed": Fault(onset, completed, completed, 0.0),
        "partly_fixed": Fault(onset, persists, completed, 0.35),
        "useless": Fault(onset, persists, persists, 0.0),
        "made_worse": Fault(onset, persists, completed, 2.0),
        # A blip of three minutes trips the alert, and is over before anybody acts.
        "noise": Fault(detected, detected + 3 * MINUTE, detected + 3 * MINUTE, 0.0),
        "no_readings": Fault(onset, completed, completed, 0.0),
        "healed_itself": Fault(onset, started + lasted / 2, started + lasted / 2, 0.0),
        "failed": Fault(onset, persists, persists, 0.0),
    }
    gap = (started, completed + 60 * MINUTE) if truth == "no_readings" else None
    latency = domain.metrics[0].level
    threshold = round(latency * 1.5, -1)
    action, kind = _ACTIONS[int(rng.integers(len(_ACTIONS)))]
    a = int(rng.integers(2, 7))
    event: dict[str, Any] = {
        "mission_id": f"sample-{domain.slug}-{number:04}",
        "domain_id": domain.name,
        "title": f"{domain.name}: latency above {threshold:g} ms",
        "mission_type": kind,
        "severity": str(
            rng.choice(["low", "medium", "high", "critical"], p=[0.2, 0.45, 0.25, 0.1])
        ),
        "detected_at": detected,
        "started_at": started,
        "completed_at": completed,
        "success": truth != "failed",
        "trigger": {
            "metric": "latency_ms",
            "threshold": threshold,
        },
        "actions": [action.format(a=a, b=2 * a)],
    }
    if truth == "failed":
        event["error"] = _ERROR_TEXTS[int(rng.integers(len(_ERROR_TEXTS)))]
    elif truth != "noise":
        event["onset_at"] = onset
    if domain.metrics[0].name == "vendor_score":
        _ask_the_vendor(event)
    return Episode(event, faults[truth], gap)


def _ask_the_vendor(event: dict[str, Any]) -> None:
    """Another story for the domain that has no latency."""
    event["title"] = "Vendor score below agreement"
    event["mission_type"] = "vendor_check"
    event["trigger"] = {"metric": "vendor_score", "threshold": 7.0}
    event["actions"] = ["opened a ticket with the vendor"]


def _still_open(until: datetime) -> Episode:
    """A mission whose window is not over yet."""
    completed = until - 10 * MINUTE
    event = {
        "mission_id": "sample-search-latest",
        "domain_id": "search",
        "title": "search: latency above 180 ms",
        "mission_type": "performance_optimization",
        "severity": "medium",
        "detected_at": until - 40 * MINUTE,
        "started_at": until - 22 * MINUTE,
        "completed_at": completed,
        "success": True,
        "trigger": {"metric": "latency_ms", "threshold": 180},
        "actions": ["scaled workers from 3 to 6"],
    }
    return Episode(event, Fault(until - 55 * MINUTE, completed, completed, 0.0), None)


def _observe(episodes: list[Episode], metric: Metric, rows: pa.Table) -> None:
    """Let each trigger on `metric` have observed what the series shows at its detection."""
    stamps = rows["timestamp"].to_numpy()
    values = rows["value"].to_numpy()
    for event in (episode.event for episode in episodes if episode.event):
        trigger = event["trigger"]
        if trigger["metric"] == metric.name:
            detected = np.datetime64(event["detected_at"].replace(tzinfo=None))
            trigger["observed"] = round(float(values[np.searchsorted(stamps, detected)]), 1)


def _encode(event: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for name, value in event.items()
    }
