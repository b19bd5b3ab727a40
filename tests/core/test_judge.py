import time
from datetime import UTC, datetime, timedelta
from math import exp, log
from statistics import median
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from grace_assets.core.judge import judge
from grace_assets.core.schemas import TABLES
from tests.core.worlds import (
    LATER,
    MINUTES,
    STAMP,
    START,
    alarm,
    ar1,
    catalogue,
    judged,
    missions,
    samples,
    shares,
    simulate,
)

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
LOWER = "latency_ms: {direction: lower, unit: ms}"
MIRRORED = "latency_ms: {direction: higher, unit: ms}"


def days(before: float, after: float, healthy: float | None = 280, metric: str = "latency_ms"):
    """One domain's series: `healthy` for 14 days, then `before` until the end of the mission."""
    first = START - (15 * DAY if healthy is not None else timedelta(hours=1))
    quiet = [healthy] * (14 * 1440 + 23 * 60) if healthy is not None else []
    return ("rag_kpis", "shop", metric, first, [*quiet, *[before] * 65, *[after] * 115])


def row(*series, rules: str = LOWER, now=LATER, neighbours=None, **mission) -> dict:
    table = judge(missions(mission), samples(*series), catalogue(rules), now, neighbours)
    assert table.schema == TABLES["mission_telemetry"].with_date()
    assert table.num_rows == 1
    return table.to_pylist()[0]


@pytest.mark.parametrize(
    ("before", "after", "delta", "percent", "restored", "verdict"),
    [
        (520, 280, -240, -46.153846, 1.0, "effective"),
        (520, 400, -120, -23.076923, 0.5, "partial"),
        (520, 520, 0, 0.0, 0.0, "no_effect"),
        (520, 640, 120, 23.076923, -0.5, "worse"),
        (280, 280, 0, 0.0, None, "no_sustained_problem"),
        (280, 500, 220, 78.571429, None, "worse"),
    ],
)
def test_the_arithmetic_of_lower_is_better(before, after, delta, percent, restored, verdict):
    found = row(days(before, after))
    assert (found["pre"], found["post"], found["delta"]) == (before, after, delta)
    assert found["percent_change"] == pytest.approx(percent)
    assert found["improvement_percent"] == pytest.approx(-percent)
    assert found["improved"] is (after < before)
    assert found["healthy"] == pytest.approx(280)
    assert found["healthy_kind"] == "reference"
    assert found["verdict"] == verdict
    assert (found["n_pre"], found["n_post"], found["n_reference"]) == (30, 30, 14)
    for name in ("restoration", "restoration_low", "restoration_high"):
        assert found[name] == (restored if restored is None else pytest.approx(restored))


@pytest.mark.parametrize(
    ("before", "after", "percent", "restored", "verdict"),
    [
        (60, 100, 66.666667, 1.0, "effective"),
        (60, 80, 33.333333, 0.5, "partial"),
        (60, 60, 0, 0.0, "no_effect"),
        (60, 40, -33.333333, -0.5, "worse"),
        (100, 100, 0, None, "no_sustained_problem"),
    ],
)
def test_the_arithmetic_of_higher_is_better(before, after, percent, restored, verdict):
    found = row(days(before, after, 100), rules=MIRRORED)
    assert found["percent_change"] == pytest.approx(percent)
    assert found["improvement_percent"] == pytest.approx(percent)
    assert found["improved"] is (after > before)
    assert found["restoration"] == (restored if restored is None else pytest.approx(restored))
    assert found["verdict"] == verdict


@pytest.mark.parametrize(
    ("before", "after", "healthy", "improvement", "improved", "verdict"),
    [
        (90, 60, 75, 33.333333, True, "effective"),
        (90, 82.5, 75, 8.333333, True, "partial"),
        (2, 50, 5, 2400, True, "effective"),
        (90, 98, 75, -8.888889, False, "worse"),
        (30, 60, 30, 0, False, "no_sustained_problem"),
    ],
)
def test_a_band_is_judged_by_the_distance_from_it(
    before, after, healthy, improvement, improved, verdict
):
    rules = "latency_ms: {direction: band, low: 5, high: 75, min_effect_abs: 1}"
    found = row(days(before, after, 40), rules=rules)
    assert found["healthy"] == healthy
    assert found["improvement_percent"] == pytest.approx(improvement)
    assert found["improved"] is improved
    assert found["verdict"] == verdict


