"""A real SMTP server on loopback: STARTTLS under a throw-away CA, AUTH, and failures on demand."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DROP = "drop"
DROP_AFTER = "drop after taking"


@dataclass
class Mail:
    recipient: str
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        return BytesParser(policy=SMTP_POLICY).parsebytes(self.raw)


@dataclass
class Sink:
    """What to answer, and what came: `mails` accepted, one a recipient; `logins` tried."""

    port: int = 0
    ca: Path = Path()
    mail_answer: str | None = None
    rcpt_answers: dict[str, list[str]] = field(default_factory=dict)
    data_answers: list[str] = field(default_factory=list)
    password: str = "right"
    mails: list[Mail] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    async def handle_MAIL(
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mail_answer == DROP:
            server.transport.abort()
            return "421 gone"
        if self.mail_answer is not None:
            return self.mail_answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        script = self.rcpt_answers.get(address, [])
        answer = script.pop(0) if script else "250 OK"
        if answer == DROP:
            server.transport.abort()
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        answer = self.data_answers.pop(0) if self.data_answers else "250 OK"
        if answer == DROP_AFTER or answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.extend(Mail(to, envelope.content) for to in envelope.rcpt_tos)
        if answer in (DROP, DROP_AFTER):
            server.transport.abort()
        return answer

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password.decode())
        # `handled=False` lets aiosmtpd answer 535; by default it would say nothing at all.
        return AuthResult(success=data.password.decode() == self.password, handled=False)


@contextmanager
def smtp_server(folder: Path, *, starttls: bool = True, names: str = "localhost") -> Iterator[Sink]:
    sink = Sink()
    sink.ca, certificate = make_certificates(folder, names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    controller = Controller(
        sink,
        hostname="127.0.0.1",
        port=0,
        server_hostname="localhost",
        tls_context=context if starttls else None,
        require_starttls=starttls,
        authenticator=sink.authenticate,
        # Without TLS too, so that a client that sends its password in clear is caught at it.
        auth_require_tls=starttls,
    )
    _free_port(controller)
    controller.start()
    assert controller.server is not None
    sink.port = controller.server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        controller.stop()


def _free_port(controller: Controller) -> None:
    """`Controller` connects to itself when started, so it has to know its port."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]


def make_certificates(folder: Path, name: str) -> tuple[Path, Path]:
    """PEM files: a new CA, and key and certificate that it gave to `name` and 127.0.0.1."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = _name("throw-away CA")
    ca = (
        _builder(ca_name, ca_name, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = (
        _builder(_name(name), ca_name, key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    ca_file, leaf_file = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(ca.public_bytes(pem))
    leaf_file.write_bytes(private + leaf.public_bytes(pem))
    return ca_file, leaf_file


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
    )
