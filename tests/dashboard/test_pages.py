"""The dashboard's pages on a small real lake, read as a program without script reads them."""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.core.catalogue import SHIPPED, parse_catalogue
from grace_assets.dashboard.routes import routes
from grace_assets.lake.samples import SampleStore
from grace_assets.lake.tables import Lake
from tests.test_loop import DAYS, Loop, missions, samples

TODAY = date(2026, 3, 7)
WINDOW = "from=2026-03-01&to=2026-03-06"


def app(root: Path, **more) -> Starlette:
    catalogue = parse_catalogue(SHIPPED.read_text(encoding="utf-8"), "kpis.yaml")
    store = SampleStore(root)
    zone = ZoneInfo("UTC")
    return Starlette(routes=routes(Lake(root), store, catalogue, lambda: TODAY, zone, **more))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    loop = Loop(folder)
    loop.take(*missions())
    loop.take_samples(samples())
    loop.run(*DAYS, **{DELIVER_TAG: "never"})
    return folder


@pytest.fixture(scope="module")
def client(root) -> TestClient:
    return TestClient(app(root, dagster_url="http://dagster.example/"))


def test_the_overview_shows_figures_and_charts_with_their_numbers(client):
    page = client.get(f"/?{WINDOW}").text
    assert "All domains" in page
    assert '<dd class="big">20</dd>' in page
    assert page.count('role="img"') == page.count("<details>") >= 5
