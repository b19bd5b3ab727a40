"""What every row of `make bench` shares: interleaved repeats, processes of their own, the table.

A figure is a ratio to a named peer that was measured in the same run, turn by turn, so that a
busy machine slows both. A row's ratio is the median of the ratios of its rounds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Scale:
    """How large the rows are made; `full` is the sizes that the targets were set for."""

    factor: float
    full: bool

    def of(self, count: int) -> int:
        """`count`, or the share of it that this run measures."""
        return count if self.full else max(1, round(count * self.factor))


@dataclass(frozen=True)
class Result:
    """One line of the table: `measured` against `reach`, and how both came about.

    `at_least` where more is better. `ours` and `peer` are said with their units.
    """

    work: str
    against: str
    ours: str
    peer: str
    measured: float
    reach: float
    unit: str = ""
    at_least: bool = False
    note: str = ""

    @property
    def kept(self) -> bool:
        return self.measured >= self.reach if self.at_least else self.measured <= self.reach


Group = Callable[[Scale, Path], list[Result]]
"""Measures the rows of one kind in an empty folder of its own."""
Name = TypeVar("Name")
"""What a task is called."""


def interleave(
    tasks: Mapping[Name, Callable[[], float]], rounds: int, *, warm: bool = True
) -> dict[Name, list[float]]:
    """Each task's figures, all tasks once a round; `warm` throws a first round away."""
    figures: dict[Name, list[float]] = {name: [] for name in tasks}
    for turn in range(rounds + warm):
        for name, task in tasks.items():
            figure = task()
            if turn >= warm:
                figures[name].append(figure)
    return figures


def ratio(figures: Mapping[Name, Sequence[float]], ours: Name, peer: Name) -> float:
    """The median of the rounds' ratios."""
    return median(a / b for a, b in zip(figures[ours], figures[peer], strict=True))


def compared(
    figures: Mapping[Name, Sequence[float]],
    ours: Name,
    peer: Name,
    *,
    work: str,
    against: str,
    reach: float,
    note: str = "",
) -> Result:
    """A line of two of the tasks, in seconds."""
    return Result(
        work=work,
        against=against,
        ours=seconds(median(figures[ours])),
        peer=seconds(median(figures[peer])),
        measured=ratio(figures, ours, peer),
        reach=reach,
        note=note,
    )


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


@dataclass(frozen=True)
class Ran:
    """A process that ended well: its wall time and its peak of resident memory, see `measured`."""

    seconds: float
    peak_mib: float


def run(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Ran:
    """Run a command to its end; `RuntimeError` with its last words where it fails."""
    done = subprocess.run(
        [sys.executable, "-S", Path(__file__).with_name("measured.py"), *map(str, command)],
        cwd=ROOT,
        env=clean_env() if env is None else dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")
    return Ran(*json.loads(done.stdout))


def script(name: str) -> Path:
    """A command of the environment that runs this."""
    return Path(sys.executable).with_name(name)


def clean_env(data: Path | None = None, **more: str) -> dict[str, str]:
    """An environment without settings of ours but `more`, and `data` with Dagster's home in it.

    The home has the `dagster.yaml` that is shipped, as every `grace` command makes it; packages
    that only tests need are hidden where they would be imported.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    kept["PYTHONPATH"] = str(ROOT / "benchmarks" / "as_shipped")
    if data is not None:
        home = data / "dagster"
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "grace_assets" / "dagster_home.yaml", home / "dagster.yaml")
        kept |= {"GRACE_DATA_DIR": str(data), "DAGSTER_HOME": str(home)}
    return kept | more


def seconds(value: float) -> str:
    """A duration with three digits in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:,.3g} {unit}" if value < 1000 else f"{value:,.0f} s"
    return f"{value / 1e-6:.2g} µs"


def figure(value: float) -> str:
    """A ratio as people say it: 1.15, and 1/1,200 where it is small."""
    if value < 0.05:
        return f"1/{1 / value:,.0f}"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
