"""An answer is sent again as it was, for as long as no table changed."""

from datetime import date

import pytest
from fastapi import FastAPI

from grace_assets.api import answers
from grace_assets.api.analytics import analytics_router
from grace_assets.core.rollups import domain_daily
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.tables import Lake
from tests.rows import outcome, part, table
from tests.serving import serve

DAY = "2026-03-01"
TREND = "/api/analytics/mttr-trend?domain_id=payments&period_days=7&end_date=2026-03-02"


class Counting(Analytics):
    made = 0

    def mttr_trend(self, *args):
        self.made += 1
        return super().mttr_trend(*args)


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(tmp_path)
    write(lake, 600.0)
    return lake


def write(lake: Lake, restored: float) -> None:
    rows = table("mission_outcomes", [outcome("m1", date=DAY, time_to_restore_seconds=restored)])
    lake.replace("domain_daily", [DAY], domain_daily(rows))


@pytest.fixture
def asked(lake):
    """The analytics behind the routes, and a client of them."""
    analytics, app = Counting(lake), FastAPI()
    app.include_router(analytics_router(analytics, lambda: date(2026, 3, 2)))
    with serve(app) as client:
        yield analytics, client


def test_it_is_made_once_and_anew_as_soon_as_a_day_was_written(asked, lake, monkeypatch):
    monkeypatch.setattr(answers, "KEPT_SECONDS", 3600.0)
    analytics, client = asked
    first, again = client.get(TREND), client.get(TREND)
    assert first.json() == again.json() == [{"date": DAY, "mttr_seconds": 600.0, "count": 1}]
    assert (analytics.made, first.headers["etag"]) == (1, again.headers["etag"])
    assert client.get(TREND, headers={"if-none-match": first.headers["etag"]}).status_code == 304
    assert client.get(TREND.replace("=7", "=8")).json() == first.json()
    assert analytics.made == 2
    for restored in (601.0, 602.0, 603.0):
        write(lake, restored)
        assert client.get(TREND).json()[0]["mttr_seconds"] == restored


def test_what_others_removed_shows_when_the_answer_is_too_old(asked, lake, monkeypatch):
    _, client = asked
    client.get(TREND)
    part(lake, "domain_daily", DAY).unlink()
    monkeypatch.setattr(answers, "KEPT_SECONDS", 0.0)
    assert client.get(TREND).status_code == 404


def test_no_more_answers_are_kept_than_said(asked, monkeypatch):
    monkeypatch.setattr(answers, "KEPT_ANSWERS", 1)
    monkeypatch.setattr(answers, "KEPT_SECONDS", 3600.0)
    analytics, client = asked
    for path in (TREND, TREND.replace("=7", "=8"), TREND):
        client.get(path)
    assert analytics.made == 3
