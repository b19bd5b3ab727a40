"""`deploy/postgres` as it is written: state on a real PostgreSQL, runs of two processes at once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests import postgres
from tests.conftest import encode, event
from tests.servers import unavailable

SHIPPED = Path(__file__).parents[1] / "deploy" / "postgres" / "dagster.yaml"
GRACE = str(Path(sys.executable).with_name("grace"))
DAYS = ("2026-03-01", "2026-03-02")


@pytest.fixture(scope="module")
def database():
    programs = postgres.programs()
    if programs is None:
        unavailable("postgresql")
    with postgres.server(programs) as url:
        yield url


def test_runs_events_and_deliveries_of_two_processes_lie_in_one_database(database, tmp_path):
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(SHIPPED, home)
    where = urlsplit(database)
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("GRACE_", "DAGSTER_"))},
        "DAGSTER_HOME": str(home),
        "DAGSTER_PG_HOST": str(where.hostname),
        "DAGSTER_PG_PORT": str(where.port),
        "DAGSTER_PG_USER": str(where.username),
        "DAGSTER_PG_PASSWORD": "canary-password",
        "DAGSTER_PG_DB": where.path.strip("/"),
        "GRACE_DATA_DIR": str(tmp_path / "data"),
        "GRACE_LEDGER_URL": database,
    }
    lines = [
        event(f"m-{day}", started_at=f"{day}T10:00:00Z", completed_at=f"{day}T10:10:00Z")
        for day in DAYS
    ]
    (tmp_path / "missions.jsonl").write_bytes(encode(*lines))
    subprocess.run([GRACE, "ingest", "missions.jsonl"], cwd=tmp_path, env=env, check=True)
    both = [
        subprocess.Popen(
            [GRACE, "backfill", "--from", day, "--to", day],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for day in DAYS
    ]
    said = [process.communicate(timeout=300)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said

    with psycopg.connect(database.replace("+psycopg", "")) as db:
        runs = db.execute("select status, count(*) from runs group by 1").fetchall()
        made = db.execute(
            "select count(distinct asset_key) from event_logs where partition = %s "
            "and dagster_event_type = 'ASSET_MATERIALIZATION'",
            (DAYS[0],),
        ).fetchone()
        sent = db.execute("select count(*) from delivery_ledger").fetchone()
    assert runs == [("SUCCESS", 2)]
    assert made and made[0] >= 15
    assert sent and sent[0] >= 2
    assert not list(home.rglob("*.db")) and not list(tmp_path.rglob("delivery.sqlite"))
    tables = tmp_path / "data" / "tables" / "status_briefs"
    assert sorted(path.name for path in tables.iterdir()) == [f"date={day}" for day in DAYS]
    for path in (*home.rglob("*"), *(tmp_path / "data").rglob("*")):
        assert not path.is_file() or b"canary-password" not in path.read_bytes()
