"""Slack's answers, given by a webhook on loopback: what the ledger says and what arrived."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import pytest

from grace_assets.notify import slack
from grace_assets.notify.channels import Channels
from grace_assets.notify.lifecycle import FEWEST_ATTEMPTS
from tests.notify.authority import make_authority
from tests.notify.briefs import Post, brief
from tests.notify.strict_slack import Answer, StrictSlack, Trouble, strict_slack

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack, "FIRST_PAUSE", timedelta(milliseconds=5))
    monkeypatch.setattr(slack, "DEFAULT_WAIT", timedelta(milliseconds=5))
    monkeypatch.setattr(slack, "SPACING", timedelta(milliseconds=5))
    monkeypatch.setattr(slack, "SlackSender", partial(slack.SlackSender, attempt_seconds=0.4))


@pytest.fixture
def webhook() -> Iterator[StrictSlack]:
    with strict_slack() as running:
        yield running


@pytest.fixture
def post(tmp_path: Path, webhook: StrictSlack) -> Post:
    return Post(tmp_path, "slack", {"SLACK_WEBHOOK_URL": webhook.url})


def test_an_accepted_brief_is_sent_once_however_often_it_is_delivered(
    post: Post, webhook: StrictSlack
):
    [first], [again] = post(), post(after=HOUR)
    assert (first.status, first.attempts, first.retry_at) == ("sent", 1, None)
    assert again == first
    assert webhook.messages == [brief().content.slack]


def test_a_short_retry_after_is_waited_for_in_place(post: Post, webhook: StrictSlack):
    webhook.script = [Answer(429, "", {"Retry-After": "1"}), Answer(429, "")]
    [result] = post()
    assert (result.status, result.attempts) == ("sent", 1)
    assert (len(webhook.messages), webhook.requests) == (1, 3)


@pytest.mark.parametrize("dated", [False, True])
def test_a_long_retry_after_is_left_to_a_later_run(post: Post, webhook: StrictSlack, dated: bool):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    webhook.script = [Answer(429, "", {"Retry-After": date if dated else "300"})]
    [result] = post()
    assert (result.status, result.reason) == ("pending", "asked to wait (HTTP 429)")
    wait = result.retry_at - post.ledger.get(key(post)).last_attempt_at
    assert timedelta(seconds=295) < wait < timedelta(seconds=305)
    [early] = post(after=timedelta(minutes=4))
    assert (early.status, webhook.requests) == ("pending", 1)
    [due] = post(after=timedelta(minutes=6))
    assert (due.status, due.attempts, len(webhook.messages)) == ("sent", 2, 1)


def test_a_webhook_that_cannot_be_reached_is_tried_three_times_and_stays_pending(tmp_path: Path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/services/x"
        [result] = Post(tmp_path, "slack", {"SLACK_WEBHOOK_URL": url})()
    assert (result.status, result.reason) == ("pending", "connection failed")
    assert result.retry_at is not None


AMBIGUOUS = {
    "500": (Answer(500, "rollup_error"), 0, "ambiguous answer (HTTP 500)"),
    "503": (Answer(503, ""), 0, "ambiguous answer (HTTP 503)"),
    "200 not ok": (Answer(200, "<html>"), 0, "ambiguous answer (HTTP 200)"),
    "reset unread": (Trouble("reset", taken=False), 0, "connection lost"),
    "reset after": (Trouble("reset", taken=True), 1, "connection lost"),
    "hang": (Trouble("hang", taken=False), 0, "no answer in time"),
    "drip after": (Trouble("drip", taken=True), 1, "no answer in time"),
    "hang after": (Trouble("hang", taken=True), 1, "no answer in time"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_may_have_arrived_is_unknown_and_repeated_once_with_a_mark(
    post: Post, webhook: StrictSlack, name: str
):
    trouble, taken, reason = AMBIGUOUS[name]
    webhook.script = [trouble, Answer(500, "")]
    [first] = post()
    assert (first.status, webhook.requests, len(webhook.messages)) == ("unknown", 1, taken)
    assert first.reason.startswith(reason)
    [second] = post(after=HOUR)
    assert (second.status, second.retry_at, webhook.requests) == ("unknown", None, 2)
    [third] = post(after=2 * HOUR)
    assert third == second
    assert webhook.requests == 2


def test_a_repeat_says_so_in_the_text_and_in_a_block(post: Post, webhook: StrictSlack):
    webhook.script = [Trouble("reset", taken=True)]
    post()
    [result] = post(after=HOUR)
    assert (result.status, result.attempts) == ("sent", 2)
    plain, marked = webhook.messages
    note = f"possible repeat · ref {key(post)[:4]}"
    assert plain == brief().content.slack
    assert marked["text"] == f"{note} · {plain['text']}"
    assert marked["blocks"][0]["elements"][0]["text"] == note
    assert marked["blocks"][1:] == plain["blocks"]


def test_a_channel_on_hold_repeats_nothing(post: Post, webhook: StrictSlack):
    post.env = {**post.env, "SLACK_ON_UNKNOWN": "hold"}
    webhook.script = [Trouble("reset", taken=True)]
    post()
    [result] = post(after=HOUR)
    assert (result.status, result.attempts, result.retry_at) == ("unknown", 1, None)
    assert len(webhook.messages) == 1


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "invalid_payload"),
        (400, "user_not_found"),
        (400, "no_text"),
        (403, "action_prohibited"),
        (403, "invalid_token"),
        (403, "posting_to_general_channel_denied"),
        (403, "team_disabled"),
        (404, "channel_not_found"),
        (404, "no_service"),
        (404, "no_team"),
        (404, "no_active_hooks"),
        (410, "channel_is_archived"),
    ],
)
def test_a_refusal_is_final_until_somebody_asks_for_another_try(
    post: Post, webhook: StrictSlack, status: int, word: str
):
    webhook.script = [Answer(status, word)]
    [refused], [again] = post(), post(after=HOUR)
    assert (refused.status, refused.reason, refused.retry_at) == ("rejected", word, None)
    assert (again, webhook.requests) == (refused, 1)
    [asked] = post(after=HOUR, retry_rejected=True)
    assert (asked.status, len(webhook.messages)) == ("sent", 1)


def test_an_answer_in_other_words_is_not_quoted(post: Post, webhook: StrictSlack):
    webhook.script = [Answer(404, "see https://hooks.example/services/secret")]
    assert post()[0].reason == "HTTP 404"


def test_a_redirect_is_not_followed(post: Post, webhook: StrictSlack):
    webhook.script = [Answer(302, "", {"Location": webhook.url})]
    assert (post()[0].status, webhook.requests) == ("rejected", 1)


def test_refused_blocks_leave_the_text_alone_once(post: Post, webhook: StrictSlack):
    bad = {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}
    [result] = post(brief(slack={"text": "2 missions", "blocks": [bad]}))
    assert (result.status, result.reason) == ("sent", "as text only: invalid_blocks")
    assert webhook.messages == [{"text": "2 missions"}]
    assert webhook.requests == 2


def test_text_that_is_refused_too_is_rejected(post: Post, webhook: StrictSlack):
    webhook.script = [Answer(400, "invalid_blocks"), Answer(400, "invalid_blocks")]
    assert (post()[0].status, webhook.requests) == ("rejected", 2)


def test_a_note_fits_into_fifty_blocks(post: Post, webhook: StrictSlack):
    webhook.script = [Trouble("reset", taken=True)]
    full = brief(slack={"text": "2 missions", "blocks": [{"type": "divider"}] * 50})
    post(full)
    assert post(full, after=HOUR)[0].status == "sent"
    assert len(webhook.messages[1]["blocks"]) == 50


def test_the_attempt_of_a_wrong_clock_does_not_make_a_run_wait(post: Post, webhook: StrictSlack):
    post(after=24 * HOUR)
    earlier = brief(date="2026-02-28", brief_id="brief-2026-02-28")
    assert post(earlier)[0].status == "sent"


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST"])
def test_no_log_line_holds_the_webhook(tmp_path: Path, caplog: pytest.LogCaptureFixture, host: str):
    caplog.set_level(logging.DEBUG)
    path = "/services/T0/B0/canary-webhook"
    with strict_slack(path) as webhook:
        webhook.script = [
            Answer(302, "", {"Location": path}),
            Answer(500, ""),
            Trouble("reset", taken=True),
        ]
        url = webhook.url.replace("127.0.0.1", host)
        post = Post(tmp_path, "slack", {"SLACK_WEBHOOK_URL": url})
        for revision in (1, 2, 3, 4):
            post(brief(revision))
        assert len(webhook.messages) == 2
    assert "canary" not in caplog.text
    assert caplog.records


def test_the_ledger_and_what_is_shown_hold_no_webhook(post: Post, webhook: StrictSlack):
    webhook.script = [Answer(403, "invalid_token")]
    shown = repr(post()) + repr(post.ledger.rows())
    channels = Channels.from_env(post.env)
    shown += repr(channels) + str(channels) + repr(channels.slack)
    assert "webhook-" in shown
    files = [path for path in post.folder.rglob("*") if path.is_file()]
    assert files
    for text in (shown, *(path.read_bytes().decode("latin-1") for path in files)):
        assert "T0/B0" not in text


def test_what_cannot_be_handed_over_for_days_is_given_up(tmp_path: Path):
    post = Post(tmp_path, "slack", {"SLACK_WEBHOOK_URL": "http://127.0.0.1:1/services/x"})
    for number in range(FEWEST_ATTEMPTS + 1):
        [result] = post(after=timedelta(hours=12 * number))
    assert (result.status, result.attempts) == ("rejected", FEWEST_ATTEMPTS)
    assert result.reason == "gave up after 3 days: connection failed"


def test_messages_to_one_webhook_keep_their_distance(
    post: Post, webhook: StrictSlack, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(slack, "SPACING", timedelta(seconds=0.4))
    for day in ("2026-02-26", "2026-02-27", "2026-02-28"):
        post(brief(date=day))
    first, second, third = webhook.times
    # Each run has a clock of its own here, that starts at the same time.
    assert second - first > 0.35
    assert third - second > 0.35


def test_certificates_are_verified_and_ssl_cert_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    authority = make_authority(tmp_path)
    with strict_slack(context=authority.context) as webhook:
        post = Post(tmp_path, "slack", {"SLACK_WEBHOOK_URL": webhook.url})
        assert (post()[0].reason, webhook.messages) == ("connection failed", [])
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        assert (post(after=HOUR)[0].status, len(webhook.messages)) == ("sent", 1)


def test_no_proxy_of_the_environment_learns_the_webhook(
    post: Post, webhook: StrictSlack, monkeypatch: pytest.MonkeyPatch
):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post()[0].status == "sent"


def key(post: Post) -> str:
    [row] = post.ledger.rows()
    return row["delivery_key"]
