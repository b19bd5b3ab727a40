"""Months of a table in one file: what readers see stays the same, at every instant."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import duckdb
import pyarrow as pa
import pytest

from grace_assets.lake import months
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.conform import SchemaError
from grace_assets.lake.local_files import LocalFiles
from grace_assets.lake.locks import Locks
from grace_assets.lake.tables import Lake
from tests.rows import table

MONTH = "2026-03"
DAYS = [(date(2026, 3, 1) + timedelta(days=n)).isoformat() for n in range(31)]
EMPTY = DAYS[6]


def rows(day: str, count: int, note: str = "first") -> pa.Table:
    return table(
        "problems",
        [
            {
                "date": day,
                "problem_id": f"{day}-{n}",
                "domain_id": "payments",
                "type": "recurring",
                "severity": "high",
                "description": note,
                "evidence": [f"m-{n}"],
            }
            for n in range(count)
        ],
    )


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(tmp_path)
    for n, day in enumerate(DAYS):
        lake.replace("problems", [day], rows(day, 0 if day == EMPTY else n + 1))
    lake.replace("problems", ["2026-04-01"], rows("2026-04-01", 2))
    return lake


def files(lake: Lake) -> list[str]:
    root = lake._files.root
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.parquet"))


def test_readers_see_what_they_saw(lake):
    before, days = lake.read("problems", DAYS), lake.days("problems")
    some = lake.read("problems", DAYS[3:9], ["description"])
    assert lake.compact("problems", MONTH) == (31, before.num_rows)
    assert lake.read("problems", DAYS).equals(before)
    assert lake.read("problems", DAYS[3:9], ["description"]).equals(some)
    assert lake.days("problems") == days, "a day without rows was made all the same"
    assert lake.read("problems", [EMPTY]).num_rows == 0
    assert files(lake) == [
        "compacted/problems/month=2026-03/part-0.parquet",
        "tables/problems/date=2026-04-01/part-0.parquet",
    ]


def test_another_process_and_other_engines_read_it(lake):
    before = lake.read("problems", DAYS)
    lake.compact("problems", MONTH)
    root = lake._files.root
    assert Lake(root).read("problems", DAYS).equals(before)
    found = duckdb.sql(f"select date, problem_id from '{root}/compacted/problems/*/*.parquet'")
    assert sorted(found.fetchall()) == sorted(
        zip(before["date"].to_pylist(), before["problem_id"].to_pylist(), strict=True)
    )


def test_a_day_that_is_made_again_stands_for_its_month_and_is_folded_in_later(lake):
    lake.compact("problems", MONTH)
    again = rows(DAYS[4], 2, "again")
    lake.replace("problems", [DAYS[4]], again)
    assert lake.read("problems", [DAYS[4]]).equals(again)
    whole = lake.read("problems", DAYS)
    assert lake.compact("problems", MONTH) == (1, 2)
    assert lake.read("problems", DAYS).equals(whole)
    assert lake.compact("problems", MONTH) == (0, 0), "nothing new"


def test_kept_answers_follow_it(lake):
    analytics = Analytics(lake)
    before = analytics.of_days("problems", DAYS)
    lake.compact("problems", MONTH)
    assert analytics.of_days("problems", DAYS).equals(before)
    lake.replace("problems", [DAYS[4]], rows(DAYS[4], 2, "again"))
    after = analytics.of_days("problems", DAYS)
    assert after.num_rows == before.num_rows - 3
    assert lake.signatures("problems", ["2027-01-01"]) == [None]


@pytest.mark.parametrize("step", range(4))
def test_what_stops_between_two_steps_leaves_every_row_once(lake, monkeypatch, step):
    """Steps: the month, the list of its days, a first day's file gone, all but one of them."""
    before = lake.read("problems", DAYS)
    done = []

    class Stop(Exception):
        pass

    def replacing(self, file, held=None, original=LocalFiles.replacing):
        if len(done) == step:
            raise Stop
        done.append(file)
        return original(self, file, held)

    def remove(self, gone, original=LocalFiles.remove):
        original(self, gone[: 1 if step == 2 else -1])
        raise Stop

    monkeypatch.setattr(LocalFiles, "replacing", replacing)
    monkeypatch.setattr(LocalFiles, "remove", remove)
    with pytest.raises(Stop):
        lake.compact("problems", MONTH)
    monkeypatch.undo()
    for reader in (lake, Lake(lake._files.root)):
        assert reader.read("problems", DAYS).equals(before)
    lake.compact("problems", MONTH)
    assert Lake(lake._files.root).read("problems", DAYS).equals(before)
    assert len(files(lake)) == 2


