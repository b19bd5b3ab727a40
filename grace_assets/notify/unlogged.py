"""Keeps the HTTP client from logging a URL that is a secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


@contextmanager
def unlogged(url: str) -> Iterator[None]:
    """Drops log lines of the HTTP client that quote the path and query of `url`.

    httpx logs the URL of each request, in a spelling of its own; httpcore the headers of each
    answer. A logger's filter does not see the records of its children, so each is named.
    Raises `httpx.InvalidURL` where `url` is none.
    """
    secret = httpx.URL(url).raw_path.decode("ascii")

    def keep(record: logging.LogRecord) -> bool:
        return secret not in record.getMessage()

    names = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy")
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(keep)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(keep)
