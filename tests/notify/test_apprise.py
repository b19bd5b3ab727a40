"""Any Apprise URL goes through the same ledger: to a real server on loopback, by `json://`."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from grace_assets.notify.channels import ChannelError, Channels
from grace_assets.notify.message import Message
from tests.notify.briefs import Post, brief

LATER = timedelta(minutes=30)
SECRET = "canary-token"


class Receiver:
    """Takes notifications, or answers what `statuses` says first."""

    def __init__(self) -> None:
        self.taken: list[dict] = []
        self.requests = 0
        self.statuses: list[int] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"json://ann:{SECRET}@127.0.0.1:{self.port}/{SECRET}?rto=0.5"


@contextmanager
def receiver() -> Iterator[Receiver]:
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests += 1
            status = state.statuses.pop(0) if state.statuses else 200
            if status == 200:
                state.taken.append(json.loads(body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def chat() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def post(folder: Path, *urls: str, **env: str) -> Post:
    return Post(folder, "apprise", {"APPRISE_URLS": " ".join(urls), **env})


def message(revision: int = 1) -> Message:
    return brief(revision, short="2 missions\nFollow-up open: x")


def test_a_brief_goes_out_once_however_often_it_is_delivered(tmp_path, chat):
    post_it = post(tmp_path, chat.url)
    assert [r.status for r in post_it(message())] == ["sent"]
    assert [r.status for r in post_it(message(), after=LATER)] == ["sent"]
    (taken,) = chat.taken
    assert taken["title"] == "Grace · 2026-03-01 · 2 missions"
    assert taken["message"] == "2 missions\nFollow-up open: x"


def test_each_url_stands_for_itself(tmp_path, chat):
    with receiver() as other:
        chat.statuses = [500]
        first, second = post(tmp_path, chat.url, other.url)(message())
    assert (first.status, first.reason) == ("unknown", "not confirmed by the service")
    assert second.status == "sent"
    assert (len(chat.taken), len(other.taken)) == (0, 1)


def test_what_is_not_confirmed_is_repeated_once_and_marked(tmp_path, chat):
    chat.statuses = [500, 500]
    post_it = post(tmp_path, chat.url)
    for minutes in (0, 10, 20, 30):
        (result,) = post_it(message(), after=timedelta(minutes=minutes))
    assert (result.status, result.attempts) == ("unknown", 2)
    assert chat.requests == 2


def test_the_repeat_says_so_in_its_title(tmp_path, chat):
    chat.statuses = [500]
    post_it = post(tmp_path, chat.url)
    post_it(message())
    post_it(message(), after=LATER)
    (taken,) = chat.taken
    assert taken["title"].startswith("[possible repeat · ref ")


def test_a_channel_on_hold_repeats_nothing(tmp_path, chat):
    chat.statuses = [500]
    post_it = post(tmp_path, chat.url, APPRISE_ON_UNKNOWN="hold")
    post_it(message())
    post_it(message(), after=LATER)
    assert chat.requests == 1


def test_a_correction_says_so(tmp_path, chat):
    post_it = post(tmp_path, chat.url)
    post_it(message())
    post_it(message(revision=2))
    assert [taken["title"].partition(":")[0] for taken in chat.taken] == [
        "Grace · 2026-03-01 · 2 missions",
        "Correction (revision 2)",
    ]


def test_without_urls_there_is_nothing_to_do(tmp_path):
    assert Post(tmp_path, "apprise", {})(message()) == []
    assert not (tmp_path / "outbox").exists()


def test_urls_stand_apart_by_blanks_or_commas_and_are_named_by_service_and_hash():
    env = {"APPRISE_URLS": f"json://a/{SECRET},x  ,\n xml://b/{SECRET} json://a/{SECRET},x"}
    channels = Channels.from_env(env)
    one, other = channels.apprise.urls
    assert one.startswith("json-") and other.startswith("xml-")
    assert SECRET not in repr(channels) + repr(channels.apprise) + one + other


@pytest.mark.parametrize("bad", [f"nothing://{SECRET}", SECRET])
def test_what_apprise_does_not_know_is_named_by_its_place(bad):
    with pytest.raises(ChannelError, match="APPRISE_URLS: number 2 is no Apprise URL") as caught:
        _ = Channels.from_env(
            {"APPRISE_URLS": f"json://a {'x://' if bad == SECRET else ''}{bad}"}
        ).apprise
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("statuses", [[], [500]])
def test_no_log_line_and_no_file_holds_the_url(statuses, tmp_path, chat, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    chat.statuses = statuses
    results = post(tmp_path, chat.url)(message())
    shown = [
        repr(results),
        *(record.getMessage() for record in caplog.records),
        *capfd.readouterr(),
    ]
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not [line for line in shown if SECRET in line]
    assert SECRET.encode() not in stored
    assert chat.requests == 1
