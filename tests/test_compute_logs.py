"""What a step prints stands in Dagster's files, and is shown where it went before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PRINTING = """
import os, subprocess, sys
import dagster as dg

@dg.asset
def printing() -> None:
    print("by print")
    os.write(2, b"by the descriptor\\n")
    subprocess.run(["echo", "by a process"], check=True)
    here = f"/proc/{os.getpid()}/task"
    print("children", *(open(f"{here}/{task}/children").read() for task in os.listdir(here)))

with dg.DagsterInstance.get() as instance:
    for _ in range(2):
        assert dg.materialize([printing], instance=instance).success
print("after the step")
"""


@pytest.fixture
def home(tmp_path) -> Path:
    (tmp_path / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "compute_logs:\n"
        "  module: grace_assets.compute_logs\n"
        "  class: MirroredComputeLogManager\n"
        f"  config: {{base_dir: {tmp_path / 'logs'}}}\n",
        encoding="utf-8",
    )
    return tmp_path


def run(home: Path, stdout: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PRINTING],
        env=os.environ | {"DAGSTER_HOME": str(home)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def captured(home: Path, kind: str) -> list[str]:
    return [path.read_text() for path in (home / "logs").rglob(f"*.{kind}")]


def test_what_a_step_prints_is_in_its_file_and_shown_once_in_order(home):
    process = run(home, subprocess.PIPE)
    shown, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    step = ["by a process", "by print", "children"]
    assert sorted(line.strip() for line in shown.splitlines()) == sorted(
        [*step, *step, "after the step"]
    )
    assert shown.splitlines()[-1] == "after the step"
    assert errors.count("by the descriptor\n") == 2
    files = captured(home, "out")
    assert [sorted(map(str.strip, text.splitlines())) for text in files] == [step, step]
    assert all(text.count("by the descriptor\n") == 1 for text in captured(home, "err"))
    assert len(captured(home, "complete")) == 2


def test_a_step_goes_on_where_nobody_looks_any_more(home):
    reading, writing = os.pipe()
    os.close(reading)
    process = run(home, writing)
    os.close(writing)
    process.communicate(timeout=60)
    assert all("by print\n" in text for text in captured(home, "out"))
    assert len(captured(home, "complete")) == 2
