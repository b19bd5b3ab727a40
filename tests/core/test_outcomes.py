from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from grace_assets.core.judge import METHOD_VERSION
from grace_assets.core.outcomes import outcome_rows, rejudge_times, summarise
from grace_assets.core.schemas import TABLES
from tests.core.worlds import LATER, START, catalogue, missions

CATALOGUE = catalogue(
    """
latency_ms: {direction: lower, weight: 2}
error_rate: {direction: lower, kind: ratio}
operational: {direction: higher, critical: true, window_seconds: 3600}
"""
)
LATENCY = {"metric": "latency_ms"}


def reading(metric: str, verdict: str, restoration: float | None = None, **columns) -> dict:
    """A telemetry row of mission m; its interval is restoration ± 0.2."""
    known = restoration is not None
    return {
        "date": "2026-03-15",
        "mission_id": "m",
        "domain_id": "shop",
        "source": "rag_kpis",
        "metric": metric,
        "pre": 100.0,
        "post": 50.0,
        "percent_change": -50.0,
        "restoration": restoration,
        "restoration_low": restoration - 0.2 if known else None,
        "restoration_high": restoration + 0.2 if known else None,
        "n_pre": 30,
        "n_post": 30,
        "n_reference": 14,
        "verdict": verdict,
        "reason_codes": [f"{metric}_{verdict}"],
        **columns,
    }


def telemetry(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=TABLES["mission_telemetry"].with_date())


def outcome(*rows: dict, now=LATER, neighbours=None, **mission) -> dict:
    table = missions({"mission_id": "m", **mission})
    return summarise(table, telemetry(*rows), neighbours, now, CATALOGUE).to_pylist()[0]


E, P, N, W, I, C, X, A, Q = (  # noqa: E741
    "effective",
    "partial",
    "no_effect",
    "worse",
    "inconclusive",
    "no_sustained_problem",
    "insufficient_data",
    "not_applicable",
    "pending",
)


@pytest.mark.parametrize(
    ("latency", "errors", "operational", "verdict", "reason"),
    [
        (E, C, C, E, "trigger_metric_decides"),
        (E, N, X, E, "trigger_metric_decides"),
        (E, W, C, P, "guardrail_worse"),
        (P, E, C, P, "trigger_metric_decides"),
        (N, E, E, N, "trigger_metric_decides"),
        (C, W, C, W, "guardrail_worse"),
        (N, W, C, W, "guardrail_worse"),
        (E, E, W, W, "critical_metric_worse"),
        (E, Q, C, Q, "window_open"),
        (X, C, C, X, "trigger_metric_not_judged"),
        (X, E, C, I, "trigger_metric_not_judged"),
        (X, W, C, W, "trigger_metric_not_judged"),
    ],
)
def test_the_metric_that_made_grace_act_decides_and_the_others_guard(
    latency, errors, operational, verdict, reason
):
    found = outcome(
        reading("latency_ms", latency),
        reading("error_rate", errors),
        reading("operational", operational),
        trigger=LATENCY,
    )
    assert found["verdict"] == verdict
    assert reason in found["reason_codes"]


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        ((E, E), E),
        ((E, C), E),
        ((E, X), E),
        ((E, N), P),
        ((E, I), P),
        ((P, E), P),
        ((E, W), I),
        ((W, N), W),
        ((N, C), N),
        ((N, I), I),
        ((I, C), I),
        ((C, C), C),
        ((C, X), C),
        ((X, X), X),
    ],
)
def test_without_a_trigger_all_metrics_decide_together(verdicts, verdict):
    rows = [reading(m, v) for m, v in zip(("latency_ms", "error_rate"), verdicts, strict=True)]
    assert outcome(*rows)["verdict"] == verdict
    assert outcome(*reversed(rows))["verdict"] == verdict


def test_the_reasons_are_those_of_the_metrics_that_decided():
    rows = (reading("latency_ms", E, 1.0), reading("error_rate", C))
    told = outcome(*rows, trigger=LATENCY)["reason_codes"]
    assert told == ["trigger_metric_decides", "latency_ms_effective"]
    assert outcome(*rows)["reason_codes"] == [
        "error_rate_no_sustained_problem",
        "latency_ms_effective",
    ]


