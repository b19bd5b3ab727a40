"""A server on loopback that answers as it is told to, also as no server should."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Awkward(ThreadingHTTPServer):
    """`answer` handles each request; `requests` holds (path, headers, body) of all."""

    daemon_threads = True

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler, int], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Awkward

    def do_GET(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        self.server.requests.append((self.path, dict(self.headers), self.rfile.read(size)))
        self.server.answer(self, len(self.server.requests))

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def server(answer: Callable[[BaseHTTPRequestHandler, int], None]) -> Iterator[Awkward]:
    made = Awkward(answer)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()
