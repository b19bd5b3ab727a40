"""A real Redis on a free port, without a disk, for as long as a block lasts."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

PROGRAM = shutil.which("redis-server")


@contextmanager
def server(host: str = "127.0.0.1") -> Iterator[str]:
    """Yields its URL."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(PROGRAM), "--bind", host, "--port", str(port), "--save", "", "--protected-mode", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"redis://{host}:{port}/0"
        client = redis.Redis.from_url(url)
        end = time.monotonic() + 20
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()
