"""Networks of their own for hosts on one machine: namespaces on a bridge. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

TAG = f"grace{os.getpid() % 10_000}"
"""Of the parts, so that two of these can run at once; a link's name has 15 letters at most."""
SUBNET = f"10.213.{os.getpid() % 250}"
ADDRESS = f"{SUBNET}.1"
"""Of this machine, to the hosts."""


def possible() -> bool:
    """Whether this machine lets us: not where we are not root, nor in many containers."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    allowed = _tried("netns", "add", f"{TAG}-try") and _tried("link", "add", TAG, "type", "bridge")
    _tried("link", "delete", TAG)
    _tried("netns", "delete", f"{TAG}-try")
    return allowed


@contextmanager
def networks(names: Sequence[str]) -> Iterator[dict[str, list[str]]]:
    """A namespace a host, which reaches `ADDRESS` and nothing beyond; yields what enters each."""
    spaces = {name: f"{TAG}-{number}" for number, name in enumerate(names, start=2)}
    try:
        _ip("link", "add", TAG, "type", "bridge")
        _ip("address", "add", f"{ADDRESS}/24", "dev", TAG)
        _ip("link", "set", TAG, "up")
        for number, space in enumerate(spaces.values(), start=2):
            outer, inner = f"{TAG}-o{number}", f"{TAG}-i{number}"
            _ip("netns", "add", space)
            _ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", space)
            _ip("link", "set", outer, "master", TAG, "up")
            _ip("-n", space, "address", "add", f"{SUBNET}.{number}/24", "dev", inner)
            _ip("-n", space, "link", "set", inner, "up")
            _ip("-n", space, "link", "set", "lo", "up")
        yield {name: ["ip", "netns", "exec", space] for name, space in spaces.items()}
    finally:
        for number, space in enumerate(spaces.values(), start=2):
            _tried("link", "delete", f"{TAG}-o{number}")
            _tried("netns", "delete", space)
        _tried("link", "delete", TAG)


def cut(number: int) -> None:
    """Take the cable of a host, counted from 0: what it says from now on reaches nobody."""
    _ip("link", "set", f"{TAG}-o{number + 2}", "down")


def traffic(number: int) -> tuple[int, int]:
    """Bytes that a host, counted from 0, has received and sent."""
    counters = Path(f"/sys/class/net/{TAG}-o{number + 2}/statistics")
    return tuple(int((counters / name).read_text()) for name in ("tx_bytes", "rx_bytes"))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _tried(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], check=False, capture_output=True).returncode == 0
