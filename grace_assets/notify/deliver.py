"""One brief to one channel: decide, promise, commit `sending`, send, commit the outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from grace_assets.notify import email, slack
from grace_assets.notify.channels import LOCAL_SENDER, Channels
from grace_assets.notify.ledger import Ledger
from grace_assets.notify.ledger_rows import Delivery, Entry
from grace_assets.notify.lifecycle import REPLACE, after_cut_off
from grace_assets.notify.outbox import OUTBOX, OutboxSender
from grace_assets.notify.outcome import Outcome

SUPPRESS = "suppress:"
"""A decision begins with it where nothing is to be sent; the reason follows."""
WITHDRAWING = frozenset({"disabled", "empty_day"})
"""Reasons that also hold for what is already promised; a backfill takes no promise back."""


@dataclass(frozen=True)
class BriefMessage:
    """A rendered revision of a brief; `slack` is the webhook's body (`text`, `blocks`)."""

    brief_id: str
    date: str
    revision: int
    content_hash: str
    slack: dict[str, Any]
    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Result:
    """How a brief stands with one destination; words as in CONTRACT `deliveries`."""

    destination: str
    status: str
    reason: str | None
    attempts: int
    retry_at: datetime | None

    @classmethod
    def of(cls, row: Delivery) -> Result:
        status, reason = row.status, row.reason
        if status == "sending":
            status, reason = "unknown", "being sent"
        return cls(row.destination, status, reason, row.attempts, row.retry_at)


class Sender(Protocol):
    """One open way out. What goes wrong on it is an outcome, not an exception."""

    async def send(self, destination: str, frozen: bytes) -> Outcome: ...


@dataclass(frozen=True)
class Route:
    """How a channel is used: where to, and what makes, marks and carries a message."""

    destinations: tuple[str, ...]
    on_unknown: str
    spacing: timedelta
    compose: Callable[[Entry, bool], bytes]
    as_repeat: Callable[[bytes, str], bytes]
    open: Callable[[], AbstractAsyncContextManager[Sender]]


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
) -> list[Result]:
    """Bring a brief to every destination of `channel` that does not have this revision yet.

    `channel` is `slack` or `email`; `decision` is `send`, or `suppress:` and a reason; `now` is
    aware. Returns how each destination stands, whatever was done. May be called again at any
    time and from several processes: what was sent is not sent again. Raises `ChannelError` for
    an unusable configuration, before anything is promised.
    """
    way = _ROUTES[channel](message, channels, data_dir, now)
    entries = [
        Entry(
            date=message.date,
            brief_id=message.brief_id,
            revision=message.revision,
            channel=channel,
            destination=destination,
            content_hash=message.content_hash,
        )
        for destination in way.destinations
    ]
    if decision == "send":
        ledger.promise(entries, way.compose, now, retry_rejected=retry_rejected)
        asyncio.run(_send_due(entries, way, ledger, _ticking(now)))
    else:
        reason = decision.removeprefix(SUPPRESS)
        ledger.suppress(entries, reason, withdraw=reason in WITHDRAWING)
    return [Result.of(ledger.get(entry.key)) for entry in entries]


async def _send_due(
    entries: Sequence[Entry], way: Route, ledger: Ledger, clock: Callable[[], datetime]
) -> None:
    async with way.open() as sender:
        for entry in entries:
            row = ledger.claim(entry.key, clock(), way.on_unknown, way.spacing)
            if row is None or row.payload is None or row.last_attempt_at is None:
                continue
            await asyncio.sleep(max(0.0, (row.last_attempt_at - clock()).total_seconds()))
            frozen = row.payload
            if row.repeats:
                frozen = way.as_repeat(frozen, f"possible repeat · ref {row.delivery_key[:4]}")
            try:
                outcome = await sender.send(entry.destination, frozen)
            except BaseException:
                # A run that is stopped, say. A process that is killed leaves `sending` behind.
                ledger.finish(row, after_cut_off(way.on_unknown), clock(), way.on_unknown)
                raise
            ledger.finish(row, outcome, clock(), way.on_unknown)


def _ticking(now: datetime) -> Callable[[], datetime]:
    """A clock that reads `now` when made and runs on from there."""
    started = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - started)


def _correction(message: BriefMessage) -> str:
    return f"Correction (revision {message.revision})"


def _slack_route(
    message: BriefMessage, channels: Channels, data_dir: Path, _now: datetime
) -> Route:
    def compose(_entry: Entry, correction: bool) -> bytes:
        return slack.payload(message.slack, _correction(message) if correction else None)

    target = channels.slack
    if target is None:
        return _outbox(data_dir / "outbox" / "slack" / f"{message.brief_id}.json", compose)
    return Route(
        destinations=(target.destination,),
        on_unknown=target.on_unknown,
        spacing=slack.SPACING,
        compose=compose,
        as_repeat=slack.as_repeat,
        open=lambda: slack.SlackSender(target),
    )


def _email_route(message: BriefMessage, channels: Channels, data_dir: Path, now: datetime) -> Route:
    target = channels.email

    def compose(entry: Entry, correction: bool) -> bytes:
        # Into the outbox it is one message to all, or to nobody in particular.
        everybody = channels.recipients or (LOCAL_SENDER,)
        prefix = f"{_correction(message)}: " if correction else ""
        return email.compose(
            sender=channels.sender or LOCAL_SENDER,
            recipients=[entry.destination] if target else everybody,
            subject=prefix + message.subject,
            text=message.text,
            html=message.html,
            delivery_key=entry.key,
            date=now,
        )

    if target is None:
        return _outbox(data_dir / "outbox" / "email" / f"{message.brief_id}.eml", compose)
    return Route(
        destinations=channels.recipients,
        on_unknown=target.on_unknown,
        spacing=timedelta(0),
        compose=compose,
        as_repeat=email.as_repeat,
        open=lambda: email.EmailSender(target),
    )


def _outbox(path: Path, compose: Callable[[Entry, bool], bytes]) -> Route:
    return Route(
        destinations=(OUTBOX,),
        on_unknown=REPLACE,
        spacing=timedelta(0),
        compose=compose,
        as_repeat=lambda frozen, _note: frozen,
        open=lambda: OutboxSender(path),
    )


_ROUTES = {"slack": _slack_route, "email": _email_route}
