"""One brief to one channel: decide, commit `sending`, send, commit the outcome."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grace_assets.lake.durable import replace_file
from grace_assets.notify import email, slack
from grace_assets.notify.channels import OUTBOX, Channels
from grace_assets.notify.ledger import Delivery, Ledger, delivery_key
from grace_assets.notify.outcome import Outcome

OUTBOX_SENDER = "grace@localhost"


@dataclass(frozen=True)
class BriefMessage:
    """A rendered revision of a brief; `slack` is the webhook's payload (`text`, `blocks`)."""

    brief_id: str
    date: str
    revision: int
    content_hash: str
    slack: dict[str, Any]
    subject: str
    text: str
    html: str


def deliver(
    channel: str,
    message: BriefMessage,
    ledger: Ledger,
    channels: Channels,
    data_dir: Path,
    now: datetime,
    decision: str,
    *,
    retry_rejected: bool = False,
) -> list[Delivery]:
    """Bring a brief to every destination of `channel` that does not have this revision yet.

    `decision` is `send`, or `suppress:` and a reason. Returns the ledger's rows, whatever was
    done. May be called again at any time, by anybody: what was sent is not sent again.
    """
    rows = [
        ledger.open(
            date=message.date,
            brief_id=message.brief_id,
            revision=message.revision,
            channel=channel,
            destination=destination,
            content_hash=message.content_hash,
            payload=payload(channel, message, channels, destination, now),
            now=now,
        )
        for destination in channels.destinations(channel)
    ]
    if decision != "send":
        for row in rows:
            ledger.suppress(row.delivery_key, decision.removeprefix("suppress:"))
    else:
        claimed = [
            before
            for row in rows
            if (
                before := ledger.claim(
                    row.delivery_key, now, retry_rejected=retry_rejected, resend_unknown=True
                )
            )
        ]
        for key, outcome in send(channel, claimed, channels, data_dir).items():
            retry_at = datetime.now(UTC) + outcome.retry_in if outcome.retry_in else None
            ledger.finish(key, outcome.status, outcome.reason, retry_at)
    return [ledger.get(row.delivery_key) for row in rows]


def payload(
    channel: str, message: BriefMessage, channels: Channels, destination: str, now: datetime
) -> bytes:
    """The bytes that are frozen when a delivery is opened."""
    if channel == "slack":
        body = corrected(message.slack, message.revision)
        return json.dumps(body, ensure_ascii=False).encode()
    sender = channels.email.sender if channels.email else OUTBOX_SENDER
    recipient = destination if channels.email else OUTBOX_SENDER
    prefix = f"Correction {message.revision - 1}: " if message.revision > 1 else ""
    return email.compose(
        sender=sender,
        recipient=recipient,
        subject=prefix + message.subject,
        text=message.text,
        html=message.html,
        message_id=delivery_key(message.date, channel, destination, message.revision),
        date=now,
    )


def corrected(body: dict[str, Any], revision: int) -> dict[str, Any]:
    """A revision after the first says that it is a correction."""
    return body if revision == 1 else _with_note(body, f"Correction {revision - 1}")


def _with_note(body: dict[str, Any], note: str) -> dict[str, Any]:
    """The payload with a note in front, in the text and as a first line of context."""
    context = {"type": "context", "elements": [{"type": "plain_text", "text": note}]}
    blocks = body.get("blocks", [])
    # Slack takes 50 blocks: the note is worth more than the last one.
    return {**body, "text": f"{note} · {body['text']}", "blocks": [context, *blocks][:50]}


def send(
    channel: str, claimed: list[Delivery], channels: Channels, data_dir: Path
) -> dict[str, Outcome]:
    """Send what was claimed; an outcome for every delivery key."""
    if channel == "slack":
        return {row.delivery_key: _send_slack(row, channels, data_dir) for row in claimed}
    if channels.email is None:
        return {row.delivery_key: _write(row, data_dir, "eml") for row in claimed}
    outcomes = email.send(
        channels.email, {row.destination: _marked_mail(row) for row in claimed if row.payload}
    )
    return {row.delivery_key: outcomes[row.destination] for row in claimed}


def _send_slack(row: Delivery, channels: Channels, data_dir: Path) -> Outcome:
    if row.destination == OUTBOX or channels.slack is None:
        return _write(row, data_dir, "json")
    assert row.payload is not None
    body = json.loads(row.payload)
    if row.status == "unknown":
        body = _with_note(body, repeat_note(row))
    return slack.post(channels.slack, body)


def _marked_mail(row: Delivery) -> bytes:
    """The frozen message; a repeat says so in its subject, under the same Message-ID."""
    assert row.payload is not None
    if row.status != "unknown":
        return row.payload
    return email.with_subject_note(row.payload, repeat_note(row))


def repeat_note(row: Delivery) -> str:
    return f"possible repeat - ref {row.delivery_key[:4]}"


def _write(row: Delivery, data_dir: Path, suffix: str) -> Outcome:
    """Into the outbox: what would have been sent, as it would have been."""
    assert row.payload is not None
    path = data_dir / "outbox" / row.channel / f"{row.brief_id}.{suffix}"
    replace_file(path, lambda file: file.write(row.payload))
    return Outcome("written")