def test_the_windows_before_and_after_are_half_open():
    end = START + 5 * MINUTE
    edges = {
        START - 30 * MINUTE - timedelta(microseconds=1): 1e6,
        START - 30 * MINUTE: 10,
        START - timedelta(microseconds=1): 30,
        START: 1e6,
        end + 5 * MINUTE - timedelta(microseconds=1): 1e6,
        end + 5 * MINUTE: 1,
        end + 35 * MINUTE - timedelta(microseconds=1): 3,
        end + 35 * MINUTE: 1e6,
    }
    found = row(*(("a", "shop", "latency_ms", at, [value]) for at, value in edges.items()))
    assert (found["pre"], found["post"]) == (20, 2)
    assert (found["n_pre"], found["n_post"]) == (2, 2)


def test_settle_and_window_come_from_the_rule_of_the_metric():
    rules = "latency_ms: {direction: lower, settle_seconds: 0, window_seconds: 60}"
    found = row(days(520, 400), rules=rules)
    assert (found["n_pre"], found["n_post"]) == (1, 1)


def test_a_reading_of_zero_before_has_no_percentage():
    found = row(days(0, 12, 0))
    assert (found["pre"], found["delta"]) == (0, 12)
    assert found["percent_change"] is None
    assert found["improvement_percent"] is None
    assert found["improved"] is False
    assert "zero_before" in found["reason_codes"]
    assert found["verdict"] == "worse"


def test_zero_before_and_after_is_no_problem_where_there_is_data():
    assert row(days(0, 0, 0))["verdict"] == "no_sustained_problem"


@pytest.mark.parametrize(
    ("series", "reason", "filled"),
    [
        (("s", "shop", "latency_ms", START - 30 * MINUTE, [5] * 30), "no_samples_after", "pre"),
        (("s", "shop", "latency_ms", START + 10 * MINUTE, [5] * 30), "no_samples_before", "post"),
    ],
)
def test_a_metric_seen_on_one_side_only_is_insufficient_but_shown(series, reason, filled):
    found = row(series)
    assert found["verdict"] == "insufficient_data"
    assert reason in found["reason_codes"]
    assert found[filled] == 5
    assert found["delta"] is None
    assert found["improved"] is None


def test_too_few_samples_are_measured_and_not_judged():
    found = row(("s", "shop", "latency_ms", START - 5 * MINUTE, [10.0] * 5 + [5.0] * 15))
    assert found["verdict"] == "insufficient_data"
    assert {"few_samples_before", "few_samples_after"} <= set(found["reason_codes"])
    assert (found["pre"], found["post"], found["percent_change"]) == (10, 5, -50)
    assert found["restoration"] is None


def test_half_of_the_usual_samples_are_too_few_to_cover_a_window():
    first, healthy = START - 15 * DAY, [280.0] * (14 * 1440 + 23 * 60)
    found = row(
        ("s", "shop", "latency_ms", first, healthy),
        ("s", "shop", "latency_ms", START - 30 * MINUTE, [520.0] * 15),
        ("s", "shop", "latency_ms", START + 10 * MINUTE, [280.0] * 30),
    )
    assert found["verdict"] == "insufficient_data"
    assert found["reason_codes"] == ["low_coverage_before"]
    assert found["percent_change"] == pytest.approx(-46.153846)


def test_an_open_window_is_pending_until_the_instant_it_closes():
    closes = START + 40 * MINUTE
    early = row(days(520, 280), now=closes - timedelta(microseconds=1))
    assert early["verdict"] == "pending"
    assert early["reason_codes"] == ["window_open"]
    assert early["restoration"] is None
    assert row(days(520, 280), now=closes)["verdict"] == "effective"


