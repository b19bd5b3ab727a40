from datetime import timedelta

import pytest

from grace_assets.core.catalogue import SHIPPED, CatalogueError, MetricRule, parse_catalogue


def parse(text: str):
    return parse_catalogue(text, "mine.yaml")


def test_a_rule_with_only_a_direction_has_the_documented_defaults():
    assert parse("load: {direction: lower}").rule("load") == MetricRule(
        direction="lower",
        kind="gauge",
        unit=None,
        weight=1,
        critical=False,
        min_effect_rel=0.05,
        min_effect_abs=0,
        settle_seconds=300,
        window_seconds=1800,
        min_samples=10,
        min_coverage=0.8,
        missing="unknown",
        low=None,
        high=None,
        target=None,
        max_plausible=None,
    )


def test_the_first_matching_pattern_wins_and_no_match_is_no_rule():
    text = "db_latency_ms: {direction: band, low: 1, high: 2}\n'*_latency_ms': {direction: lower}"
    rules = parse(text)
    assert rules.rule("db_latency_ms").direction == "band"
    assert rules.rule("api_latency_ms").direction == "lower"
    assert rules.rule("API_LATENCY_MS") is None
    flipped = "'*': {direction: higher}\nload: {direction: lower}"
    assert parse(flipped).rule("load").direction == "higher"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "mine.yaml: top-level"),
        ("a: {direction: lower", "mine.yaml: "),
        ("a: {direction: lower}\na: {direction: higher}", "'a' is there twice"),
        ("1: {direction: lower}", "mine.yaml: 1: a metric name"),
        ("a: lower", "mine.yaml: a: must be a mapping"),
        ("a: {}", "mine.yaml: a: direction: required"),
        ("a: {direction: down}", "mine.yaml: a: direction: 'down' is not one of"),
        ("a: {direction: lower, kind: meter}", "mine.yaml: a: kind: "),
        ("a: {direction: lower, units: ms}", "mine.yaml: a: units: unknown field"),
        ("a: {direction: lower, unit: 3}", "mine.yaml: a: unit: "),
        ("a: {direction: lower, promql: 3}", "mine.yaml: a: promql: "),
        ("'*_ms': {direction: lower, promql: up}", "needs a metric name, not a pattern"),
        ("a: {direction: lower, promql_step_seconds: 0}", "promql_step_seconds: must be between"),
        ("a: {direction: lower, critical: 1}", "mine.yaml: a: critical: "),
        ("a: {direction: lower, weight: heavy}", "mine.yaml: a: weight: 'heavy' is not a finite"),
        ("a: {direction: lower, weight: true}", "mine.yaml: a: weight: "),
        ("a: {direction: lower, target: .nan}", "mine.yaml: a: target: "),
        ("a: {direction: lower, weight: -1}", "mine.yaml: a: weight: "),
        ("a: {direction: lower, window_seconds: 0}", "mine.yaml: a: window_seconds: "),
        ("a: {direction: lower, settle_seconds: 90000}", "mine.yaml: a: settle_seconds: "),
        ("a: {direction: lower, min_samples: 2.5}", "mine.yaml: a: min_samples: "),
        ("a: {direction: lower, min_coverage: 1.1}", "mine.yaml: a: min_coverage: "),
        ("a: {direction: band, low: 3}", "mine.yaml: a: low: a band needs"),
        ("a: {direction: band, low: 3, high: 3}", "mine.yaml: a: low: a band needs"),
        ("a: {direction: band, low: 1, high: 3, target: 2}", "mine.yaml: a: target: "),
        ("a: {direction: lower, low: 3}", "mine.yaml: a: low: "),
        ("a: {direction: lower, missing: zero}", "mine.yaml: a: missing: "),
    ],
)
def test_a_mistake_names_the_file_the_metric_and_the_field(text, said):
    with pytest.raises(CatalogueError) as error:
        parse(text)
    assert said in str(error.value)


def test_the_longest_settle_and_window_counts_the_defaults_too():
    assert parse("{}").settle_and_window_max == timedelta(seconds=2100)
    long = parse("a: {direction: lower, settle_seconds: 600, window_seconds: 3600}")
    assert long.settle_and_window_max == timedelta(seconds=4200)


@pytest.mark.parametrize(
    ("metric", "direction", "kind", "unit"),
    [
        ("latency_ms", "lower", "gauge", "ms"),
        ("checkout_latency_p99_ms", "lower", "gauge", "ms"),
        ("error_rate", "lower", "ratio", "%"),
        ("http_errors", "lower", "count", "errors"),
        ("throughput_rps", "higher", "gauge", "req/s"),
        ("queue_depth", "lower", "gauge", "messages"),
        ("cpu_percent", "band", "gauge", "%"),
        ("cache_hit_rate", "higher", "ratio", None),
        ("replica_lag_seconds", "lower", "gauge", "s"),
    ],
)
def test_the_shipped_catalogue_knows_the_usual_metrics(metric, direction, kind, unit):
    rule = parse_catalogue(SHIPPED.read_text(encoding="utf-8"), SHIPPED.name).rule(metric)
    assert (rule.direction, rule.kind, rule.unit) == (direction, kind, unit)


def test_the_shipped_catalogue_does_not_guess_at_a_strange_metric():
    shipped = parse_catalogue(SHIPPED.read_text(encoding="utf-8"), SHIPPED.name)
    assert shipped.rule("mood") is None
