"""The access log says what uvicorn's own would."""

import logging

import pytest
from uvicorn.config import LOGGING_CONFIG
from uvicorn.logging import AccessFormatter

from grace_assets.api.access_log import PlainAccessFormatter
from grace_assets.serving import web_config

FORM = LOGGING_CONFIG["formatters"]["access"]["fmt"]


@pytest.mark.parametrize("use_colors", [False, True, None])
@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
@pytest.mark.parametrize("status", [200, 304, 404, 500, 599])
def test_a_line_is_the_one_that_uvicorn_would_write(status, level, use_colors):
    args = ("127.0.0.1:5", "GET", "/a%20path?of=%(args)s", "1.1", status)
    record = logging.LogRecord("uvicorn.access", level, "", 0, "%s %s %s %s %d", args, None)
    theirs, ours = (
        made(FORM, use_colors=use_colors).format(record)
        for made in (AccessFormatter, PlainAccessFormatter)
    )
    assert ours == theirs


def test_it_is_what_a_server_of_ours_logs_with_and_nobody_elses():
    config = web_config(None, "127.0.0.1", 0)
    assert type(logging.getLogger("uvicorn.access").handlers[0].formatter) is PlainAccessFormatter
    theirs = LOGGING_CONFIG["formatters"]
    assert config.log_config["formatters"]["default"] == theirs["default"]
    assert theirs["access"]["()"] == "uvicorn.logging.AccessFormatter"
