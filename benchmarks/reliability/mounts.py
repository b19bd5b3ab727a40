"""File systems that a suite mounts: in a namespace of its own, so that nobody else sees them."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

CLONE_NEWNS = 0x00020000


def missing() -> str:
    """What is not here and is needed; empty where all is."""
    allowed = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "the right to mount" if allowed.returncode else ""


def keep_to_ourselves() -> None:
    """What this process and its children mount from now on is theirs, and ends with them."""
    ctypes.CDLL(None).unshare(CLONE_NEWNS)
    _run("mount", "--make-rprivate", "/")


def mount(folder: Path, kind: str, options: str) -> None:
    _run("mount", "-t", kind, "-o", options, kind, str(folder))


def remount(folder: Path, options: str) -> None:
    _run("mount", "-o", f"remount,{options}", str(folder))


def unmount(folder: Path) -> None:
    # What a reader still holds open goes when it ends.
    _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