def test_the_score_is_the_weighted_mean_of_clipped_restorations():
    found = outcome(reading("latency_ms", P, 0.5), reading("error_rate", E, 1.1))
    assert found["effectiveness_score"] == pytest.approx((2 * 0.5 + 1) / 3)
    assert found["effectiveness_low"] == pytest.approx((2 * 0.3 + 0.9) / 3)
    assert found["effectiveness_high"] == pytest.approx((2 * 0.7 + 1) / 3)
    assert outcome(reading("latency_ms", W, -3.0))["effectiveness_score"] == 0


def test_a_metric_that_was_never_unhealthy_has_nothing_to_restore_unless_it_broke():
    healthy = outcome(reading("latency_ms", E, 0.9), reading("error_rate", C))
    assert healthy["effectiveness_score"] == pytest.approx(0.9)
    broke = outcome(reading("latency_ms", E, 0.9), reading("error_rate", W))
    assert broke["effectiveness_score"] == pytest.approx(0.6)
    assert outcome(reading("latency_ms", C))["effectiveness_score"] is None


@pytest.mark.parametrize(
    ("rows", "score", "reason"),
    [
        ([reading("latency_ms", E, 1.0), reading("error_rate", X)], 1.0, None),
        ([reading("latency_ms", X), reading("error_rate", E, 1.0)], None, "little_of_it_assessed"),
        (
            [reading("latency_ms", E, 1.0), reading("operational", X)],
            None,
            "critical_metric_without_data",
        ),
        ([reading("latency_ms", E, 1.0), reading("operational", Q)], None, "window_open"),
    ],
)
def test_a_score_that_would_speak_for_too_little_is_null(rows, score, reason):
    found = outcome(*rows)
    assert found["effectiveness_score"] == score
    assert (found["effectiveness_low"] is None) == (score is None)
    assert reason is None or reason in found["reason_codes"]


def test_one_source_speaks_for_a_metric_and_the_first_that_could_be_judged():
    rows = [
        reading("latency_ms", W, -1.0, source="another"),
        reading("latency_ms", N, 0.0, source="service_mesh"),
        reading("latency_ms", E, 1.0, source="domain_health"),
        reading("latency_ms", X, source="rag_kpis"),
    ]
    found = outcome(*rows)
    assert (found["verdict"], found["effectiveness_score"]) == (E, 1.0)
    assert outcome(*rows[:2])["verdict"] == N


def test_metrics_delta_is_of_the_first_source_with_both_readings():
    found = outcome(
        reading("latency_ms", E, 1.0, source="domain_health", percent_change=-46.0),
        reading("latency_ms", X, source="rag_kpis", post=None, percent_change=None),
        reading("latency_ms", E, 1.0, source="another", percent_change=-1.0),
        reading("mood", A, source="zeta", percent_change=3.0),
        reading("mood", A, source="alpha", percent_change=7.0),
        reading("error_rate", E, pre=0.0, percent_change=None),
        reading("operational", X, pre=None, percent_change=None),
    )
    delta = [("error_rate", None), ("latency_ms", -46.0), ("mood", 7.0)]
    assert found["metrics_delta"] == delta


def test_data_sources_are_those_with_samples_in_a_window():
    found = outcome(
        reading("latency_ms", E, source="zeta"),
        reading("latency_ms", X, source="service_mesh", n_pre=0),
        reading("error_rate", X, source="rag_kpis", n_pre=0, n_post=0),
        reading("mood", A, source="domain_health"),
    )
    assert found["data_sources"] == ["domain_health", "service_mesh", "zeta"]


@pytest.mark.parametrize(
    ("rows", "minutes", "verdict", "due"),
    [
        ((), 64, Q, 65),
        ((), 65, X, None),
        ((reading("mood", A),), 64, Q, 65),
        ((reading("mood", A),), 65, A, None),
        ((reading("latency_ms", Q),), 20, Q, 35),
        ((reading("latency_ms", Q), reading("operational", Q)), 20, Q, 65),
        ((reading("latency_ms", E, 1.0),), 40, E, None),
    ],
)
def test_a_verdict_waits_for_the_last_window_and_says_until_when(rows, minutes, verdict, due):
    end = START + timedelta(minutes=5)
    found = outcome(*rows, now=end + timedelta(minutes=minutes))
    assert found["verdict"] == verdict
    assert found["rejudge_at"] == (end + timedelta(minutes=due) if due else None)
    assert found["effectiveness_score"] is None or verdict == E


