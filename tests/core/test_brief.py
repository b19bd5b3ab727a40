"""What a brief contains: order, headline, figures with n, and what did not work."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from grace_assets.core.brief import Brief, brief_rows, content_hash, headline
from grace_assets.core.brief_figures import totals, wilson_percent
from grace_assets.core.schemas import TABLES, VERDICTS
from tests.rows import brief, eventful_day, failed, follow_up, outcome, problem, reading, unscored


def figure(day, label: str) -> str:
    return next(figure.text for figure in day.figures if figure.label == label)


def totals_of(**verdicts: int):
    """`failed` missions have no data; the others succeeded with the verdict of their name."""
    rows = []
    for name, count in verdicts.items():
        success, verdict = name != "failed", "insufficient_data" if name == "failed" else name
        row = {"success": success, "verdict": verdict, "effectiveness_score": None}
        rows += [row | {"time_to_restore_seconds": None}] * count
    return totals(rows)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ({}, "No missions were completed."),
        ({"effective": 1}, "The one mission succeeded and was effective."),
        ({"effective": 5}, "All 5 missions succeeded and were effective."),
        ({"failed": 1}, "1 mission: 1 failed; 0 effective."),
        ({"failed": 2, "effective": 40}, "42 missions: 2 failed; 40 effective."),
        ({"worse": 1, "effective": 1}, "2 missions: 1 got worse; 1 effective."),
        ({"no_effect": 3}, "3 missions: 3 had no effect; 0 effective."),
        (
            {"failed": 1, "worse": 2, "no_effect": 3, "effective": 4},
            "10 missions: 1 failed, 2 got worse and 3 had no effect; 4 effective.",
        ),
        (
            {"pending": 2, "insufficient_data": 1},
            "3 missions succeeded; whether they worked is not known yet.",
        ),
        (
            {"effective": 2, "partial": 1, "inconclusive": 1},
            "4 missions succeeded: 2 effective, 1 partly effective and 1 without a clear effect.",
        ),
    ],
)
def test_the_headline_follows_from_the_state_of_the_day(verdicts, expected):
    assert headline(totals_of(**verdicts), complete=True) == expected


def test_a_day_that_still_runs_says_so_in_its_headline():
    assert headline(totals_of(), complete=False) == "No missions were completed so far today."
    assert headline(totals_of(failed=1), complete=False).startswith("1 mission so far today: ")
    assert "so far today" in headline(totals_of(effective=3), complete=False)


@pytest.mark.parametrize("verdict", [v for v in VERDICTS if v != "effective"])
def test_no_headline_calls_a_day_all_good_unless_every_mission_was_effective(verdict):
    assert "All" not in headline(totals_of(effective=9, **{verdict: 1}), complete=True)


def test_domains_where_something_failed_come_first_then_severity_then_size():
    day = brief(
        [
            outcome("m1", domain_id="calm", severity="critical"),
            outcome("m2", domain_id="busy", severity="low"),
            outcome("m3", domain_id="busy", severity="low"),
            outcome("m4", domain_id="also-low", severity="low"),
            outcome("m5", domain_id="worse", severity="medium", verdict="worse"),
            failed("m6", domain_id="broken", severity="high"),
        ]
    )
    names = [section.domain_id for section in day.domains]
    assert names == ["broken", "worse", "calm", "busy", "also-low"]


def test_the_best_examples_have_the_highest_lower_bound_and_are_at_most_two():
    day = brief(
        [
            outcome("wide", effectiveness_score=0.99, effectiveness_low=0.2),
            outcome("sure", effectiveness_score=0.9, effectiveness_low=0.85),
            outcome("surer", effectiveness_score=0.9, effectiveness_low=0.88),
            outcome("none", effectiveness_low=None),
            failed("failed", verdict="effective"),
        ]
    )
    assert [e.mission_id for e in day.domains[0].examples] == ["surer", "sure"]


def test_what_did_not_work_is_told_worst_first_and_the_rest_is_counted():
    day = brief(
        [
            outcome("none", verdict="no_effect"),
            failed("low", severity="low"),
            failed("high", severity="critical"),
            outcome("worse", verdict="worse"),
        ]
    )
    (section,) = day.domains
    assert [e.mission_id for e in section.setbacks] == ["worse", "high"]
    assert [f.text for f in section.left_out] == [
        "2 more missions failed, got worse or had no effect"
    ]
    assert figure(day, "Did not work") == "2 failed, 1 got worse, 1 had no effect"


def test_figures_carry_counts_intervals_n_and_the_rows_they_come_from():
    day = eventful_day()
    assert figure(day, "Missions") == "5 in 3 domains"
    assert figure(day, "Succeeded") == "4 of 5 (likely rate 38–96 %)"
    assert figure(day, "Effective") == "1 of 5, 1 more partly"
    assert figure(day, "Not known") == "1 too early to tell, 1 too few readings"
    assert figure(day, "Time to restore") == "29 min 8 s mean, 12 min median (n = 4)"
    assert all(figure.source for figure in day.all_figures())
    payments = next(s for s in day.domains if s.domain_id == "payments")
    assert payments.figures[0].source == "mission_outcomes/date=2025-01-03?domain_id=payments"


def test_the_time_to_restore_is_unknown_and_not_zero_where_nothing_succeeded():
    day = brief([failed("m1")])
    assert day.totals.mttr_seconds is None
    assert figure(day, "Time to restore") == "not known: no mission succeeded"


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_wilson_interval_holds_the_rate_and_stays_within_bounds(k_of_n):
    k, n = k_of_n
    low, high = wilson_percent(k, n)
    assert 0 <= low <= 100 * k / n + 1e-9
    assert 100 * k / n - 1e-9 <= high <= 100


@pytest.mark.parametrize(
    ("k", "n"), [(0, 1), (1, 1), (0, 3), (5, 5), (11, 12), (40, 42), (500, 1_000)]
)
def test_wilson_intervals_are_those_of_scipy(k, n):
    expected = binomtest(k, n).proportion_ci(confidence_level=0.95, method="wilson")
    low, high = wilson_percent(k, n)
    assert (low, high) == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-9)


def test_metrics_show_the_median_with_n_what_got_worse_first_one_source_a_mission():
    changes = {"m1": 10.0, "m2": 20.0, "m3": -900.0}
    rows = [reading(m, improvement_percent=x, improved=x > 0) for m, x in changes.items()]
    rows += [reading("m1", source="service_mesh", improvement_percent=-99.0, improved=False)]
    rows += [reading("m1", metric="error_rate", improvement_percent=-5.0, improved=False)]
    rows += [reading("m1", metric="new", pre=0.0, improvement_percent=None, improved=False)]
    day = brief([outcome(m) for m in changes], rows)
    lines = [(line.metric, line.trend, line.fact.text) for line in day.domains[0].metrics]
    assert lines == [
        ("error_rate", "worse", "5 % worse (n = 1)"),
        ("new", "worse", "worse (0 better, 1 worse; no percentage from zero)"),
        ("latency_ms", "better", "10 % better (median of 3: 2 better, 1 worse)"),
    ]


def test_follow_ups_are_created_closed_or_open_as_of_the_day():
    earlier = date(2025, 1, 1)
    closed = {"status": "closed", "verdict": "effective"}
    day = brief(
        [outcome("m1")],
        follow_ups=[
            follow_up("today"),
            follow_up("tomorrow", date(2025, 1, 4)),
            follow_up("earlier", earlier),
            follow_up("by-us", earlier, closed_by_mission_id="m1", **closed),
            follow_up("closed-before", earlier, closed_by_mission_id="other", **closed),
            follow_up("closed-later", closed_by_mission_id="other", **closed),
        ],
    )
    states = {line.follow_up_id: line.state for line in day.follow_ups}
    assert states == {
        "today": "created",
        "closed-later": "created",
        "by-us": "closed",
        "earlier": "open",
    }
    assert figure(day, "Follow-ups") == "2 created, 1 closed, 1 still open from before"
    assert day.auto_created.text == "Auto-created 2 follow-up missions"


def test_problems_come_with_the_most_severe_first():
    day = brief([], problems=[problem("a", severity="medium"), problem("b", severity="high")])
    assert [line.problem_id for line in day.problems] == ["b", "a"]
    assert figure(day, "Problems") == "2 found"


@pytest.mark.parametrize(("mission_id", "sample"), [("sample-1", True), ("m-sample-1", False)])
def test_made_up_missions_mark_the_whole_brief_as_sample_data(mission_id, sample):
    assert brief([outcome(mission_id), outcome("m2")]).sample is sample


def test_a_brief_survives_json_and_the_same_rows_in_any_order_give_the_same_content():
    day = eventful_day()
    assert Brief.from_json(day.to_json()) == day
    # Added up from either end, these differ in the last bit.
    times = (0.1, 0.2, 0.3)
    rows = [outcome(f"m{t}", time_to_restore_seconds=t) for t in times]
    assert content_hash(brief(rows)) == content_hash(brief(rows[::-1]))
    assert content_hash(brief(rows)) != content_hash(brief(rows[1:]))
    with pytest.raises(msgspec.ValidationError):
        Brief.from_json("{}")


def test_rows_of_the_table_hold_the_brief_its_rendering_and_its_revision():
    day, quiet = eventful_day(), brief()
    rows = brief_rows([day, quiet], {"2025-01-03": 2}, ["# one", "# two"])
    assert rows.schema == TABLES["status_briefs"].with_date()
    first, second = rows.to_pylist()
    assert (first["brief_id"], first["missions"], first["domains"]) == ("brief-2025-01-03", 5, 3)
    assert (first["revision"], first["markdown"]) == (2, "# one")
    assert Brief.from_json(first["content"]) == day
    assert second["missions"] == 0


def test_a_day_of_any_size_gives_a_brief_that_can_be_read():
    rows = [
        unscored(f"m{i}", domain_id=f"domain-{i % 200}", narrative="words " * 200_000)
        for i in range(10)
    ]
    rows += [failed(f"f{i}", domain_id=f"domain-{i % 200}") for i in range(10, 10_000)]
    day = brief(rows, problems=[problem(f"p{i}") for i in range(200)])
    assert day.totals.missions == 10_000
    assert day.domains_total == 200
    assert [f.text for f in day.left_out] == [
        "175 more domains with 8,750 missions",
        "180 more problems",
    ]
    assert len(day.to_json()) < 200_000
