"""Follow-ups are announced once each: when repeated, killed at any line, or run side by side."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from grace_assets.notify import followup_outbox
from grace_assets.notify.followup_outbox import GIVE_UP, FollowUpOutbox
from grace_assets.notify.lifecycle import FEWEST_ATTEMPTS
from tests.sources.awkward import reply, server

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
URL = "https://hooks.example/s3cret-token"


def follow_up(name: str, **fields) -> dict:
    row = {
        "date": "2026-03-04",
        "follow_up_id": f"fu-{name}",
        "domain_id": "Müller – Edition",
        "title": "Investigate Müller – Edition issues",
        "type": "failure_remediation",
        "reason": "Auto-brief flagged problems: 2 of 5 missions failed\non 2026-03-04",
        "priority": "high",
        "status": "open",
        "opened_on": date(2026, 3, 4),
        "closed_by_mission_id": None,
        "verdict": None,
        "evidence": ["m1"],
    }
    return row | fields


def lines(data_dir: Path) -> list[dict]:
    text = (data_dir / "outbox" / "missions.jsonl").read_text(encoding="utf-8")
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def announced(data_dir: Path) -> list[str]:
    return [line["follow_up_id"] for line in lines(data_dir)]


def test_a_new_follow_up_becomes_one_mission_request(tmp_path):
    outbox = FollowUpOutbox(tmp_path)
    assert outbox.announce([follow_up("a")]) == 1
    assert lines(tmp_path) == [
        {
            "follow_up_id": "fu-a",
            "domain_id": "Müller – Edition",
            "title": "Investigate Müller – Edition issues",
            "mission_type": "failure_remediation",
            "reason": "Auto-brief flagged problems: 2 of 5 missions failed\non 2026-03-04",
            "priority": "high",
            "opened_on": "2026-03-04",
        }
    ]
    assert outbox.issued() == {"fu-a": ("Müller – Edition", date(2026, 3, 4))}


def test_repeating_announces_only_what_is_new(tmp_path):
    FollowUpOutbox(tmp_path).announce([follow_up("a")])
    again = FollowUpOutbox(tmp_path)
    assert again.announce([follow_up("a", priority="medium"), follow_up("b")]) == 1
    assert again.announce([]) == 0
    assert announced(tmp_path) == ["fu-a", "fu-b"]
    assert lines(tmp_path)[0]["priority"] == "high"


def test_a_closed_follow_up_is_not_asked_for(tmp_path):
    outbox = FollowUpOutbox(tmp_path)
    assert outbox.announce([follow_up("a", status="closed")]) == 0
    assert outbox.issued() == {}


def test_lines_that_a_consumer_took_away_do_not_come_back(tmp_path):
    outbox = FollowUpOutbox(tmp_path)
    outbox.announce([follow_up("a")])
    (tmp_path / "outbox" / "missions.jsonl").rename(tmp_path / "taken.jsonl")
    outbox.announce([follow_up("a"), follow_up("b")])
    assert announced(tmp_path) == ["fu-b"]


@pytest.mark.parametrize("tail", [b'{"follow_up_id": "fu-', b"{", b"\xc3", b"null"])
def test_a_torn_last_line_is_dropped(tmp_path, tail):
    outbox = FollowUpOutbox(tmp_path)
    outbox.announce([follow_up("a")])
    with (tmp_path / "outbox" / "missions.jsonl").open("ab") as file:
        file.write(tail)
    outbox.announce([follow_up("b")])
    assert announced(tmp_path) == ["fu-a", "fu-b"]


def test_a_last_line_that_only_lacks_its_end_is_kept(tmp_path):
    outbox = FollowUpOutbox(tmp_path)
    outbox.announce([follow_up("a")])
    path = tmp_path / "outbox" / "missions.jsonl"
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    outbox.announce([follow_up("b")])
    assert announced(tmp_path) == ["fu-a", "fu-b"]


def test_a_file_that_cannot_be_written_is_completed_by_the_next_call(tmp_path):
    outbox = FollowUpOutbox(tmp_path)
    path = tmp_path / "outbox" / "missions.jsonl"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        outbox.announce([follow_up("a")])
    assert set(outbox.issued()) == {"fu-a"}
    path.rmdir()
    assert outbox.announce([follow_up("a")]) == 0
    assert announced(tmp_path) == ["fu-a"]


def announce_and_die(data_dir: Path, rows: list[dict], at_line: int) -> bool:
    """Announce in a child that kills itself before the `at_line`-th line it runs of the module.

    Returns False where the child got to the end.
    """
    child = os.fork()
    if child == 0:
        seen = 0

        def trace(frame, event, _):
            nonlocal seen
            if frame.f_code.co_filename != followup_outbox.__file__:
                return None
            if event == "line":
                seen += 1
                if seen == at_line:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        code = 1
        try:
            FollowUpOutbox(data_dir).announce(rows)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def test_a_kill_before_any_line_of_code_neither_loses_nor_doubles(tmp_path):
    killed = 0
    while announce_and_die(tmp_path / str(killed), [follow_up("a"), follow_up("b")], killed + 1):
        killed += 1
    assert killed > 40
    between_ledger_and_file = 0
    for number in range(killed):
        data_dir = tmp_path / str(number)
        outbox = FollowUpOutbox(data_dir)
        issued = set(outbox.issued())
        path = data_dir / "outbox" / "missions.jsonl"
        before = announced(data_dir) if path.exists() else []
        # What the outside saw is in the ledger; the ledger may be ahead.
        assert set(before) <= issued
        between_ledger_and_file += bool(issued and not before)
        outbox.announce([follow_up("a"), follow_up("b"), follow_up("c")])
        assert announced(data_dir) == ["fu-a", "fu-b", "fu-c"]
    assert between_ledger_and_file > 0


def test_a_kill_in_the_middle_of_the_write_is_mended(tmp_path):
    FollowUpOutbox(tmp_path).announce([follow_up("a")])
    path = tmp_path / "outbox" / "missions.jsonl"
    first = path.read_bytes()
    FollowUpOutbox(tmp_path).announce([follow_up("b"), follow_up("c")])
    whole = path.read_bytes()
    ledger = tmp_path / "state" / "follow_ups.sqlite"
    for cut in range(len(first), len(whole) + 1):
        # The state after a kill before the ledger notes the lines as written.
        path.write_bytes(whole[:cut])
        with sqlite3.connect(ledger) as db:
            db.execute("UPDATE follow_ups SET written = 0 WHERE follow_up_id <> 'fu-a'")
        db.close()
        FollowUpOutbox(tmp_path).announce([])
        assert path.read_bytes() == whole


ANNOUNCER = """
import sys
from datetime import date
from pathlib import Path
from grace_assets.notify.followup_outbox import FollowUpOutbox
total = 0
for batch in range(15):
    rows = [
        dict(follow_up_id=f"fu-{batch}-{n}", domain_id="d", title="t", type="x", reason="r",
             priority="high", status="open", opened_on=date(2026, 3, 4))
        for n in range(4)
    ]
    total += FollowUpOutbox(Path(sys.argv[1])).announce(rows)
