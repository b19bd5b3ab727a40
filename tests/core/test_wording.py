"""Numbers, units, times and event text in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grace_assets.core import wording
from grace_assets.core.claims import unsupported_numbers


@pytest.mark.parametrize(
    ("value", "unit", "printed"),
    [
        (0.0, "ms", "0 ms"),
        (520.4, "ms", "520 ms"),
        (12.34, "ms", "12.3 ms"),
        (1.005, None, "1"),
        (1_234.5, "count", "1,234"),
        (13_757_010.4, "bytes", "13,757,010 bytes"),
        (99.97, "%", "99.97 %"),
        (0.9997, "ratio", "99.97 %"),
        (0.9997, None, "0.9997"),
        (0.0421, "ratio", "4.21 %"),
        (0.000123, "s", "0.000123 s"),
        (-3.2, "°C", "−3.2 °C"),
        (-0.0, None, "0"),
        (5e20, None, "5e+20"),
        (-1e-9, None, "−1e-09"),
        (7.0, "bad\nunit", "7 bad unit"),
    ],
)
def test_a_reading_is_short_but_never_rounded_up_to_a_ceiling(value, unit, printed):
    assert wording.measure(value, unit) == printed


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.0, "0 %"),
        (0.01, "under 0.1 %"),
        (4.24, "4.2 %"),
        (46.15, "46 %"),
        (-46.15, "46 %"),
        (99.6, "99.6 %"),
        (100.0, "100 %"),
        (12_345.6, "12,346 %"),
    ],
)
def test_a_change_in_percent_has_no_sign_and_no_false_precision(value, printed):
    assert wording.percent(value) == printed


@pytest.mark.parametrize(
    ("ends", "printed"),
    [
        ((0.0, 79.3), "0–79 %"),
        ((4.24, 81.4), "4.2–81 %"),
        ((0.0, 0.0244), "0–0.02 %"),
        ((0.003, 5.2), "0.003–5.2 %"),
        ((89.96739, 90.0046), "89.97–90 %"),
        ((3.0, 3.0), "3–3 %"),
    ],
)
def test_the_ends_of_a_range_are_told_apart_and_found_in_the_text_again(ends, printed):
    assert wording.percent_range(*ends) == printed
    assert unsupported_numbers(printed, ends) == []


@pytest.mark.parametrize(
    ("seconds", "printed"),
    [
        (0, "0 s"),
        (45.25, "45.2 s"),
        (59.97, "1 min"),
        (125, "2 min 5 s"),
        (3_599.6, "1 h"),
        (4_800, "1 h 20 min"),
        (86_399, "1 d"),
        (273_600, "3 d 4 h"),
        (864_000_000, "10,000 d"),
    ],
)
def test_a_duration_names_its_two_largest_units(seconds, printed):
    assert wording.duration(seconds) == printed


@pytest.mark.parametrize(
    ("metric", "name", "unit"),
    [
        ("latency_ms", "latency", "ms"),
        ("latency_p95_ms", "latency p95", "ms"),
        ("cpu_percent", "cpu", "%"),
        ("error_rate", "error rate", None),
        ("_ms", "ms", None),
        ("system.load.1m", "system load 1m", None),
    ],
)
def test_a_metric_is_spoken_without_its_unit(metric, name, unit):
    assert wording.spoken(metric) == name
    assert wording.unit_of(metric, None) == unit or metric == "_ms"
    assert wording.unit_of(metric, "given") == "given"


@pytest.mark.parametrize(
    ("text", "limit", "printed"),
    [
        (None, None, ""),
        (" a \n\tb\x00\x1b[0m ", None, "a b [0m"),
        ("left\u202eright", None, "left right"),
        ("one two three four", 10, "one two…"),
        ("one two three four", 18, "one two three four"),
        ("x" * 50, 10, "x" * 9 + "…"),
        ("word " * 100_000, 12, "word word…"),
    ],
)
def test_event_text_becomes_one_clean_line_cut_at_a_word(text, limit, printed):
    assert wording.clean(text, limit) == printed


def test_lists_read_as_in_a_sentence():
    assert [wording.listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert wording.counted(1, "mission") == "1 mission"
    assert wording.counted(1_200, "reply", "replies") == "1,200 replies"


@given(st.text(st.sampled_from("ab .\u00a0\t\x00\u202e\u200bé")), st.integers(1, 9))
def test_text_that_is_clean_already_is_what_cleaning_leaves(text, limit):
    cleaned = wording.clean(text)
    # What precedes an unprintable character takes the way of text that is not clean.
    assert wording.clean(f"{text}\n") == cleaned == " ".join(cleaned.split())
    if len(cleaned) <= limit:
        assert wording.clean(cleaned, limit) == cleaned
