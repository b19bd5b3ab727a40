"""A process that starts answers from the days as an earlier one read them, while they are true."""

from __future__ import annotations

import os
import threading
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from grace_assets.core.rollups import domain_daily
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.tables import Lake
from tests.rows import outcome, part, table

DAYS = ("2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02")
END = date(2026, 3, 2)


def write(lake: Lake, day: str, restored: float) -> None:
    rows = table("mission_outcomes", [outcome("m", date=day, time_to_restore_seconds=restored)])
    lake.replace("domain_daily", [day], domain_daily(rows))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    for number, day in enumerate(DAYS):
        write(lake, day, 100.0 + number)
    return lake


def answered(lake: Lake, period_days: int = 30) -> list[float]:
    """The times to restore by day, as a process that just started tells them."""
    return [point.mttr_seconds for point in Analytics(lake).mttr_trend(period_days, END)]


def cached(lake: Lake) -> list[Path]:
    return sorted((lake.cache / "domain_daily").iterdir())


def test_a_day_that_was_read_before_is_not_opened(lake):
    assert answered(lake) == [100.0, 101.0, 102.0, 103.0]
    assert [file.name for file in cached(lake)] == ["2026-02.arrow", "2026-03.arrow"]
    for day in DAYS:
        path = part(lake, "domain_daily", day)
        before = path.stat()
        path.write_bytes(b"?" * before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert answered(lake) == [100.0, 101.0, 102.0, 103.0]
    assert answered(lake, 3) == [101.0, 102.0, 103.0]
    assert answered(lake, 1) == [103.0]


def test_a_day_made_again_added_or_removed_shows_in_the_next_process(lake):
    answered(lake)
    write(lake, DAYS[1], 7.0)
    assert answered(lake) == [100.0, 7.0, 102.0, 103.0]
    write(lake, "2026-02-26", 8.0)
    assert answered(lake) == [8.0, 100.0, 7.0, 102.0, 103.0]
    part(lake, "domain_daily", DAYS[0]).unlink()
    assert answered(lake) == [8.0, 7.0, 102.0, 103.0]


def test_a_month_that_was_compacted_reads_the_same(lake):
    answered(lake)
    lake.compact("domain_daily", "2026-02")
    assert answered(lake) == answered(lake) == [100.0, 101.0, 102.0, 103.0]
    write(lake, DAYS[1], 7.0)
    assert answered(lake) == [100.0, 7.0, 102.0, 103.0]


@pytest.mark.parametrize(
    "content",
    [b"", b"no Arrow", pa.schema([("date", pa.string())]).serialize().to_pybytes()],
    ids=["empty", "another format", "another table"],
)
def test_what_is_not_ours_in_the_place_of_a_file_is_replaced(lake, content):
    answered(lake)
    for file in cached(lake):
        file.write_bytes(content)
    assert answered(lake) == [100.0, 101.0, 102.0, 103.0]
    assert all(len(file.read_bytes()) > 1000 for file in cached(lake))


def test_answers_are_given_where_nothing_can_be_cached(lake):
    lake.cache.write_text("no folder")
    assert answered(lake) == [100.0, 101.0, 102.0, 103.0]


def test_what_is_there_is_not_written_again_whichever_columns_are_read(lake):
    answered(lake)
    before = [(file.stat().st_ino, file.stat().st_mtime_ns) for file in cached(lake)]
    assert answered(lake) == [100.0, 101.0, 102.0, 103.0]
    assert Analytics(lake).stats(30, END).mttr_count == len(DAYS)
    assert [(file.stat().st_ino, file.stat().st_mtime_ns) for file in cached(lake)] == before


def test_a_server_writes_a_month_once_however_often_a_day_is_made_again(lake):
    serving, written = Analytics(lake), set()
    for restored in (1.0, 2.0, 3.0):
        write(lake, DAYS[3], restored)
        assert serving.mttr_trend(1, END)[0].mttr_seconds == restored
        (file,) = cached(lake)
        written.add((file.stat().st_mtime_ns, file.stat().st_ino))
    assert len(written) == 1


def test_readers_that_start_while_days_are_made_again_tell_each_as_it_was_or_is(lake):
    problems, done = [], threading.Event()

    def read() -> None:
        least = 0.0
        while not done.is_set():
            found = answered(lake)
            if len(found) != len(DAYS) or found[3] < least:
                problems.append((least, found))
            least = found[3]

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for restored in range(200, 230):
        write(lake, DAYS[3], float(restored))
    done.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert answered(lake)[3] == 229.0
