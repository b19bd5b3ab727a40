"""Identity, corrections, the journal of days: CONTRACT section 1."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pyarrow.compute as pc
import pytest

from grace_assets.lake.blocks import Line
from grace_assets.lake.domains import Domains
from grace_assets.lake.landing import Landing
from tests.conftest import encode, event

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request, tmp_path) -> Iterator[Callable[..., Landing]]:
    """Opens the landing of this test, on a file or on a real server."""
    server = request.param == "postgresql"
    url = request.getfixturevalue("postgresql") if server else None
    with ExitStack() as stack:
        if server:
            stack.callback(drop, url)
        yield lambda zone="UTC": stack.enter_context(
            closing(Landing(tmp_path, ZoneInfo(zone), url))
        )


def drop(url: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "")) as db:
        db.execute("DROP SCHEMA grace_landing CASCADE")


@pytest.fixture
def landing(opened) -> Landing:
    return opened()


def lines(*events: dict) -> list[Line]:
    return [Line(n, raw) for n, raw in enumerate(encode(*events).splitlines(), start=1)]


def raw(item: dict) -> bytes:
    return encode(item).strip()


def tally(counts) -> tuple[int, int, int, int]:
    return counts.accepted, counts.duplicate, counts.corrected, len(counts.rejected)


def test_of_more_missions_than_a_statement_takes_each_is_told(landing):
    many = [event(f"m{number}", title=f"t{number}") for number in range(1_200)]
    assert tally(landing.add("f", lines(*many), NOW)) == (1_200, 0, 0, 0)
    corrected = [event(f"m{number}", title="better") for number in range(0, 1_200, 100)]
    more = [event(f"n{number}") for number in range(1_100)]
    assert tally(landing.add("g", lines(*many, *corrected, *more), NOW)) == (1_100, 1_200, 12, 0)
    held = [row.raw for row in landing.missions.events(["2026-03-01"])]
    kept = [item for number, item in enumerate(many) if number % 100]
    assert sorted(held) == sorted(map(raw, [*kept, *corrected, *more]))


def test_the_same_again_is_a_duplicate_and_changes_nothing(landing):
    assert tally(landing.add("f", lines(event()), NOW)) == (1, 0, 0, 0)
    reached, _ = landing.journal.changed_days(0)
    assert tally(landing.add("f", lines(event(), event()), NOW)) == (0, 2, 0, 0)
    assert landing.journal.changed_days(reached) == (reached, {})


def test_a_correction_wins_and_leaves_the_old_day(landing):
    landing.add("f", lines(event()), NOW)
    reached, _ = landing.journal.changed_days(0)
    moved = event(started_at="2026-03-02T10:00:00Z", completed_at="2026-03-02T10:30:00Z")
    assert tally(landing.add("g", lines(moved), NOW)) == (0, 0, 1, 0)
    assert set(landing.journal.changed_days(reached)[1]) == {"2026-03-01", "2026-03-02"}
    assert landing.missions.events(["2026-03-01"]) == []
    (current,) = landing.missions.events(["2026-03-01", "2026-03-02"])
    assert (current.day, current.revision, current.origin) == ("2026-03-02", 2, "g:1")


def test_within_one_batch_the_last_received_wins(landing):
    counts = landing.add("f", lines(event(title="a"), event(title="b"), event(title="a")), NOW)
    assert tally(counts) == (1, 0, 2, 0)
    (current,) = landing.missions.events(["2026-03-01"])
    assert current.revision == 3
    assert b'"a"' in current.raw


def test_a_line_in_another_spelling_is_a_duplicate(landing):
    landing.add("f", lines(event(), event("b")), NOW)
    spelt = {"started_at": "2026-03-01T12:00:00+02:00", "some_unknown_field": "new"}
    again = dict(reversed(event(**spelt).items()))
    assert tally(landing.add("g", lines(again, event("c"), again), NOW)) == (1, 2, 0, 0)
    assert landing.missions.revisions("m-1") == [raw(event())]


def test_what_was_accepted_is_kept_byte_for_byte_however_many_lines_came_together(landing):
    """Some blocks full, days and domains mixed, known and new missions in between."""
    many = [
        event(f"m{n}", domain_id=f"d{n % 3}", completed_at=f"2026-03-0{1 + n % 2}T10:30:00Z")
        for n in range(600)
    ]
    half = [dict(item, title="y" * 300) for item in many[::2]]
    assert tally(landing.add("half", lines(*half), NOW)) == (300, 0, 0, 0)
    assert tally(landing.add("all", lines(*many, many[0]), NOW)) == (300, 1, 300, 0)
    days = ["2026-03-01", "2026-03-02"]
    found = {row.raw: row for row in landing.missions.events(days)}
    assert sorted(found) == sorted(raw(item) for item in many)
    for number, item in enumerate(many, start=1):
        row = found[raw(item)]
        assert (row.origin, row.revision) == (f"all:{number}", 1 + number % 2)
    assert landing.missions.revisions("m0") == [raw(half[0]), raw(many[0])]
    assert landing.missions.revisions("m1") == [raw(many[1])]


def test_duplicates_take_no_room(landing):
    many = lines(*(event(f"m{n}") for n in range(50)))
    landing.add("f", many, NOW)
    before = landing._db.execute("SELECT count(*) FROM block").fetchone()
    assert tally(landing.add("f", many, NOW)) == (0, 50, 0, 0)
    assert landing._db.execute("SELECT count(*) FROM block").fetchone() == before


def test_bad_lines_are_kept_and_the_others_taken(landing):
    batch = [*lines(event("a")), Line(2, b"{broken"), Line(3, b"  \n"), *lines(event("b"))]
    assert tally(landing.add("f", batch, NOW)) == (2, 0, 0, 1)
    (bad,) = landing.quarantine.lines(["2026-03-05"])
    assert (bad.origin, bad.line, bad.field, bad.raw) == ("f", 2, None, b"{broken")


def test_what_was_added_survives_reopening(opened, landing):
    landing.add("f", lines(event()), NOW)
    assert tally(opened().add("f", lines(event()), NOW)) == (0, 1, 0, 0)


def test_another_time_zone_moves_missions_to_their_days(opened, landing):
    late = event(started_at="2026-03-01T23:00:00Z", completed_at="2026-03-01T23:30:00Z")
    landing.add("f", lines(late), NOW)
    reached, _ = landing.journal.changed_days(0)
    berlin = opened("Europe/Berlin")
    assert [row.day for row in berlin.missions.events(["2026-03-01", "2026-03-02"])] == [
        "2026-03-02"
    ]
    assert set(berlin.journal.changed_days(reached)[1]) == {"2026-03-01", "2026-03-02"}


def test_samples_touch_only_the_days_whose_windows_they_reach(landing):
    landing.add("f", lines(event("a"), event("b", domain_id="search")), NOW)
    reached, _ = landing.journal.changed_days(0)
    at = datetime(2026, 3, 1, 10, 40, tzinfo=UTC)
    landing.note_samples([("payments", at, at)], reach_seconds=1800)
    assert set(landing.journal.changed_days(reached)[1]) == {"2026-03-01"}
    reached, _ = landing.journal.changed_days(0)
    far = at + timedelta(minutes=1)
    landing.note_samples([("payments", far, far), ("unknown", at, at)], reach_seconds=1800)
    assert landing.journal.changed_days(reached)[1] == {}


def test_pending_days_fall_due_once_their_window_closes(landing):
    landing.waiting.set_due("rejudge", ["2026-03-01", "2026-03-02"], {"2026-03-01": NOW})
    assert landing.waiting.due("rejudge", NOW - timedelta(seconds=1)) == {}
    assert landing.waiting.due("rejudge", NOW) == {"2026-03-01": NOW}
    landing.waiting.set_due("rejudge", ["2026-03-01"], {})
    assert landing.waiting.due("rejudge", NOW) == {}


def test_neighbours_are_all_missions_that_touch_a_span(landing):
    landing.add("f", lines(event("a"), event("b", completed_at="2026-03-01T12:00:00Z")), NOW)
    at = datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert landing.missions.neighbours(at, at)["mission_id"].to_pylist() == ["b"]
    assert landing.missions.neighbours(at + timedelta(days=1), at + timedelta(days=2)).num_rows == 0


def test_causes_are_what_the_current_events_of_some_days_and_domains_say(landing):
    said = [
        {"trigger": {"metric": "latency_ms", "observed": 9.0}},
        {"trigger": {"metric": "error_rate"}, "follow_up_id": "fu-1"},
        {"trigger": {"description": "somebody called"}},
        {},
        {"domain_id": "zoo", "trigger": {"metric": "visitors"}},
        {"completed_at": "2026-03-02T10:30:00Z"},
    ]
    landing.add("f", lines(*(event(f"m{n}", **more) for n, more in enumerate(said))), NOW)
    landing.add("g", lines(event("m3", trigger={"metric": "corrected"})), NOW)
    found = landing.missions.causes(["2026-03-01"], Domains("", "zoo"))
    names = ["mission_id", "trigger_metric", "follow_up_id"]
    rows = [tuple(row.values()) for row in found.select(names).to_pylist()]
    assert sorted(rows) == [
        ("m0", "latency_ms", None),
        ("m1", "error_rate", "fu-1"),
        ("m2", None, None),
        ("m3", "corrected", None),
    ]
    at = datetime(2026, 3, 1, tzinfo=UTC)
    beside = landing.missions.neighbours(at, at + timedelta(days=1))
    times = beside.filter(pc.is_in(beside["mission_id"], found["mission_id"].combine_chunks()))
    assert found.select(times.column_names).sort_by("mission_id") == times.sort_by("mission_id")
    assert landing.missions.causes(["2026-02-01"]).num_rows == 0


def test_neighbours_of_some_domains_are_those_of_all_that_lie_in_them(landing):
    """Day by day: also of missions that began before the span, or end days after it."""
    times = {
        "long": ("2026-03-01T10:00:00Z", "2026-03-05T10:00:00Z"),
        "before": ("2026-03-01T10:00:00Z", "2026-03-01T10:30:00Z"),
        "within": ("2026-03-03T10:00:00Z", "2026-03-03T11:00:00Z"),
    }
    landing.add(
        "f",
        lines(
            *(
                event(f"{name}-{domain}", domain_id=domain, started_at=first, completed_at=last)
                for name, (first, last) in times.items()
                for domain in "abc"
            )
        ),
        datetime(2026, 3, 6, tzinfo=UTC),
    )
    span = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)
    every = set(landing.missions.neighbours(*span)["mission_id"].to_pylist())
    assert every == {f"{name}-{domain}" for name in ("long", "within") for domain in "abc"}
    for domains, inside in ((Domains("b", "c"), "b"), (Domains("b"), "bc"), (Domains("d"), "")):
        found = landing.missions.neighbours(*span, domains)["mission_id"].to_pylist()
        assert sorted(found) == sorted(name for name in every if name[-1] in inside)
