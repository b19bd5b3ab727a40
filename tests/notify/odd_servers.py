"""Servers that break their protocols in ways that the strict ones of this folder cannot."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.notify.smtp_server import StagedSmtp


@dataclass
class RawServer:
    """`bodies` holds every whole request body that arrived, `connections` counts the callers."""

    port: int = 0
    connections: int = 0
    bodies: list[bytes] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0/B0/secret"


@contextmanager
def raw_server(
    answer: bytes, then: str = "close", *, reads: str = "all", pause: float = 0.0
) -> Iterator[RawServer]:
    """A TCP server that sends `answer`, and then does `close`, `reset` or `hang`.

    It first `reads` the whole request (`all`), its headers (`head`) or nothing (`nothing`); with
    a `pause` it sends one byte at a time, so far apart.
    """
    state = RawServer()

    def talk(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            if reads != "nothing":
                _read(peer, state, reads)
            size = 1 if pause else max(1, len(answer))
            for at in range(0, len(answer), size):
                peer.sendall(answer[at : at + size])
                state.closing.wait(pause)
            if then == "hang":
                state.closing.wait(10)
            elif then == "reset":
                # Lingering for no time makes the kernel send RST instead of FIN.
                linger = struct.pack("ii", 1, 0)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def listen(server: socket.socket) -> None:
        threads = []
        while not state.closing.is_set():
            try:
                peer, _ = server.accept()
            except TimeoutError:
                continue
            state.connections += 1
            peer.settimeout(5)
            threads.append(threading.Thread(target=talk, args=(peer,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        state.port = server.getsockname()[1]
        thread = threading.Thread(target=listen, args=(server,))
        thread.start()
        try:
            yield state
        finally:
            state.closing.set()
            thread.join()


def _read(peer: socket.socket, state: RawServer, reads: str) -> None:
    content = b""
    while b"\r\n\r\n" not in content:
        content += peer.recv(1 if reads == "head" else 65_536) or b"\r\n\r\n"
    if reads == "head":
        return
    head, _, body = content.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length and (more := peer.recv(65_536)):
        body += more
    if len(body) == length:
        state.bodies.append(body)


def context_of_a_bad_certificate(folder: Path, *, name: str, days: tuple[int, int]):
    """A server's TLS context and the file to trust it by; valid from and to so many days hence."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    trusted, secret = folder / "odd.pem", folder / "odd.key"
    trusted.write_bytes(certificate.public_bytes(pem))
    secret.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, secret)
    return context, trusted


class OddSmtp(StagedSmtp):
    """More stages to fail at, extensions that are not offered, and faults that start late."""

    hidden: tuple[str, ...] = ()
    """Beginnings of answers to EHLO that are kept back."""
    hidden_under_tls: tuple[str, ...] = ()
    after_first: dict[str, str] = {}  # noqa: RUF012  (replaced by tests, never changed)
    """Faults from the moment on at which a message was taken."""

    async def push(self, status: str | bytes) -> None:
        text = status.decode() if isinstance(status, bytes) else status
        hidden = self.hidden + (self.hidden_under_tls if self._tls_protocol else ())
        if not (hidden and text[4:].startswith(hidden)):
            await super().push(status)

    async def _staged(self, stage: str, arg: str | None) -> None:
        if self.mailbox.taken and stage in self.after_first:
            self.mailbox.faults = self.mailbox.faults | {stage: self.after_first[stage]}
        await super()._staged(stage, arg)

    async def smtp_STARTTLS(self, arg: str) -> None:
        await self._staged("STARTTLS", arg)

    async def smtp_AUTH(self, arg: str) -> None:
        await self._staged("AUTH", arg)

    async def smtp_RSET(self, arg: str) -> None:
        await self._staged("RSET", arg)
