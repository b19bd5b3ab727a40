"""A recovery is looked at again after a day and a week, and history only grows."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from grace_assets.core.holds import (
    STAGES,
    due,
    hold_daily,
    look_again,
    looks_by_day,
    next_due,
)
from grace_assets.core.judge import judge
from grace_assets.core.outcomes import outcome_rows, summarise, trigger_metrics
from grace_assets.core.schemas import TABLES
from grace_assets.core.verdicts import append_looks, append_verdicts
from tests.core.worlds import START, catalogue, missions, samples

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
AFTER_A_WEEK = START + 9 * DAY
RULES = catalogue("latency_ms: {direction: lower, unit: ms}")
HISTORY = TABLES["mission_verdicts"].with_date()
TRIGGER = {"metric": "latency_ms", "observed": 520.0, "threshold": 400.0}


def world(*bad: tuple[timedelta, timedelta], level: float = 520.0, healthy: float = 280.0):
    """Healthy noise for 15 days before the mission and 9 after, `level` in the stretches named."""
    minutes = np.arange(-15 * 1440, 9 * 1440)
    values = healthy + np.random.default_rng(4).normal(0, 8, len(minutes))
    for since, until in ((-60 * MINUTE, 5 * MINUTE), *bad):
        inside = (minutes >= since / MINUTE) & (minutes < until / MINUTE)
        values[inside] += level - healthy
    return samples(("rag_kpis", "shop", "latency_ms", START - 15 * DAY, list(values)))


def judged(rows: pa.Table, table: pa.Table, now: datetime = AFTER_A_WEEK) -> tuple:
    telemetry = judge(rows, table, RULES, now)
    summary = summarise(rows, telemetry, None, now, RULES)
    return telemetry, outcome_rows(rows, summary, [""] * rows.num_rows, now)


def causes(rows: pa.Table) -> pa.Table:
    """As the landing tells them."""
    names = ["mission_id", "domain_id", "started_at", "completed_at", "follow_up_id"]
    return rows.select(names).append_column("trigger_metric", pa.array(trigger_metrics(rows)))


def look(table: pa.Table, stage: int = 0, *others: dict, **mission) -> dict:
    rows = missions({"trigger": TRIGGER, **mission})
    telemetry, outcomes = judged(rows, table)
    assert outcomes["verdict"].to_pylist() == ["effective"]
    known = causes(missions({"trigger": TRIGGER, **mission}, *others))
    found = look_again(STAGES[stage], rows, outcomes, telemetry, table, RULES, AFTER_A_WEEK, known)
    return found.to_pylist()[0]


BACK = (DAY - 60 * MINUTE, DAY + 60 * MINUTE)


@pytest.mark.parametrize(
    ("bad", "stage", "held", "verdict", "codes"),
    [
        ((), 0, True, "effective", []),
        ((), 1, True, "effective", []),
        ((BACK,), 0, False, "no_effect", ["relapsed:latency_ms"]),
        ((BACK,), 1, True, "effective", []),
        (((7 * DAY, 8 * DAY),), 1, False, "no_effect", ["relapsed:latency_ms"]),
    ],
)
def test_a_recovery_is_gone_when_its_metrics_show_the_problem_again(
    bad, stage, held, verdict, codes
):
    found = look(world(*bad), stage)
    assert (found["held"], found["verdict"], found["reason_codes"]) == (held, verdict, codes)
    assert found["stage"] == STAGES[stage].name


def test_the_same_trigger_again_in_between_is_a_relapse_but_not_for_another_or_a_follow_up():
    again = {"mission_id": "n", "started_at": START + 5 * timedelta(hours=1), "trigger": TRIGGER}
    assert look(world(), 0, again)["reason_codes"] == ["same_problem_again"]
    assert look(world(), 0, again)["held"] is False
    for harmless in (
        {"trigger": TRIGGER | {"metric": "error_rate"}},
        {"follow_up_id": "fu-1"},
        {"domain_id": "pay"},
        {"started_at": START + 2 * DAY},
        {"started_at": START - DAY},
    ):
        assert look(world(), 0, again | harmless)["held"] is True, harmless


def test_in_a_busy_domain_the_next_mission_is_no_relapse_but_nobody_can_tell_what_held():
    again = {"mission_id": "n", "started_at": START + 5 * timedelta(hours=1), "trigger": TRIGGER}
    usual = [
        again | {"mission_id": f"u{n}", "started_at": START - n * DAY + DAY / 3}
        for n in range(1, 15)
    ]
    found = look(world(), 0, again, *usual)
    assert (found["held"], found["reason_codes"]) == (None, ["repaired_again_since"])
    assert look(world(), 0, *usual)["held"] is True
    assert look(world(BACK), 0, again, *usual)["held"] is None


def test_a_look_that_falls_into_another_mission_tells_nothing():
    busy = {"mission_id": "n", "started_at": START + DAY + 5 * MINUTE}
    found = look(world(BACK), 0, busy)
    assert (found["held"], found["reason_codes"]) == (None, ["overlapping_mission"])


def test_without_samples_a_day_later_nothing_is_said():
    table = world()
    early = table.filter(pa.compute.less(table["timestamp"], pa.scalar(START + DAY / 2)))
    found = look(early)
    assert (found["held"], found["verdict"]) == (None, "insufficient_data")


def test_a_mission_is_due_when_the_later_windows_have_closed_and_only_if_it_recovered():
    rows = missions({"mission_id": "a"}, {"mission_id": "b", "domain_id": "none"})
    _, outcomes = judged(rows, world())
    completed = outcomes["completed_at"][0].as_py()
    # The catalogue's longest settle time and window: 5 and 30 minutes.
    closes = completed + DAY + 35 * MINUTE
    assert due(outcomes, STAGES[0], RULES, closes).to_pylist() == [True, False]
    assert due(outcomes, STAGES[0], RULES, closes - MINUTE).to_pylist() == [False, False]
    assert next_due(outcomes, RULES, completed) == {"2026-03-15": closes}
    assert next_due(outcomes, RULES, closes) == {"2026-03-15": closes + 6 * DAY}
    assert next_due(outcomes, RULES, AFTER_A_WEEK) == {}


def test_history_grows_by_what_a_look_says_anew_and_keeps_the_rest():
    rows = missions({"trigger": TRIGGER})
    telemetry, outcomes = judged(rows, world())
    history = append_verdicts(HISTORY.empty_table(), outcomes)

    def looked(table: pa.Table) -> pa.Table:
        known = causes(rows)
        return look_again(STAGES[0], rows, outcomes, telemetry, table, RULES, AFTER_A_WEEK, known)

    once = append_looks(history, looked(world()))
    assert once["stage"].to_pylist() == ["first", "hold_24h"]
    assert append_looks(once, looked(world())).equals(once)
    corrected = append_looks(once, looked(world(BACK)))
    assert corrected.slice(0, 2).equals(once)
    assert corrected["held"].to_pylist() == [None, True, False]
    assert append_verdicts(corrected, outcomes).equals(corrected)

    counts = hold_daily(outcomes, corrected).to_pylist()
    assert [(c["held_24h"], c["relapsed_24h"], c["held_7d"]) for c in counts] == [(0, 1, 0)]
    (found,) = looks_by_day(corrected, outcomes, RULES, ZoneInfo("UTC"))
    assert (found.day, found.held, found.domain_id) == ("2026-03-16", False, "shop")
    late = looks_by_day(corrected, outcomes, RULES, ZoneInfo("Pacific/Auckland"))
    assert late[0].day == "2026-03-17"

    restated = outcomes.set_column(
        outcomes.column_names.index("verdict"), "verdict", pa.array(["no_effect"])
    )
    assert hold_daily(restated, corrected).num_rows == 0
    assert looks_by_day(corrected, restated, RULES, ZoneInfo("UTC")) == []
