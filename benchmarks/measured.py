"""Runs a command; prints its wall time in seconds and its peak of resident memory in MiB.

A process in between: to Linux a process has the peak of the one it was started by. The peak is
that of the command with all its descendants, looked at 20 times a second; what they share is
counted in each.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

LOOK_SECONDS = 0.05


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [pid, *(found for child in children for found in family(child))]


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def look(pid: int, ended: threading.Event, seen: list[int]) -> None:
    while not ended.wait(LOOK_SECONDS):
        try:
            seen.append(sum(map(resident, family(pid))))
        except OSError:  # one of them ended meanwhile
            continue


def main() -> int:
    started = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
    ended, seen = threading.Event(), []
    looking = threading.Thread(target=look, args=(process.pid, ended, seen))
    looking.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    ended.set()
    looking.join()
    print(json.dumps([seconds, max(usage.ru_maxrss * 1024, *seen, 0) / 2**20]))
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
