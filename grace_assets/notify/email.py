"""Making the email of a brief, and handing it to an SMTP server, each recipient by itself.

The bytes are frozen in the ledger: Message-ID and Date come from the delivery, so a repeat is
the same message to every system that knows duplicates. The staged verbs of SMTP tell how far it
got: before the data it certainly did not arrive, after its final dot it may have.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

import aiosmtplib

from grace_assets.notify.channels import Email
from grace_assets.notify.message import content_id
from grace_assets.notify.outcome import Outcome
from grace_assets.notify.tls import verifying_context

COMMAND_SECONDS = 30.0
ANSWER_SECONDS = 600.0
"""After the final dot a server may take ten minutes (RFC 5321 4.5.3.2.6); giving up earlier
makes duplicates."""
DELIVERY_SECONDS = 600.0
"""After so long no further recipient is begun: a server that never answers costs its time once."""
SUBJECT_LENGTH = 200
TOO_MANY_RECIPIENTS = 552
"""A server that says so at RCPT means 452 (RFC 5321 4.5.3.1.10)."""


def compose(
    *,
    sender: str,
    recipients: Sequence[str],
    subject: str,
    text: str,
    html: str,
    delivery_key: str,
    date: datetime,
    images: Mapping[str, bytes] | None = None,
) -> bytes:
    """An RFC 5322 message, text first, HTML last: equal arguments give equal bytes.

    `images` are PNGs that the HTML shows in place, by `content_id`. Addresses have been
    validated and the subject is made one plain line here, so no header can be injected. Bodies
    are quoted-printable: no server has to know 8BITMIME.
    """
    message = EmailMessage(policy=SMTP_POLICY)
    domain = sender.rpartition("@")[2]
    message["From"] = Address("Grace", addr_spec=sender)
    message["To"] = [Address(addr_spec=recipient) for recipient in recipients]
    message["Subject"] = header_text(subject)
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<grace.{delivery_key}@{domain}>"
    message["List-Id"] = f"Grace status briefs <status-briefs.{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    _, page = message.iter_parts()
    for name, png in (images or {}).items():
        page.add_related(png, "image", "png", cid=f"<{content_id(name)}>", disposition="inline")
    # Random ones would make a repeat another message.
    message.set_boundary(f"=_grace_{delivery_key}")
    if images:
        page.set_boundary(f"=_grace_{delivery_key}_related")
    return message.as_bytes()


def as_repeat(frozen: bytes, note: str) -> bytes:
    """The same message under the same Message-ID, visibly marked in its subject."""
    message = message_from_bytes(frozen, policy=SMTP_POLICY)
    subject = f"[{note}] {message['Subject']}"
    message.replace_header("Subject", subject)
    return message.as_bytes()


def header_text(text: str) -> str:
    """One line without control, format (e.g. text direction) or line-separating characters.

    Nor does it hold an encoded word (RFC 2047): what such a word says could end the header.
    """
    kept = (" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in text)
    return " ".join("".join(kept).split()).replace("=?", "= ?")[:SUBJECT_LENGTH]


class EmailSender:
    """One SMTP server, for as long as the `async with` lasts; connects when first needed.

    Where it cannot be reached, every further recipient gets the same answer without a new try;
    where it took longer than `DELIVERY_SECONDS` over the others, too.
    """

    def __init__(self, email: Email, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._email = email
        self._answer_seconds = answer_seconds
        self._end = time.monotonic() + DELIVERY_SECONDS
        self._client: aiosmtplib.SMTP | None = None
        self._failure: Outcome | None = None

    async def __aenter__(self) -> EmailSender:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is None or not self._client.is_connected:
            return
        transport = self._client.transport
        # Everything was answered already; how the server says goodbye does not matter.
        with suppress(aiosmtplib.SMTPException, OSError):
            await self._client.quit()
        _hang_up(self._client, transport)

    async def send(self, recipient: str, frozen: bytes) -> Outcome:
        """Hand a message to one recipient, in a transaction of its own."""
        if self._failure is None and time.monotonic() > self._end:
            self._failure = Outcome("pending", "the server was too slow for all recipients")
        if self._failure is None and (self._client is None or not self._client.is_connected):
            self._client, self._failure = await _connect(self._email)
        if self._failure is not None or self._client is None:
            return self._failure or Outcome("pending", "not connected")
        client = self._client
        try:
            await client.mail(self._email.sender)
            await client.rcpt(recipient)
        except aiosmtplib.SMTPSenderRefused as error:
            return await _refused(client, "sender refused", error.code)
        except aiosmtplib.SMTPResponseException as error:
            code = 452 if error.code == TOO_MANY_RECIPIENTS else error.code
            return await _refused(client, "recipient refused", code)
        except (aiosmtplib.SMTPException, OSError):
            _hang_up(client)
            return Outcome("pending", "connection lost before the message")
        try:
            await client.data(frozen, timeout=self._answer_seconds)
        except aiosmtplib.SMTPDataError as error:
            return await _refused(client, "message refused", error.code)
        except (aiosmtplib.SMTPException, OSError) as error:
            _hang_up(client)
            return Outcome("unknown", f"no clear answer to the message ({type(error).__name__})")
        return Outcome("sent")


async def _connect(email: Email) -> tuple[aiosmtplib.SMTP, Outcome | None]:
    """Connect, secure, log in; with what it comes to for every recipient where that fails."""
    client = aiosmtplib.SMTP(
        hostname=email.host,
        port=email.port,
        use_tls=email.tls == "tls",
        start_tls=False,
        timeout=COMMAND_SECONDS,
        tls_context=verifying_context(),
    )
    failure = await _open(client, email)
    if failure is not None:
        _hang_up(client)
    return client, failure


async def _open(client: aiosmtplib.SMTP, email: Email) -> Outcome | None:
    try:
        await client.connect()
        if email.tls == "starttls":
            await client.ehlo()
            if not client.supports_extension("starttls"):
                return Outcome("pending", "server offers no STARTTLS")
            await client.starttls()
        if email.user and email.password:
            await client.login(email.user, email.password)
    except aiosmtplib.SMTPAuthenticationError as error:
        return _answered("login refused", error.code)
    except aiosmtplib.SMTPResponseException as error:
        return _answered("server refused the connection", error.code)
    except (aiosmtplib.SMTPException, OSError) as error:
        if _about_certificate(error):
            return Outcome("pending", "certificate not accepted")
        return Outcome("pending", f"connection failed ({type(error).__name__})")
    return None


def _about_certificate(error: BaseException | None) -> bool:
    """Whether a certificate is at the bottom of it; aiosmtplib wraps some of these errors."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


async def _refused(client: aiosmtplib.SMTP, what: str, code: int) -> Outcome:
    """The answer, with the connection made ready for the next recipient."""
    try:
        await client.rset()
    except (aiosmtplib.SMTPException, OSError):
        _hang_up(client)
    return _answered(what, code)


def _hang_up(client: aiosmtplib.SMTP, transport: asyncio.BaseTransport | None = None) -> None:
    """Close at once: under TLS a polite end waits for the other side, longer than we run."""
    transport = transport or client.transport
    client.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def _answered(what: str, code: int) -> Outcome:
    """4xx is for later, 5xx a definite no; the text of an answer could hold anything."""
    if 400 <= code < 500:
        return Outcome("pending", f"{what} ({code})")
    if 500 <= code < 600:
        return Outcome("rejected", f"{what} ({code})")
    if what == "message refused":
        return Outcome("unknown", f"unreadable answer to the message ({code})")
    return Outcome("pending", f"{what} ({code})")
