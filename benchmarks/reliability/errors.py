"""An error of the disk, or of the limits, at each system call that can have it, one at a time."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from benchmarks.reliability.oracle import Tally, Undisturbed
from benchmarks.reliability.part import ALL, Part
from benchmarks.reliability.tracing import Ended, Worker, inject, write_calls

_NAMES = ("openat", "mkdir", "rename", "unlink")
ERRORS = {
    "EIO": (*_NAMES, "write", "pwrite64", "fsync", "fdatasync", "ftruncate"),
    "ENOSPC": ("openat", "mkdir", "rename", "write", "pwrite64", "fsync", "fdatasync"),
    "EACCES": _NAMES,
    "EMFILE": ("openat",),
}
"""Which calls may fail with what, as their manual pages have it."""


def sweep(
    name: str, work: Worker, folder: Path, part: Part = ALL, calls: Collection[str] = ()
) -> Tally:
    """Let each call of the work `name`, or of those `calls`, fail once with each of its errors.

    What ends well has kept everything; what does not says why and ends with a code that is not
    0. In both cases nothing relied upon is lost, and once the disk is well the work can be done.
    """
    tally, undisturbed = Tally(), Undisturbed(name, folder)
    work.warm_up(undisturbed.job())
    made = write_calls(work, undisturbed.job(), folder / "strace.log")
    made = [call for call in made if not calls or call[0] in calls]
    points = [(error, *call) for error in ERRORS for call in made if call[0] in ERRORS[error]]
    for error, call, number in part.among(points):
        ended = work.run(undisturbed.job(), inject(call, number, f"error={error}"))
        point = f"{error} at {call} {number}"
        check_what_is_told(undisturbed, ended, point, tally)
        undisturbed.check(undisturbed.root, undisturbed.done(), point, tally)
    return tally


def check_what_is_told(undisturbed: Undisturbed, ended: Ended, point: str, tally: Tally) -> None:
    """All steps are done and the exit code is 0, or a sentence says why not and it is another."""
    silent = ended.code == 0 and len(undisturbed.done()) < undisturbed.steps
    # A traceback is no sentence; a signal is no answer at all.
    if silent or ended.signal or "Traceback" in ended.said or (ended.code and not ended.said):
        tally.unclear.append(f"{undisturbed.name}, {point}: {ended}")
