"""uvicorn's line for each request, in a fraction of the time that its own formatter takes."""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import Any

from uvicorn.config import LOGGING_CONFIG
from uvicorn.logging import AccessFormatter


class PlainAccessFormatter(AccessFormatter):
    """The same line as uvicorn's, which copies each record twice to make one for a file."""

    def format(self, record: logging.LogRecord) -> str:
        if self.use_colors:
            return super().format(record)
        client, method, path, version, status = record.args
        level = f"{record.levelname}:"
        return (
            f'{level:<9} {client} - "{method} {path} HTTP/{version}" {self.get_status_code(status)}'
        )


def log_config() -> dict[str, Any]:
    """uvicorn's, with the formatter of here."""
    config = deepcopy(LOGGING_CONFIG)
    config["formatters"]["access"]["()"] = PlainAccessFormatter
    return config