def test_a_metric_without_a_rule_is_recorded_and_never_scored():
    found = row(days(520, 280, metric="mood"))
    assert found["verdict"] == "not_applicable"
    assert found["reason_codes"] == ["no_rule"]
    assert found["percent_change"] == pytest.approx(-46.153846)
    for name in ("unit", "direction", "improved", "improvement_percent", "healthy", "restoration"):
        assert found[name] is None


@pytest.mark.parametrize(
    ("rules", "trigger", "kind", "healthy", "restored", "verdict"),
    [
        ("latency_ms: {direction: lower, target: 280}", 400, "target", 280, 1.0, "effective"),
        (LOWER, 400, "threshold", 400, 1.0, "effective"),
        (LOWER, 100, "threshold", 100, 0.571429, "partial"),
        (LOWER, None, None, None, None, "insufficient_data"),
    ],
)
def test_without_history_the_target_then_the_threshold_is_healthy(
    rules, trigger, kind, healthy, restored, verdict
):
    act = {"metric": "latency_ms", "threshold": trigger}
    found = row(days(520, 280, None), rules=rules, trigger=act)
    assert found["healthy_kind"] == kind
    assert found["healthy"] == (healthy if healthy is None else pytest.approx(healthy))
    assert found["restoration"] == (restored if restored is None else pytest.approx(restored))
    assert found["verdict"] == verdict
    assert ("no_healthy_level" in found["reason_codes"]) is (kind is None)


def test_the_threshold_of_another_metric_says_nothing_about_this_one():
    found = row(days(520, 280, None), trigger={"metric": "error_rate", "threshold": 400})
    assert found["healthy_kind"] is None


def test_days_with_another_mission_do_not_serve_as_reference():
    busy = [
        {"mission_id": f"n{day}", "started_at": START - day * DAY - 38 * MINUTE}
        for day in range(1, 8)
    ]
    others = missions(*busy, {"mission_id": "far", "started_at": START - DAY * 9 + DAY / 2})
    elsewhere = missions({"mission_id": "x", "domain_id": "pay", "started_at": START - 10 * DAY})
    neighbours = pa.concat_tables([others, elsewhere])
    assert row(days(520, 280), neighbours=neighbours)["n_reference"] == 7
    few = pa.concat_tables(
        [neighbours, missions(*({**m, "started_at": m["started_at"] - 7 * DAY} for m in busy[:3]))]
    ).append_column("x", pa.array(range(12)))
    found = row(days(520, 280), neighbours=few)
    assert (found["n_reference"], found["verdict"]) == (0, "insufficient_data")


def test_a_problem_younger_than_half_of_the_window_is_seen():
    healthy = [280.0] * (15 * 1440 - 6)
    values = [*healthy, *[520.0] * 11, *[280.0] * 60]
    found = row(("a", "shop", "latency_ms", START - 15 * DAY, values))
    assert found["pre"] == 280
    assert found["verdict"] == "effective"
    assert "recent_problem" in found["reason_codes"]


def test_what_came_before_the_known_onset_is_not_part_of_the_problem():
    healthy = [280.0] * (15 * 1440 - 20)
    values = [*healthy, *[400.0] * 8, *[520.0] * 17, *[400.0] * 60]
    series = ("a", "shop", "latency_ms", START - 15 * DAY, values)
    onset = START - 12 * MINUTE
    told = row(series, onset_at=onset, detected_at=onset)
    assert told["pre"] == 400
    assert told["restoration"] == pytest.approx(0.5)
    assert told["verdict"] == "partial"


def test_the_record_of_an_incident_is_judged_by_the_incident():
    healthy = [280.0] * (15 * 1440)
    values = [*healthy, *[520.0] * 60, *[280.0] * 60]
    series = ("a", "shop", "latency_ms", START - 15 * DAY, values)
    incident = {"detected_at": START, "completed_at": START + 60 * MINUTE}
    repair = row(series, **incident)
    assert repair["verdict"] == "no_sustained_problem"
    told = row(series, onset_at=START, **incident)
    assert (told["pre"], told["post"], told["verdict"]) == (280, 280, "effective")
    assert told["problem_level"] == pytest.approx(520)
    assert repair["problem_level"] is None


