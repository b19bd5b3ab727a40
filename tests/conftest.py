"""Builders that several test files share."""

import gc
import json
import os
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings

from grace_assets.lake.landing import Landing
from tests import postgres
from tests.servers import unavailable

# A busy machine is no failure.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

LONGEST = (
    "test_real_data.py",
    "test_s3.py",
    "test_loop.py",
    "test_serving.py",
    "test_deploy_celery.py",
    "test_canaries.py",
    "test_faults.py",
    "test_engines.py",
)


def event(mission_id: str = "m-1", **fields) -> dict:
    """A valid mission event with only the required fields, and `fields` over them."""
    base = {
        "mission_id": mission_id,
        "domain_id": "payments",
        "started_at": "2026-03-01T10:00:00Z",
        "completed_at": "2026-03-01T10:10:00Z",
        "success": True,
    }
    return {**base, **fields}


def encode(*events: dict) -> bytes:
    return b"".join(json.dumps(e, ensure_ascii=False).encode() + b"\n" for e in events)


def pytest_xdist_auto_num_workers() -> int:
    """Two a core: a third of the time a test waits, for servers and for the disk."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: one that began late would be waited for alone at the end."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


def pytest_collection_finish() -> None:
    """What was collected stays: garbage collection would look through it all the time."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    # Or extension modules say at the end what they find left.
    gc.unfreeze()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real PostgreSQL; who uses it takes away what it made."""
    folder = postgres.programs()
    if folder is None:
        unavailable("postgresql")
    with postgres.server(folder) as url:
        yield url


@pytest.fixture(scope="session")
def days_made(tmp_path_factory) -> Path:
    """The data directory of `tests.dashboard.pages.filled_lake`; who writes to it copies it."""
    from tests.dashboard.pages import filled_lake

    return filled_lake(tmp_path_factory.mktemp("days"))


@pytest.fixture
def landing(tmp_path: Path):
    landing = Landing(tmp_path, ZoneInfo("UTC"))
    yield landing
    landing.close()
