"""What held and what got better, summed over a window."""

from datetime import date

import pyarrow as pa
import pytest

from grace_assets.core import series
from grace_assets.core.calendar_windows import Window
from grace_assets.core.schemas import TABLES
from grace_assets.core.window_figures import (
    all_holds,
    hold_rates,
    improvements,
    verdicts_by_date,
)

WINDOW = Window(date(2026, 3, 2), date(2026, 3, 9))


def rows(table: str, *found: dict) -> pa.Table:
    schema = TABLES[table].with_date()
    zero = {"int": 0, "float": 0.0, "string": "x", "list<float>": [], "map<string,float>": []}
    base = {c.name: zero[c.type] for c in TABLES[table].columns}
    return pa.Table.from_pylist([{**base, **row} for row in found], schema=schema)


def hold(day: str, kind: str, *counts: int) -> dict:
    names = ("held_24h", "relapsed_24h", "held_7d", "relapsed_7d")
    return {"date": day, "mission_type": kind, **dict(zip(names, counts, strict=True))}


def test_holds_are_summed_within_the_window_and_never_looked_at_is_absent():
    table = rows(
        "hold_daily",
        hold("2026-03-01", "failover", 9, 9, 9, 9),
        hold("2026-03-02", "failover", 2, 1, 0, 0),
        hold("2026-03-09", "failover", 1, 0, 0, 0),
        hold("2026-03-03", "scaling", 0, 0, 0, 1),
        hold("2026-03-03", "idle", 0, 0, 0, 0),
    )
    rates = hold_rates(table, WINDOW)
    assert [(r.mission_type, r.after, r.held, r.relapsed) for r in rates] == [
        ("failover", "a day", 3, 1),
        ("scaling", "a week", 0, 1),
    ]
    assert rates[0].rate == 0.75
    assert rates[0].interval[0] < 0.75 < rates[0].interval[1]
    assert all_holds(rates, "a day").held == 3
    assert all_holds([], "a day") is None


def test_improvements_are_means_over_missions():
    def kpi(day: str, metric: str, total: float, n: int) -> dict:
        return {
            "date": day,
            "metric": metric,
            "improvement_percent_sum": total,
            "improvement_percent_count": n,
            "improved": n,
        }

    table = rows(
        "kpi_daily",
        kpi("2026-03-01", "latency_ms", 900.0, 9),
        kpi("2026-03-02", "latency_ms", 90.0, 1),
        kpi("2026-03-03", "latency_ms", 90.0, 3),
        kpi("2026-03-03", "unread", 0.0, 0),
    )
    latency, unread = improvements(table, WINDOW)
    assert (latency.improvement_percent, latency.count, latency.improved) == (45.0, 4, 4)
    assert unread.improvement_percent is None


def test_verdicts_and_times_are_put_together_by_week():
    days = [
        {
            "date": f"2026-03-0{n}",
            "verdicts": [("effective", 1.0)],
            "mttr_seconds_values": [60.0 * n],
        }
        for n in range(1, 10)
    ]
    table = rows("domain_daily", *days)
    weekly = verdicts_by_date(table, WINDOW, "weekly")
    assert weekly == {"2026-03-02": {"effective": 7}, "2026-03-09": {"effective": 1}}
    first, last = series.restore_quantiles(table, WINDOW, "weekly")
    assert (first.p50_seconds, first.count) == (300.0, 7)
    assert first.p50_interval == (120.0, 480.0)
    assert first.p90_seconds == pytest.approx(444.0)
    assert first.p90_interval[1] is None
    assert (last.date, last.p50_interval) == ("2026-03-09", (None, None))