def test_reference_days_have_the_same_clock_time_when_clocks_change():
    # Berlin's clocks went forward on 2026-03-29: 12:15 there was 11:15 the days before.
    start = datetime(2026, 4, 2, 10, 15, tzinfo=UTC)
    first = start - 15 * DAY
    rows = []
    for minute in range(16 * 1440):
        at = first + minute * MINUTE
        noon = at.astimezone(ZoneInfo("Europe/Berlin")).hour == 12
        rows.append(520.0 if noon else 280.0)
    rules = catalogue(LOWER.replace("unit: ms", "window_seconds: 600"))
    events = missions({"started_at": start})
    table = samples(("a", "shop", "latency_ms", first, rows))
    local = judge(events, table, rules, LATER + 30 * DAY, timezone="Europe/Berlin")
    assert local["healthy"].to_pylist() == [pytest.approx(520)]
    assert local["verdict"].to_pylist() == ["no_sustained_problem"]
    utc = judge(events, table, rules, LATER + 30 * DAY)
    assert utc["healthy"].to_pylist() == [pytest.approx(280)]


def test_silence_of_a_count_reads_as_zero_where_the_rule_says_so():
    rules = "latency_ms: {direction: lower, kind: count, missing: zero}"
    series = ("a", "shop", "latency_ms", START - 30 * MINUTE, [40.0] * 35)
    history = ("a", "shop", "latency_ms", START - 14 * DAY - 10 * MINUTE, [1.0])
    found = row(series, history, rules=rules)
    assert (found["pre"], found["post"]) == (40, 0)
    assert (found["n_pre"], found["n_post"]) == (30, 0)
    assert found["healthy"] == 0
    assert found["verdict"] == "effective"
    assert "silence_read_as_zero" in found["reason_codes"]
    silent = row(series, history, rules=rules.replace(", missing: zero", ""))
    assert (silent["post"], silent["verdict"]) == (None, "insufficient_data")


def test_a_counter_is_judged_by_its_rate_and_survives_resets():
    rate = np.array(days(2.0, 6.0, 6.0)[4])
    count = np.cumsum(rate * 60)
    count[-20:] -= count[-20] - 5
    rules = "latency_ms: {direction: higher, kind: counter, unit: hits}"
    found = row(("rag_kpis", "shop", "latency_ms", START - 15 * DAY, count), rules=rules)
    assert (found["pre"], found["post"], found["unit"]) == (2, 6, "hits/s")
    assert found["verdict"] == "effective"


def test_an_implausible_change_is_labelled_and_still_shown():
    rules = "latency_ms: {direction: lower, max_plausible: 0.4}"
    found = row(days(520, 280), rules=rules)
    assert "suspicious_change" in found["reason_codes"]
    assert found["verdict"] == "effective"
    assert "suspicious_change" not in row(days(520, 400), rules=rules)["reason_codes"]


def test_an_effect_below_the_smallest_that_counts_is_none():
    assert row(days(285, 280))["verdict"] == "no_sustained_problem"
    rules = "latency_ms: {direction: lower, min_effect_abs: 300}"
    assert row(days(520, 280), rules=rules)["verdict"] == "no_sustained_problem"


def test_a_series_far_from_the_mission_makes_no_row_and_one_in_its_history_does():
    far = ("a", "shop", "latency_ms", START - 20 * DAY, [1.0])
    near = ("a", "shop", "latency_ms", START - 14 * DAY - 20 * MINUTE, [1.0])
    elsewhere = ("a", "pay", "latency_ms", START, [1.0])
    mission, rules = missions({}), catalogue(LOWER)
    assert judge(mission, samples(far, elsewhere), rules, LATER).num_rows == 0
    found = judge(mission, samples(near, elsewhere), rules, LATER).to_pylist()
    assert [(r["verdict"], r["pre"], r["n_pre"]) for r in found] == [("insufficient_data", None, 0)]


