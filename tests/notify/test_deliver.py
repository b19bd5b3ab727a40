"""Decide, promise, send, record: whatever is repeated, killed or run side by side."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default as modern
from pathlib import Path

import pytest

from grace_assets.lake import local_files
from grace_assets.notify import slack
from grace_assets.notify.email import EmailSender
from grace_assets.notify.ledger import Ledger
from grace_assets.notify.message import Content
from grace_assets.notify.outbox import OutboxSender
from grace_assets.notify.slack import SlackSender
from tests.notify.briefs import NOW, Post, brief
from tests.notify.smtp_server import Mailbox, smtp_server
from tests.notify.strict_slack import Answer, StrictSlack, strict_slack

HOUR = timedelta(hours=1)
FAR = NOW + timedelta(days=30)
NOTIFY = str(Path(slack.__file__).parent)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack, "SPACING", timedelta(milliseconds=5))


@pytest.fixture
def webhook() -> Iterator[StrictSlack]:
    with strict_slack() as running:
        yield running


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_server(None, login=False) as running:
        yield running


@pytest.fixture
def post(tmp_path: Path, webhook: StrictSlack) -> Post:
    return Post(tmp_path, "slack", {"SLACK_WEBHOOK_URL": webhook.url})


@pytest.fixture
def mail(tmp_path: Path, mailbox: Mailbox) -> Post:
    env = {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mailbox.port),
        "SMTP_TLS": "none",
        "SMTP_FROM_EMAIL": "grace@ops.example",
        "STATUS_BRIEF_RECIPIENTS": "ann@example.org,bob@example.org",
    }
    return Post(tmp_path, "email", env)


def killed(act: Callable[[], object]) -> bool:
    """Runs `act` in a process of its own; whether that was killed on the way."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def kill_this_process(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(target: type, name: str, act: Callable[[], object]) -> bool:
    """Kills the process where it would call `target.name`."""

    def armed() -> None:
        setattr(target, name, kill_this_process)
        act()

    return killed(armed)


def marks(messages: list[str]) -> list[bool]:
    return ["possible repeat · ref " in message for message in messages]


@pytest.mark.parametrize(
    ("target", "name", "expected"),
    [
        (Ledger, "promise", [False]),
        (Ledger, "claim", [False]),
        (SlackSender, "send", [True]),
        (Ledger, "finish", [False, True]),
    ],
)
def test_a_killed_run_to_slack_is_made_up_for_and_a_repeat_is_marked(
    post: Post, webhook: StrictSlack, target: type, name: str, expected: list[bool]
):
    assert killed_at(target, name, post)
    # Nothing was promised before the promise: the run that makes the brief is repeated.
    assert post.ledger.due(NOW) == ([] if name == "promise" else [brief().date])
    assert post()[0].status == "sent"
    assert marks([message["text"] for message in webhook.messages]) == expected
    post(after=HOUR)
    assert len(webhook.messages) == len(expected)


@pytest.mark.parametrize(
    ("target", "name", "to_ann", "to_bob"),
    [
        (Ledger, "claim", [False], [False]),
        (EmailSender, "send", [True], [False]),
        (Ledger, "finish", [False, True], [False]),
    ],
)
def test_a_killed_run_by_email_is_made_up_for_recipient_by_recipient(
    mail: Post, mailbox: Mailbox, target: type, name: str, to_ann: list[bool], to_bob: list[bool]
):
    assert killed_at(target, name, mail)
    assert {result.status for result in mail()} == {"sent"}
    mail(after=HOUR)
    for address, expected in (("ann@example.org", to_ann), ("bob@example.org", to_bob)):
        mails = [message_from_bytes(m, policy=modern) for to, m in mailbox.taken if to == address]
        assert marks([message["Subject"] for message in mails]) == expected
        assert len({message["Message-ID"] for message in mails}) == 1


