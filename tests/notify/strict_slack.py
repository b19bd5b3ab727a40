"""An incoming webhook on loopback that is as strict as Slack's, and fails on demand."""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LIMITS = {"header": 150, "section": 3000, "context": 2000}
"""Characters in one text, by the type of its block."""
TOTAL_LIMIT = 13_200
LIVE = re.compile(r"<(?!https?://[^|>\s]+(\|[^<>]*)?>)|&(?!(amp|lt|gt);)")
"""What Slack would read as markup, or what should have been escaped."""


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trouble:
    """`reset`, `hang` or `drip` (an answer without end), before the message was taken or after."""

    what: str
    taken: bool


OK = Answer()


class StrictSlack:
    """`script` holds the answers to come; `ok` where it is empty. `messages` are the accepted."""

    def __init__(self) -> None:
        self.script: list[Answer | Trouble] = []
        self.messages: list[dict[str, Any]] = []
        self.requests = 0
        self.times: list[float] = []
        self.url = ""
        self.released = threading.Event()
        self.on_request: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def next(self) -> Answer | Trouble:
        self.on_request()
        with self._lock:
            self.requests += 1
            return self.script.pop(0) if self.script else OK

    def accept(self, message: dict[str, Any]) -> None:
        with self._lock:
            self.messages.append(message)
            self.times.append(time.monotonic())


@contextmanager
def strict_slack(
    path: str = "/services/T0/B0/secret", context: ssl.SSLContext | None = None
) -> Iterator[StrictSlack]:
    """Runs one, under TLS where `context` is given."""
    slack = StrictSlack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            _serve(self, slack, path)

        def log_message(self, *_: Any) -> None:
            return None

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that hangs up is part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    slack.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_address[1]}{path}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield slack
    finally:
        slack.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _serve(request: BaseHTTPRequestHandler, slack: StrictSlack, path: str) -> None:
    scripted = slack.next()
    if isinstance(scripted, Trouble) and not scripted.taken:
        _end(request, scripted, slack)
        return
    body = request.rfile.read(int(request.headers["Content-Length"]))
    kind = request.headers["Content-Type"].partition(";")[0]
    problem = refusal(body) if request.path == path else Answer(404, "no_service")
    if kind != "application/json":
        problem = Answer(400, "invalid_payload")
    if isinstance(scripted, Trouble):
        assert problem is None, problem
        slack.accept(json.loads(body))
        _end(request, scripted, slack)
        return
    answer = problem if problem is not None and scripted == OK else scripted
    if answer == OK:
        slack.accept(json.loads(body))
    content = answer.body.encode()
    headers = {"Content-Length": str(len(content)), **answer.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request.wfile.write(f"HTTP/1.1 {answer.status} X\r\n{head}\r\n".encode() + content)
    request.close_connection = True


def _end(request: BaseHTTPRequestHandler, trouble: Trouble, slack: StrictSlack) -> None:
    request.close_connection = True
    if trouble.what == "hang":
        slack.released.wait(30)
        return
    if trouble.what == "drip":
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not slack.released.wait(0.05):
            request.wfile.write(b"o")
        return
    # Lingering for no time makes the kernel send RST instead of FIN.
    linger = struct.pack("ii", 1, 0)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    request.connection.close()


def refusal(body: bytes) -> Answer | None:
    """What Slack (or its documented rules) has against a body; null where nothing."""
    try:
        message = json.loads(body)
    except ValueError:
        return Answer(400, "invalid_payload")
    if not isinstance(message, dict) or set(message) - {"text", "blocks"}:
        return Answer(400, "invalid_payload")
    text, blocks = message.get("text"), message.get("blocks", [])
    if not isinstance(text, str) or not text:
        return Answer(400, "no_text")
    if LIVE.search(text):
        return Answer(400, "unescaped")
    if len(blocks) > 50 or not all(_block_fits(block) for block in blocks):
        return Answer(400, "invalid_blocks")
    total = sum(len(leaf["text"]) for block in blocks for leaf in _texts(block))
    return Answer(400, "msg_blocks_too_long") if total > TOTAL_LIMIT else None


def _texts(block: dict[str, Any]) -> list[dict[str, Any]]:
    found = [*block.get("elements", []), *block.get("fields", [])]
    return [leaf for leaf in (block.get("text"), *found) if leaf is not None and "text" in leaf]


def _block_fits(block: dict[str, Any]) -> bool:
    if block.get("type") == "divider":
        return set(block) <= {"type", "block_id"}
    if block.get("type") not in LIMITS or len(block.get("block_id", "")) > 255:
        return False
    texts = _texts(block)
    if not texts or len(block.get("elements", [])) > 10 or len(block.get("fields", [])) > 10:
        return False
    if block["type"] == "header" and texts[0]["type"] != "plain_text":
        return False
    limit = LIMITS[block["type"]]
    return all(
        0 < len(leaf["text"]) <= limit
        and (leaf["type"] == "plain_text" or not LIVE.search(leaf["text"]))
        for leaf in texts
    )
