"""What a process and a run cost before any real work: beside `import dagster` and a bare run."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import dagster as dg

from benchmarks.harness import (
    ROOT,
    Result,
    Scale,
    clean_env,
    compared,
    interleave,
    run,
    script,
    timed,
)
from grace_assets import sample

DAY = date(2026, 3, 1)
ROUNDS = 5
RUNS = 15


def measure(scale: Scale, folder: Path) -> list[Result]:
    return [*whole_processes(folder), one_run(folder)]


def whole_processes(folder: Path) -> list[Result]:
    """Loading the definitions, and one small day by Dagster's own command."""
    data = folder / "data"
    env = clean_env(data)
    small_day(data, env)
    python = [sys.executable, "-c"]
    day = [script("dagster"), "asset", "materialize", "--select", "*"]
    day += ["--partition", DAY.isoformat(), "-m", "grace_assets.definitions"]

    def wall(*command: str | Path) -> float:
        return run(command, env).seconds

    figures = interleave(
        {
            "import dagster": lambda: wall(*python, "import dagster"),
            "definitions": lambda: wall(*python, "import grace_assets.definitions"),
            "day": lambda: wall(*day),
        },
        ROUNDS,
    )
    peer, against = "import dagster", "`import dagster`"
    return [
        compared(
            figures,
            "definitions",
            peer,
            work="import the definitions",
            against=against,
            reach=1.25,
        ),
        compared(
            figures,
            "day",
            peer,
            work="a small day of all assets, `dagster asset materialize`",
            against=against,
            reach=3.5,
            note="whole processes; the day is one of the demo's, with 15 days of telemetry",
        ),
    ]


def small_day(data: Path, env: dict[str, str]) -> None:
    """A day of the demo's missions and the telemetry they are judged by, ingested."""
    made = sample.generate(DAY, days=1, seed=7)
    missions, samples = sample.write(made, data / "sample")
    run([script("grace"), "ingest", missions, "--kpis", samples], env)


def one_run(folder: Path) -> Result:
    """A run that does nothing, recorded as shipped and not at all."""
    env = clean_env(folder / "run")
    runs = [sys.executable, "-m", "benchmarks.startup"]
    done = subprocess.run(runs, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    return compared(
        json.loads(done.stdout),
        "shipped",
        "ephemeral",
        work="a run of one empty asset, shipped `dagster.yaml`",
        against="an ephemeral instance",
        reach=4,
    )


def empty_runs() -> dict[str, list[float]]:
    """Seconds of runs on the instance of `DAGSTER_HOME`, and on one in memory."""

    @dg.asset
    def nothing() -> None:
        pass

    with dg.DagsterInstance.get() as shipped, dg.DagsterInstance.ephemeral() as ephemeral:
        instances = {"shipped": shipped, "ephemeral": ephemeral}
        tasks = {
            name: lambda on=instance: timed(lambda: dg.materialize([nothing], instance=on))
            for name, instance in instances.items()
        }
        return interleave(tasks, RUNS)


if __name__ == "__main__":
    print(json.dumps(empty_runs()))
