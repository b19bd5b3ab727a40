"""Intervals hold what they promise, and equal those of scipy or of the papers they come from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from grace_assets.core.uncertainty import (
    MIN_TRIALS,
    MIN_VALUES,
    Difference,
    compare_means,
    compare_rates,
    compare_times,
    newcombe_interval,
    quantile,
    quantile_interval,
    ranked,
    student_t,
    wilson_interval,
)

seconds = st.floats(0, 1e7, allow_nan=False)
rates = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(rates)
def test_the_interval_of_a_rate_is_that_of_scipy(k_of_n):
    k, n = k_of_n
    expected = stats.binomtest(k, n).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson_interval(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.lists(seconds, min_size=1, max_size=60), st.sampled_from([0.1, 0.5, 0.9]))
def test_a_quantile_lies_between_its_ranks(values, p):
    ordered = sorted(values)
    place = (len(values) - 1) * p
    found = quantile(ordered, p)
    slack = 1e-9 * max(1.0, ordered[-1])
    assert ordered[math.floor(place)] - slack <= found <= ordered[math.ceil(place)] + slack


def test_a_quantile_is_interpolated_linearly_and_null_without_values():
    assert quantile([10.0, 20.0, 30.0, 40.0], 0.5) == 25.0
    assert quantile([10.0, 20.0], 0.9) == pytest.approx(19.0)
    assert quantile([7.0], 0.9) == 7.0
    assert quantile([], 0.5) is None


@given(st.lists(seconds, max_size=120), st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=1))
def test_ranked_values_have_the_quantiles_and_intervals_of_sorted_ones(values, shares):
    found = ranked(np.array(values), shares)
    assert sorted(found) == sorted(values)
    for p in shares:
        assert quantile(found, p) == quantile(sorted(values), p)
        assert quantile_interval(found, p) == quantile_interval(sorted(values), p)


@given(st.lists(seconds, min_size=1, max_size=120), st.sampled_from([0.1, 0.5, 0.9]))
def test_the_interval_of_a_quantile_is_that_of_scipy(values, p):
    test = stats.quantile_test(values, q=0.0, p=p)
    expected = test.confidence_interval(confidence_level=0.95)
    for mine, theirs in zip(quantile_interval(sorted(values), p), expected, strict=True):
        assert mine == (None if math.isnan(theirs) else theirs)


@pytest.mark.parametrize(
    ("n", "p", "expected"),
    [
        (0, 0.5, (None, None)),
        (1, 0.5, (None, None)),
        (5, 0.5, (None, None)),
        (6, 0.5, (1.0, 6.0)),
        (9, 0.9, (6.0, None)),
        (35, 0.9, (28.0, None)),
        (36, 0.9, (29.0, 36.0)),
    ],
)
def test_an_end_that_few_values_cannot_give_is_null(n, p, expected):
    assert quantile_interval([float(i) for i in range(1, n + 1)], p) == expected


def test_the_interval_of_a_quantile_of_very_many_values_exists():
    n = 200_000
    low, high = quantile_interval(np.arange(n, dtype=float), 0.5)
    half = 1.96 * math.sqrt(n) / 2
    assert (low, high) == pytest.approx((n / 2 - half, n / 2 + half), abs=2)


@pytest.mark.parametrize(("p", "n"), [(0.5, 12), (0.9, 60)])
def test_intervals_of_quantiles_hold_the_truth_as_often_as_they_say(p, n):
    rng = np.random.default_rng(7)
    truth, runs = stats.lognorm.ppf(p, 1.2), 2_000
    held = 0
    for values in np.sort(rng.lognormal(0, 1.2, (runs, n))):
        low, high = quantile_interval(values, p)
        held += low <= truth <= high
    assert 0.945 <= held / runs <= 0.99


@pytest.mark.parametrize("freedom", [4, 4.5, 9, 17.3, 60, 1_000])
def test_students_t_is_that_of_scipy(freedom):
    assert student_t(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=1e-3)


scores = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=MIN_VALUES, max_size=40)


@given(scores, scores)
def test_the_interval_of_a_difference_of_means_is_welchs(now, before):
    found = compare_means(now, before, higher_is_better=True)
    assert found.difference == pytest.approx(np.mean(now) - np.mean(before), abs=1e-12)
    if np.var(now) + np.var(before) > 1e-12:
        expected = stats.ttest_ind(now, before, equal_var=False).confidence_interval(0.95)
        # Of its width: an end may lie near 0.
        near = 5e-4 * (expected.high - expected.low)
        assert found.interval == pytest.approx((expected.low, expected.high), rel=0, abs=near)


PUBLISHED = [
    ((56, 70), (48, 80), (0.0524, 0.3339)),
    ((9, 10), (3, 10), (0.1705, 0.8090)),
    ((6, 7), (2, 7), (0.0582, 0.8062)),
    ((5, 56), (0, 29), (-0.0381, 0.1926)),
    ((0, 10), (0, 20), (-0.1611, 0.2775)),
    ((0, 10), (0, 10), (-0.2775, 0.2775)),
    ((10, 10), (0, 20), (0.6791, 1.0)),
    ((10, 10), (0, 10), (0.6075, 1.0)),
]


@pytest.mark.parametrize(("now", "before", "expected"), PUBLISHED)
def test_the_interval_of_a_difference_of_rates_is_the_published_one(now, before, expected):
    """Newcombe 1998, table II, method 10."""
    assert newcombe_interval(now, before) == pytest.approx(expected, abs=5e-5)


@given(rates, rates)
def test_exchanging_the_sides_turns_the_difference_and_the_answer_round(now, before):
    forth = compare_rates(now, before, higher_is_better=True)
    back = compare_rates(before, now, higher_is_better=True)
    opposite = {"better": "worse", "worse": "better"}
    assert back.answer == opposite.get(forth.answer, forth.answer)
    assert back.difference == pytest.approx(-forth.difference, abs=1e-12)
    if forth.interval:
        low, high = forth.interval
        assert back.interval == pytest.approx((-high, -low), abs=1e-12)
        assert low - 1e-12 <= forth.difference <= high + 1e-12


def test_what_is_better_depends_on_the_figure():
    high, low = [float(100 + i % 3) for i in range(20)], [float(10 + i % 3) for i in range(20)]
    assert compare_means(high, low, higher_is_better=True).answer == "better"
    assert compare_means(high, low, higher_is_better=False).answer == "worse"
    assert compare_times(low, high).answer == "better"
    assert compare_times(high, low).answer == "worse"
    assert compare_rates((90, 100), (50, 100), higher_is_better=True).answer == "better"
    assert compare_rates((90, 100), (50, 100), higher_is_better=False).answer == "worse"


def test_a_small_difference_is_no_detectable_change():
    rng = np.random.default_rng(3)
    found = compare_times(rng.lognormal(5, 1, 40), rng.lognormal(5.1, 1, 40))
    assert found.answer == "no detectable change"
    low, high = found.interval
    assert low < 0 < high
    assert compare_rates((8, 10), (7, 10), higher_is_better=True).answer == "no detectable change"


def test_too_few_values_are_told_as_such_and_never_as_no_change():
    enough, few = [1.0] * MIN_VALUES, [500.0] * (MIN_VALUES - 1)
    for now, before in ((enough, few), (few, enough)):
        found = compare_times(now, before)
        assert (found.answer, found.interval) == ("too few", None)
        assert abs(found.difference) == 499.0
    assert compare_times([], enough) == Difference("too few", None, None)
    assert compare_times([], []) == Difference("too few", None, None)
    n = MIN_TRIALS - 1
    assert compare_rates((n, n), (0, 100), higher_is_better=True) == Difference(
        "too few", 1.0, None
    )
    assert compare_rates((0, 0), (9, 9), higher_is_better=True).difference is None


def test_values_that_never_vary_differ_or_do_not():
    same, other = [60.0] * 12, [61.0] * 12
    found = Difference("no detectable change", 0.0, (0.0, 0.0))
    assert compare_times(same, same) == found
    assert compare_times(same, other) == Difference("better", -1.0, (-1.0, -1.0))
    assert compare_times([0.0] * 12, [0.0] * 12) == found


@pytest.mark.parametrize(("n", "m"), [(10, 60), (60, 10), (30, 300)])
def test_times_from_one_long_tailed_law_seldom_count_as_a_change(n, m):
    rng = np.random.default_rng(11)
    runs = 1_000
    answers = [
        compare_times(rng.lognormal(5, 1.5, n), rng.lognormal(5, 1.5, m)).answer
        for _ in range(runs)
    ]
    assert answers.count("no detectable change") / runs >= 0.95


def test_halved_times_are_found():
    rng = np.random.default_rng(12)
    answers = [
        compare_times(rng.lognormal(4.307, 0.8, 50), rng.lognormal(5, 0.8, 50)).answer
        for _ in range(200)
    ]
    assert answers.count("better") / 200 >= 0.9
    assert "worse" not in answers


@pytest.mark.parametrize("n", [1, 2, 3, 10, 1000, 4567])
def test_quantiles_are_numpys(n: int):
    values = np.sort(np.random.default_rng(n).lognormal(6, 1, n))
    ps = (0.0, 0.1, 0.5, 0.75, 0.9, 1.0)
    assert [quantile(values, p) for p in ps] == np.quantile(values, ps).tolist()
