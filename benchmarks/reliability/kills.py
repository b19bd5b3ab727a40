"""SIGKILL before each system call that leaves a trace, one at a time."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from signal import SIGKILL

from benchmarks.reliability.oracle import Tally, Undisturbed
from benchmarks.reliability.tracing import Worker, inject, write_calls


def sweep(name: str, work: Worker, folder: Path, calls: Collection[str] = ()) -> Tally:
    """Kill the work `name` at every call, or at those `calls`, and look at what is left."""
    tally, undisturbed = Tally(), Undisturbed(name, folder)
    work.warm_up(undisturbed.job())
    for call, number in write_calls(work, undisturbed.job(), folder / "strace.log"):
        if calls and call not in calls:
            continue
        ended = work.run(undisturbed.job(), inject(call, number, "signal=KILL"))
        # A run that made fewer calls than the first is no kill point.
        if ended.signal == SIGKILL:
            undisturbed.check(undisturbed.root, undisturbed.done(), f"{call} {number}", tally)
    return tally