@pytest.mark.parametrize(("target", "name"), [(OutboxSender, "send"), (Ledger, "finish")])
@pytest.mark.parametrize("channel", ["slack", "email"])
def test_a_killed_run_into_the_outbox_is_simply_repeated(
    tmp_path: Path, channel: str, target: type, name: str
):
    post = Post(tmp_path, channel, {})
    assert killed_at(target, name, post)
    assert (post()[0].status, post()[0].attempts) == ("written", 2)
    [file] = (tmp_path / "outbox" / channel).iterdir()
    assert b"possible repeat" not in file.read_bytes()


def killed_at_line(number: int, act: Callable[[], object]) -> bool:
    """Kills the process before the given line that it runs in `notify`, counted from 1."""

    def armed() -> None:
        count = 0

        def trace(frame, event, _argument):
            nonlocal count
            if not frame.f_code.co_filename.startswith(NOTIFY):
                return None
            count += event == "line"
            if count == number:
                kill_this_process()
            return trace

        sys.settrace(trace)
        act()

    return killed(armed)


def test_wherever_a_run_is_killed_one_unmarked_message_arrives_at_most(
    tmp_path: Path, webhook: StrictSlack
):
    """Before every eleventh of the lines of `notify` that a delivery runs through."""
    unmarked, repeated, number = [], 0, 1
    while True:
        folder = tmp_path / str(number)
        post = Post(folder, "slack", {"SLACK_WEBHOOK_URL": webhook.url})
        webhook.messages.clear()
        if not killed_at_line(number, post):
            break
        assert post()[0].status == "sent", f"killed at line {number}"
        assert post(after=HOUR)[0].status == "sent"
        marked = marks([message["text"] for message in webhook.messages])
        assert marked in ([False], [True], [False, True]), f"killed at line {number}"
        unmarked.append(marked.count(False))
        repeated += len(marked) == 2
        number += 11
    assert len(unmarked) > 20
    assert max(unmarked) == 1
    assert repeated, "a kill after the message was taken was among them"


def test_runs_side_by_side_send_one_message(post: Post, webhook: StrictSlack):
    with ThreadPoolExecutor(8) as pool:
        results = [future.result() for future in [pool.submit(post) for _ in range(8)]]
    assert len(webhook.messages) == 1
    assert {result.status for [result] in results} <= {"sent", "unknown"}
    assert post()[0].status == "sent"


def test_a_run_that_is_stopped_while_sending_leaves_no_lease(
    post: Post, webhook: StrictSlack, monkeypatch: pytest.MonkeyPatch
):
    async def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SlackSender, "send", stopped)
        with pytest.raises(KeyboardInterrupt):
            post()
    assert post.ledger.rows()[0]["reason"] == "cut off while sending: it may have arrived"
    assert post(after=timedelta(minutes=1))[0].status == "sent"
    assert marks([message["text"] for message in webhook.messages]) == [True]


def test_ninety_days_of_backfill_send_nothing(post: Post, webhook: StrictSlack, mail: Post):
    days = [f"2026-{month:02}-{day:02}" for month in (1, 2, 3) for day in range(1, 31)]
    for channel in (post, mail):
        for day in days:
            results = channel(brief(date=day), decision="suppress:backfill")
            assert {(r.status, r.reason) for r in results} == {("suppressed", "backfill")}
    assert (webhook.requests, post.ledger.due(FAR)) == (0, [])
    assert post.ledger.last_delivered(days[0]) is None


def test_what_a_backfill_held_back_can_be_sent_later(post: Post, webhook: StrictSlack):
    post(decision="suppress:backfill")
    post(brief(content_hash="made again"), decision="suppress:disabled")
    assert post.ledger.rows()[0]["reason"] == "disabled"
    assert post()[0].status == "sent"
    assert post(decision="suppress:backfill")[0].status == "sent"
    assert len(webhook.messages) == 1


