"""Writers on several hosts of one day in one bucket; and a server that fails while they write."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pyarrow as pa
import pytest

from benchmarks.reliability import bucket_kills, bucket_races
from benchmarks.reliability.part import Part
from benchmarks.reliability.tracing import worker
from grace_assets.lake.database import StateError
from grace_assets.lake.locks import Locks
from grace_assets.lake.s3_files import S3Files
from grace_assets.lake.samples import SampleStore
from grace_assets.lake.tables import Lake
from grace_assets.resources import StoreResource
from tests.conftest import encode, event
from tests.objects import put
from tests.rows import problem, table
from tests.s3_proxy import S3Proxy, s3_proxy
from tests.servers import unavailable
from tests.test_loop import samples

DAY = "2025-01-03"


@pytest.fixture
def proxy(bucket, monkeypatch) -> Iterator[S3Proxy]:
    """Between the server and everything that asks for it from now on."""
    with s3_proxy(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
        yield proxy


@pytest.fixture
def place(bucket) -> str:
    return f"{bucket}/{uuid4().hex}"


@pytest.fixture
def files(place) -> S3Files:
    return S3Files(place)


def names(lake: Lake) -> list[str]:
    return lake.read("problems", [DAY])["problem_id"].to_pylist()


def add(lake: Lake, name: str) -> None:
    """Read, add a row, write: right only for one at a time."""
    with lake.exclusive("problems", [DAY]):
        rows = pa.concat_tables([lake.read("problems", [DAY]), table("problems", [problem(name)])])
        lake.replace("problems", [DAY], rows)


def take_locks_away(postgresql: str) -> None:
    """End the connections that hold locks, as a database that is started anew does."""
    with psycopg.connect(postgresql.replace("+psycopg", ""), autocommit=True) as db:
        db.execute(
            "SELECT DISTINCT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"
        )


def test_a_writer_killed_at_any_request_leaves_days_as_before_or_as_after(bucket, tmp_path):
    if shutil.which("strace") is None:
        unavailable("strace")
    with worker() as work:
        tally = bucket_kills.sweep(work, tmp_path, bucket, Part(of=3))
    assert tally.problems == []
    assert tally.points >= 4


def test_of_sixteen_processes_that_each_add_a_row_at_once_no_row_is_lost(
    place, postgresql, tmp_path
):
    tally = bucket_races.sweep(tmp_path, place, postgresql)
    assert tally.problems == []
    assert tally.points > bucket_races.HOSTS


@pytest.mark.parametrize("under_way", ["HEAD", "PUT"])
def test_a_writer_whose_lock_is_lost_while_its_request_is_under_way_replaces_nothing(
    proxy, postgresql, files, tmp_path, under_way
):
    one, other = (Lake(tmp_path / host, files, Locks(tmp_path / host, postgresql)) for host in "ab")
    add(other, "before")
    refused: list[Exception] = []

    def late() -> None:
        try:
            add(one, "late")
        except (OSError, StateError) as error:
            refused.append(error)

    proxy.hold(under_way)
    writer = threading.Thread(target=late)
    writer.start()
    assert proxy.arrived.wait(30)
    take_locks_away(postgresql)
    fresh = Lake(tmp_path / "c", files, Locks(tmp_path / "c", postgresql))
    add(fresh, "meanwhile")
    proxy.released.set()
    writer.join()
    assert len(refused) == 1
    assert names(fresh) == ["before", "meanwhile"]


def test_a_write_whose_answer_is_lost_is_not_taken_for_anothers(proxy, postgresql, files, tmp_path):
    lake = Lake(tmp_path, files, Locks(tmp_path, postgresql))
    add(lake, "first")
    proxy.plan()
    add(lake, "counted")
    put = proxy.methods.index("PUT") + 1
    proxy.plan(put, "no answer")
    add(lake, "unanswered")
    # The second one was refused, as the first had been there.
    assert proxy.methods.count("PUT") == 2
    assert names(lake) == ["first", "counted", "unanswered"]


def test_samples_that_cannot_be_read_are_not_merged_with_nothing(proxy, files, tmp_path):
    store = SampleStore(tmp_path, files)
    rows = samples().slice(0, 100)
    store.add(rows.slice(0, 50), lambda touched: None)
    first, last = (rows["timestamp"][n].as_py() for n in (0, 99))
    before = store.read(first, last)
    proxy.plan(1, "500", times=100)
    with pytest.raises(OSError, match=r"500|Internal"):
        store.add(rows.slice(50), lambda touched: None)
    proxy.plan()
    assert store.read(first, last).equals(before)


def test_a_large_object_is_read_in_one_request(proxy, files):
    # Larger than what s3fs would fetch in parts.
    content = os.urandom(60 * 2**20)
    put(files, "large", content)
    proxy.plan()
    assert [source.read() == content for _, source in files.sources(["large"])] == [True]
    assert proxy.methods == ["GET"]


def test_a_bucket_that_nobody_answers_for_is_an_error_of_files(proxy, files):
    proxy.plan(1, "reset", times=100)
    with pytest.raises(OSError, match="bucket"):
        put(files, "outbox/x", b"x")


def test_a_look_at_the_inbox_costs_the_same_whatever_was_taken_before(
    proxy, place, files, tmp_path
):
    store = StoreResource(data_dir=str(tmp_path), timezone="UTC", files_url=place)
    with store.landing() as landing:
        inbox = store.inbox(landing)

        def cost() -> int:
            proxy.plan()
            assert inbox.take(datetime.now(UTC)).files == 0
            return len(proxy.methods)

        before = cost()
        for number in range(30):
            content = encode(event(f"m-{number}"))
            put(files, f"inbox/{number}.jsonl", content)
        assert inbox.take(datetime.now(UTC)).missions.accepted == 30
        assert cost() == before <= 3


def test_the_archive_keeps_both_drops_of_a_name(place, files, tmp_path):
    store = StoreResource(data_dir=str(tmp_path), timezone="UTC", files_url=place)
    for name in ("m-1", "m-2"):
        put(files, "inbox/a.jsonl", encode(event(name)))
        with store.landing() as landing:
            store.inbox(landing).take(datetime.now(UTC))
    kept = [file for file, _, _ in files.found("archive")]
    assert len(kept) == 2
    assert {source.read() for _, source in files.sources(kept)} == {
        encode(event(name)) for name in ("m-1", "m-2")
    }


def test_lines_that_a_consumer_takes_away_while_others_are_written_stay_away(proxy, files):
    files.update("outbox/missions.jsonl", lambda _: b"old\n")
    changed = threading.Thread(
        target=files.update, args=("outbox/missions.jsonl", lambda content: content + b"new\n")
    )
    proxy.hold("PUT")
    changed.start()
    assert proxy.arrived.wait(30)
    put(files, "outbox/missions.jsonl", b"")
    proxy.released.set()
    changed.join()
    assert [source.read() for _, source in files.sources(["outbox/missions.jsonl"])] == [b"new\n"]
