"""Clients that dribble do not keep others out, and are let go in time."""

import contextlib
import socket
import threading
import time

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from grace_assets.api import slow_clients
from grace_assets.serving import web_config

CLIENTS = 100
SECONDS = 1.5


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(slow_clients, "HEAD_SECONDS", SECONDS)
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("here"))])
    config = web_config(app, "127.0.0.1", 0)
    config.log_level = "warning"
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


def is_closed(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return connection.recv(100) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_hundred_dribbling_clients_keep_nobody_out_and_are_let_go(port):
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(CLIENTS)
        ]
        begun = time.monotonic()
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        while time.monotonic() - begun < SECONDS / 2:
            for connection in slow[:10]:
                connection.sendall(b"X-Slow: 1\r\n")
            answer = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=5)
            assert answer.text == "here"
        assert all(is_closed(connection, 2 * SECONDS) for connection in slow)
        assert time.monotonic() - begun < 3 * SECONDS


def test_a_later_head_on_the_same_connection_is_timed_too(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.settimeout(5)
        answer = b""
        while not answer.endswith(b"here"):
            answer += connection.recv(1000)
        connection.sendall(b"GET / HTTP/1.1\r\n")
        assert is_closed(connection, 2 * SECONDS)


def test_a_client_that_is_quick_is_not_cut_off(port):
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for _ in range(4):
            assert client.get("/").text == "here"
            time.sleep(SECONDS / 2)
