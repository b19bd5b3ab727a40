"""Mail through a real SMTP server: what each stage's fault comes to, recipient by recipient."""

from __future__ import annotations

import logging
import unicodedata
from datetime import timedelta
from email import message_from_bytes
from email.policy import default as modern
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grace_assets.notify import email
from grace_assets.notify.channels import ChannelError, Channels
from grace_assets.notify.deliver import Result
from grace_assets.notify.ledger import Ledger
from tests.notify.authority import make_authority
from tests.notify.briefs import NOW, Post, brief
from tests.notify.smtp_server import DROP, HANG, PASSWORD, USER, smtp_server

LATER = timedelta(minutes=11)
"""After every wait that a first failure causes."""
A, B, C = "ann@example.org", "bob@example.org", "cyd@example.org"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with smtp_server(authority.context) as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Faults in a second instead of ten minutes."""
    monkeypatch.setattr(email.EmailSender.__init__, "__defaults__", (0.6,))
    monkeypatch.setattr(email, "COMMAND_SECONDS", 0.6)


def env(server, *recipients: str, **over: str) -> dict[str, str]:
    return {
        "SMTP_HOST": "localhost",
        "SMTP_PORT": str(server.port),
        "SMTP_USER": USER,
        "SMTP_PASSWORD": PASSWORD,
        "SMTP_FROM_EMAIL": "grace@ops.example",
        "STATUS_BRIEF_RECIPIENTS": ",".join(recipients or (A,)),
    } | over


def send(folder: Path, settings: dict[str, str], **options) -> list[Result]:
    return Post(folder, "email", settings)(**options)


def ledger(folder: Path) -> Ledger:
    return Post(folder, "email", {}).ledger


def states(folder: Path) -> dict[str, str]:
    return {row["destination"]: row["status"] for row in ledger(folder).rows()}


NEVER, ONCE, MARKED = "never", "once", "again, marked"
FAULTS = {
    # stage and what happens there: (state after, its reason, what the next due run does)
    ("BANNER", "421 busy"): ("pending", "server refused the connection (421)", ONCE),
    ("BANNER", "554 go away"): ("rejected", "server refused the connection (554)", NEVER),
    ("BANNER", DROP): ("pending", "connection failed", ONCE),
    ("EHLO", DROP): ("pending", "connection failed", ONCE),
    ("MAIL", "451 later"): ("pending", "sender refused (451)", ONCE),
    ("MAIL", "550 no"): ("rejected", "sender refused (550)", NEVER),
    ("MAIL", DROP): ("pending", "connection lost before the message", ONCE),
    ("MAIL", HANG): ("pending", "connection lost before the message", ONCE),
    ("RCPT", "421 closing"): ("pending", "recipient refused (421)", ONCE),
    ("RCPT", "450 greylisted"): ("pending", "recipient refused (450)", ONCE),
    ("RCPT", "552 too many recipients"): ("pending", "recipient refused (452)", ONCE),
    ("RCPT", "550 no such user"): ("rejected", "recipient refused (550)", NEVER),
    ("RCPT", DROP): ("pending", "connection lost before the message", ONCE),
    ("DATA", "451 later"): ("pending", "message refused (451)", ONCE),
    ("DATA", "554 no"): ("rejected", "message refused (554)", NEVER),
    ("DATA", DROP): ("unknown", "no clear answer to the message", MARKED),
    ("DOT", "451 later"): ("pending", "message refused (451)", ONCE),
    ("DOT", "554 spam"): ("rejected", "message refused (554)", NEVER),
    ("DOT", "yes, why not"): ("unknown", "no clear answer to the message", MARKED),
    ("DOT", DROP): ("unknown", "no clear answer to the message", MARKED),
    ("DOT", HANG): ("unknown", "no clear answer to the message", MARKED),
    ("QUIT", DROP): ("sent", "", NEVER),
    ("QUIT", "500 what?"): ("sent", "", NEVER),
}
TAKEN = (("DOT", DROP), ("DOT", HANG), ("QUIT", DROP), ("QUIT", "500 what?"))
"""The server has the message, whatever the client was told."""


@pytest.mark.parametrize("fault", FAULTS, ids=" ".join)
def test_each_fault_ends_in_its_state_and_no_unmarked_repeat(fault, server, tmp_path):
    stage, what = fault
    status, reason, then = FAULTS[fault]
    server.faults = {stage: what}
    (result,) = send(tmp_path, env(server))
    assert result.status == status
    assert (result.reason or "").startswith(reason)
    taken = len(server.taken)
    assert taken == (fault in TAKEN)

    server.faults = {}
    assert send(tmp_path, env(server)) == [result], "nothing before it is due"
    assert bool(ledger(tmp_path).due(NOW + LATER)) is (then != NEVER)
    send(tmp_path, env(server), after=LATER)
    send(tmp_path, env(server), after=LATER + timedelta(days=1))
    assert ledger(tmp_path).due(NOW + LATER + timedelta(days=2)) == []
    assert len(server.taken) == taken + (then != NEVER)
    mails = [message_from_bytes(content, policy=modern) for _, content in server.taken]
    assert len({(mail["Message-ID"], mail["Date"]) for mail in mails}) <= 1
    marks = ["[possible repeat · ref " in mail["Subject"] for mail in mails]
    assert marks == [False] * taken + [then == MARKED] * (then != NEVER)


@pytest.mark.parametrize(
    ("answer", "status"), [("550 no", "rejected"), ("451 x", "pending"), ("452 x", "pending")]
)
@pytest.mark.parametrize("bad", [A, B, C])
def test_one_refused_address_stops_nobody_and_nobody_gets_it_twice(
    bad, answer, status, server, tmp_path
):
    server.refused = {bad: answer}
    good = [address for address in (A, B, C) if address != bad]
    send(tmp_path, env(server, A, B, C))
    assert states(tmp_path) == dict.fromkeys(good, "sent") | {bad: status}
    server.refused = {}
    send(tmp_path, env(server, A, B, C), after=LATER, retry_rejected=True)
    assert sorted(server.recipients()) == [A, B, C]
    assert set(states(tmp_path).values()) == {"sent"}


def test_all_recipients_share_a_connection_and_none_sees_the_others(server, tmp_path):
    send(tmp_path, env(server, A, B, C))
    # Once in the clear, once under TLS.
    assert server.verbs.count("EHLO") == 2
    mails = [message_from_bytes(content, policy=modern) for _, content in server.taken]
    assert [mail["To"] for mail in mails] == [A, B, C]
    assert len({mail["Message-ID"] for mail in mails}) == 3


def test_a_connection_lost_with_one_recipient_is_made_again_for_the_next(server, tmp_path):
    server.faults = {"DOT": DROP}
    send(tmp_path, env(server, A, B))
    assert states(tmp_path) == {A: "unknown", B: "unknown"}
    assert server.recipients() == [A, B]


def test_a_new_recipient_gets_the_brief_and_the_others_no_second_one(server, tmp_path):
    send(tmp_path, env(server, A))
    send(tmp_path, env(server, A, B), after=LATER)
    assert server.recipients() == [A, B]


def test_what_is_owed_to_somebody_no_longer_wanted_is_taken_back(server, tmp_path):
    server.refused = {B: "450 later"}
    send(tmp_path, env(server, A, B))
    server.refused = {}
    send(tmp_path, env(server, A), after=LATER)
    assert states(tmp_path) == {A: "sent", B: "suppressed"}
    assert ledger(tmp_path).due(NOW + LATER) == []


def test_no_password_goes_out_before_tls(authority, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with smtp_server(None) as server:
        (result,) = send(tmp_path, env(server))
        assert (result.status, result.reason) == ("pending", "server offers no STARTTLS")
        assert (server.logins_in_the_clear, server.taken) == (0, [])
        with pytest.raises(ChannelError, match="SMTP_TLS"):
            send(tmp_path, env(server, SMTP_TLS="none"))


def test_without_tls_and_login_a_local_relay_takes_it(tmp_path):
    with smtp_server(None, login=False) as server:
        settings = env(server, SMTP_TLS="none", SMTP_PASSWORD="")
        (result,) = send(tmp_path, settings)
    assert result.status == "sent"


def test_tls_from_the_start(authority, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with smtp_server(authority.context, implicit_tls=True) as server:
        (result,) = send(tmp_path, env(server, SMTP_TLS="tls"))
    assert (result.status, server.logins_in_the_clear) == ("sent", 0)


@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_certificate_of_an_unknown_authority_is_not_accepted(mode, authority, tmp_path):
    with smtp_server(authority.context, implicit_tls=mode == "tls") as server:
        (result,) = send(tmp_path, env(server, SMTP_TLS=mode))
    assert (result.status, result.reason) == ("pending", "certificate not accepted")
    assert server.taken == []


def test_a_certificate_for_another_name_is_not_accepted(authority, server, tmp_path):
    (result,) = send(tmp_path, env(server, SMTP_HOST="127.0.0.2"))
    assert result.status == "pending"
    assert server.taken == []


def test_a_wrong_password_is_a_definite_no(server, tmp_path):
    results = send(tmp_path, env(server, A, B, SMTP_PASSWORD="wrong"))
    assert {(r.status, r.reason) for r in results} == {("rejected", "login refused (535)")}


def test_nobody_is_asked_twice_while_the_server_is_away(server, tmp_path):
    server.faults = {"BANNER": "421 busy"}
    results = send(tmp_path, env(server, A, B, C))
    assert {r.status for r in results} == {"pending"}
    server.faults = {}
    send(tmp_path, env(server, A, B, C), after=LATER)
    assert server.recipients() == [A, B, C]


def test_the_message_says_the_same_in_text_and_html_and_what_sent_it(server, tmp_path):
    send(tmp_path, env(server))
    ((recipient, content),) = server.taken
    mail = message_from_bytes(content, policy=modern)
    assert recipient == A
    assert mail.get_content_type() == "multipart/alternative"
    plain, html = mail.iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == brief().content.text
    assert html.get_content().rstrip() == brief().content.html
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert mail["Subject"] == brief().content.subject
    assert mail["From"] == "Grace <grace@ops.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"].endswith("<status-briefs.ops.example>")
    (row,) = ledger(tmp_path).rows()
    assert mail["Message-ID"] == f"<grace.{row['delivery_key']}@ops.example>"
    assert mail["Date"].datetime == NOW


def compose(subject: str = "s") -> bytes:
    return email.compose(
        sender="grace@ops.example",
        recipients=[A],
        subject=subject,
        text="text",
        html="<p>html</p>",
        delivery_key="k" * 32,
        date=NOW,
        images={"missions": b"\x89PNG"},
    )


def test_charts_travel_in_the_mail_and_are_found_by_the_page(server, tmp_path):
    page = '<p><img src="cid:missions@grace" alt="Missions"></p>'
    send(tmp_path, env(server), message=brief(html=page, images={"missions": b"\x89PNG"}))
    ((_, content),) = server.taken
    mail = message_from_bytes(content, policy=modern)
    plain, related = mail.iter_parts()
    assert plain.get_content_type() == "text/plain"
    assert related.get_content_type() == "multipart/related"
    html, image = related.iter_parts()
    assert f"cid:{image['Content-ID'].strip('<>')}" in html.get_content()
    assert (image.get_content(), image.get_content_disposition()) == (b"\x89PNG", "inline")


def test_the_same_delivery_composes_the_same_bytes():
    assert compose() == compose()


def test_a_repeat_differs_in_its_subject_alone():
    before, after = compose(), email.as_repeat(compose(), "possible repeat · ref kkkk")
    one, other = (message_from_bytes(content, policy=modern) for content in (before, after))
    assert other["Subject"] == "[possible repeat · ref kkkk] s"
    del one["Subject"], other["Subject"]
    assert sorted(one.items()) == sorted(other.items())
    assert before.partition(b"\r\n\r\n")[2] == after.partition(b"\r\n\r\n")[2]


@given(st.text(st.characters(codec=None), max_size=300))
@example("=?utf-8?q?=0D=0ABcc:=20x=40y.example=0D=0A=0D=0A?=")
def test_no_subject_makes_a_header_or_hides_its_direction(subject):
    mail = message_from_bytes(compose(subject), policy=modern)
    assert set(mail.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "List-Id"),
        *("Auto-Submitted", "MIME-Version", "Content-Type"),
    }
    kinds = {unicodedata.category(character) for character in mail["Subject"]}
    assert not kinds & {"Cc", "Cf", "Zl", "Zp"}


@pytest.mark.parametrize("fault", [{}, {"DOT": DROP}, {"MAIL": f"550 {PASSWORD.split()[0]}"}])
def test_the_password_stands_in_no_log_representation_or_file(fault, server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, logger="grace_assets")
    caplog.set_level(logging.DEBUG, logger="aiosmtplib")
    caplog.set_level(logging.DEBUG, logger="asyncio")
    server.faults = fault
    results = send(tmp_path, env(server))
    channels = Channels.from_env(env(server))
    shown = [repr(results), repr(channels), repr(channels.email)]
    ours = ("grace_assets", "aiosmtplib", "asyncio")
    shown += [r.getMessage() for r in caplog.records if r.name.startswith(ours)]
    shown += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in shown if "c4n4ry" in text]
