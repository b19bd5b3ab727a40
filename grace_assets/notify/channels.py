"""Where briefs go: read from the environment when a message goes out, and never shown.

A webhook URL and a password are secrets: they stand in no representation, and a destination is
named by a short hash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

OUTBOX = "outbox"
"""The destination of a channel that is not configured."""
_ADDRESS = re.compile(r"^[^@\s<>,;:\"()\x00-\x1f\x7f-\x9f]+@[A-Za-z0-9.-]+\.?[A-Za-z0-9]+$")
_TLS_MODES = ("starttls", "tls", "none")


class ChannelError(ValueError):
    """A channel's configuration cannot be used; the message names the variable."""


@dataclass(frozen=True)
class Slack:
    webhook_url: str = field(repr=False)

    @property
    def destination(self) -> str:
        return "webhook-" + sha256(self.webhook_url.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Email:
    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    tls: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Channels:
    """The configured channels; null is one that writes to the outbox."""

    slack: Slack | None
    email: Email | None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Channels:
        """Raises `ChannelError` for what is set and cannot be used."""
        webhook = env.get("SLACK_WEBHOOK_URL", "").strip()
        if webhook and not webhook.startswith(("https://", "http://")):
            raise ChannelError("SLACK_WEBHOOK_URL: is no http(s) URL")
        return cls(Slack(webhook) if webhook else None, _email(env))

    def destinations(self, channel: str) -> list[str]:
        """What each gets a row in the ledger: the webhook, or every recipient by itself."""
        if channel == "slack":
            return [self.slack.destination if self.slack else OUTBOX]
        return list(self.email.recipients) if self.email else [OUTBOX]


def _email(env: Mapping[str, str]) -> Email | None:
    recipients = _addresses("STATUS_BRIEF_RECIPIENTS", env.get("STATUS_BRIEF_RECIPIENTS", ""))
    host = env.get("SMTP_HOST", "").strip()
    if not recipients or not host:
        return None
    user = env.get("SMTP_USER") or None
    sender = env.get("SMTP_FROM_EMAIL") or (user if user and "@" in user else None)
    if not sender:
        raise ChannelError("SMTP_FROM_EMAIL: is needed where SMTP_HOST is set")
    tls = env.get("SMTP_TLS") or "starttls"
    if tls not in _TLS_MODES:
        raise ChannelError(f"SMTP_TLS: {tls!r} is not one of {', '.join(_TLS_MODES)}")
    port = env.get("SMTP_PORT") or "587"
    if not port.isdigit() or not 0 < int(port) < 65_536:
        raise ChannelError(f"SMTP_PORT: {port!r} is no port")
    password = env.get("SMTP_PASSWORD") or None
    if password and tls == "none":
        raise ChannelError("SMTP_TLS: a password is never sent without TLS")
    (sender,) = _addresses("SMTP_FROM_EMAIL", sender)
    return Email(host, int(port), sender, recipients, tls, user, password)


def _addresses(variable: str, text: str) -> tuple[str, ...]:
    """Distinct addresses in the order given; a bad one is refused here, before any message."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    for address in found:
        if not _ADDRESS.match(address):
            raise ChannelError(f"{variable}: {address!r} is no email address")
    return tuple(dict.fromkeys(found))
