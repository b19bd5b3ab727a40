"""A proxy before an S3 server that fails requests as servers and networks do, one by its number."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

REFUSALS = {"500": "InternalError", "503": "SlowDown"}
FAULTS = (*REFUSALS, "reset", "half a request", "no answer", "half an answer", "silence")
"""`reset` comes before the request is passed on, `no answer` (a reset) and `silence` after it."""
_NOT_PASSED_ON = ("connection", "content-length", "transfer-encoding", "expect")


class S3Proxy(ThreadingHTTPServer):
    """Passes all requests on; `methods` has those that came since the last `plan`."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self._lock = threading.Lock()
        self.arrived, self.released = threading.Event(), threading.Event()
        self.plan()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def plan(self, number: int = 0, fault: str = "", times: int = 1) -> None:
        """From now on let request `number` (the next is 1), `times` in all, meet `fault`."""
        with self._lock:
            self.methods: list[str] = []
            self._planned = (range(number, number + times), fault)

    def hold(self, method: str) -> None:
        """Keep the next request of a method back: `arrived` tells of it, `released` lets it go."""
        self.arrived.clear(), self.released.clear()
        self._held = method

    _held = ""

    def meets(self, method: str) -> str:
        """The fault of the request that came now; empty for none."""
        with self._lock:
            self.methods.append(method)
            numbers, fault = self._planned
            if method == self._held:
                self._held = ""
                return "held"
            return fault if len(self.methods) in numbers else ""

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3Proxy

    def do_GET(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size)
        fault = self.server.meets(self.command)
        if fault in REFUSALS:
            code = REFUSALS[fault]
            self._answer(int(fault), f"<Error><Code>{code}</Code></Error>".encode())
            return
        if fault == "reset":
            self._reset()
            return
        if fault == "held":
            self.server.arrived.set()
            self.server.released.wait(60)
        with closing(HTTPConnection(self.server.target, timeout=60)) as connection:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            half = fault == "half a request"
            connection.endheaders(body[: size // 2] if half else body)
            if half:
                self._reset()
                return
            answer = connection.getresponse()
            content = answer.read()
        if fault == "no answer":
            self._reset()
        elif fault == "silence":
            # Until the client has had enough.
            self.rfile.read(1)
            self.close_connection = True
        else:
            self._pass_back(answer, content, half=fault == "half an answer")

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    def _pass_back(self, answer: HTTPResponse, content: bytes, *, half: bool) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        size = answer.getheader("content-length") if self.command == "HEAD" else len(content)
        self.send_header("content-length", str(size or 0))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)
        if half:
            self._reset()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def _reset(self) -> None:
        # Lingering for no time makes the kernel send RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def s3_proxy(target: str) -> Iterator[S3Proxy]:
    """A proxy before the server at the URL `target`, for as long as a block lasts."""
    proxy = S3Proxy(target)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.released.set()
        proxy.shutdown()
        proxy.server_close()
        thread.join()