def test_nothing_to_judge_is_an_empty_table():
    some, rules = samples(days(520, 280)), catalogue(LOWER)
    for mission, table in ((missions(), some), (missions({}), some.slice(0, 0))):
        found = judge(mission, table, rules, LATER)
        assert found.num_rows == 0
        assert found.schema == TABLES["mission_telemetry"].with_date()


def test_values_at_the_edge_of_what_a_float_holds_leave_no_infinity():
    found = row(days(1e-308, 1.7e308, 1e-300))
    numbers = [v for v in found.values() if isinstance(v, float)]
    assert np.isfinite(numbers).all()
    assert found["percent_change"] is None


# -- what the verdicts are worth: simulated missions whose truth is known --------------------------


def recovered(table: pa.Table) -> float:
    found = shares(table)
    return found.get("effective", 0) + found.get("partial", 0)


@pytest.mark.parametrize("phi", [0.0, 0.8, 0.95])
def test_a_useless_mission_on_a_persistent_fault_is_hardly_ever_credited(phi):
    found = shares(judged(simulate(300, phi, before=1.8, after=1.8, seed=11)))
    assert found.get("effective", 0) <= 0.005
    assert found.get("partial", 0) <= 0.02


@pytest.mark.parametrize("phi", [0.8, 0.95])
def test_a_noise_alarm_is_not_a_sustained_problem(phi):
    table = judged(simulate(300, phi, tripped=True, seed=12))
    assert shares(table)["no_sustained_problem"] >= 0.95
    assert recovered(table) <= 0.01


@pytest.mark.parametrize(("phi", "least"), [(0.0, 0.99), (0.8, 0.97), (0.95, 0.9)])
def test_a_full_fix_is_seen(phi, least):
    assert recovered(judged(simulate(300, phi, before=1.8, seed=13))) >= least


def test_a_fix_of_a_young_fault_is_seen_in_half_of_the_cases():
    assert recovered(judged(simulate(300, 0.8, before=1.8, onset=-8, seed=14))) >= 0.5


@pytest.mark.parametrize(("phi", "least"), [(0.0, 0.95), (0.8, 0.65), (0.95, 0.6)])
def test_harm_is_flagged_and_never_called_effective(phi, least):
    found = shares(judged(simulate(300, phi, before=1.8, after=2.25, seed=15)))
    assert found["worse"] >= least
    assert found.get("effective", 0) == 0


@pytest.mark.parametrize(("phi", "least"), [(0.0, 0.95), (0.8, 0.27), (0.95, 0.2)])
def test_a_partial_fix_is_recognised_as_often_as_its_noise_allows(phi, least):
    assert recovered(judged(simulate(400, phi, before=1.8, after=1.48, seed=21))) >= least


def test_a_seasonal_drop_is_nobodys_success():
    def evening(minute):
        return np.where(minute < 0, 1.3, 0.8)

    assert recovered(judged(simulate(300, 0.8, season=evening, seed=16))) <= 0.01


def test_the_season_takes_no_credit_from_a_useless_mission_on_a_fault():
    def evening(minute):
        return np.where(minute < 3, 1.3, 0.8)

    values = simulate(300, 0.8, before=1.8, after=1.8, season=evening, seed=22)
    assert recovered(judged(values)) <= 0.03


def test_slow_wander_under_fast_noise_is_not_credited_to_a_useless_mission():
    rng = np.random.default_rng(19)
    shape = (600, 15, len(MINUTES))
    values = 280 * np.exp(0.1 * ar1(shape, 0.99, rng) + 0.1 * rng.standard_normal(shape))
    values[:, -1] *= 1.8
    assert recovered(judged(values)) <= 0.025


def test_without_history_a_fix_is_judged_by_the_target_and_a_useless_mission_is_not_credited():
    rules = "latency_ms: {direction: lower, target: 280}"
    fixed = simulate(300, 0.8, before=1.8, seed=17)[:, -1:]
    useless = simulate(300, 0.8, before=1.8, after=1.8, seed=18)[:, -1:]
    assert recovered(judged(fixed, rules)) >= 0.85
    assert recovered(judged(useless, rules)) <= 0.03


