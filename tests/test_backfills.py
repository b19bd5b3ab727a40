"""Backfills at once, and `grace backfill --launch`: what a real webserver is asked for."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from benchmarks.harness import clean_env, script
from benchmarks.hosts import MODULE, kill
from grace_assets.backfills import daily_assets
from grace_assets.lake.tables import Lake
from grace_assets.launching import client_of
from grace_assets.settings import Settings
from tests.conftest import encode, event
from tests.seaweed import free_port

DAYS = ("--from", "2026-03-01", "--to", "2026-03-02")
ASKED = """
query Asked($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill {
      tags { key value }
      assetBackfillData {
        rootTargetedPartitions { ranges { start end } }
        assetBackfillStatuses {
          ... on AssetPartitionsStatusCounts { assetKey { path } numPartitionsTargeted }
        }
      }
    }
  }
}
"""


def launch(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(script("grace")), "backfill", "--launch", *DAYS]
    return subprocess.run(command, cwd=env["HOME"], env=env, capture_output=True, text=True)


@pytest.fixture
def env(tmp_path) -> dict[str, str]:
    url = f"http://127.0.0.1:{free_port()}"
    more = {"HOME": str(tmp_path), "DAGSTER_GRAPHQL_URL": url, "GRACE_BACKFILL_DAYS_PER_RUN": "1"}
    return clean_env(tmp_path / "data", **more)


@pytest.fixture
def webserver(env, tmp_path) -> Iterator[str]:
    url = env["DAGSTER_GRAPHQL_URL"]
    command = [str(script("dagster-webserver")), "--port", url.rpartition(":")[2], *MODULE]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        end = time.monotonic() + 60
        while True:
            with suppress(httpx.TransportError):
                httpx.get(f"{url}/server_info", trust_env=False).raise_for_status()
                break
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.2)
        yield url
    finally:
        kill(process)


def test_every_daily_asset_is_asked_for_on_these_days_and_on_no_other(env, webserver):
    said = launch(env)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("2 days in backfill ")
    answer = client_of(webserver)._execute(ASKED, {"id": said.stdout.split()[-1]})
    asked = answer["partitionBackfillOrError"]
    assert {"key": "grace/deliver", "value": "never"} in asked["tags"]
    data = asked["assetBackfillData"]
    ranges = data["rootTargetedPartitions"]["ranges"]
    assert ranges == [{"start": "2026-03-01", "end": "2026-03-02"}]
    days = {
        tuple(found["assetKey"]["path"]): found["numPartitionsTargeted"]
        for found in data["assetBackfillStatuses"]
    }
    assert days == {tuple(path): 2 for path in daily_assets(Settings.from_env(env))}


def test_without_a_webserver_nothing_is_launched_and_its_address_is_not_told(env):
    said = launch(env)
    assert (said.returncode, said.stdout) == (1, "")
    assert "took no backfill" in said.stderr
    assert env["DAGSTER_GRAPHQL_URL"] not in said.stderr


def test_without_its_setting_the_setting_is_named(env):
    del env["DAGSTER_GRAPHQL_URL"]
    said = launch(env)
    assert said.returncode == 2
    assert "DAGSTER_GRAPHQL_URL" in said.stderr


def test_backfills_at_once_do_not_lock_dagsters_databases(env, tmp_path):
    days = [f"2026-03-{number:02}" for number in range(1, 29)]
    times = {"started_at": "{}T10:00:00Z", "completed_at": "{}T10:10:00Z"}
    events = [
        event(day, **{name: time.format(day) for name, time in times.items()}) for day in days
    ]
    (tmp_path / "events.jsonl").write_bytes(encode(*events))
    grace = str(script("grace"))
    subprocess.run([grace, "ingest", tmp_path / "events.jsonl"], env=env, check=True)
    runs = [
        subprocess.Popen(
            [grace, "backfill", "--from", days[first], "--to", days[first + 6]],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for first in range(0, len(days), 7)
    ]
    said = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0] * len(runs), said
    assert "locked" not in "".join(said)
    made = Lake(tmp_path / "data").read("mission_outcomes", days)
    assert made["mission_id"].to_pylist() == days
