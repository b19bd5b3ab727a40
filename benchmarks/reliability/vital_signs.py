"""Memory of processes and lengths of sensor ticks, looked at again and again: do they grow?"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import dagster as dg
import numpy as np

CODE_SERVER = b"api\0grpc"
PAGE_MIB = 4096 / 2**20


@dataclass
class Signs:
    """Looks at processes by their names, and the code servers that they started."""

    instance: dg.DagsterInstance
    pids: Mapping[str, int]
    started: float = field(default_factory=time.time)
    at: list[float] = field(default_factory=list)
    """When was looked, in seconds since the start."""
    memory: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Resident MiB of a process at each look."""

    def look(self, **more: int) -> str:
        """Note what is now; returns it with `more` figures as a line."""
        self.at.append(time.time() - self.started)
        for name, pid in self.pids.items():
            self.memory[name].append(_resident(pid))
            served = [_resident(child) for child in children(pid) if is_code_server(child)]
            if served:
                self.memory[f"{name}'s code"].append(sum(served))
        sizes = ", ".join(f"{name} {values[-1]:.0f}" for name, values in self.memory.items())
        rest = ", ".join(f"{name} {value:,}" for name, value in more.items())
        return f"{self.at[-1] / 60:5.1f} min: MiB {sizes}; {rest}"

    def ticks(self) -> dict[str, list[tuple[float, float]]]:
        """Each sensor's ticks as (seconds since the start, seconds that it took), ascending."""
        found = {}
        for state in self.instance.all_instigator_state():
            ticks = self.instance.get_ticks(
                state.instigator_origin_id, state.selector_id, after=self.started
            )
            ended = [t for t in ticks if t.end_timestamp is not None]
            found[state.instigator_name] = sorted(
                (t.timestamp - self.started, t.end_timestamp - t.timestamp) for t in ended
            )
        return {name: ticks for name, ticks in sorted(found.items()) if ticks}


def report(signs: Signs) -> str:
    """A line for each process and each sensor: its median, and its slope over the second half."""
    half = signs.at[-1] / 2
    lines = [
        _line(name, "MiB", list(zip(signs.at[-len(values) :], values, strict=True)), half)
        for name, values in signs.memory.items()
    ]
    lines += [_line(name, "s", ticks, half) for name, ticks in signs.ticks().items()]
    return "\n".join(lines)


def _line(name: str, unit: str, points: Sequence[tuple[float, float]], half: float) -> str:
    later = [(at, value) for at, value in points if at >= half]
    values = [value for _, value in later]
    if len(values) < 2:
        return f"  {name}: too few looks"
    slope = np.polyfit(*np.array(later).T, 1)[0] * 3600
    return (
        f"  {name}: median {median(values):.3g} {unit}, most {max(values):.3g} {unit}, "
        f"{slope:+.3g} {unit} an hour, over {len(values)} in the second half"
    )


def _resident(pid: int) -> float:
    """MiB; 0 for a process that is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MIB
    except (OSError, IndexError):
        return 0.0


def children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        # Threads end as well.
        with suppress(OSError):
            yield from map(int, task.read_text().split())


def is_code_server(pid: int) -> bool:
    try:
        return CODE_SERVER in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
