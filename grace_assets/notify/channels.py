"""Where briefs go: read from the environment when a message goes out, and never shown.

A webhook URL and a password are secrets: they stand in no representation and in no error, and
the webhook is named by a short hash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

import httpx

from grace_assets.notify import apprise_urls
from grace_assets.notify.apprise_urls import AppriseUrls
from grace_assets.notify.lifecycle import HOLD, RESEND_MARKED

VARIABLES = (
    *("SLACK_WEBHOOK_URL", "SLACK_ON_UNKNOWN", "STATUS_BRIEF_RECIPIENTS", "EMAIL_ON_UNKNOWN"),
    *("APPRISE_URLS", "APPRISE_ON_UNKNOWN"),
    *("SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASSWORD", "SMTP_FROM_EMAIL", "SMTP_TLS"),
)
"""What is read; the last word of an `…_ON_UNKNOWN` is `resend_marked` (default) or `hold`."""
LOCAL_SENDER = "grace@localhost"
"""Who writes to the outbox where no sender is set."""
PORTS = 65_536
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_ADDRESS = re.compile(
    r"(?=.{3,254}$)(?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
"""An ASCII addr-spec without quoting (RFC 5321 4.1.2): nothing that could end a header or verb."""


class ChannelError(ValueError):
    """A channel's configuration cannot be used; the message names the variable, no secret."""


@dataclass(frozen=True)
class Slack:
    webhook_url: str = field(repr=False)
    on_unknown: str = RESEND_MARKED

    @property
    def destination(self) -> str:
        return "webhook-" + sha256(self.webhook_url.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Email:
    """An SMTP server. `tls` is `starttls` (required), `tls` (from the start) or `none`."""

    host: str
    port: int
    sender: str
    tls: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    on_unknown: str = RESEND_MARKED


@dataclass(frozen=True)
class Channels:
    """The channels that the environment names. A channel is looked at when it is asked for, so a
    mistake in one (`ChannelError`) does not silence the other."""

    _values: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Channels:
        values = {name: env.get(name, "").strip() for name in VARIABLES}
        # Blanks may be part of a password; the line end of the file it was read from is not.
        values["SMTP_PASSWORD"] = env.get("SMTP_PASSWORD", "").rstrip("\r\n")
        return cls({name: value for name, value in values.items() if value})

    @cached_property
    def slack(self) -> Slack | None:
        """Null where no webhook is set: the message is written to the outbox."""
        url = self._values.get("SLACK_WEBHOOK_URL")
        if url is None:
            return None
        try:
            parsed = httpx.URL(url)
            usable = (
                parsed.scheme in ("http", "https")
                and _HOST.fullmatch(parsed.raw_host.decode()) is not None
                and (parsed.port is None or 0 < parsed.port < PORTS)
            )
        except httpx.InvalidURL:
            usable = False
        if not usable:
            raise ChannelError("SLACK_WEBHOOK_URL: is not an http(s) URL")
        return Slack(url, self._choice("SLACK_ON_UNKNOWN", RESEND_MARKED, HOLD))

    @cached_property
    def email(self) -> Email | None:
        """Null where no server or nobody to write to is set: into the outbox."""
        host = self._values.get("SMTP_HOST")
        if host is None or not self.recipients:
            return None
        user, password = self._values.get("SMTP_USER"), self._values.get("SMTP_PASSWORD")
        tls = self._choice("SMTP_TLS", "starttls", "tls", "none")
        if password and tls == "none":
            raise ChannelError("SMTP_TLS: a password is never sent without TLS")
        if password and not user:
            raise ChannelError("SMTP_USER: is needed where SMTP_PASSWORD is set")
        port = self._values.get("SMTP_PORT", "587")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < PORTS):
            raise ChannelError("SMTP_PORT: is not a port number")
        if self.sender is None:
            raise ChannelError("SMTP_FROM_EMAIL: is needed where SMTP_HOST is set")
        held = self._choice("EMAIL_ON_UNKNOWN", RESEND_MARKED, HOLD)
        return Email(host, int(port), self.sender, tls, user, password, held)

    @cached_property
    def apprise(self) -> AppriseUrls:
        """Distinct URLs; none where none is set."""
        urls = [u for u in apprise_urls.BETWEEN.split(self._values.get("APPRISE_URLS", "")) if u]
        for position, url in enumerate(urls, start=1):
            try:
                known = apprise_urls.service(url) is not None
            except ImportError as error:
                raise ChannelError("APPRISE_URLS: needs the extra `apprise`") from error
            if not known:
                raise ChannelError(f"APPRISE_URLS: number {position} is no Apprise URL")
        held = self._choice("APPRISE_ON_UNKNOWN", RESEND_MARKED, HOLD)
        return AppriseUrls({apprise_urls.destination(url): url for url in urls}, held)

    @cached_property
    def recipients(self) -> tuple[str, ...]:
        """Distinct addresses in the order given."""
        text = self._values.get("STATUS_BRIEF_RECIPIENTS", "")
        found = [part.strip() for part in text.split(",") if part.strip()]
        return tuple(dict.fromkeys(_address("STATUS_BRIEF_RECIPIENTS", a) for a in found))

    @cached_property
    def sender(self) -> str | None:
        """`SMTP_FROM_EMAIL`, or the user where that is an address."""
        text = self._values.get("SMTP_FROM_EMAIL")
        if text is not None:
            return _address("SMTP_FROM_EMAIL", text)
        user = self._values.get("SMTP_USER", "")
        return user if _ADDRESS.fullmatch(user) else None

    def _choice(self, variable: str, default: str, *others: str) -> str:
        value = self._values.get(variable, default)
        if value not in (default, *others):
            choices = ", ".join((default, *others))
            raise ChannelError(f"{variable}: {value!r} is not one of {choices}")
        return value


def _address(variable: str, text: str) -> str:
    """The address, its domain in lower case: written either way it is the same destination."""
    if not _ADDRESS.fullmatch(text):
        raise ChannelError(f"{variable}: {text!r} is not an email address")
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"
