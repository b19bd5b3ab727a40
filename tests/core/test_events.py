"""The rules of CONTRACT section 1, one case a rule."""

import json
from datetime import UTC, datetime
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grace_assets.core.events import EventError, day_of, parse, valid_domain
from tests.conftest import event

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def parsed(**fields):
    return parse(json.dumps(event(**fields)).encode(), NOW)


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"mission_id": ""}, "mission_id", "length >= 1"),
        ({"mission_id": "x" * 201}, "mission_id", "length <= 200"),
        ({"mission_id": "a\nb"}, "mission_id", "control character"),
        ({"mission_id": None}, "mission_id", "Expected `str`"),
        ({"domain_id": ""}, "domain_id", "1 to 100"),
        ({"domain_id": "x" * 101}, "domain_id", "1 to 100"),
        ({"domain_id": "a/b"}, "domain_id", "slash"),
        ({"domain_id": "a\\b"}, "domain_id", "slash"),
        ({"domain_id": ".."}, "domain_id", "'..'"),
        ({"domain_id": "a\x7fb"}, "domain_id", "control character"),
        ({"domain_id": "a\0b"}, "domain_id", "control character"),
        ({"domain_id": "a\nb"}, "domain_id", "control character"),
        ({"domain_id": "\u0085"}, "domain_id", "control character"),
        ({"domain_id": "x" * 300}, "domain_id", "1 to 100"),
        ({"domain_id": "."}, "domain_id", "'.'"),
        ({"domain_id": "../../etc/passwd"}, "domain_id", "slash"),
        ({"started_at": "2026-03-01T10:00:00"}, "started_at", "timezone"),
        ({"started_at": "yesterday"}, "started_at", "Invalid RFC3339"),
        ({"started_at": "2026-03-01T11:00:00Z"}, "completed_at", "before started_at"),
        ({"completed_at": "2026-03-03T00:00:01Z"}, "completed_at", "24 h in the future"),
        ({"detected_at": "2026-03-01T10:00:01Z"}, "detected_at", "after started_at"),
        ({"onset_at": "2026-03-01T10:00:01Z"}, "onset_at", "after detected_at"),
        ({"success": "true"}, "success", "Expected `bool`"),
        ({"severity": "urgent"}, "severity", "Invalid enum value"),
        ({"trigger": {"observed": "520"}}, "trigger.observed", "Expected `float | null`"),
        ({"actions": "scaled"}, "actions", "Expected `array | null`"),
        ({"metrics": {"latency": "fast"}}, "metrics[...]", "Expected `float`"),
        ({"started_at": "0001-01-01T00:00:00+14:00"}, "started_at", "years"),
    ],
)
def test_a_broken_rule_names_the_field_and_the_reason(fields, field, reason):
    with pytest.raises(EventError) as caught:
        parsed(**fields)
    assert caught.value.field == field
    assert reason in caught.value.reason


@pytest.mark.parametrize("name", ["mission_id", "domain_id", "started_at", "success"])
def test_a_missing_required_field_is_named(name):
    incomplete = event()
    del incomplete[name]
    with pytest.raises(EventError, match=f"{name}: is missing"):
        parse(json.dumps(incomplete).encode(), NOW)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"1", b'"x"', b"\xff\xfe", b'{"mission_id": NaN}', b"[" * 100_000]
)
def test_what_is_no_event_is_refused_and_nothing_else_is_raised(raw):
    with pytest.raises(EventError):
        parse(raw, NOW)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_an_event_error(raw):
    try:
        parse(raw, NOW)
    except EventError as error:
        assert error.reason


@given(st.text(max_size=120) | st.text("./\\%2eE\0\n\u202e\u2024\uff0f", max_size=12))
def test_a_domain_that_is_accepted_stays_below_its_folder(name):
    try:
        domain = valid_domain(name)
    except EventError as error:
        assert error.field == "domain_id"
        return
    assert valid_domain(domain) == domain
    assert (PurePosixPath("/a") / domain).parent == PurePosixPath("/a")
    assert domain not in (".", "..")


def test_defaults_are_filled_in_and_unknown_onset_stays_unknown():
    result = parsed()
    assert result.detected_at == result.started_at
    assert result.onset_at is None
    assert (result.mission_type, result.severity) == ("unspecified", "unknown")


def test_up_to_24_hours_ahead_is_taken():
    assert parsed(completed_at="2026-03-03T00:00:00Z").completed_at.day == 3


def test_domains_of_any_script_are_taken_in_one_spelling():
    composed, decomposed = "Müller – Edition", "Mu\u0308ller – Edition"
    assert parsed(domain_id=decomposed).domain_id == composed
    assert parsed(domain_id="支払い").domain_id == "支払い"


def test_the_same_content_in_another_spelling_is_equal():
    one = parsed(metrics={"a": 1, "b": 2.0})
    other = parsed(
        metrics={"b": 2, "a": 1.0},
        started_at="2026-03-01T12:00:00+02:00",
        some_unknown_field="new",
    )
    assert one == other
    assert one != parsed(metrics={"a": 1, "b": 2.5})


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        ("2026-03-28T22:59:59+00:00", "Europe/Berlin", "2026-03-28"),
        ("2026-03-28T23:00:00+00:00", "Europe/Berlin", "2026-03-29"),
        ("2026-03-29T21:59:59+00:00", "Europe/Berlin", "2026-03-29"),  # a day of 23 h
        ("2026-03-29T22:00:00+00:00", "Europe/Berlin", "2026-03-30"),
        ("2026-10-24T22:00:00+00:00", "Europe/Berlin", "2026-10-25"),
        ("2026-10-25T22:59:59+00:00", "Europe/Berlin", "2026-10-25"),  # a day of 25 h
        ("2026-10-25T23:00:00+00:00", "Europe/Berlin", "2026-10-26"),
        ("2026-01-01T10:29:59+00:00", "Pacific/Kiritimati", "2026-01-02"),
    ],
)
def test_a_mission_belongs_to_the_local_date_of_its_completion(moment, zone, day):
    assert day_of(datetime.fromisoformat(moment), ZoneInfo(zone)) == day