def mixed(seed: int) -> np.ndarray:
    """Missions of every truth."""
    cases = [(1.8, 1.0), (1.8, 1.48), (1.8, 1.8), (1.8, 2.25), (1.0, 1.0), (1.0, 1.5)]
    return np.concatenate(
        [simulate(25, 0.8, before=b, after=a, seed=seed + i) for i, (b, a) in enumerate(cases)]
    )


def test_units_and_direction_do_not_matter():
    values = mixed(30)
    verdicts = judged(values)["verdict"]
    assert len(set(verdicts.to_pylist())) >= 5
    assert judged(values / 1024)["verdict"] == verdicts
    assert judged(1 / values, MIRRORED)["verdict"] == verdicts


def test_differences_of_bounded_metrics_mirror_exactly():
    ratio = "latency_ms: {direction: lower, kind: ratio}"
    values = mixed(40)
    verdicts = judged(values, ratio)["verdict"]
    assert len(set(verdicts.to_pylist())) >= 4
    assert judged(-values, ratio.replace("lower", "higher"))["verdict"] == verdicts


def test_one_outlier_does_not_flip_a_verdict():
    values = simulate(100, 0.8, before=1.8, seed=50)
    spoiled = values.copy()
    spoiled[:, -1, 45] *= 1000
    spoiled[:, -1, 95] *= 1000
    same = np.array(judged(values)["verdict"]) == np.array(judged(spoiled)["verdict"])
    assert same.mean() >= 0.97


def test_the_alarms_of_the_simulation_are_alarms():
    noise = alarm(20, 0.8, np.random.default_rng(1))
    assert (noise[:, 65:68] > 1.96).all()


# -- many missions --------------------------------------------------------------------------------

METRICS = ("cpu", "errors", "latency_ms", "ratio", "unknown")
RULES = """
cpu: {direction: band, low: 1.2, high: 1.7}
errors: {direction: lower, kind: count, min_effect_abs: 0.1}
latency_ms: {direction: lower}
ratio: {direction: higher, kind: ratio, window_seconds: 1200, settle_seconds: 60, target: 2}
"""


def crowd(count: int, domains: int, days_: int) -> tuple[pa.Table, pa.Table]:
    """Missions at random times over all but the first 15 days, and five series a domain."""
    rng = np.random.default_rng(5)
    size, series = days_ * 1440, domains * len(METRICS)
    first = int((START - days_ * DAY).timestamp()) * 1_000_000
    names = [f"d{i:03}" for i in range(domains)]
    stamps = np.tile(first + np.arange(size) * 60_000_000, series)
    table = pa.table(
        {
            "source": pa.repeat("rag_kpis", series * size),
            "domain_id": pa.DictionaryArray.from_arrays(
                np.repeat(np.arange(domains, dtype=np.int32), len(METRICS) * size), names
            ),
            "metric": pa.DictionaryArray.from_arrays(
                np.tile(np.repeat(np.arange(len(METRICS), dtype=np.int32), size), domains), METRICS
            ),
            "timestamp": pa.array(stamps).cast(STAMP),
            "value": rng.random(series * size) + 1,
        }
    )
    begin = first + rng.integers(15 * 86_400, (days_ * 1440 - 120) * 60, count) * 1_000_000
    schema = missions().schema
    one = missions({})
    same = {name: one[name].take(pa.array(np.zeros(count, int))) for name in schema.names}
    own = {
        "mission_id": pa.array([f"m{i}" for i in range(count)]),
        "domain_id": pa.array(names).take(pa.array(rng.integers(0, domains, count))),
        "started_at": pa.array(begin).cast(STAMP),
        "completed_at": pa.array(begin + rng.integers(0, 900, count) * 1_000_000).cast(STAMP),
    }
    return pa.table({**same, **own}, schema=schema), table


