"""Who holds a lease, and whether that process is certainly gone.

A lease by time alone makes everybody wait for its end after a crash. On the machine (and in the
process namespace) of its holder the kernel knows better: a process id with another start time, or
none, is a holder that died. Elsewhere, and where there is no /proc, time decides.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

_PROC = Path("/proc")


def this_process() -> str:
    """Names this process on this machine since its boot, e.g. for `Ledger.claim`."""
    return f"{_place()}/{os.getpid()}/{_start_time(os.getpid()) or '?'}"


def certainly_gone(holder: str) -> bool:
    """True only where the holder ran here and runs no longer."""
    place, pid, started = holder.rsplit("/", 2)
    if place != _place() or started == "?":
        return False
    return _start_time(int(pid)) != started


def _place() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = (_PROC / "self/ns/pid").readlink().name
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _start_time(pid: int) -> str | None:
    """Clock ticks from boot to the start of a process; null where it does not run."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in brackets may hold anything; after it come the state and 18 more fields.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]
