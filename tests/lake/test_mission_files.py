"""Long files: other processes judge lines ahead, and nothing else changes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grace_assets.lake import mission_files
from grace_assets.lake.landing import Landing
from grace_assets.lake.mission_files import _in_turn, take_file
from tests.api.test_app import envelope
from tests.conftest import encode, event

DAYS = ["2026-03-01", "2026-03-02", "2026-03-03"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def long_file(tmp_path, monkeypatch) -> Path:
    """A few thousand lines of all kinds, in some fifty batches; the last has no newline."""
    monkeypatch.setattr(mission_files, "BATCH_BYTES", 10_000)
    path = tmp_path / "missions.jsonl"
    lines = []
    for number in range(3_000):
        completed = f"2026-03-0{1 + number % 3}T10:30:00Z"
        mission = event(f"m{number % 2_500}", completed_at=completed, title=f"t{number % 7}")
        lines.append(encode(envelope(data=mission) if number % 11 == 3 else mission))
        if number % 13 == 0:
            lines.append([b"\n", b"{broken\n", b"\xff\n", b'"mission_id"\n'][number % 4])
    path.write_bytes(b"".join(lines)[:-1])
    return path


def held(landing: Landing) -> tuple:
    events = [(row.day, row.raw, row.revision, row.origin) for row in landing.missions.events(DAYS)]
    rejected = [(bad.line, bad.field, bad.reason, bad.raw) for bad in landing.quarantine.lines()]
    trail = [landing.missions.revisions(f"m{number}") for number in range(0, 2_500, 100)]
    return events, rejected, trail


def opened(root: Path) -> closing[Landing]:
    return closing(Landing(root, ZoneInfo("UTC")))


def test_what_is_judged_ahead_is_taken_as_if_it_came_line_by_line(long_file, tmp_path, capfd):
    with opened(tmp_path / "ahead") as ahead, opened(tmp_path / "one") as one:
        counts, expected = take_file(ahead, long_file, ahead=True), take_file(one, long_file)
        assert counts.accepted == expected.accepted == 2_500
        assert (counts.duplicate, counts.corrected) == (expected.duplicate, expected.corrected)
        assert len(counts.rejected) == len(expected.rejected) > 100
        assert held(ahead) == held(one)
        lines = long_file.read_bytes().split(b"\n")
        assert all(lines[bad.line - 1] == bad.raw.strip() for bad in counts.rejected)
    assert capfd.readouterr().err == ""


def test_a_reader_that_is_killed_is_told_and_nothing_that_was_taken_is_lost(
    long_file, tmp_path, monkeypatch
):
    judge = mission_files.judge

    def killed_in_the_middle(origin, lines, *how):
        if any(b'"m1500"' in line.raw for line in lines):
            os.kill(os.getpid(), signal.SIGKILL)
        return judge(origin, lines, *how)

    with opened(tmp_path / "data") as landing:
        monkeypatch.setattr(mission_files, "judge", killed_in_the_middle)
        with pytest.raises(OSError, match=r"missions.jsonl: its reader ended with -9"):
            take_file(landing, long_file, ahead=True)
        monkeypatch.setattr(mission_files, "judge", judge)
        taken = {row.raw for row in landing.missions.events(DAYS)}
        assert 1_000 < len(taken) < 2_000
        counts = take_file(landing, long_file, ahead=True)
        assert counts.accepted + len(taken) == 2_500
        assert len(landing.missions.events(DAYS)) == 2_500


def test_what_the_disk_refuses_a_reader_is_told_as_it_is(long_file, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(5, "Input/output error", str(long_file))

    monkeypatch.setattr(mission_files, "batches", refused)
    with opened(tmp_path / "data") as landing, pytest.raises(OSError, match="Input/output"):
        take_file(landing, long_file, ahead=True)


def test_what_is_written_to_a_file_while_it_is_taken_is_left(long_file, tmp_path, monkeypatch):
    judge = mission_files.judge

    def growing(origin, lines, *how):
        if lines[0].number == 1:
            with long_file.open("ab") as file:
                file.write(b"\n" + encode(*(event(f"late{n}") for n in range(1_000))))
        return judge(origin, lines, *how)

    monkeypatch.setattr(mission_files, "judge", growing)
    with opened(tmp_path / "data") as landing:
        assert take_file(landing, long_file, ahead=True).accepted == 2_500


def test_a_reader_reads_on_where_the_next_one_is_gone(long_file):
    (before, first), (gone, after) = multiprocessing.Pipe(False), multiprocessing.Pipe(False)
    gone.close()
    first.send((0, 1))
    with closing(_in_turn(long_file, long_file.stat().st_size, before, after)) as some:
        assert next(some)[0].number == 1


def test_a_pipe_is_taken_like_a_file(long_file, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = ["sh", "-c", 'cat "$0" > "$1"', long_file, pipe]
    with opened(tmp_path / "data") as landing, subprocess.Popen(writing):
        assert take_file(landing, pipe, ahead=True).accepted == 2_500


STORING = """
import multiprocessing, sys, time
from pathlib import Path
from zoneinfo import ZoneInfo
from grace_assets.lake import mission_files
from grace_assets.lake.landing import Landing
def store(self, judged):
    print(*(reader.pid for reader in multiprocessing.active_children()), flush=True)
    time.sleep(600)
Landing.store, mission_files.BATCH_BYTES = store, 10_000
landing = Landing(Path(sys.argv[1]), ZoneInfo("UTC"))
mission_files.take_file(landing, Path(sys.argv[2]), ahead=True)
"""


def test_readers_end_with_the_process_that_they_read_for(long_file, tmp_path):
    command = [sys.executable, "-c", STORING, str(tmp_path / "data"), str(long_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        readers = process.stdout.readline().split()
        process.kill()
    assert len(readers) == 2
    deadline = time.monotonic() + 20
    while any(map(runs, readers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def runs(pid: str) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    # A zombie has ended; nobody has asked for it yet.
    return status.rpartition(")")[2].split()[0] != "Z"
