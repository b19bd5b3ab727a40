"""Files that appear, grow, are rewritten, are torn; and files that are archived."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grace_assets.lake.inbox import Inbox
from grace_assets.lake.mission_files import take_file
from grace_assets.lake.replay import replay
from grace_assets.lake.samples import SampleStore
from tests.conftest import encode, event

HEADER = b"source,domain_id,metric,timestamp,value\n"


@pytest.fixture
def inbox(tmp_path, landing):
    return Inbox(tmp_path, ZoneInfo("UTC"), landing, reach_seconds=2100)


def now() -> datetime:
    return datetime.now(UTC)


def later() -> datetime:
    """When files dropped just now count as quiet."""
    return now() + timedelta(minutes=2)


def tally(intake) -> tuple[int, int, int, int]:
    missions = intake.missions
    return missions.accepted, missions.duplicate, missions.corrected, len(missions.rejected)


def test_a_growing_file_is_read_on_from_its_last_whole_line(inbox):
    path = inbox.folder / "agent.jsonl"
    first, second = encode(event("a")), encode(event("b"))
    path.write_bytes(first + second[:20])
    assert tally(inbox.take(now())) == (1, 0, 0, 0)
    with path.open("ab") as file:
        file.write(second[20:])
    assert tally(inbox.take(now())) == (1, 0, 0, 0)
    assert tally(inbox.take(now())) == (0, 0, 0, 0)


def test_a_torn_tail_is_waited_for_then_quarantined(inbox, landing):
    path = inbox.folder / "agent.jsonl"
    path.write_bytes(encode(event("a")) + b'{"mission_id": "b", "dom')
    assert tally(inbox.take(now())) == (1, 0, 0, 0)
    assert tally(inbox.take(later())) == (0, 0, 0, 1)
    (bad,) = landing.quarantine.lines()
    assert (bad.origin, bad.line) == ("agent.jsonl", 2)


def test_a_last_line_without_newline_is_taken_once_the_file_is_quiet(inbox):
    (inbox.folder / "agent.jsonl").write_bytes(encode(event("a")).rstrip(b"\n"))
    assert tally(inbox.take(now())) == (0, 0, 0, 0)
    assert tally(inbox.take(later())) == (1, 0, 0, 0)


def test_a_rewritten_file_is_read_again_and_known_events_are_duplicates(inbox):
    path = inbox.folder / "agent.jsonl"
    path.write_bytes(encode(event("a"), event("b")))
    inbox.take(now())
    path.write_bytes(encode(event("c"), event("b"), event("d")))
    assert tally(inbox.take(now())) == (2, 1, 0, 0)


def test_unfinished_names_are_left_alone(inbox):
    for name in (".hidden.jsonl", "part.jsonl.tmp", "notes.txt"):
        (inbox.folder / name).write_bytes(encode(event(name)))
    assert tally(inbox.take(later())) == (0, 0, 0, 0)


def test_a_file_whose_name_is_no_utf8_is_taken_under_another_and_stops_no_other(inbox, tmp_path):
    for folder, suffix, content in (
        (inbox.folder, b".jsonl", encode(event("a"))),
        (inbox.folder / "kpis", b".csv", HEADER + b"s,payments,m,2026-03-01T00:00:00Z,1\n"),
    ):
        for name in (b"agent-\xff", b"agent-\\udcff"):
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name + suffix)).write_bytes(content)
    (inbox.folder / "b.jsonl").write_bytes(encode(event("b")))
    taken = inbox.take(later())
    assert tally(taken) == (2, 1, 0, 0)
    assert (taken.samples.accepted, taken.samples.duplicate) == (1, 1)
    kept = [path.name.encode() for path in (tmp_path / "archive").rglob("*.*")]
    assert len(kept) == 5


def test_a_quiet_file_is_archived_and_what_a_late_writer_adds_is_still_taken(inbox, tmp_path):
    path = inbox.folder / "agent.jsonl"
    path.write_bytes(encode(event("a")))
    with path.open("ab") as writer:
        inbox.take(later())
        assert not path.exists()
        writer.write(encode(event("b")))
        writer.flush()
        assert tally(inbox.take(now())) == (1, 0, 0, 0)
    path.write_bytes(encode(event("c")))
    assert tally(inbox.take(later())) == (1, 0, 0, 0)
    assert len(list((tmp_path / "archive/inbox").iterdir())) == 2


def test_a_named_file_is_taken_whole_at_once_and_twice_is_harmless(landing, tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n" + encode(event("a")) + b"[]\n" + encode(event("b")).rstrip(b"\n"))
    counts = take_file(landing, path)
    assert (counts.accepted, [r.line for r in counts.rejected]) == (2, [3])
    assert take_file(landing, path).duplicate == 2


def test_sample_files_are_taken_once_they_are_whole(inbox, tmp_path):
    path = inbox.folder / "kpis" / "health.csv"
    path.write_bytes(HEADER + b"domain_health,payments,latency_ms,2026-03-01T10:00:00Z,280\n")
    assert inbox.take(now()).samples.accepted == 0
    os.utime(path, (0, 0))
    assert inbox.take(now()).samples.accepted == 1
    assert not path.exists()
    assert (tmp_path / "archive/inbox/kpis/health.csv").exists()


class Recorded(SampleStore):
    """Keeps how many samples each call brought; fails where it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.calls: list[int] = []
        self.full = False

    def add(self, rows, *how):
        self.calls.append(rows.num_rows)
        if self.full:
            raise OSError("no space left")
        return super().add(rows, *how)