def slowly(mission: dict, series: dict[str, list[tuple]], busy: list[dict], rules) -> dict:
    """What the judge should find of one mission, with loops and the standard library."""
    found = {}
    for metric, points in series.items():
        rule = rules.rule(metric) or rules.rule("latency_ms")
        window, settle = (timedelta(seconds=s) for s in (rule.window_seconds, rule.settle_seconds))
        pre, post = mission["started_at"] - window, mission["completed_at"] + settle

        def between(low, points=points, window=window):
            return [value for at, value in points if low <= at < low + window]

        before, after, healthy = between(pre), between(post), []
        for day in range(1, 15):
            low, high = pre - settle - day * DAY, post + 2 * window - day * DAY
            if not any(b["started_at"] < high and b["completed_at"] > low for b in busy):
                healthy.append(between(post - day * DAY))
        centre = median if rule.kind != "count" else lambda values: sum(values) / len(values)
        level = median([centre(v) for v in healthy]) if len(healthy) >= 5 else None
        if metric == "latency_ms" and level is not None:  # compared as ratios
            level = exp(median([median([log(x) for x in v]) for v in healthy]))
        if metric == "cpu":
            level = min(max(median(before), rule.low), rule.high)
        elif metric == "ratio" and level is None:
            level = 2
        found[metric] = {
            "pre": median(before),
            "post": median(after),
            "n_pre": len(before),
            "n_post": len(after),
            "n_reference": len(healthy) if len(healthy) >= 5 else 0,
            "healthy": None if metric == "unknown" else level,
        }
    return found


def test_many_missions_are_judged_in_seconds_as_one_by_one():
    rules = catalogue(RULES)
    table, points = crowd(5_000, 10, 20)
    begun = time.perf_counter()
    found = judge(table, points, rules, LATER)
    assert time.perf_counter() - begun < 15
    assert found.num_rows == 25_000
    chosen = pa.array(np.random.default_rng(6).integers(0, 5_000, 4))
    everyone = table.select(["domain_id", "started_at", "completed_at"]).to_pylist()
    for mission in table.take(chosen).to_pylist():
        domain = mission["domain_id"]
        own = points.filter(pa.compute.equal(points["domain_id"], domain))
        rows = found.filter(pa.compute.equal(found["mission_id"], mission["mission_id"]))
        near = timedelta(days=16)
        series = {m: [] for m in METRICS}
        for name, at, value in zip(
            *(own[c].to_pylist() for c in ("metric", "timestamp", "value")), strict=True
        ):
            if abs(at - mission["started_at"]) < near:
                series[name].append((at, value))
        busy = [b for b in everyone if b["domain_id"] == domain]
        expected = slowly(mission, series, busy, rules)
        assert rows["metric"].to_pylist() == list(METRICS)
        for seen in rows.to_pylist():
            for name, value in expected[seen["metric"]].items():
                assert seen[name] == pytest.approx(value), (seen["metric"], name)


def test_a_mission_is_judged_the_same_alone_in_any_order_and_among_many():
    rules = catalogue(RULES)
    table, points = crowd(300, 8, 20)
    neighbours = table.select(["mission_id", "domain_id", "started_at", "completed_at"])
    together = judge(table, points, rules, LATER, neighbours)
    assert together["n_reference"].to_numpy().max() > 0
    alone = [
        judge(table.slice(at, 60), points, rules, LATER, neighbours) for at in range(0, 300, 60)
    ]
    assert pa.concat_tables(alone).equals(together)
    shuffled = points.take(pa.array(np.random.default_rng(1).permutation(points.num_rows)))
    assert judge(table, shuffled, rules, LATER, neighbours).equals(together)


def test_rows_that_are_wanted_are_those_that_are_judged_among_all():
    rules = catalogue(RULES)
    table, points = crowd(100, 4, 20)
    together = judge(table, points, rules, LATER)
    some = np.sort(np.random.default_rng(2).permutation(together.num_rows)[:70])
    expected = together.take(pa.array(some))
    wanted = expected.select(["mission_id", "source", "metric"])
    one = wanted.slice(0, 1).to_pylist()[0]
    unknown = pa.Table.from_pylist([one | {name: "nobody's"} for name in one], wanted.schema)
    wanted = pa.concat_tables([wanted, unknown])
    assert judge(table, points, rules, LATER, wanted=wanted).equals(expected)
    assert judge(table, points, rules, LATER, wanted=unknown).num_rows == 0
