"""The ways out: for each channel where it leads, what it carries, and how a repeat is marked.

A channel that is not configured leads to a file of the outbox; the Apprise channel leads nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from grace_assets.lake.files import Files
from grace_assets.lake.local_files import LocalFiles
from grace_assets.notify import apprise_urls, email, slack
from grace_assets.notify.channels import LOCAL_SENDER, Channels
from grace_assets.notify.ledger_rows import Entry
from grace_assets.notify.lifecycle import REPLACE
from grace_assets.notify.message import Message
from grace_assets.notify.outbox import OUTBOX, OutboxSender
from grace_assets.notify.outcome import Outcome


class Sender(Protocol):
    """One open way out. What goes wrong on it is an outcome, not an exception."""

    async def send(self, destination: str, frozen: bytes) -> Outcome: ...


@dataclass(frozen=True)
class Route:
    """How a channel is used. `compose(message, entry, correction, now)` makes the frozen bytes,
    `as_repeat(bytes, note)` marks them, `open(message id)` leads out."""

    destinations: tuple[str, ...]
    on_unknown: str
    compose: Callable[[Message, Entry, bool, datetime], bytes]
    as_repeat: Callable[[bytes, str], bytes]
    open: Callable[[str], AbstractAsyncContextManager[Sender]]
    spacing: timedelta = timedelta(0)


def route(channel: str, channels: Channels, data: Path | Files) -> Route:
    """The way of `slack`, `email` or `apprise`. Raises `ChannelError` where it is set wrongly.

    `data` is the folder, or the bucket, below which the outbox lies.
    """
    return _ROUTES[channel](channels, LocalFiles(data) if isinstance(data, Path) else data)


def _slack(channels: Channels, files: Files) -> Route:
    def compose(message: Message, _entry: Entry, correction: bool, _now: datetime) -> bytes:
        return slack.payload(message.content.slack, message.correction if correction else None)

    target = channels.slack
    if target is None:
        return _file(files, "slack", "json", compose)
    return Route(
        destinations=(target.destination,),
        on_unknown=target.on_unknown,
        spacing=slack.SPACING,
        compose=compose,
        as_repeat=slack.as_repeat,
        open=lambda _: slack.SlackSender(target),
    )


def _email(channels: Channels, files: Files) -> Route:
    target = channels.email

    def compose(message: Message, entry: Entry, correction: bool, now: datetime) -> bytes:
        # Into the outbox it is one message to all, or to nobody in particular.
        everybody = channels.recipients or (LOCAL_SENDER,)
        prefix = f"{message.correction}: " if correction else ""
        return email.compose(
            sender=channels.sender or LOCAL_SENDER,
            recipients=[entry.destination] if target else everybody,
            subject=prefix + message.content.subject,
            text=message.content.text,
            html=message.content.html,
            images=message.content.images,
            delivery_key=entry.key,
            date=now,
        )

    if target is None:
        return _file(files, "email", "eml", compose)
    return Route(
        destinations=channels.recipients,
        on_unknown=target.on_unknown,
        compose=compose,
        as_repeat=email.as_repeat,
        open=lambda _: email.EmailSender(target),
    )


def _apprise(channels: Channels, _files: Files) -> Route:
    def compose(message: Message, _entry: Entry, correction: bool, _now: datetime) -> bytes:
        prefix = f"{message.correction}: " if correction else ""
        return apprise_urls.payload(prefix + message.content.subject, message.content.short)

    target = channels.apprise
    return Route(
        destinations=tuple(target.urls),
        on_unknown=target.on_unknown,
        compose=compose,
        as_repeat=apprise_urls.as_repeat,
        open=lambda _: apprise_urls.AppriseSender(target),
    )


def _file(
    files: Files,
    folder: str,
    suffix: str,
    compose: Callable[[Message, Entry, bool, datetime], bytes],
) -> Route:
    return Route(
        destinations=(OUTBOX,),
        on_unknown=REPLACE,
        compose=compose,
        as_repeat=lambda frozen, _note: frozen,
        open=lambda name: OutboxSender(files, f"outbox/{folder}/{name}.{suffix}"),
    )


_ROUTES = {"slack": _slack, "email": _email, "apprise": _apprise}
CHANNELS = tuple(_ROUTES)