@pytest.mark.parametrize("reason", ["backfill", "disabled", "empty_day"])
@pytest.mark.parametrize("earlier", ["pending", "sent"])
def test_a_backfill_takes_no_promise_back_and_a_switch_does(
    post: Post, webhook: StrictSlack, earlier: str, reason: str
):
    webhook.script = [Answer(429, "", {"Retry-After": "60"})] if earlier == "pending" else []
    assert post()[0].status == earlier
    [result] = post(decision=f"suppress:{reason}")
    withdrawn = earlier == "pending" and reason != "backfill"
    assert result.status == ("suppressed" if withdrawn else earlier)
    assert bool(post.ledger.due(FAR)) is (earlier == "pending" and not withdrawn)
    assert post(after=HOUR)[0].status == "sent"


def test_a_correction_goes_out_once_and_says_so(post: Post, webhook: StrictSlack, mail: Post):
    for revision in (1, 1, 2, 2):
        assert post(brief(revision))[0].status == "sent"
    assert [m["text"] for m in webhook.messages] == [
        "Grace · 2 missions",
        "Correction (revision 2) · Grace · 2 missions",
    ]


def test_a_correction_by_email_is_another_message(mail: Post, mailbox: Mailbox):
    for revision in (1, 1, 2, 2):
        mail(brief(revision))
    mails = [message_from_bytes(content, policy=modern) for _, content in mailbox.taken]
    assert [m["Subject"][:24] for m in mails] == ["Grace · 2026-03-01 · 2 m"] * 2 + [
        "Correction (revision 2):"
    ] * 2
    assert len({m["Message-ID"] for m in mails}) == 4


def test_a_newer_revision_takes_the_place_of_one_still_owed(post: Post, webhook: StrictSlack):
    webhook.script = [Answer(429, "", {"Retry-After": "60"})]
    post()
    assert post(brief(2), after=HOUR)[0].status == "sent"
    assert [m["text"] for m in webhook.messages] == ["Grace · 2 missions"], "nothing to correct"
    assert [row["reason"] for row in post.ledger.rows()] == ["superseded", None]
    assert post.ledger.due(FAR) == []


def test_a_channel_without_settings_writes_what_it_would_have_sent(tmp_path: Path):
    for channel in ("slack", "email"):
        results = Post(tmp_path, channel, {})()
        assert [(r.destination, r.status) for r in results] == [("outbox", "written")]
    files = sorted(path for path in (tmp_path / "outbox").rglob("*") if path.is_file())
    assert [str(f.relative_to(tmp_path / "outbox")) for f in files] == [
        "email/brief-2026-03-01.eml",
        "slack/brief-2026-03-01.json",
    ]
    assert json.loads(files[1].read_bytes()) == brief().content.slack
    assert (
        message_from_bytes(files[0].read_bytes(), policy=modern)["Subject"]
        == brief().content.subject
    )


def test_what_was_written_is_sent_once_the_channel_is_set(post: Post, webhook: StrictSlack):
    Post(post.folder, "slack", {})()
    assert post()[0].status == "sent"
    assert len(webhook.messages) == 1


def test_a_disk_that_is_full_is_a_reason_to_try_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    post = Post(tmp_path, "slack", {})
    with monkeypatch.context() as patched:
        patched.setattr(local_files, "replacing", full)
        assert post()[0].status == "pending"
    assert post(after=HOUR)[0].status == "written"


def test_there_is_no_third_channel(post: Post):
    post.channel = "pigeon"
    with pytest.raises(KeyError, match="pigeon"):
        post()


def test_what_nobody_gets_is_never_rendered(post: Post, webhook: StrictSlack):
    def fail() -> Content:
        raise AssertionError("rendered for nobody")

    unsent = replace(brief(), render=fail)
    assert post(unsent, decision="suppress:backfill")[0].status == "suppressed"
    post(brief())
    assert post(unsent)[0].status == "sent", "it was sent before"
    assert len(webhook.messages) == 1
