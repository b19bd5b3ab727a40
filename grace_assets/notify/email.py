"""Making the email of a brief, and handing it to an SMTP server, each recipient by itself.

The bytes are frozen in the ledger: Message-ID and Date come from the delivery, so a repeat is
the same message to every system that knows duplicates. The staged verbs of SMTP tell how far it
got: before the data it certainly did not arrive, after its final dot it may have.
"""

from __future__ import annotations

import asyncio
import ssl
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

import aiosmtplib

from grace_assets.notify.channels import Email
from grace_assets.notify.outcome import Outcome, later

CONNECT_SECONDS = 30.0
ANSWER_SECONDS = 600.0
"""After the final dot a server may take ten minutes (RFC 5321 4.5.3.2.6); giving up earlier
makes duplicates."""


def compose(
    *,
    sender: str,
    recipient: str,
    subject: str,
    text: str,
    html: str,
    message_id: str,
    date: datetime,
) -> bytes:
    """An RFC 5322 message, text first, HTML last; no header can be injected."""
    message = EmailMessage(policy=SMTP_POLICY)
    domain = sender.rpartition("@")[2]
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = header_text(subject)
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<grace.{message_id}@{domain}>"
    message["List-Id"] = f"Grace status briefs <status-briefs.{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message.as_bytes()


def with_subject_note(message: bytes, note: str) -> bytes:
    """The same message, with a note in front of its subject."""
    parsed = message_from_bytes(message, policy=SMTP_POLICY)
    subject = f"[{note}] {parsed['Subject']}"
    del parsed["Subject"]
    parsed["Subject"] = subject
    return parsed.as_bytes()


def header_text(text: str) -> str:
    """One line without control, format or line-separating characters."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in text)
    return " ".join("".join(kept).split())[:200]


def send(email: Email, messages: Mapping[str, bytes]) -> dict[str, Outcome]:
    """Hand one message to each recipient over one connection; an answer for each."""
    return asyncio.run(_send(email, messages))


async def _send(email: Email, messages: Mapping[str, bytes]) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    client: aiosmtplib.SMTP | None = None
    for recipient, message in messages.items():
        if client is None or not client.is_connected:
            client = _client(email)
            failure = await _open(client, email)
            if failure is not None:
                client.close()
                return outcomes | {r: failure for r in messages if r not in outcomes}
        outcomes[recipient] = await _send_one(client, email.sender, recipient, message)
    if client is not None and client.is_connected:
        try:
            await client.quit()
        except aiosmtplib.SMTPException:
            # Everything was answered already; how the server says goodbye does not matter.
            client.close()
    return outcomes


def _client(email: Email) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=email.host,
        port=email.port,
        use_tls=email.tls == "tls",
        start_tls=False,
        timeout=CONNECT_SECONDS,
        tls_context=ssl.create_default_context(),
    )


async def _open(client: aiosmtplib.SMTP, email: Email) -> Outcome | None:
    """Connect, secure, log in; the outcome of everybody's message where that fails."""
    try:
        await client.connect()
        if email.tls == "starttls":
            await client.starttls()
        if email.user and email.password:
            await client.login(email.user, email.password)
    except aiosmtplib.SMTPAuthenticationError as error:
        return _answered(error.code, "login refused")
    except aiosmtplib.SMTPResponseException as error:
        return _answered(error.code, "server refused the connection")
    except ssl.SSLError:
        return later("certificate not accepted")
    except (aiosmtplib.SMTPException, OSError) as error:
        return later(f"connection failed ({type(error).__name__})")
    return None


async def _send_one(
    client: aiosmtplib.SMTP, sender: str, recipient: str, message: bytes
) -> Outcome:
    try:
        await client.mail(sender)
        await client.rcpt(recipient)
    except aiosmtplib.SMTPResponseException as error:
        await _reset(client)
        return _answered(error.code, "recipient refused")
    except (aiosmtplib.SMTPException, OSError):
        client.close()
        return later("connection lost before the message")
    try:
        await client.data(message, timeout=ANSWER_SECONDS)
    except aiosmtplib.SMTPResponseException as error:
        await _reset(client)
        return _answered(error.code, "message refused")
    except (aiosmtplib.SMTPException, OSError):
        client.close()
        return Outcome("unknown", "connection lost while the message was taken")
    return Outcome("sent")


async def _reset(client: aiosmtplib.SMTP) -> None:
    try:
        await client.rset()
    except (aiosmtplib.SMTPException, OSError):
        client.close()


def _answered(code: int, what: str) -> Outcome:
    """4xx is for later, 5xx a definite no; the text of an answer could hold anything."""
    if 500 <= code < 600:
        return Outcome("rejected", f"{what} ({code})")
    return later(f"{what} ({code})")