print(total)
"""


def test_processes_side_by_side_announce_each_once(tmp_path):
    command = [sys.executable, "-W", "error", "-c", ANNOUNCER, str(tmp_path)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    results = [process.communicate(timeout=60) for process in running]
    assert [error for _, error in results] == [""] * 4
    assert sum(int(out) for out, _ in results) == 60
    assert Counter(announced(tmp_path)) == {f"fu-{b}-{n}": 1 for b in range(15) for n in range(4)}


def receiver(*answers: int | BaseException):
    """The way to a receiver that gives these answers in turn (the last one again and again)."""
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        answer = answers[min(len(requests), len(answers) - 1)]
        requests.append(request)
        if isinstance(answer, BaseException):
            raise answer
        return httpx.Response(answer)

    return httpx.MockTransport(handle), requests


def standing(root: Path) -> dict[str, tuple[str, str | None]]:
    """Status and reason of each follow-up, as the ledger has them."""
    with closing(sqlite3.connect(root / "state" / "follow_ups.sqlite")) as db:
        rows = db.execute("SELECT follow_up_id, status, reason FROM follow_ups")
        return {name: (status, reason) for name, status, reason in rows}


def outbox_with(tmp_path: Path, *names: str) -> FollowUpOutbox:
    outbox = FollowUpOutbox(tmp_path)
    outbox.announce([follow_up(name) for name in names])
    return outbox


def test_pending_follow_ups_are_posted_once_with_their_id_as_key(tmp_path):
    outbox = outbox_with(tmp_path, "a", "b")
    receiving, requests = receiver(200)
    report = outbox.post_pending(URL, NOW, receiving)
    assert outbox.post_pending(URL, NOW, receiving).results == {}
    assert str(report) == "2 posted, 0 pending, 0 rejected"
    assert [request.headers["Idempotency-Key"] for request in requests] == ["fu-a", "fu-b"]
    assert [json.loads(request.content) for request in requests] == lines(tmp_path)
    assert requests[0].headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "status", "tried"),
    [
        (200, "posted", 2),
        (204, "posted", 2),
        (302, "pending", 1),
        (400, "rejected", 2),
        (404, "rejected", 2),
        (408, "pending", 1),
        (429, "pending", 1),
        (500, "pending", 1),
        (503, "pending", 1),
        (httpx.ConnectError(f"cannot reach {URL}"), "pending", 1),
        (httpx.ReadTimeout(f"no answer from {URL}"), "pending", 1),
    ],
    ids=str,
)
def test_what_an_answer_means(tmp_path, answer, status, tried):
    outbox = outbox_with(tmp_path, "a", "b")
    receiving, requests = receiver(answer)
    report = outbox.post_pending(URL, NOW, receiving)
    assert len(requests) == tried == report.count(status)
    assert standing(tmp_path)["fu-a"][0] == status
    assert "s3cret" not in f"{report} {report!r} {standing(tmp_path)}"
    # Pending ones are tried again by the next call, others never.
    outbox.post_pending(URL, NOW, receiving)
    assert len(requests) == tried + (status == "pending")


@pytest.mark.parametrize("url", ["not a url", "ftp://s3cret", "http://s3cret:port", ""])
def test_a_url_that_is_none_is_an_answer_without_the_url(tmp_path, url):
    outbox = outbox_with(tmp_path, "a")
    report = outbox.post_pending(url, NOW)
    assert report.results["fu-a"].status == "pending"
    assert "s3cret" not in str(report)


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST"])
def test_no_log_line_holds_the_url(tmp_path, caplog, host):
    caplog.set_level(logging.DEBUG)
    outbox = outbox_with(tmp_path, "a")
    place = "/s3cret/hook?token=s3cret"
    with server(lambda handler, _: reply(handler, 302, location=place)) as hook:
        outbox.post_pending(hook.url.replace("127.0.0.1", host) + place, NOW)
        assert len(hook.requests) == 1
    assert "s3cret" not in caplog.text
    assert caplog.records


def test_a_receiver_that_recovers_gets_everything(tmp_path):
    outbox = outbox_with(tmp_path, "a", "b")
    receiving, requests = receiver(503, 200)
    assert outbox.post_pending(URL, NOW, receiving).count("pending") == 1
    assert outbox.post_pending(URL, NOW, receiving).count("posted") == 2
    assert [r.headers["Idempotency-Key"] for r in requests] == ["fu-a", "fu-a", "fu-b"]


def test_a_receiver_that_never_recovers_is_given_up(tmp_path):
    outbox = outbox_with(tmp_path, "a")
    receiving, requests = receiver(503)
    for _ in range(FEWEST_ATTEMPTS - 1):
        outbox.post_pending(URL, NOW, receiving)
    outbox.post_pending(URL, NOW + GIVE_UP - timedelta(seconds=1), receiving)
    assert standing(tmp_path)["fu-a"][0] == "pending"
    outbox.post_pending(URL, NOW + GIVE_UP, receiving)
    outbox.post_pending(URL, NOW + GIVE_UP, receiving)
    assert len(requests) == FEWEST_ATTEMPTS + 1
    assert standing(tmp_path)["fu-a"] == ("rejected", "gave up after 7 days: HTTP status 503")


def test_after_a_clock_that_was_wrong_it_is_neither_given_up_nor_kept_claimed(tmp_path):
    outbox = outbox_with(tmp_path, "a", "b")
    receiving, _ = receiver(503, 200)
    outbox.post_pending(URL, NOW - timedelta(days=400), receiving)
    with closing(sqlite3.connect(tmp_path / "state" / "follow_ups.sqlite")) as db, db:
        ahead = (NOW + timedelta(days=400)).isoformat()
        db.execute("UPDATE follow_ups SET claimed_until = ? WHERE follow_up_id = 'fu-b'", (ahead,))
    assert outbox.post_pending(URL, NOW, receiving).count("posted") == 2


def test_two_at_once_do_not_post_the_same_follow_up(tmp_path):
    outbox = outbox_with(tmp_path, "a")
    inner, inner_requests = receiver(200)

    async def handle(request: httpx.Request) -> httpx.Response:
        # Another process wakes up while the first waits for its answer.
        await asyncio.to_thread(FollowUpOutbox(tmp_path).post_pending, URL, NOW, inner)
        return httpx.Response(200)

    report = outbox.post_pending(URL, NOW, httpx.MockTransport(handle))
    assert report.count("posted") == 1
    assert inner_requests == []


def test_a_request_that_was_killed_is_tried_again_after_a_while(tmp_path):
    outbox = outbox_with(tmp_path, "a")
    killed, _ = receiver(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        outbox.post_pending(URL, NOW, killed)
    receiving, requests = receiver(200)
    assert outbox.post_pending(URL, NOW + timedelta(minutes=1), receiving).results == {}
    assert outbox.post_pending(URL, NOW + timedelta(minutes=6), receiving).count("posted") == 1
    assert requests[0].headers["Idempotency-Key"] == "fu-a"
