"""Any channel that Apprise knows, by URL: Teams, Discord, PagerDuty and a hundred others.

Apprise says only whether the other side took a message. Where it did not, it may have arrived
all the same, so the ledger calls it unknown. URLs are secrets: destinations are named by service
and a short hash, and nothing that Apprise logs about one is kept.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from grace_assets.notify.lifecycle import RESEND_MARKED
from grace_assets.notify.outcome import Outcome

BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z0-9]{1,12}://)")
"""URLs stand apart by blanks or commas, and may hold commas themselves."""
SECONDS = 60
"""For one notification, whatever a server keeps it waiting with."""
_LOGGERS = ("apprise", "asyncio")


@dataclass(frozen=True)
class AppriseUrls:
    """URLs by the names of their destinations."""

    urls: dict[str, str] = field(repr=False)
    on_unknown: str = RESEND_MARKED


def destination(url: str) -> str:
    """The service, and the URL as a short hash: `discord-1f2e3d4c5b6a`."""
    return f"{url.partition('://')[0].lower()}-{sha256(url.encode()).hexdigest()[:12]}"


def payload(title: str, body: str) -> bytes:
    return json.dumps({"title": title, "body": body}, ensure_ascii=False).encode()


def as_repeat(frozen: bytes, note: str) -> bytes:
    """The same message, visibly marked in its title."""
    message = json.loads(frozen)
    return payload(f"[{note}] {message['title']}", message["body"])


class AppriseSender:
    """All URLs of one configuration; a notification may take `seconds` altogether."""

    def __init__(self, target: AppriseUrls, seconds: int = SECONDS) -> None:
        self._urls = target.urls
        self._seconds = seconds

    async def __aenter__(self) -> AppriseSender:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, destination: str, frozen: bytes) -> Outcome:
        """One notification, in a process that ends in bounded time and memory."""
        request = json.dumps({"url": self._urls[destination], **json.loads(frozen)})
        command = (sys.executable, "-m", "grace_assets.notify.apprise_process", str(self._seconds))
        # As everywhere here, no proxy that the environment names hears of it.
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, env=env
        )
        try:
            await process.communicate(request.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == 0:
            return Outcome("sent")
        return Outcome("unknown", "not confirmed by the service")


def service(url: str) -> Any:
    """Apprise's object for a URL, or None where it has none for it; logs nothing.

    Raises `ImportError` without the extra.
    """
    import apprise

    with _silent():
        made = apprise.Apprise.instantiate(url)
    if made is not None:
        # A pager shows a hundred characters: the headline comes first, the rest is cut.
        made.overflow_mode = apprise.OverflowMode.TRUNCATE
        # The message and its secrets are for the address that was configured.
        made.redirects = False
    return made


@contextmanager
def _silent() -> Iterator[None]:
    """Drops what is logged about a URL: it is quoted."""

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
