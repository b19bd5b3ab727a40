"""Power loss on a file system of its own, which forgets what was not flushed (`lossy`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path
from signal import SIGKILL

from benchmarks.reliability import mounts
from benchmarks.reliability.oracle import Tally, Undisturbed
from benchmarks.reliability.part import ALL, Part
from benchmarks.reliability.tracing import Ended, Worker

ROOT = Path(__file__).parents[2]


def missing() -> str:
    """What is not here and is needed; empty where all is."""
    if not Path("/dev/fuse").exists():
        return "/dev/fuse"
    return mounts.missing() or ("" if find_library("fuse3") else "libfuse3")


def sweep(name: str, work: Worker, folder: Path, part: Part = ALL) -> Tally:
    """Cut the power before each call of the work `name` that changes or flushes anything."""
    tally, undisturbed = Tally(), Undisturbed(name, folder)
    work.warm_up(undisturbed.job())
    ended, calls = _until(0, undisturbed, work)
    if ended.code or ended.signal:
        raise RuntimeError(f"{name}: {ended}")
    undisturbed.check(undisturbed.root, undisturbed.done(), "after its end", tally)
    for number, call in part.among(list(enumerate(calls, start=1))):
        ended, _ = _until(number, undisturbed, work)
        # A run that made fewer calls than the first was not cut off.
        if ended.signal == SIGKILL:
            undisturbed.check(
                undisturbed.root, undisturbed.done(), f"no power before {call} {number}", tally
            )
    return tally


def _until(cut: int, undisturbed: Undisturbed, work: Worker) -> tuple[Ended, list[str]]:
    """Do the work with the power cut before that call, never where it is 0; its calls if so.

    In the end the data directory is on the real disk, and is what a start finds.
    """
    job, root = undisturbed.job(), undisturbed.root
    left = root.with_name("left")
    with lossy(root, left, cut) as calls:
        ended = work.run(job)
    shutil.rmtree(root)
    left.rename(root)
    for path in filter(Path.is_file, root.rglob("*")):
        undisturbed.age(path)
    return ended, calls


@contextmanager
def lossy(folder: Path, left: Path, cut: int = 0) -> Iterator[list[str]]:
    """The files of `folder` on a disk that forgets; `left` is what is left of them afterwards.

    Once the block has ended the list has the calls that change or flush anything, or nothing where
    the power was cut.
    """
    command = [sys.executable, "-m", "benchmarks.reliability.lossy", folder, left, str(cut)]
    # A call of the kernel's own has no caller, and signals of nobody go to the group.
    pipes = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "start_new_session": True}
    calls: list[str] = []
    with subprocess.Popen(command, **pipes) as system:
        if system.stdout.readline() != "mounted\n":
            raise RuntimeError("the file system was not mounted")
        try:
            yield calls
        finally:
            mounts.unmount(folder)
            calls += system.stdout.read().split()
