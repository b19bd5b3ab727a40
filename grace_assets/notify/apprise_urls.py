"""Any channel that Apprise knows, by URL: Teams, Discord, PagerDuty and a hundred others.

Apprise says only whether the other side took a message. Where it did not, it may have arrived
all the same, so the ledger calls it unknown. URLs are secrets: destinations are named by service
and a short hash, and nothing that Apprise logs about a sending is kept.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from grace_assets.notify.lifecycle import RESEND_MARKED
from grace_assets.notify.outcome import Outcome

BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z0-9]{1,12}://)")
"""URLs stand apart by blanks or commas, and may hold commas themselves."""
_LOGGERS = ("apprise", "urllib3", "requests", "asyncio")


@dataclass(frozen=True)
class AppriseUrls:
    """URLs by the names of their destinations."""

    urls: dict[str, str] = field(repr=False)
    on_unknown: str = RESEND_MARKED


def destination(url: str) -> str:
    """The service, and the URL as a short hash: `discord-1f2e3d4c5b6a`."""
    return f"{url.partition('://')[0].lower()}-{sha256(url.encode()).hexdigest()[:12]}"


def usable(url: str) -> bool:
    """Whether Apprise has a service for the URL; raises `ImportError` without the extra."""
    return _service(url) is not None


def payload(title: str, body: str) -> bytes:
    return json.dumps({"title": title, "body": body}, ensure_ascii=False).encode()


def as_repeat(frozen: bytes, note: str) -> bytes:
    """The same message, visibly marked in its title."""
    message = json.loads(frozen)
    return payload(f"[{note}] {message['title']}", message["body"])


class AppriseSender:
    """All URLs of one configuration."""

    def __init__(self, target: AppriseUrls) -> None:
        self._urls = target.urls

    async def __aenter__(self) -> AppriseSender:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, destination: str, frozen: bytes) -> Outcome:
        """One notification. Apprise's own socket timeouts bound it."""
        message = json.loads(frozen)
        taken = await asyncio.to_thread(_notify, self._urls[destination], **message)
        if taken:
            return Outcome("sent")
        return Outcome("unknown", "not confirmed by the service")


def _notify(url: str, title: str, body: str) -> bool:
    import apprise

    with _silent():
        service = _service(url)
        if service is None:
            return False
        everybody = apprise.Apprise()
        everybody.add(service)
        return bool(everybody.notify(body, title, body_format=apprise.NotifyFormat.TEXT))


def _service(url: str) -> Any:
    import apprise

    with _silent():
        service = apprise.Apprise.instantiate(url)
    if service is not None:
        # A pager shows a hundred characters: the headline comes first, the rest is cut.
        service.overflow_mode = apprise.OverflowMode.TRUNCATE
    return service


@contextmanager
def _silent() -> Iterator[None]:
    """Drops what is logged about a sending: it quotes URLs, paths and answers."""

    def drop(_record: logging.LogRecord) -> bool:
        return False

    names = [n for n in logging.root.manager.loggerDict if n.partition(".")[0] in _LOGGERS]
    loggers = [logging.getLogger(name) for name in {*_LOGGERS, *names}]
    for logger in loggers:
        logger.addFilter(drop)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(drop)
