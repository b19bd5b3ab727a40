"""`deploy/celery` as it is written: runs on two workers that share S3, PostgreSQL and Redis."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.harness import clean_env, run, script
from benchmarks.hosts import INSTANCE, MODULE, Hosts, addresses, kill
from benchmarks.same_tables import differences
from grace_assets.core.schemas import TABLES
from grace_assets.lake.local_files import LocalFiles
from grace_assets.lake.s3_files import S3Files
from grace_assets.lake.samples import SCHEMA
from grace_assets.lake.tables import Lake
from tests import redis_server
from tests.conftest import encode, event
from tests.seaweed import BUCKET, seaweed
from tests.servers import unavailable

RANGES = [("2026-01-10", "2026-01-11"), ("2026-06-10", "2026-06-11")]
"""So far apart that neither reads what the other makes."""
DAYS = [day for days in RANGES for day in days]
MADE = [name for name in TABLES if name != "deliveries"]
"""By the runs of the sensor, which send nothing."""
HOLD = """
import sys
from pathlib import Path
from grace_assets.lake.locks import Locks
with Locks(Path(), sys.argv[1]).exclusive("mission_outcomes"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def outcomes_held(hosts: Hosts, database: str) -> Iterator[None]:
    """Another host has the table: runs stop in their middle, and wait for it."""
    command, home = [sys.executable, "-c", HOLD, database], hosts.home("another")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=home["HOME"], env=home, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate()


def until(true: Callable[[], object], hosts: Hosts) -> None:
    end = time.monotonic() + 240
    while not true():
        if time.monotonic() > end:
            logs = sorted(hosts.folder.glob("*.log"))
            pytest.fail("\n".join(f"{p}\n{p.read_text(errors='replace')[-2000:]}" for p in logs))
        time.sleep(0.2)


@pytest.fixture
def database(postgresql) -> Iterator[str]:
    """An empty one on the PostgreSQL of all tests."""
    server = postgresql.replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as db:
        db.execute("create database celery_runs")
        yield postgresql.removesuffix("/postgres") + "/celery_runs"
        db.execute("drop database celery_runs with (force)")


@pytest.fixture
def hosts(database, tmp_path) -> Iterator[Hosts]:
    if redis_server.PROGRAM is None:
        unavailable("redis-server")
    (tmp_path / "s3").mkdir()
    # What is noticed within 20 seconds is noticed within two here.
    shipped = INSTANCE.read_text(encoding="utf-8")
    instance = shipped.replace("poll_interval_seconds: 20", "poll_interval_seconds: 2")
    assert instance != shipped
    with redis_server.server() as broker, seaweed(tmp_path / "s3") as bucket:
        # Redis asks its default user for no password, and takes any.
        broker = broker.replace("//", "//default:canary-password@")
        env = addresses(database, broker, f"s3://{BUCKET}/grace", "canary-password")
        yield Hosts(tmp_path, {**env, **bucket}, instance)


def write_inputs(folder: Path) -> list[str]:
    """A mission on each day, and the latency around it: high before, healthy after."""
    missions, rows = [], []
    for day in DAYS:
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        begin, end = start + timedelta(hours=10), start + timedelta(hours=10, minutes=20)
        missions.append(
            event(f"m-{day}", started_at=begin.isoformat(), completed_at=end.isoformat())
        )
        for minute in range(0, 1440, 2):
            at = start + timedelta(minutes=minute)
            value = 520.0 if begin - timedelta(minutes=40) <= at < end else 280.0
            rows.append(("rag_kpis", "payments", "latency_ms", at, value + minute * 7919 % 13))
    (folder / "missions.jsonl").write_bytes(encode(*missions))
    columns = zip(*rows, strict=True)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    pq.write_table(pa.table(arrays, schema=SCHEMA), folder / "kpis.parquet")
    return [str(folder / "missions.jsonl"), "--kpis", str(folder / "kpis.parquet")]


def test_the_run_of_a_killed_worker_is_made_anew_and_the_tables_are_those_of_one_machine(
    hosts, database, tmp_path, monkeypatch
):
    inputs = write_inputs(tmp_path)
    server = database.replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as db, ExitStack() as up:

        def count(what: str) -> int:
            return db.execute(f"select count(*) from {what}").fetchone()[0]

        hosts.call("first", "dagster", "instance", "migrate")
        victim = up.enter_context(hosts.worker("one"))
        up.enter_context(hosts.worker("two"))
        hosts.call("first", "grace", "ingest", *inputs)
        with outcomes_held(hosts, database):
            # Its sensor launches a run of each range.
            up.enter_context(hosts.process("first", "dagster-daemon", "run", *MODULE))
            # Each worker has a place for one run.
            until(lambda: count("pg_locks where locktype = 'advisory' and not granted") == 2, hosts)
            kill(victim)
            # As a supervisor does it: under the same name, and answering again.
            up.enter_context(hosts.worker("one"))
        until(lambda: count("runs where status = 'SUCCESS'") == 2, hosts)
        assert count("runs where status = 'FAILURE'") == 1
        # By Dagster, or by the sensor where Dagster gave it up.
        again = "key in ('dagster/retry_number', 'grace/again')"
        assert count(f"run_tags where {again} and value = '1'") == 1

    alone = clean_env(tmp_path / "alone")
    run([script("grace"), "ingest", *inputs], alone)
    for start, end in RANGES:
        run([script("grace"), "backfill", "--from", start, "--to", end], alone)
    for name, value in hosts.env.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    files = S3Files(hosts.env["GRACE_DATA_DIR"])
    local = LocalFiles(tmp_path / "alone")
    rows, found = differences(local, files, tmp_path, DAYS, MADE)
    assert (rows >= 20, found) == (True, [])
    measured = Lake(tmp_path, files).read("mission_telemetry", DAYS)
    assert measured["improved"].to_pylist() == [True] * len(DAYS)
    for path in tmp_path.rglob("*"):
        # The bucket's server keeps its keys.
        if path.is_file() and not path.is_relative_to(tmp_path / "s3"):
            assert b"canary" not in path.read_bytes(), path
