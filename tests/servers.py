"""What to do where a real server that a test needs is not installed."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def unavailable(*programs: str) -> NoReturn:
    """Skip by name; in CI, which installs them all, fail."""
    message = f"not installed: {', '.join(programs)}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
