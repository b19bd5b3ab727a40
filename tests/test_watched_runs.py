"""Runs whose process died with its code server are found; nobody else's run is taken for lost."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from grace_assets.watched_runs import WatchedRunLauncher

PROGRAM = Path(sys.executable).parent / "dagster"
DEFINITIONS = "import dagster as dg\ndefs = dg.Definitions()\n"


@dg.op
def wait():
    """Of the run that is looked for."""


@dg.job
def waiting():
    wait()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    launcher = {"module": WatchedRunLauncher.__module__, "class": WatchedRunLauncher.__name__}
    with dg.instance_for_test({"run_launcher": launcher}, temp_dir=str(tmp_path)) as instance:
        yield instance


def health(instance: dg.DagsterInstance, **address: object) -> WorkerStatus:
    tags = {GRPC_INFO_TAG: json.dumps({"host": "localhost", **address})} if address else {}
    run = instance.create_run_for_job(waiting, tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert instance.run_launcher.supports_check_run_worker_health
    return instance.run_launcher.check_run_worker_health(run).status


def test_a_run_of_a_code_server_that_is_gone_is_lost(instance, tmp_path):
    left = tmp_path / "left"
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(left))
        ended.listen()
    assert health(instance, socket=str(left)) == WorkerStatus.NOT_FOUND
    assert health(instance, socket=str(tmp_path / "removed")) == WorkerStatus.NOT_FOUND


def test_a_run_that_a_code_server_does_not_know_is_lost(instance, tmp_path):
    (tmp_path / "defs.py").write_text(DEFINITIONS)
    path = tmp_path / "server"
    command = [PROGRAM, "api", "grpc", "--socket", path, "--python-file", tmp_path / "defs.py"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                if path.exists():
                    break
                time.sleep(0.05)
            assert health(instance, socket=str(path)) == WorkerStatus.NOT_FOUND
        finally:
            server.kill()


def test_a_server_elsewhere_that_is_not_reached_may_still_make_its_run(instance):
    assert health(instance, port=1) == WorkerStatus.RUNNING


def test_a_run_of_a_command_is_left_to_the_sensor_that_knows_its_process(instance):
    assert health(instance) == WorkerStatus.RUNNING
