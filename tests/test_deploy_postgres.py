"""`deploy/postgres` as it is written: state on a real PostgreSQL, runs of two processes at once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.conftest import encode, event

SHIPPED = Path(__file__).parents[1] / "deploy" / "postgres" / "dagster.yaml"
DAGSTER = str(Path(sys.executable).with_name("dagster"))
GRACE = str(Path(sys.executable).with_name("grace"))
DAYS = ("2026-03-01", "2026-03-02")


def test_runs_events_and_deliveries_of_two_processes_lie_in_one_database(postgresql, tmp_path):
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(SHIPPED, home)
    where = urlsplit(postgresql)
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("GRACE_", "DAGSTER_"))},
        "DAGSTER_HOME": str(home),
        "DAGSTER_PG_HOST": str(where.hostname),
        "DAGSTER_PG_PORT": str(where.port),
        "DAGSTER_PG_USER": str(where.username),
        "DAGSTER_PG_PASSWORD": "canary-password",
        "DAGSTER_PG_DB": where.path.strip("/"),
        "GRACE_DATA_DIR": str(tmp_path / "data"),
        "GRACE_STATE_URL": postgresql,
    }
    lines = [
        event(f"m-{day}", started_at=f"{day}T10:00:00Z", completed_at=f"{day}T10:10:00Z")
        for day in DAYS
    ]
    (tmp_path / "missions.jsonl").write_bytes(encode(*lines))
    subprocess.run([GRACE, "ingest", "missions.jsonl"], cwd=tmp_path, env=env, check=True)
    # Once, as its README says: two that make the schema at the same time are in each other's way.
    subprocess.run([DAGSTER, "instance", "migrate"], cwd=tmp_path, env=env, check=True)
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

    with psycopg.connect(postgresql.replace("+psycopg", "")) as db:
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
    assert not list(home.rglob("*.db"))
    left = {file.name for file in tmp_path.rglob("*.sqlite")}
    assert left == {"world.sqlite"}, "what is made of tables, and may be made again"
    tables = tmp_path / "data" / "tables" / "status_briefs"
    assert sorted(path.name for path in tables.iterdir()) == [f"date={day}" for day in DAYS]
    for path in (*home.rglob("*"), *(tmp_path / "data").rglob("*")):
        assert not path.is_file() or b"canary-password" not in path.read_bytes()
