"""A small real lake and an application that shows it."""

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from starlette.applications import Starlette

from grace_assets.ask.answer import Answerer
from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.core.catalogue import SHIPPED, parse_catalogue
from grace_assets.dashboard.routes import routes
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.samples import SampleStore
from grace_assets.lake.tables import Lake
from tests.test_loop import DAYS, Loop, missions, samples

TODAY = date(2026, 3, 7)
NOON = datetime(2026, 3, 7, 12, tzinfo=ZoneInfo("UTC"))
WINDOW = "from=2026-03-01&to=2026-03-06"


def app(root: Path, **more) -> Starlette:
    catalogue = parse_catalogue(SHIPPED.read_text(encoding="utf-8"), "kpis.yaml")
    store = SampleStore(root)
    zone = ZoneInfo("UTC")
    analytics = Analytics(Lake(root))
    ask = Answerer(analytics, lambda: NOON, zone)
    pages = routes(analytics, store, catalogue, lambda: TODAY, zone, ask=ask, **more)
    return Starlette(routes=pages)


def filled_lake(folder: Path, *more: dict) -> Path:
    """The loop's days, and `more` missions, through all assets."""
    loop = Loop(folder)
    loop.take(*missions(), *more)
    loop.take_samples(samples())
    loop.run(*DAYS, **{DELIVER_TAG: "never"})
    return folder
