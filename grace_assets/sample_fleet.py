"""The sample's fleet: shops that fall ill together, of which Grace treats one at a time.

What a single domain cannot show is here: a repair beside siblings that had the same problem and
were left alone, and repairs rare enough that one can see whether they lasted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np

from grace_assets.sample_series import MINUTE, Episode, Fault, Metric

CITIES = ("athens", "bergen", "cadiz", "delft", "essen", "fez", "ghent", "havana")
EVERY_DAYS = 4
RELAPSES = 0.25
LATENCY = Metric("latency_ms", "service_mesh", 150.0, 2.4)
THRESHOLD = 220


def name(city: str) -> str:
    return f"shop-{city}"


def incidents(
    start: datetime, days: int, rng: np.random.Generator
) -> Iterator[tuple[str, Episode]]:
    """(domain, episode) of every fault; only those of treated shops carry an event."""
    for number, day in enumerate(range(2, days, EVERY_DAYS)):
        onset = start + timedelta(days=day, hours=int(rng.integers(8, 18)))
        began = onset + 36 * MINUTE
        ended = began + int(rng.integers(8, 20)) * MINUTE
        over = ended + timedelta(hours=3)
        treated = CITIES[number % len(CITIES)]
        for city in CITIES:
            if city == treated:
                fault = Fault(onset, ended, ended, 0.0)
                yield name(city), Episode(_event(city, number, onset, began, ended), fault, None)
                if rng.random() < RELAPSES:
                    again = onset + timedelta(days=1)
                    until = again + timedelta(hours=4)
                    yield name(city), Episode(None, Fault(again, until, until, 0.0), None)
            else:
                yield name(city), Episode(None, Fault(onset, over, over, 0.0), None)


def _event(city: str, number: int, onset: datetime, began: datetime, ended: datetime) -> dict:
    return {
        "mission_id": f"sample-fleet-{city}-{number:03}",
        "domain_id": name(city),
        "title": f"{name(city)}: latency above {THRESHOLD} ms in the whole fleet",
        "mission_type": "failover",
        "severity": "high",
        "onset_at": onset,
        "detected_at": onset + 5 * MINUTE,
        "started_at": began,
        "completed_at": ended,
        "success": True,
        "trigger": {"metric": LATENCY.name, "threshold": THRESHOLD},
        "actions": ["switched the shop to the second provider"],
    }
