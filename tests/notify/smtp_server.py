"""A real SMTP server on this machine, with STARTTLS, AUTH and a fault for every stage."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "grace", "sm7p-c4n4ry pässword"
DROP, HANG = "drop", "hang"


@dataclass
class Mailbox:
    """What the server took, and what it does wrong.

    `faults` maps a stage (`BANNER`, `EHLO`, `MAIL`, `RCPT`, `DATA`, `DOT`, `QUIT`) to `DROP`,
    `HANG` or an answer; `refused` maps recipients to the answer that they get.
    """

    login: bool
    """Whether a sender has to log in."""
    secure: bool
    """Whether connections are under TLS from their start."""
    port: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)
    logins_in_the_clear: int = 0

    def recipients(self) -> list[str]:
        return [recipient for recipient, _ in self.taken]

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.login and not session.authenticated:
            return "530 log in first"
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        fault = self.faults.get("DOT")
        if fault not in (None, DROP, HANG):
            return fault
        # Taken before the answer goes wrong: the case that a client cannot know about.
        for recipient in envelope.rcpt_tos:
            self.taken.append((recipient, envelope.original_content or b""))
        if fault == DROP:
            server.transport.abort()
        elif fault == HANG:
            await asyncio.sleep(3)
        return "250 taken"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        self.logins_in_the_clear += session.ssl is None and not self.secure
        right = LoginPassword(USER.encode(), PASSWORD.encode())
        # Without handled=False the server would never answer a wrong password.
        return AuthResult(success=data == right, handled=False)


class StagedSmtp(SMTP):
    """Asks the mailbox for a fault before each verb."""

    @property
    def mailbox(self) -> Mailbox:
        return self.event_handler

    async def _handle_client(self) -> None:
        answer = self.mailbox.faults.get("BANNER")
        if answer is not None:
            if answer != DROP:
                await self.push(answer)
            self.transport.close()
            return
        await super()._handle_client()

    async def _staged(self, stage: str, arg: str | None) -> None:
        self.mailbox.verbs.append(stage)
        fault = self.mailbox.faults.get(stage)
        if fault == DROP:
            self.transport.abort()
        elif fault == HANG:
            await asyncio.sleep(3)
        elif fault is not None:
            await self.push(fault)
        else:
            await getattr(super(), f"smtp_{stage}")(arg)

    async def smtp_EHLO(self, arg: str) -> None:
        await self._staged("EHLO", arg)

    async def smtp_MAIL(self, arg: str) -> None:
        await self._staged("MAIL", arg)

    async def smtp_RCPT(self, arg: str) -> None:
        await self._staged("RCPT", arg)

    async def smtp_DATA(self, arg: str) -> None:
        await self._staged("DATA", arg)

    async def smtp_QUIT(self, arg: str) -> None:
        await self._staged("QUIT", arg)


@contextmanager
def smtp_server(
    context: ssl.SSLContext | None, *, implicit_tls: bool = False, login: bool = True
) -> Iterator[Mailbox]:
    """`context` null is a server that hides STARTTLS."""
    mailbox = Mailbox(login, implicit_tls)

    class Here(Controller):
        def factory(self) -> SMTP:
            return StagedSmtp(mailbox, **self.SMTP_kwargs)

    options: dict[str, object] = {"auth_require_tls": False}
    if login:
        options["authenticator"] = mailbox.authenticate
    if context is not None:
        options["ssl_context" if implicit_tls else "tls_context"] = context
    with socket.create_server(("127.0.0.1", 0)) as free:
        mailbox.port = free.getsockname()[1]
    controller = Here(mailbox, hostname="127.0.0.1", port=mailbox.port, **options)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
