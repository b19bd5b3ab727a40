"""Requests a second of an answer that has not changed: beside a Starlette hello, same server.

Each server is a process on the first core, the client one on the second; in turn, 8 connections
that are kept alive. Only bytes are counted: an answer that does not change has a fixed length.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks import reads
from benchmarks.harness import ROOT, Result, Scale, clean_env, interleave, ratio, script

CONNECTIONS, SECONDS, ROUNDS = 8, 2.0, 5
MISSIONS = 20_000
TREND = f"/api/analytics/mttr-trend?domain_id={reads.DOMAIN}&period_days=90&end_date={reads.END}"
HELLO = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
async def hello(request):
    return PlainTextResponse("Hello, world!")
config = uvicorn.Config(Starlette(routes=[Route("/", hello)]), host="127.0.0.1",
    port=int(sys.argv[1]), server_header=False, limit_concurrency=200)
uvicorn.Server(config).run()
"""


def measure(scale: Scale, folder: Path) -> list[Result]:
    data = folder / "data"
    reads.tables(MISSIONS, data)
    ours, hello = free_port(), free_port()
    serve = [script("grace"), "serve", "--port", str(ours)]
    with (
        served(serve, ours, clean_env(data)),
        served([sys.executable, "-c", HELLO, str(hello)], hello, clean_env()),
        on_core(1),
    ):
        figures = interleave(
            {"trend": lambda: load(ours, TREND), "hello": lambda: load(hello, "/")}, ROUNDS
        )
    return [
        Result(
            work="`GET /api/analytics/mttr-trend`, 90 days, nothing changed in between",
            against="Starlette hello, the same uvicorn",
            ours=f"{median(figures['trend']):,.0f}/s",
            peer=f"{median(figures['hello']):,.0f}/s",
            measured=ratio(figures, "trend", "hello"),
            reach=0.8,
            at_least=True,
            note="the access log is on in both, ours by the formatter of `grace serve`, the other "
            "by uvicorn's",
        )
    ]


@contextmanager
def served(command: list[str | Path], port: int, env: dict[str, str]) -> Iterator[None]:
    """A server on the first core, from when it answers."""
    with on_core(0):
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None:
                    raise RuntimeError(f"{command} ended before it answered") from None
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """Stay on one core, and let children inherit it; nothing where there is only one."""
    usual = os.sched_getaffinity(0)
    cores = sorted(usual)
    os.sched_setaffinity(0, {cores[number % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def load(port: int, path: str) -> float:
    """Answers a second over all connections."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    answers, selector = 0, selectors.DefaultSelector()
    missing: dict[socket.socket, int] = {}
    size = answer_size(port, request)
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        missing[connection] = size
        connection.sendall(request)
    started = time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        for key, _ in selector.select():
            connection = key.fileobj
            missing[connection] -= len(connection.recv(65536))
            if missing[connection] <= 0:
                answers += 1
                missing[connection] = size
                connection.sendall(request)
    spent = time.perf_counter() - started
    for connection in missing:
        connection.close()
    return answers / spent


def answer_size(port: int, request: bytes) -> int:
    """Bytes of the whole answer; `RuntimeError` where it is no 200."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        read = connection.recv(65536)
        head = read.partition(b"\r\n\r\n")[0]
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-len")]
        return len(head) + 4 + int(lengths[0].split(b":")[1])
