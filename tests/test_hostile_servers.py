"""Whatever we call may be hostile: every client ends in bounded time and memory, and goes where it
was told to and nowhere else."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from grace_assets.notify import apprise_process, followup_outbox
from grace_assets.notify.apprise_urls import AppriseSender, AppriseUrls
from grace_assets.notify.channels import Slack
from grace_assets.notify.followup_outbox import FollowUpOutbox
from grace_assets.notify.slack import SlackSender
from grace_assets.sources.health import read_health
from grace_assets.sources.http import MAX_BYTES, Endpoint, Exchange, SourceError
from tests.sources.awkward import Awkward, reply, server

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SECONDS = 1
"""What each client is given here for one request that lasts."""
ENOUGH_SECONDS = 8
"""What it is given where something else than time must end the request, also on a busy machine."""
BOMB_BYTES = 2**30
MEMORY_BYTES = 2**25
"""What a client may hold of an answer, except of one that may be large."""

Answer = Callable[[BaseHTTPRequestHandler, int], None]


def bomb() -> bytes:
    """A megabyte of gzip that unpacks to a thousand times as much."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    part = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08" + bytes(7) + part * (BOMB_BYTES // 2**24)


BOMB = bomb()


def exploding(handler: BaseHTTPRequestHandler, _: int) -> None:
    reply(handler, 200, BOMB, content_encoding="gzip")


def forever(opening: bytes, part: bytes, pause: float) -> Answer:
    """`opening`, and then `part` again and again, until the client has gone."""

    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.wfile.write(opening)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            handler.wfile.write(part)
            handler.wfile.flush()
            time.sleep(pause)

    return answer


OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS: dict[str, Answer] = {
    "bomb": exploding,
    "endless": forever(OK + b"\r\n", bytes(2**20), 0),
    "headers": forever(OK, b"X-More: and more\r\n" * 1000, 0),
    "slow_head": forever(OK + b"X-More: ", b"x", 0.1),
    "slow_body": forever(OK + b"Content-Length: 1000\r\n\r\n", b"x", 0.1),
}


def prometheus(url: str, _: Path, seconds: float = SECONDS) -> str:
    with Exchange(Endpoint.of(url), seconds) as exchange:
        try:
            return f"taken {exchange.ask('/api/v1/query_range', {'query': 'up'})!r}"
        except SourceError as error:
            return error.code


def health(url: str, _: Path, seconds: float = SECONDS) -> str:
    samples, troubles = read_health(f"{url}/{{domain_id}}", ["payments"], NOW, seconds)
    (trouble,) = troubles
    assert samples.num_rows == 0
    return trouble.reason.partition(" ")[2]


def follow_ups(url: str, folder: Path, seconds: float = SECONDS) -> str:
    names = ("title", "reason", "priority", "status", "type")
    row = dict.fromkeys(names, "x") | {"follow_up_id": "fu", "domain_id": "payments"}
    outbox = FollowUpOutbox(folder)
    outbox.announce([row | {"opened_on": date(2026, 3, 4)}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(followup_outbox, "POST_SECONDS", seconds)
        result = outbox.post_pending(url, NOW).results["fu"]
    return f"{result.status} {result.reason}"


def slack(url: str, _: Path, seconds: float = SECONDS) -> str:
    async def send() -> str:
        async with SlackSender(Slack(url, "resend_marked"), seconds) as sender:
            outcome = await sender.send("", b'{"text": "x"}')
        return f"{outcome.status} {outcome.reason}"

    return asyncio.run(send())


def apprise(url: str, _: Path, seconds: int = 2 * SECONDS) -> str:
    async def send() -> str:
        target = AppriseUrls({"x": f"{url.replace('http', 'json')}?rto=20&redirect=yes"})
        async with AppriseSender(target, seconds) as sender:
            outcome = await sender.send("x", b'{"title": "x", "body": "y"}')
        return f"{outcome.status} {outcome.reason}"

    return asyncio.run(send())


NOT_CONFIRMED = dict.fromkeys([*ANSWERS, "redirect"], "unknown not confirmed by the service")
EXPECTED: dict[Callable[[str, Path], str], dict[str, str]] = {
    prometheus: {
        "bomb": "too_large",
        "endless": "too_large",
        "headers": "broken_off",
        "slow_head": "deadline",
        "slow_body": "deadline",
        "redirect": "redirect",
    },
    health: {
        "bomb": "answered with more than 262144 bytes",
        "endless": "answered with more than 262144 bytes",
        "headers": "could not be read (RemoteProtocolError)",
        "slow_head": "took too long altogether",
        "slow_body": "took too long altogether",
        "redirect": "answered with a redirect, which is not followed",
    },
    # A status that was given is an answer, whatever comes behind it.
    follow_ups: {
        "bomb": "posted None",
        "endless": "posted None",
        "headers": "pending RemoteProtocolError",
        "slow_head": "pending TimeoutError",
        "slow_body": "posted None",
        "redirect": "pending HTTP status 307",
    },
    slack: {
        "bomb": "unknown ambiguous answer (HTTP 200)",
        "endless": "unknown ambiguous answer (HTTP 200)",
        "headers": "unknown connection lost (RemoteProtocolError)",
        "slow_head": "unknown no answer in time",
        "slow_body": "unknown no answer in time",
        "redirect": "rejected HTTP 307",
    },
    apprise: NOT_CONFIRMED,
}


@pytest.fixture
def trap() -> Iterator[Awkward]:
    """Stands for what only this machine can reach, as 169.254.169.254 does in a cloud."""
    with server(lambda handler, _: reply(handler, 200, b"secret")) as reached:
        yield reached


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("client", EXPECTED, ids=lambda client: client.__name__)
def test_an_answer_without_end_ends(client, kind, tmp_path):
    patience = {} if kind.startswith("slow") else {"seconds": ENOUGH_SECONDS}
    with server(ANSWERS[kind]) as hostile:
        tracemalloc.start()
        started = time.monotonic()
        try:
            assert client(hostile.url, tmp_path, **patience) == EXPECTED[client][kind]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert time.monotonic() - started < 15
    # Pieces, and the whole of them for a moment.
    assert peak < (2 * MAX_BYTES if client is prometheus else 0) + MEMORY_BYTES


def test_what_apprise_unpacks_ends_with_its_memory(tmp_path):
    with server(exploding) as hostile:
        assert apprise(hostile.url, tmp_path, seconds=60) == NOT_CONFIRMED["bomb"]
        request = {"url": hostile.url.replace("http", "json"), "title": "x", "body": "y"}
        command = [sys.executable, "-m", apprise_process.__name__, "60"]
        sending = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
        sending.stdin.write(json.dumps(request))
        sending.stdin.close()
        limits = Path(f"/proc/{sending.pid}/limits")
        held = ""
        while sending.poll() is None:
            if f" {apprise_process.MEMORY_BYTES} " in limits.read_text():
                held = "by the system"
            time.sleep(0.01)
    assert sending.returncode != 0
    assert held == "by the system"


def test_a_sending_that_is_given_up_leaves_no_process_behind(tmp_path):
    async def give_up(url: str) -> None:
        target = AppriseUrls({"x": f"{url.replace('http', 'json')}?rto=20"})
        async with AppriseSender(target) as sender, asyncio.timeout(2):
            await sender.send("x", b'{"title": "x", "body": "y"}')

    with server(ANSWERS["slow_head"]) as hostile:
        with pytest.raises(TimeoutError):
            asyncio.run(give_up(hostile.url))
        assert len(hostile.requests) == 1
    ours = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    told = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in ours.split()]
    assert not [line for line in told if b"apprise_process" in line]


@pytest.mark.parametrize("client", EXPECTED, ids=lambda client: client.__name__)
def test_no_redirect_is_followed(client, tmp_path, trap):
    def elsewhere(handler: BaseHTTPRequestHandler, _: int) -> None:
        reply(handler, 307, location=f"{trap.url}/latest/meta-data/")

    with server(elsewhere) as hostile:
        assert client(hostile.url, tmp_path, seconds=ENOUGH_SECONDS) == EXPECTED[client]["redirect"]
        assert len(hostile.requests) == 1
    assert trap.requests == []


@pytest.mark.parametrize("client", EXPECTED, ids=lambda client: client.__name__)
def test_no_proxy_of_the_environment_is_used(client, tmp_path, trap, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, trap.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with server(lambda handler, _: reply(handler, 403)) as heard:
        client(heard.url, tmp_path)
        assert heard.requests
    assert trap.requests == []
