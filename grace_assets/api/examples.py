"""What answers look like, for the OpenAPI; a test holds each against its own schema."""

from __future__ import annotations

from typing import Any

_TIMES = {
    "mttr_seconds": 1800.0,
    "mttr_count": 14,
    "without_time_to_restore": 1,
    "mttr_p50_seconds": 1740.0,
    "mttr_p50_interval": [1680.0, 1800.0],
    "mttr_p90_seconds": 2100.0,
    "mttr_p90_interval": [1860.0, None],
}
_TREND = {
    "domain_id": "payments",
    "total_missions": 15,
    "successes": 14,
    "failures": 1,
    "success_rate": 0.933,
    "success_rate_interval": [0.702, 0.988],
    "avg_duration_seconds": 1200.0,
    "assessed": 13,
    "avg_effectiveness_score": 0.87,
    **_TIMES,
    "verdicts": {"effective": 11, "no_effect": 2, "pending": 2},
    "open_follow_ups": 1,
    "top_issues": [
        {
            "type": "mission_failures",
            "count": 1,
            "severity": "high",
            "last_date": "2026-03-03",
            "description": "1 of 3 missions failed on 2026-03-03",
        }
    ],
    "kpi_trends": {"latency_ms": -46.2},
}
_ANSWER = {
    "answer": "The mean time to restore is 30 min, over 14 missions. …",
    "kind": "mttr",
    "value": 1800.0,
    "unit": "seconds",
    "n": 14,
    "interval": [1701.0, 1899.0],
    "window": {"from": "2026-03-01", "to": "2026-03-30"},
    "time_zone": "Europe/Berlin",
    "partial": False,
    "as_of": "2026-03-31T06:00:04Z",
    "sources": ["m-2026-03-30-2", "m-2026-03-29-1"],
    "figures": [
        {
            "label": "mttr_seconds",
            "value": 1800.0,
            "unit": "seconds",
            "n": 14,
            "interval": [1701.0, 1899.0],
        }
    ],
}
_NOTE = {
    "kind": "mission",
    "date": "2026-03-01",
    "mission_id": "m-2026-03-01-7",
    "domain_id": "payments",
    "title": "Checkout latency",
    "verdict": "effective",
    "snippet": "I noticed latency exceeded 500 ms, at 520 ms. I scaled workers from 4 to 8.",
    "score": 0.27,
}
_TAKEN = {
    "accepted": 2,
    "duplicates": 1,
    "corrected": 0,
    "rejected": [{"index": 3, "field": "completed_at", "reason": "is before started_at"}],
}

ANSWERS: dict[tuple[str, str, str], Any] = {
    ("post", "/api/missions/events", "202"): _TAKEN,
    ("post", "/api/ask", "200"): _ANSWER,
    ("get", "/api/search", "200"): [_NOTE],
    ("get", "/api/analytics/domain-trends", "200"): _TREND,
    ("get", "/api/analytics/missions-per-domain", "200"): {
        "payments": [{"date": "2026-03-02", "count": 21}, {"date": "2026-03-09", "count": 18}]
    },
    ("get", "/api/analytics/mttr-trend", "200"): [
        {"date": "2026-03-01", "mttr_seconds": 1800.0, "count": 3}
    ],
    ("get", "/api/analytics/effectiveness-trend", "200"): [
        {"date": "2026-03-01", "avg_effectiveness": 0.93, "count": 3}
    ],
}
"""(method, path, status) → an answer."""
