"""A disk that is really full, or read-only: each work on a small tmpfs of its own.

The disk has what was prepared and room for so many pages, from none to as many as the work needs;
and once it is mounted read-only. What does not end well says why, with an exit code that is not
0. Then there is room again: nothing relied upon is lost, and the work can be done.
"""

from __future__ import annotations

import os
import shutil
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.reliability import mounts
from benchmarks.reliability.errors import check_what_is_told
from benchmarks.reliability.oracle import Tally, Undisturbed
from benchmarks.reliability.part import ALL, Part
from benchmarks.reliability.tracing import Ended, Worker

PAGE = os.sysconf("SC_PAGE_SIZE")
LARGE = 64 * 2**20
READ_ONLY = -1


def sweep(name: str, work: Worker, folder: Path, part: Part = ALL) -> Tally:
    """Give the work `name` too little room, by every number of pages."""
    tally, undisturbed = Tally(), Undisturbed(name, folder)
    work.warm_up(undisturbed.job())

    def ends_well(pages: int) -> bool:
        with _on_a_disk(undisturbed, work, pages) as ended:
            return not ended.code

    enough = bisect_left(range(LARGE // PAGE), True, key=ends_well)
    for pages in (READ_ONLY, *part.among(range(enough + 1))):
        with _on_a_disk(undisturbed, work, pages) as ended:
            point = "a read-only disk" if pages == READ_ONLY else f"room for {pages} pages"
            check_what_is_told(undisturbed, ended, point, tally)
            undisturbed.check(undisturbed.root, undisturbed.done(), point, tally)
    return tally


@contextmanager
def _on_a_disk(undisturbed: Undisturbed, work: Worker, pages: int) -> Iterator[Ended]:
    """Do the work with so much room; in the block there is more."""
    job, root = undisturbed.job(), undisturbed.root
    prepared = root.rename(root.with_name("elsewhere"))
    root.mkdir()
    mounts.mount(root, "tmpfs", f"size={LARGE}")
    try:
        shutil.copytree(prepared, root, dirs_exist_ok=True)
        shutil.rmtree(prepared)
        there = os.statvfs(root)
        used = (there.f_blocks - there.f_bfree) * there.f_frsize
        # Of a size of 0 tmpfs takes all there is.
        limit = "ro" if pages == READ_ONLY else f"size={max(PAGE, used + pages * PAGE)}"
        mounts.remount(root, limit)
        ended = work.run(job)
        mounts.remount(root, f"rw,size={LARGE}")
        yield ended
    finally:
        mounts.unmount(root)
