"""Faults of Slack and of mail servers beyond those of `test_slack` and `test_email`: what the
ledger says after each, and how many messages the other side has."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default as modern
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import pytest

from grace_assets.notify import email, lifecycle, slack
from grace_assets.notify.deliver import Result
from tests.notify import smtp_server as smtp_module
from tests.notify.authority import Authority, make_authority
from tests.notify.briefs import NOW, Post, brief
from tests.notify.odd_servers import OddSmtp, context_of_a_bad_certificate, raw_server
from tests.notify.smtp_server import DROP, HANG, USER, Mailbox, smtp_server
from tests.notify.strict_slack import Answer, StrictSlack, Trouble, strict_slack
from tests.notify.test_email import LATER, A, B, C, env, ledger, send, states

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOWHERE = "no-such-host.invalid"
"""RFC 6761 6.4: this name resolves nowhere."""


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE", "DEFAULT_WAIT", "SPACING"):
        monkeypatch.setattr(slack, name, timedelta(milliseconds=5))
    monkeypatch.setattr(slack, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(slack, "SlackSender", partial(slack.SlackSender, attempt_seconds=2.0))
    monkeypatch.setattr(email.EmailSender.__init__, "__defaults__", (1.2,))
    monkeypatch.setattr(email, "COMMAND_SECONDS", 1.2)


@pytest.fixture
def webhook() -> Iterator[StrictSlack]:
    with strict_slack() as running:
        yield running


@pytest.fixture
def post(tmp_path: Path, webhook: StrictSlack) -> Post:
    return Post(tmp_path, "slack", {"SLACK_WEBHOOK_URL": webhook.url})


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def to(url: str, folder: Path) -> Post:
    return Post(folder, "slack", {"SLACK_WEBHOOK_URL": url})


# Slack: asked to wait


def http_date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    "header",
    ["1", "1.5", "", "soon", "-5", lambda: http_date(2), lambda: http_date(-3600)],
    ids=["seconds", "a fraction", "empty", "words", "negative", "a date", "a date gone by"],
)
def test_two_429_in_a_row_are_waited_for_and_the_message_arrives_once(
    post: Post, webhook: StrictSlack, header: str | Callable[[], str]
):
    value = header if isinstance(header, str) else header()
    webhook.script = [Answer(429, "", {"Retry-After": value})] * 2
    [result] = post()
    assert (result.status, result.attempts) == ("sent", 1)
    assert (webhook.requests, len(webhook.messages)) == (3, 1)
    assert post(after=DAY) == [result]
    assert len(webhook.messages) == 1


@pytest.mark.parametrize("status", [408, 425, 429])
def test_a_webhook_that_keeps_asking_to_wait_is_left_alone_until_due(
    post: Post, webhook: StrictSlack, status: int
):
    webhook.script = [Answer(status, "")] * 3
    [waiting] = post()
    assert (waiting.status, waiting.reason) == ("pending", f"asked to wait (HTTP {status})")
    assert (webhook.requests, webhook.messages) == (3, [])
    assert post(after=timedelta(seconds=30))[0].status == "pending"
    assert webhook.requests == 3, "nothing before it is due"
    assert post(after=HOUR)[0].status == "sent"
    assert webhook.messages == [brief().content.slack], "the first to arrive is no repeat"


@pytest.mark.parametrize("header", ["1000000000", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_no_retry_after_puts_a_message_off_for_longer_than_ten_minutes(
    post: Post, webhook: StrictSlack, header: str
):
    webhook.script = [Answer(429, "", {"Retry-After": header})]
    [result] = post()
    assert (result.status, webhook.requests, webhook.messages) == ("pending", 1, [])
    assert timedelta(minutes=9) < result.retry_at - NOW < timedelta(minutes=11)
    assert post(after=timedelta(minutes=9))[0].status == "pending"
    assert post(after=timedelta(minutes=11))[0].status == "sent"
    assert (webhook.requests, len(webhook.messages)) == (2, 1)


# Slack: answers that say nothing certain

AMBIGUOUS = {
    "502": Answer(502, "<html>bad gateway</html>"),
    "504": Answer(504, ""),
    "500 internal_error": Answer(500, "internal_error"),
    "500 ok": Answer(500, "ok"),
    "200 empty": Answer(200, ""),
    "200 of a bot's API": Answer(200, '{"ok":true}'),
    "200 with a word of refusal": Answer(200, "invalid_token"),
    "200 OK in capitals": Answer(200, "OK"),
    "200 of a captive portal": Answer(200, "ok" + "<p>" * 5000),
    "200 said to be compressed": Answer(200, "\x1f\x8b", {"Content-Encoding": "gzip"}),
    "201": Answer(201, "ok"),
    "204": Answer(204, ""),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_unclear_answer_is_unknown_and_asked_about_once_more_with_a_mark(
    post: Post, webhook: StrictSlack, name: str
):
    webhook.script = [AMBIGUOUS[name]]
    [first] = post()
    code = AMBIGUOUS[name].status
    assert (first.status, first.reason) == ("unknown", f"ambiguous answer (HTTP {code})")
    assert (webhook.requests, webhook.messages) == (1, [])
    assert post(after=timedelta(minutes=4)) == [first]
    [second] = post(after=HOUR)
    assert (second.status, second.attempts) == ("sent", 2)
    [message] = webhook.messages
    assert message["text"].startswith("possible repeat · ref ")
    assert post(after=DAY) == [second]
    assert webhook.requests == 2


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_on_hold_an_unclear_answer_is_for_a_person(post: Post, webhook: StrictSlack, name: str):
    post.env = {**post.env, "SLACK_ON_UNKNOWN": "hold"}
    webhook.script = [AMBIGUOUS[name]]
    post()
    [result] = post(after=DAY)
    assert (result.status, result.retry_at) == ("unknown", None)
    assert (webhook.requests, webhook.messages) == (1, [])


OK = b"HTTP/1.1 200 OK\r\n"
BROKEN = {
    # the bytes of the answer, how it ends and what was read: (request bodies that arrived)
    "closed without a word": (b"", "close", "all", 1),
    "reset without a word": (b"", "reset", "all", 1),
    "reset before the body": (b"", "reset", "head", 0),
    "status line cut": (b"HTTP/1.1 20", "close", "all", 1),
    "headers cut": (OK + b"Content-Le", "close", "all", 1),
    "body cut": (OK + b"Content-Length: 9\r\n\r\nok", "close", "all", 1),
    "body cut by a reset": (OK + b"Content-Length: 9\r\n\r\nok", "reset", "all", 1),
    "chunks cut": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "close", "all", 1),
    "chunks of no length": (OK + b"Transfer-Encoding: chunked\r\n\r\nok\r\n", "close", "all", 1),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\nok", "close", "all", 1),
    "another protocol": (b"220 mail.example ESMTP\r\n", "close", "all", 1),
    "headers without end": (OK + b"X: y\r\n" * 60_000, "hang", "all", 1),
    "nothing but going on": (b"HTTP/1.1 100 Continue\r\n\r\n", "hang", "all", 1),
    "switched": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "hang", "all", 1),
    "status and silence": (OK + b"Content-Length: 2\r\n\r\n", "hang", "all", 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_never_counts_as_sent_and_costs_one_request(tmp_path: Path, name: str):
    answer, then, reads, arrived = BROKEN[name]
    with raw_server(answer, then, reads=reads) as server:
        [result] = to(server.url, tmp_path)()
        assert (result.status, result.attempts) == ("unknown", 1)
        assert result.retry_at is not None
    # The server has ended, and every thread of it: what arrived is final.
    assert (len(server.bodies), server.connections) == (arrived, 1)


def test_an_answer_without_a_length_ends_with_its_connection(tmp_path: Path):
    with raw_server(OK + b"\r\nok") as server:
        assert to(server.url, tmp_path)()[0].status == "sent"
    assert len(server.bodies) == 1


def test_an_answer_that_drips_in_time_is_read_to_its_end(tmp_path: Path):
    with raw_server(OK + b"Content-Length: 2\r\n\r\nok", pause=0.003) as server:
        assert to(server.url, tmp_path)()[0].status == "sent"
    assert len(server.bodies) == 1


def test_an_answer_that_drips_for_too_long_is_unknown_though_each_byte_was_in_time(tmp_path: Path):
    with raw_server(OK + b"Content-Length: 2\r\n\r\nok", pause=0.15) as server:
        [result] = to(server.url, tmp_path)()
    assert (result.status, result.reason) == ("unknown", "no answer in time")
    assert len(server.bodies) == 1


@pytest.mark.parametrize("taken", [False, True], ids=["unread", "taken"])
@pytest.mark.parametrize("what", ["reset", "hang", "drip"])
def test_a_repeat_that_goes_wrong_too_is_the_last(
    post: Post, webhook: StrictSlack, what: str, taken: bool
):
    webhook.script = [Trouble(what, taken)] * 2
    for after in (timedelta(0), HOUR, DAY, 2 * DAY):
        [result] = post(after=after)
    assert (result.status, result.attempts, result.retry_at) == ("unknown", 2, None)
    assert webhook.requests == 2
    marked = ["possible repeat" in message["text"] for message in webhook.messages]
    assert marked == [False, True] * taken


# Slack: refusals

BLOCKS_REFUSED = [
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_blocks_too_long",
    "too_many_attachments",
]


@pytest.mark.parametrize("word", BLOCKS_REFUSED)
def test_every_refusal_of_blocks_leaves_the_text_alone_once(
    post: Post, webhook: StrictSlack, word: str
):
    webhook.script = [Answer(400, word)]
    [result] = post()
    assert (result.status, result.reason) == ("sent", f"as text only: {word}")
    assert webhook.messages == [{"text": brief().content.slack["text"]}]
    assert post(after=DAY) == [result]
    assert webhook.requests == 2


def test_a_text_alone_that_is_not_clearly_taken_is_unknown_and_repeated_with_a_mark(
    post: Post, webhook: StrictSlack
):
    webhook.script = [Answer(400, "invalid_blocks"), Trouble("reset", taken=True)]
    assert post()[0].status == "unknown"
    assert post(after=HOUR)[0].status == "sent"
    marked = ["possible repeat" in message["text"] for message in webhook.messages]
    assert marked == [False, True]


@pytest.mark.parametrize("status", [401, 404, 405, 407, 411, 413, 414, 421, 422, 431, 451, 499])
def test_a_refusal_without_a_word_of_slack_is_final(post: Post, webhook: StrictSlack, status: int):
    webhook.script = [Answer(status, "<html>denied</html>")]
    [result] = post()
    assert (result.status, result.reason, result.retry_at) == ("rejected", f"HTTP {status}", None)
    assert post(after=DAY) == [result]
    assert (webhook.requests, webhook.messages) == (1, [])


# Slack: no way there


def reached_nobody(result: Result) -> bool:
    return (result.status, result.reason) == ("pending", "connection failed")


def test_a_name_that_does_not_resolve_is_tried_later(tmp_path: Path):
    [result] = to(f"http://{NOWHERE}/services/x", tmp_path)()
    assert reached_nobody(result)
    assert result.retry_at is not None


def test_what_a_dead_webhook_is_owed_goes_once_and_unmarked_to_the_one_in_its_place(
    tmp_path: Path,
):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert reached_nobody(to(f"http://127.0.0.1:{port}/services/x", tmp_path)()[0])
    with strict_slack() as webhook:
        assert to(webhook.url, tmp_path)(after=HOUR)[0].status == "sent"
        assert webhook.messages == [brief().content.slack]
    assert sorted(row["status"] for row in ledger(tmp_path).rows()) == ["sent", "suppressed"]


@pytest.mark.parametrize(
    ("name", "days"),
    [("localhost", (-9, -1)), ("localhost", (1, 9)), ("hooks.example", (-1, 9))],
    ids=["expired", "not valid yet", "of another host"],
)
def test_a_certificate_that_is_not_good_gets_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, days: tuple[int, int]
):
    context, trusted = context_of_a_bad_certificate(tmp_path, name=name, days=days)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with strict_slack(context=context) as webhook:
        url = webhook.url.replace("127.0.0.1", "localhost")
        assert reached_nobody(to(url, tmp_path)()[0])
        assert (webhook.requests, webhook.messages) == (0, [])
    with smtp_server(context) as mailbox:
        (result,) = send(tmp_path, env(mailbox))
        assert (result.status, result.reason) == ("pending", "certificate not accepted")
        assert (mailbox.taken, mailbox.logins_in_the_clear) == ([], 0)


@pytest.mark.parametrize(
    ("answer", "then"),
    [(b"HTTP/1.1 400 speak plain\r\n\r\n", "close"), (b"", "close"), (b"", "reset"), (b"", "hang")],
    ids=["no TLS there", "closed", "reset", "silent"],
)
def test_a_handshake_that_fails_sent_nothing_and_is_tried_three_times(
    tmp_path: Path, answer: bytes, then: str
):
    with raw_server(answer, then, reads="nothing") as server:
        [result] = to(server.url.replace("http://", "https://"), tmp_path)()
    assert reached_nobody(result)
    assert (server.connections, server.bodies) == (3, [])


# SMTP: each code and each broken connection, at each stage


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> type[OddSmtp]:
    """The class of the next server: its attributes are what goes wrong."""

    class Odd(OddSmtp):
        pass

    monkeypatch.setattr(smtp_module, "StagedSmtp", Odd)
    return Odd


@pytest.fixture
def server(
    odd: type[OddSmtp], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mailbox]:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with smtp_server(authority.context) as running:
        yield running


SENDER, RECIPIENT = "sender refused", "recipient refused"
MESSAGE, CONNECTION = "message refused", "server refused the connection"
BEFORE, FAILED = "connection lost before the message", "connection failed"
UNCLEAR, LOGIN = "no clear answer to the message", "login refused"
FAULTS = {
    # (stage, what happens there): (the state, its reason, how many the server has then)
    ("BANNER", "450 later"): ("pending", f"{CONNECTION} (450)", 0),
    ("BANNER", "hello?"): ("pending", CONNECTION, 0),
    ("EHLO", "421 busy"): ("pending", f"{CONNECTION} (421)", 0),
    ("EHLO", "554 no"): ("rejected", f"{CONNECTION} (554)", 0),
    ("EHLO", HANG): ("pending", FAILED, 0),
    ("STARTTLS", "454 not now"): ("pending", f"{CONNECTION} (454)", 0),
    ("STARTTLS", "220 go on, in the clear"): ("pending", FAILED, 0),
    ("STARTTLS", DROP): ("pending", FAILED, 0),
    ("STARTTLS", HANG): ("pending", FAILED, 0),
    ("AUTH", "454 not now"): ("pending", f"{LOGIN} (454)", 0),
    ("AUTH", "421 closing"): ("pending", "", 0),
    ("AUTH", "534 too weak"): ("rejected", f"{LOGIN} (534)", 0),
    ("AUTH", "535 no"): ("rejected", f"{LOGIN} (535)", 0),
    ("AUTH", DROP): ("pending", FAILED, 0),
    ("AUTH", HANG): ("pending", FAILED, 0),
    ("MAIL", "421 closing"): ("pending", f"{SENDER} (421)", 0),
    ("MAIL", "452 full"): ("pending", f"{SENDER} (452)", 0),
    ("MAIL", "530 log in"): ("rejected", f"{SENDER} (530)", 0),
    ("MAIL", "552 too large"): ("rejected", f"{SENDER} (552)", 0),
    ("MAIL", "554 no"): ("rejected", f"{SENDER} (554)", 0),
    ("RCPT", "451 later"): ("pending", f"{RECIPIENT} (451)", 0),
    ("RCPT", "452 too many"): ("pending", f"{RECIPIENT} (452)", 0),
    ("RCPT", "551 not here"): ("rejected", f"{RECIPIENT} (551)", 0),
    ("RCPT", "553 no name"): ("rejected", f"{RECIPIENT} (553)", 0),
    ("RCPT", "554 no"): ("rejected", f"{RECIPIENT} (554)", 0),
    ("RCPT", HANG): ("pending", BEFORE, 0),
    ("DATA", "421 closing"): ("pending", f"{MESSAGE} (421)", 0),
    ("DATA", "452 full"): ("pending", f"{MESSAGE} (452)", 0),
    ("DATA", "550 no"): ("rejected", f"{MESSAGE} (550)", 0),
    ("DATA", "552 too large"): ("rejected", f"{MESSAGE} (552)", 0),
    ("DATA", HANG): ("unknown", UNCLEAR, 0),
    ("DOT", "421 closing"): ("pending", f"{MESSAGE} (421)", 0),
    ("DOT", "450 later"): ("pending", f"{MESSAGE} (450)", 0),
    ("DOT", "452 full"): ("pending", f"{MESSAGE} (452)", 0),
    ("DOT", "550 spam"): ("rejected", f"{MESSAGE} (550)", 0),
    ("DOT", "552 too large"): ("rejected", f"{MESSAGE} (552)", 0),
    ("DOT", "354 go on"): ("unknown", "unreadable answer to the message", 0),
    ("QUIT", HANG): ("sent", "", 1),
    ("QUIT", "421 bye"): ("sent", "", 1),
}


@pytest.mark.parametrize("fault", FAULTS, ids=" ".join)
def test_each_fault_of_a_mail_server_ends_in_its_state_and_one_message_at_most(
    fault: tuple[str, str], server: Mailbox, tmp_path: Path
):
    status, reason, taken = FAULTS[fault]
    server.faults = dict([fault])
    (result,) = send(tmp_path, env(server))
    assert result.status == status
    assert (result.reason or "").startswith(reason)
    assert len(server.taken) == taken
    assert (result.retry_at is not None) is (status in ("pending", "unknown"))

    server.faults = {}
    assert send(tmp_path, env(server)) == [result], "nothing before it is due"
    (later,) = send(tmp_path, env(server), after=LATER)
    assert later.status == ("rejected" if status == "rejected" else "sent")
    assert send(tmp_path, env(server), after=LATER + DAY) == [later]
    assert len(server.taken) == (status != "rejected")
    subjects = [message_from_bytes(m, policy=modern)["Subject"] for _, m in server.taken]
    assert ["possible repeat" in text for text in subjects] == [status == "unknown"] * len(subjects)


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("answer", ["452 full", "554 no"])
def test_on_hold_a_clear_answer_is_followed_as_ever(
    stage: str, answer: str, server: Mailbox, tmp_path: Path
):
    settings = env(server, EMAIL_ON_UNKNOWN="hold")
    server.faults = {stage: answer}
    (first,) = send(tmp_path, settings)
    server.faults = {}
    (later,) = send(tmp_path, settings, after=LATER)
    clear = {"452 full": ("pending", "sent"), "554 no": ("rejected", "rejected")}
    assert (first.status, later.status) == clear[answer]
    assert len(server.taken) == (later.status == "sent")


@pytest.mark.parametrize("stage", ["DATA", "DOT"])
@pytest.mark.parametrize("what", [DROP, HANG])
def test_on_hold_what_may_have_arrived_by_mail_is_for_a_person(
    stage: str, what: str, server: Mailbox, tmp_path: Path
):
    settings = env(server, EMAIL_ON_UNKNOWN="hold")
    server.faults = {stage: what}
    send(tmp_path, settings)
    server.faults = {}
    (later,) = send(tmp_path, settings, after=LATER)
    assert (later.status, later.attempts, later.retry_at) == ("unknown", 1, None)
    assert len(server.taken) == (stage == "DOT")


def test_each_of_several_recipients_gets_the_state_of_their_own_answer(
    server: Mailbox, tmp_path: Path
):
    answers = {
        "later@example.org": ("451 greylisted", "pending"),
        "full@example.org": ("452 mailbox full", "pending"),
        "many@example.org": ("552 too many recipients", "pending"),
        "gone@example.org": ("550 no such user", "rejected"),
        "policy@example.org": ("554 policy", "rejected"),
        "moved@example.org": ("551 not local", "rejected"),
    }
    server.refused = {address: answer for address, (answer, _) in answers.items()}
    everybody = [A, *answers, B]
    send(tmp_path, env(server, *everybody))
    expected = {address: status for address, (_, status) in answers.items()}
    assert states(tmp_path) == {A: "sent", B: "sent"} | expected
    assert server.recipients() == [A, B]
    server.refused = {}
    send(tmp_path, env(server, *everybody), after=LATER)
    owed = [address for address, (_, status) in answers.items() if status == "pending"]
    assert server.recipients() == [A, B, *owed], "nobody a second time, and no refused one"
    mails = [message_from_bytes(content, policy=modern) for _, content in server.taken]
    assert not [mail for mail in mails if "possible repeat" in mail["Subject"]]


@pytest.mark.parametrize("what", ["421 closing", DROP, HANG])
@pytest.mark.parametrize("stage", ["MAIL", "RCPT"])
def test_a_server_that_leaves_in_the_middle_has_the_first_and_is_owed_the_rest(
    stage: str, what: str, server: Mailbox, odd: type[OddSmtp], tmp_path: Path
):
    odd.after_first = {stage: what}
    send(tmp_path, env(server, A, B, C))
    assert states(tmp_path) == {A: "sent", B: "pending", C: "pending"}
    assert server.recipients() == [A]
    odd.after_first, server.faults = {}, {}
    send(tmp_path, env(server, A, B, C), after=LATER)
    assert set(states(tmp_path).values()) == {"sent"}
    assert server.recipients() == [A, B, C]


@pytest.mark.parametrize("what", ["421 closing", "500 what?", DROP, HANG])
def test_a_connection_that_cannot_be_reset_after_a_refusal_does_not_cost_the_next(
    what: str, server: Mailbox, tmp_path: Path
):
    server.refused, server.faults = {A: "550 no such user"}, {"RSET": what}
    send(tmp_path, env(server, A, B))
    assert states(tmp_path) == {A: "rejected", B: "sent"}
    assert server.recipients() == [B]


# SMTP: what a server offers


@pytest.mark.parametrize("name", [NOWHERE, "127.0.0.1"], ids=["no such name", "nobody listens"])
def test_a_mail_server_that_cannot_be_reached_is_tried_later(name: str, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = Mailbox(login=True, secure=False, port=free.getsockname()[1])
    results = send(tmp_path, env(nobody, A, B, SMTP_HOST=name))
    assert {result.status for result in results} == {"pending"}
    assert all(result.reason.startswith(FAILED) for result in results)
    assert all(result.retry_at for result in results)


@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_mail_server_that_says_nothing_is_left(mode: str, tmp_path: Path):
    with raw_server(b"", "hang", reads="nothing") as silent:
        nobody = Mailbox(login=True, secure=False, port=silent.port)
        results = send(tmp_path, env(nobody, A, B, SMTP_TLS=mode))
        assert {result.status for result in results} == {"pending"}
    assert silent.connections == 1, "the second recipient is spared the wait"


def test_a_login_that_is_offered_only_in_the_clear_is_not_used(
    server: Mailbox, odd: type[OddSmtp], tmp_path: Path
):
    odd.hidden_under_tls = ("AUTH",)
    (result,) = send(tmp_path, env(server))
    assert result.status == "pending"
    assert (server.logins_in_the_clear, server.taken) == (0, [])
    assert "AUTH" not in server.verbs


def test_a_server_without_8bitmime_and_smtputf8_gets_seven_bits_and_short_lines(
    server: Mailbox, odd: type[OddSmtp], tmp_path: Path
):
    odd.hidden = ("8BITMIME", "SMTPUTF8", "SIZE")
    said = "Müller – Edition 📉 " * 200
    message = brief(subject=said, text=f"{said}\n", html=f"<p>{said}</p>")
    (result,) = Post(tmp_path, "email", env(server))(message)
    assert result.status == "sent"
    ((_, content),) = server.taken
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    mail = message_from_bytes(content, policy=modern)
    plain, page = mail.iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == f"{said}\n"
    assert said in page.get_content()
    assert said.startswith(mail["Subject"])


def test_a_relay_that_knows_only_helo_takes_it(odd: type[OddSmtp], tmp_path: Path):
    with smtp_server(None, login=False) as server:
        server.faults = {"EHLO": "502 what?"}
        (result,) = send(tmp_path, env(server, SMTP_TLS="none", SMTP_PASSWORD="", SMTP_USER=USER))
    assert (result.status, server.recipients()) == ("sent", [A])


def test_a_password_for_a_server_that_hides_its_login_stays_here(
    server: Mailbox, odd: type[OddSmtp], tmp_path: Path
):
    odd.hidden = ("AUTH",)
    (result,) = send(tmp_path, env(server))
    assert (result.status, server.taken) == ("pending", [])
    assert "AUTH" not in server.verbs


# SMTP: slow answers


def test_the_answer_to_a_message_is_waited_for_longer_than_that_to_a_command(
    server: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    # The server thinks for three seconds; giving up before it has taken it makes duplicates.
    monkeypatch.setattr(email.EmailSender.__init__, "__defaults__", (20.0,))
    server.faults = {"DOT": HANG}
    (result,) = send(tmp_path, env(server))
    assert (result.status, server.recipients()) == ("sent", [A])


def test_a_server_that_never_answers_costs_its_time_once_and_the_rest_are_owed(
    server: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(email, "DELIVERY_SECONDS", 0.5)
    server.faults = {"DOT": HANG}
    send(tmp_path, env(server, A, B, C))
    assert states(tmp_path) == {A: "unknown", B: "pending", C: "pending"}
    assert server.recipients() == [A]
    monkeypatch.setattr(email, "DELIVERY_SECONDS", 60)
    server.faults = {}
    send(tmp_path, env(server, A, B, C), after=LATER)
    assert set(states(tmp_path).values()) == {"sent"}
    assert server.recipients() == [A, A, B, C]


def test_a_greeting_that_never_ends_is_left_in_time(tmp_path: Path):
    with raw_server(b"220-wait\r\n" * 1000, reads="nothing", pause=0.01) as server:
        nobody = Mailbox(login=True, secure=False, port=server.port)
        began = time.monotonic()
        results = send(tmp_path, env(nobody, A, B))
        assert time.monotonic() - began < 3
    assert {result.status for result in results} == {"pending"}
    assert server.connections == 1


def test_a_greeting_of_a_web_server_is_no_mail_server(tmp_path: Path):
    with raw_server(b"HTTP/1.1 400 what?\r\n\r\n" + b"x" * 100_000, reads="nothing") as server:
        nobody = Mailbox(login=True, secure=False, port=server.port)
        (result,) = send(tmp_path, env(nobody))
    assert result.status == "pending"


def test_patience_and_leases_are_as_long_as_the_standards_ask():
    # RFC 5321 4.5.3.2.6 gives the answer to a message ten minutes. A lease outlives an attempt:
    # were it shorter, a second run would send while the first still waits.
    assert timedelta(seconds=email.ANSWER_SECONDS) >= timedelta(minutes=10)
    assert timedelta(seconds=2 * email.ANSWER_SECONDS) < lifecycle.LEASE
    assert email.DELIVERY_SECONDS <= email.ANSWER_SECONDS
    assert timedelta(seconds=slack.ATTEMPT_SECONDS * slack.TRIES) < lifecycle.LEASE