@pytest.mark.parametrize(
    ("minute", "domain", "attribution"),
    [
        (20, "shop", "confounded"),
        (39, "shop", "confounded"),
        (40, "shop", "coincident"),
        (-4, "shop", "confounded"),
        (-5, "shop", "coincident"),
        (20, "pay", "coincident"),
    ],
)
def test_another_mission_of_the_domain_in_the_window_confounds(minute, domain, attribution):
    other = {"mission_id": "o", "domain_id": domain}
    other["started_at"] = START + timedelta(minutes=minute)
    found = outcome(reading("latency_ms", E, 1.0), neighbours=missions(other))
    assert found["attribution"] == attribution
    assert ("overlapping_mission" in found["reason_codes"]) == (attribution == "confounded")


def test_only_a_recovery_can_be_coincident():
    assert outcome(reading("latency_ms", P, 0.5))["attribution"] == "coincident"
    for verdict in (N, W, I, C, X, Q):
        assert outcome(reading("latency_ms", verdict))["attribution"] == "unknown"


def test_summaries_keep_the_order_of_the_missions_and_ignore_strange_telemetry():
    table = missions({"mission_id": "b"}, {"mission_id": "none"}, {"mission_id": "m"})
    rows = telemetry(
        reading("latency_ms", E, 1.0),
        reading("latency_ms", W, -1.0, mission_id="b"),
        reading("latency_ms", N, 0.0, mission_id="stranger"),
    )
    found = summarise(table, rows, None, LATER, CATALOGUE)
    assert found["mission_id"].to_pylist() == ["b", "none", "m"]
    assert found["verdict"].to_pylist() == [W, X, E]


def test_outcome_rows_hold_the_event_the_durations_and_the_narrative():
    table = missions(
        {"mission_id": "m", "detected_at": START - timedelta(minutes=2), "title": "Slow"},
        {"mission_id": "n", "success": False, "trigger": LATENCY, "actions": ["restarted"]},
    )
    summary = summarise(table, telemetry(reading("latency_ms", E, 1.0)), None, LATER, CATALOGUE)
    found = outcome_rows(table, summary, ["I fixed it.", "I tried."], LATER)
    assert found.schema == TABLES["mission_outcomes"].with_date()
    first, second = found.to_pylist()
    assert (first["date"], first["title"]) == ("2026-03-15", "Slow")
    assert (first["duration_seconds"], first["time_to_restore_seconds"]) == (300, 420)
    assert (second["duration_seconds"], second["time_to_restore_seconds"]) == (300, None)
    assert first["knowledge_id"] == "mission:r-m"
    assert (first["narrative"], second["narrative"]) == ("I fixed it.", "I tried.")
    assert (first["judged_at"], first["method_version"]) == (LATER, METHOD_VERSION)
    assert (second["trigger"]["metric"], second["actions"]) == ("latency_ms", ["restarted"])


def test_a_day_is_judged_again_when_its_first_window_closes():
    late = {"mission_id": "late", "started_at": START + timedelta(minutes=10)}
    other = {"mission_id": "next", "date": "2026-03-16", "started_at": START + timedelta(days=1)}
    done = {"mission_id": "done", "started_at": START - timedelta(days=2), "date": "2026-03-13"}
    table = missions(late, {"mission_id": "m"}, other, done)
    summary = summarise(table, telemetry(), None, START, CATALOGUE)
    assert rejudge_times(table, summary) == {
        "2026-03-15": datetime(2026, 3, 15, 13, 10, tzinfo=UTC),
        "2026-03-16": datetime(2026, 3, 16, 13, 10, tzinfo=UTC),
    }


def test_no_missions_make_no_rows():
    none = missions()
    summary = summarise(none, telemetry(reading("latency_ms", E)), None, LATER, CATALOGUE)
    assert outcome_rows(none, summary, [], LATER).num_rows == 0
    assert rejudge_times(none, summary) == {}