def test_a_month_that_reads_differently_takes_nothing_away(lake, monkeypatch):
    before = lake.read("problems", DAYS)
    write = lake._months.write

    def lose_a_row(table, month, schema, parts):
        write(
            table,
            month,
            schema,
            ((d, part.slice(1) if d == DAYS[3] else part) for d, part in parts),
        )

    monkeypatch.setattr(lake._months, "write", lose_a_row)
    with pytest.raises(SchemaError, match=DAYS[3]):
        lake.compact("problems", MONTH)
    assert Lake(lake._files.root).read("problems", DAYS).equals(before)


def test_a_day_that_a_stranger_made_meanwhile_is_not_taken_away(lake, monkeypatch):
    """Hosts without a database in common have no lock in common."""
    again, write = rows(DAYS[4], 2, "again"), lake._months.write

    def interrupted(*how):
        write(*how)
        Lake(lake._files.root, locks=Locks(lake._files.root / "other")).replace(
            "problems", [DAYS[4]], again
        )

    monkeypatch.setattr(lake._months, "write", interrupted)
    with pytest.raises(SchemaError, match=DAYS[4]):
        lake.compact("problems", MONTH)
    monkeypatch.undo()
    assert lake.read("problems", [DAYS[4]]).equals(again)
    lake.compact("problems", MONTH)
    assert lake.read("problems", [DAYS[4]]).equals(again)


class SlowDisk(LocalFiles):
    """Between reading the list of days and replacing it there is time for others."""

    def replacing(self, file, held=None):
        time.sleep(0.1 if file.endswith("days.json") else 0)
        return super().replacing(file, held)


def test_months_that_hosts_make_at_once_are_all_listed(lake, postgresql, tmp_path):
    """They have the files in common, and their locks by the database alone."""
    files, others = SlowDisk(lake._files.root), [f"2026-{month:02}" for month in range(5, 9)]
    for month in others:
        lake.replace("problems", [f"{month}-01"], rows(f"{month}-01", 1))

    def compact(month: str) -> None:
        host = tmp_path / f"host-{month}"
        locks = Locks(host, postgresql)
        Lake(host, files, locks).compact("problems", month)
        locks._database.close()

    with ThreadPoolExecutor(len(others)) as pool:
        list(pool.map(compact, others))
    found = Lake(files.root).read("problems", [f"{month}-01" for month in others])
    assert found.num_rows == len(others)


def test_a_month_that_somebody_took_away_is_said_and_not_empty(lake):
    lake.compact("problems", MONTH)
    (lake._files.root / months.file_of("problems", MONTH)).unlink()
    with pytest.raises(FileNotFoundError, match=f"month={MONTH}"):
        lake.read("problems", DAYS)


def test_a_folder_without_a_file_is_no_day_of_the_month(lake):
    (lake._files.root / "tables/problems/date=2026-05-01").mkdir()
    assert lake.compact("problems", "2026-05") == (0, 0)
    assert not (lake._files.root / months.file_of("problems", "2026-05")).exists()


READER = """
import sys
from pathlib import Path
from grace_assets.lake.tables import Lake
days = sys.argv[2].split(",")
print("ready", flush=True)
looks = 0
while not Path(sys.argv[1], "done").exists() or looks < 3:
    found = Lake(Path(sys.argv[1])).read("problems", days)
    ids = found["problem_id"].to_pylist()
    assert len(ids) == len(set(ids)) == int(sys.argv[3]), (len(ids), len(set(ids)))
    looks += 1
print(looks)
"""


def test_a_reader_at_any_instant_sees_each_row_once(lake):
    total = lake.read("problems", DAYS).num_rows
    root = lake._files.root
    command = [sys.executable, "-c", READER, str(root), ",".join(DAYS), str(total)]
    readers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for reader in readers:
        assert reader.stdout and reader.stdout.readline() == "ready\n"
    for turn in range(15):
        lake.compact("problems", MONTH)
        for n, day in enumerate(DAYS[turn : turn + 4], start=turn):
            lake.replace("problems", [day], rows(day, 0 if day == EMPTY else n + 1))
    (root / "done").touch()
    for reader in readers:
        said, wrong = reader.communicate(timeout=60)
        assert reader.returncode == 0, wrong
        assert int(said) >= 3


def test_a_writer_waits_for_the_compaction_of_its_table(lake):
    """Else the day that it makes meanwhile would be taken away."""
    other, order = Lake(lake._files.root), []

    def make() -> None:
        other.replace("problems", [DAYS[4]], rows(DAYS[4], 2, "again"))
        order.append("made")

    with lake.exclusive("problems"):
        thread = threading.Thread(target=make)
        thread.start()
        thread.join(0.3)
        lake.compact("problems", MONTH)
        order.append("compacted")
    thread.join()
    assert order == ["compacted", "made"]
    assert lake.read("problems", [DAYS[4]]).num_rows == 2
