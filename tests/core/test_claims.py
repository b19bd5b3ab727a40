"""A wrong number in a text is found, a right one is left alone."""

import dataclasses

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grace_assets.core import wording
from grace_assets.core.claims import (
    unsupported_in_brief,
    unsupported_narratives,
    unsupported_numbers,
)
from grace_assets.core.narrative import narrate
from grace_assets.core.told import ToldMetrics
from grace_assets.render import markdown, text
from tests.rows import brief, event, eventful_day, reading, table, told_of


@pytest.mark.parametrize(
    ("sentence", "values", "quoted", "missing"),
    [
        ("Latency fell from 520 ms to 280 ms.", [520.2, 279.9], [], []),
        ("Latency fell from 520 ms to 281 ms.", [520.2, 279.9], [], ["281"]),
        ("Latency fell to 280ms.", [], [], ["280"]),
        ("46 % better", [46.15], [], []),
        ("47 % better", [46.15], [], ["47 %"]),
        ("4.2 %", [0.0421], [], []),
        ("4.3 %", [0.0421], [], ["4.3 %"]),
        ("4.2", [0.0421], [], ["4.2"]),
        ("13,757,010 bytes", [13757010.4], [], []),
        ("2,742, or 1,000,000.", [2742.0, 1e6], [], []),
        ("2,742, or 2,743,", [2742.0], [], ["2,743"]),
        ("12,34 and 1,2345", [12.0], [], ["34", "1", "2345"]),
        ("fell by 46 %", [-46.15], [], []),
        ("−5 °C", [-5.0], [], []),
        ("−5 °C", [5.0], [], ["−5"]),
        ("84–99 %", [84.2, 98.8], [], []),
        ("2 min 5 s", [125.2], [], []),
        ("2 min 5 s", [126.0], [], ["2", "5"]),
        ("1 h 20 min", [4_811.0], [], []),
        ("1 h 20 min", [4_900.0], [], ["1", "20"]),
        ("3 d", [260_000.0], [], []),
        ("5 min", [5.0], [], []),
        ("1.2e+20", [1.23e20], [], []),
        ("I scaled workers from 4 to 8.", [], ["Scaled workers from 4 to 8"], []),
        ("I scaled workers from 4 to 9.", [], ["Scaled workers from 4 to 8"], ["4", "9"]),
        ("42 missions", [], ["4"], ["42"]),
        ("4.5 ms and p95", [], ["4", "p95"], ["4.5"]),
        ("nothing", [None, float("nan"), float("inf")], ["", None], []),
    ],
)
def test_each_number_needs_a_value_or_a_quotation(sentence, values, quoted, missing):
    assert unsupported_numbers(sentence, values, quoted) == missing


FIGURES = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e18, max_value=1e18)


@given(FIGURES)
def test_every_number_that_is_printed_is_read_back(value):
    for unit in (None, "ms", "%", "ratio", "d", "min", "req/s"):
        printed = wording.measure(value, unit)
        assert unsupported_numbers(f"It was {printed}.", [value]) == [], printed


@given(st.floats(min_value=0, max_value=1e9))
def test_every_duration_that_is_printed_is_read_back(seconds):
    assert unsupported_numbers(wording.duration(seconds), [seconds]) == []


@given(st.floats(min_value=0.05, max_value=1e12))
def test_every_percentage_that_is_printed_is_read_back(value):
    assert unsupported_numbers(wording.percent(value), [value]) == []


MISSIONS = [
    event("m1", actions=[f"restarted node {i}" for i in range(9)], title="Attempt 3"),
    event("m2", success=False, error="exit 137", domain_id="eu-west-1"),
    event("m3", trigger={"description": "Error 503 since 14:05"}, title=None),
]
READINGS = [
    *[reading("m1", metric=f"latency_p{i}_ms", verdict="worse") for i in (50, 90, 95, 99)],
    reading("m2", pre=0.0, post=12.0, percent_change=None, improvement_percent=None),
    reading("m3", improvement_percent=0.02, verdict="partial", post=519.0),
]


def narratives() -> tuple[pa.Table, ToldMetrics, list[str]]:
    missions = table("mission_events", MISSIONS)
    told = told_of(missions, table("mission_telemetry", READINGS))
    summary = pa.table(
        {"verdict": ["worse", "partial", "partial"], "attribution": ["coincident"] * 3}
    )
    return missions, told, narrate(missions, summary, told)


def test_narratives_hold_no_number_of_their_own():
    missions, told, texts = narratives()
    assert unsupported_narratives(missions, told, texts) == []


@pytest.mark.parametrize(
    ("mission", "right", "wrong"),
    [
        (0, "280 ms", "270 ms"),
        (0, "46 %", "64 %"),
        (0, "5 more actions", "6 more actions"),
        (0, "1 other metric", "2 other metric"),
        (1, "12 ms", "13 ms"),
        (2, "275 ms", "285 ms"),
    ],
)
def test_a_planted_wrong_number_is_found_in_its_narrative(mission, right, wrong):
    missions, told, texts = narratives()
    assert right in texts[mission]
    texts[mission] = texts[mission].replace(right, wrong)
    found = unsupported_narratives(missions, told, texts)
    assert {name for name, _ in found} == {f"m{mission + 1}"}
    assert found[0][1] in wrong


def test_a_number_of_another_mission_supports_nothing():
    missions, told, texts = narratives()
    texts[1] += " Latency fell to 280 ms."
    assert unsupported_narratives(missions, told, texts) == [("m2", "280")]


@pytest.mark.parametrize("day", [eventful_day(), brief(), brief(complete=False)])
def test_a_brief_and_its_renderings_hold_no_number_of_their_own(day):
    assert unsupported_in_brief(day) == []
    assert unsupported_in_brief(day, text.render(day)) == []
    assert unsupported_in_brief(day, markdown.render(day).replace("\\", "")) == []


def test_a_wrong_figure_headline_or_rendering_is_found():
    day = eventful_day()
    figure = dataclasses.replace(day.figures[0], text="6 in 3 domains")
    assert unsupported_in_brief(dataclasses.replace(day, figures=(figure,))) == ["6"]
    assert unsupported_in_brief(dataclasses.replace(day, headline="9 missions.")) == ["9"]
    assert unsupported_in_brief(day, text.render(day) + "All 77 systems work.") == ["77"]