def test_many_sample_files_are_stored_at_once_in_the_order_dropped(tmp_path, landing):
    store = Recorded(tmp_path)
    inbox = Inbox(tmp_path, ZoneInfo("UTC"), landing, 2100, store)
    for number in range(5):
        path = inbox.folder / "kpis" / f"{5 - number}.csv"
        row = b"domain_health,payments,latency_ms,2026-03-0%dT10:00:00Z,%d\n"
        path.write_bytes(HEADER + row % (1, number) + row % (2 + number, number))
        os.utime(path, (number, number))
    store.full = True
    with pytest.raises(OSError, match="no space left"):
        inbox.take(now())
    assert len(list((inbox.folder / "kpis").iterdir())) == 5
    store.full = False
    counts = inbox.take(now()).samples
    assert store.calls == [10, 10]
    assert (counts.accepted, counts.restated) == (6, 4)
    first = store.read(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    assert first["value"].to_pylist() == [4.0]
    assert len(list((tmp_path / "archive/inbox/kpis").iterdir())) == 5


def test_a_large_sample_file_is_stored_before_the_next_one_is_read(tmp_path, landing, monkeypatch):
    monkeypatch.setattr("grace_assets.lake.sample_intake.AT_ONCE", 3)
    store = Recorded(tmp_path)
    inbox = Inbox(tmp_path, ZoneInfo("UTC"), landing, 2100, store)
    for number, size in enumerate((2, 2, 1)):
        path = inbox.folder / "kpis" / f"{number}.csv"
        row = b"domain_health,payments,latency_ms,2026-03-0%dT1%d:00:00Z,280\n"
        path.write_bytes(HEADER + b"".join(row % (number + 1, hour) for hour in range(size)))
        os.utime(path, (number, number))
    assert inbox.take(now()).samples.accepted == 5
    assert store.calls == [2, 3]


def test_files_of_a_clock_that_was_wrong_are_not_waited_for(inbox):
    ahead = now().timestamp() + 400 * 86_400
    samples, missions = inbox.folder / "kpis" / "health.csv", inbox.folder / "events.jsonl"
    samples.write_bytes(HEADER + b"domain_health,payments,latency_ms,2026-03-01T10:00:00Z,280\n")
    missions.write_bytes(encode(event("a")).rstrip(b"\n"))
    for path in (samples, missions):
        os.utime(path, (ahead, ahead))
    intake = inbox.take(now())
    assert (intake.samples.accepted, intake.missions.accepted) == (1, 1)
    assert not samples.exists() and not missions.exists()


def test_a_sample_file_that_cannot_be_read_is_quarantined_by_name(inbox, landing):
    path = inbox.folder / "kpis" / "broken.parquet"
    path.write_bytes(b"PAR1 not really")
    os.utime(path, (0, 0))
    assert inbox.take(now()).bad_samples == 1
    (bad,) = landing.quarantine.lines()
    assert (bad.origin, bad.kind) == ("broken.parquet", "file")


def test_replay_takes_what_passes_now_and_is_idempotent(inbox, landing, tmp_path):
    path = tmp_path / "events.jsonl"
    soon = (now() + timedelta(hours=25)).isoformat()
    path.write_bytes(encode(event("early", completed_at=soon)) + b"{never\n")
    assert take_file(landing, path).accepted == 0
    moved = [r for r in landing.quarantine.lines() if r.field == "completed_at"]
    assert len(moved) == 1
    counts, waiting = replay(landing, inbox)
    assert (counts.accepted, len(waiting)) == (0, 2)
    landing.add("fix", [], now())
    assert len(landing.quarantine.lines()) == 2, "a replay that fails adds no second row"


def test_a_look_costs_what_is_new(inbox, landing, tmp_path):
    for number in range(300):
        path = inbox.folder / f"f{number}.jsonl"
        path.write_bytes(encode(event(f"m{number}")))
        os.utime(path, (0, 0))
    assert tally(inbox.take(now())) == (300, 0, 0, 0)
    assert list(inbox.folder.glob("*.jsonl")) == []
    assert tally(inbox.take(now())) == (0, 0, 0, 0)
