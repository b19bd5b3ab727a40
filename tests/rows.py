"""Rows of tables for tests of narratives and briefs: a whole row, of which a test names a part."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from grace_assets.core.brief import Brief, build_brief
from grace_assets.core.brief_trend import DayTotals, TrendLine, trend_lines
from grace_assets.core.outcomes import trigger_metrics
from grace_assets.core.rollups import kpi_daily
from grace_assets.core.schemas import TABLES
from grace_assets.core.told import ToldMetrics, told_metrics
from grace_assets.lake.tables import Lake, file_of

DAY = date(2025, 1, 3)
START = datetime(2025, 1, 3, tzinfo=UTC)

Row = dict[str, Any]


def part(lake: Lake, name: str, day: str) -> Path:
    """Where the file of a day lies."""
    return lake._files.root / file_of(name, day)


def table(name: str, rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=TABLES[name].with_date())


def told_of(missions: pa.Table, telemetry: pa.Table) -> ToldMetrics:
    """What is told of the metrics of rows of `mission_events`."""
    ids = missions["mission_id"].to_pylist()
    return told_metrics(ids, trigger_metrics(missions), telemetry)


def event(mission_id: str = "m001", **fields: Any) -> Row:
    return {
        "date": DAY.isoformat(),
        "mission_id": mission_id,
        "domain_id": "payments",
        "started_at": START,
        "completed_at": START,
        "success": True,
        "detected_at": START,
        "mission_type": "unspecified",
        "severity": "high",
        "trigger": {"metric": "latency_ms", "observed": 520.0, "threshold": 500.0},
        "actions": ["scaled workers from 4 to 8"],
        "metrics": {},
        "received_at": START,
        "revision": 1,
        "record_id": f"record-{mission_id}",
        "origin": "http",
        **fields,
    }


def reading(mission_id: str = "m001", **fields: Any) -> Row:
    return {
        "date": DAY.isoformat(),
        "mission_id": mission_id,
        "domain_id": "payments",
        "source": "rag_kpis",
        "metric": "latency_ms",
        "unit": "ms",
        "direction": "lower",
        "pre": 520.0,
        "post": 280.0,
        "healthy": 275.0,
        "delta": -240.0,
        "percent_change": -46.153846,
        "improvement_percent": 46.153846,
        "improved": True,
        "n_pre": 30,
        "n_post": 30,
        "n_reference": 7,
        "verdict": "effective",
        "reason_codes": [],
        **fields,
    }


def outcome(mission_id: str = "m001", **fields: Any) -> Row:
    row = event(mission_id)
    for name in ("received_at", "revision", "origin"):
        del row[name]
    return row | {
        "title": "Slow checkout",
        "duration_seconds": 600.0,
        "time_to_restore_seconds": 720.0,
        "effectiveness_score": 0.98,
        "effectiveness_low": 0.93,
        "effectiveness_high": 1.0,
        "verdict": "effective",
        "attribution": "coincident",
        "reason_codes": [],
        "metrics_delta": {},
        "data_sources": ["rag_kpis"],
        "narrative": "Latency fell from 520 ms to 280 ms (46 % better).",
        "knowledge_id": f"mission:{mission_id}",
        "judged_at": START,
        "method_version": "1",
        **fields,
    }


def unscored(mission_id: str, verdict: str = "insufficient_data", **fields: Any) -> Row:
    scores = dict.fromkeys(("effectiveness_score", "effectiveness_low", "effectiveness_high"))
    return outcome(mission_id, verdict=verdict, **scores, **fields)


def failed(mission_id: str, **fields: Any) -> Row:
    return unscored(mission_id, success=False, time_to_restore_seconds=None, **fields)


def problem(problem_id: str = "p1", **fields: Any) -> Row:
    return {
        "date": DAY.isoformat(),
        "problem_id": problem_id,
        "domain_id": "payments",
        "type": "mission_failures",
        "severity": "high",
        "description": "1 of 3 missions failed on 2025-01-03",
        "evidence": [],
        **fields,
    }


def follow_up(follow_up_id: str = "fu-1", opened_on: date = DAY, **fields: Any) -> Row:
    return {
        "date": opened_on.isoformat(),
        "follow_up_id": follow_up_id,
        "domain_id": "payments",
        "title": "Investigate payments issues",
        "type": "failure_remediation",
        "reason": "Auto-brief flagged problems: 1 of 3 missions failed on 2025-01-03",
        "priority": "high",
        "status": "open",
        "opened_on": opened_on,
        "evidence": [],
        **fields,
    }


def brief(
    outcomes: list[Row] = (),
    readings: list[Row] = (),
    problems: list[Row] = (),
    follow_ups: list[Row] = (),
    *,
    verdicts: list[Row] = (),
    holds: list[Row] = (),
    trends: tuple[TrendLine, ...] = (),
    complete: bool = True,
) -> Brief:
    telemetry = table("mission_telemetry", list(readings))
    return build_brief(
        DAY,
        START,
        START + timedelta(days=1),
        "Europe/Berlin",
        table("mission_outcomes", list(outcomes)),
        telemetry,
        kpi_daily(telemetry),
        table("problems", list(problems)),
        table("follow_up_missions", list(follow_ups)),
        complete=complete,
        verdicts=table("mission_verdicts", list(verdicts)),
        holds=table("hold_daily", list(holds)),
        trends=trends,
    )


def said(mission_id: str, verdict: str, score: float | None, **fields: Any) -> Row:
    """A row of `mission_verdicts`."""
    return {
        "date": DAY.isoformat(),
        "mission_id": mission_id,
        "stage": "first",
        "judged_at": START + timedelta(hours=10),
        "method_version": "2",
        "verdict": verdict,
        "effectiveness_score": score,
        "held": None,
        "reason_codes": [],
        **fields,
    }


def restated(mission_id: str, verdict: str, score: float | None, **fields: Any) -> Row:
    later = {"stage": "restated", "judged_at": START + timedelta(days=2)}
    return said(mission_id, verdict, score, **later, **fields)


def lasting(mission_type: str = "error_remediation", **counts: int) -> Row:
    """A row of `hold_daily`."""
    names = ("held_24h", "relapsed_24h", "held_7d", "relapsed_7d")
    return {
        "date": DAY.isoformat(),
        "domain_id": "payments",
        "mission_type": mission_type,
        **dict.fromkeys(names, 0),
        **counts,
    }


def eventful_day() -> Brief:
    """A day with something of everything, as sample data."""
    return brief(
        [
            outcome("sample-m001", domain_id="ecommerce"),
            outcome(
                "sample-m002",
                domain_id="ecommerce",
                verdict="partial",
                effectiveness_score=0.57,
                effectiveness_low=0.4,
                effectiveness_high=0.7,
                time_to_restore_seconds=4_830.0,
            ),
            failed("sample-m003", severity="critical", title="Cards time out"),
            outcome("sample-m004", verdict="worse", effectiveness_score=0.0, effectiveness_low=0.0),
            unscored("sample-m005", "pending", domain_id="Müller – Edition"),
        ],
        [
            reading("sample-m001", domain_id="ecommerce"),
            reading("sample-m002", domain_id="ecommerce", improvement_percent=20.0),
            reading(
                "sample-m004",
                metric="latency_p95_ms",
                improvement_percent=-86.4,
                improved=False,
                verdict="worse",
            ),
        ],
        [problem()],
        [
            follow_up(),
            follow_up("fu-2", domain_id="search"),
            follow_up(
                "fu-0",
                date(2025, 1, 1),
                status="closed",
                closed_by_mission_id="sample-m001",
                verdict="effective",
            ),
        ],
        verdicts=[
            said("sample-m004", "effective", 0.95),
            restated("sample-m004", "worse", 0.0),
            said("sample-m001", "effective", 0.98),
        ],
        holds=[
            lasting(held_24h=11, relapsed_24h=1, held_7d=5),
            lasting("failover", held_24h=2),
        ],
        trends=month(),
    )


def month() -> tuple[TrendLine, ...]:
    """Thirty days to `DAY`: more missions every day, the first two unknown, one without any."""
    days = [(DAY - timedelta(days=n)).isoformat() for n in reversed(range(30))]
    totals = {
        day: DayTotals(n, 600.0 * n, n, 0.8 * n, n) for n, day in enumerate(days) if n not in (0, 9)
    }
    return trend_lines(DAY, totals, days[2:])
