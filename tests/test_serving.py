"""`make dev` is one thing to start and one to stop: Dagster, and the dashboard beside it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from grace_assets.api.access import Access
from grace_assets.serving import application
from grace_assets.settings import Settings
from tests.conftest import encode, event
from tests.serving import serve

GRACE = str(Path(sys.executable).with_name("grace"))


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def answers(url: str, seconds: float = 90) -> httpx.Response:
    end = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(url, trust_env=False, timeout=30)
        except httpx.TransportError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_dagster_and_the_dashboard_start_and_end_together(tmp_path, ending):
    ui, dashboard = free_ports(2)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GRACE_DATA_DIR": str(tmp_path / "d")}
    command = [GRACE, "dev", "--port", str(ui), "--dashboard-port", str(dashboard)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        page = answers(f"http://127.0.0.1:{dashboard}/")
        assert page.status_code == 200
        assert "Data freshness" in page.text
        assert answers(f"http://127.0.0.1:{ui}/server_info").status_code == 200
        process.send_signal(ending)
        assert process.wait(30) is not None
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{ui}/server_info", trust_env=False)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_webserver_that_is_configured_launches_the_run_and_sends_nothing(tmp_path):
    ui, dashboard = free_ports(2)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GRACE_DATA_DIR": str(tmp_path / "d"),
        "DAGSTER_GRAPHQL_URL": f"http://127.0.0.1:{ui}",
    }
    missions = tmp_path / "missions.jsonl"
    missions.write_bytes(encode(event()))
    subprocess.run([GRACE, "ingest", missions], cwd=tmp_path, env=env, check=True)
    address = f"http://127.0.0.1:{dashboard}/api/status-brief/generate?date=2026-03-01"
    command = [GRACE, "dev", "--port", str(ui), "--dashboard-port", str(dashboard)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        answers(f"http://127.0.0.1:{dashboard}/healthz")
        early = httpx.post(address, trust_env=False, timeout=60)
        # Dagster's webserver starts later than ours: until then nothing is launched elsewhere.
        assert early.status_code in (200, 503)
        answers(f"http://127.0.0.1:{ui}/server_info")
        for _ in range(60):
            made = httpx.post(address, trust_env=False, timeout=120)
            if made.status_code != 503:
                break
            time.sleep(1)
        assert made.status_code == 200, made.text
        assert made.json()["missions"] == 1
        from dagster_graphql import DagsterGraphQLClient

        client = DagsterGraphQLClient("127.0.0.1", port_number=ui)
        assert client.get_run_status(made.json()["run_id"]).value == "SUCCESS"
        again = httpx.post(f"{address}&wait=false", trust_env=False, timeout=60)
        assert (again.status_code, set(again.json())) == (202, {"run_id"})
        assert again.json()["run_id"] != made.json()["run_id"]
        assert not list((tmp_path / "d" / "outbox").glob("*/brief-*"))
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_without_its_webserver_a_run_is_refused(tmp_path):
    (port,) = free_ports(1)
    settings = Settings.from_env(
        {"GRACE_DATA_DIR": str(tmp_path), "DAGSTER_GRAPHQL_URL": f"http://127.0.0.1:{port}"}
    )
    with serve(application(settings, "127.0.0.1", Access())) as client:
        refused = client.post("/api/status-brief/generate?date=2026-03-01")
        assert refused.status_code == 503
        assert "took no run" in refused.json()["detail"]
        assert str(port) not in refused.text


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        env = {"PATH": os.environ["PATH"], "GRACE_DATA_DIR": str(tmp_path / "d")}
        command = [GRACE, "dev", "--port", port, "--dashboard-port", port]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
