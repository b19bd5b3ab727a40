"""SIGKILL before each system call that leaves a trace, one at a time."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from signal import SIGKILL

from benchmarks.reliability.oracle import Tally, Undisturbed
from benchmarks.reliability.part import ALL, Part
from benchmarks.reliability.tracing import Worker, inject, write_calls


def sweep(
    name: str, work: Worker, folder: Path, part: Part = ALL, calls: Collection[str] = ()
) -> Tally:
    """Kill the work `name` at every call, or at those `calls`, and look at what is left."""
    tally, undisturbed = Tally(), Undisturbed(name, folder)
    work.warm_up(undisturbed.job())
    made = write_calls(work, undisturbed.job(), folder / "strace.log")
    for call, number in part.among([point for point in made if not calls or point[0] in calls]):
        ended = work.run(undisturbed.job(), inject(call, number, "signal=KILL"))
        # A run that made fewer calls than the first is no kill point.
        if ended.signal == SIGKILL:
            undisturbed.check(undisturbed.root, undisturbed.done(), f"{call} {number}", tally)
    return tally
