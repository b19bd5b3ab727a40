"""Whom we trust on the other end of a TLS connection."""

from __future__ import annotations

import ssl

import httpx


def verifying_context() -> ssl.SSLContext:
    """Verifies certificates and host names.

    Trusts the public authorities that httpx ships, and those of this machine, which are what
    `SSL_CERT_FILE` and `SSL_CERT_DIR` name where they are set (as OpenSSL has it).
    """
    context = httpx.create_ssl_context(trust_env=False)
    context.set_default_verify_paths()
    return context
