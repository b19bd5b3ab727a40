"""An answer is sent again as it was, for as long as no table changed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware

from grace_assets.api import prepared
from grace_assets.api.access import SECURITY_HEADERS, Access
from grace_assets.api.analytics import analytics_router
from grace_assets.api.app import build_app
from grace_assets.core.rollups import domain_daily
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.tables import Lake
from grace_assets.resources import StoreResource
from tests.rows import outcome, part, table
from tests.serving import serve

DAY = "2026-03-01"
TREND = "/api/analytics/mttr-trend?domain_id=payments&period_days=7&end_date=2026-03-02"


class Counting(Analytics):
    """Makes an answer whenever `may` is set, having read what it is made of before."""

    def __init__(self, lake):
        super().__init__(lake)
        self.made, self.begun, self.may = 0, threading.Event(), threading.Event()
        self.may.set()

    def mttr_trend(self, *args):
        self.made += 1
        answer = super().mttr_trend(*args)
        self.begun.set()
        self.may.wait(10)
        return answer


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
    analytics = Counting(lake)
    kept = prepared.Prepared(analytics.version)
    app = FastAPI(middleware=[Middleware(prepared.SendAgain, prepared=kept)])
    app.include_router(analytics_router(analytics, lambda: date(2026, 3, 2), kept))
    with serve(app) as client:
        yield analytics, client


@pytest.fixture
def gated(tmp_path, lake, monkeypatch):
    """A client of the whole application, for hosts and a token of its own, and its clock."""
    monkeypatch.setattr(prepared, "KEPT_SECONDS", 3600.0)
    store, clock = StoreResource(data_dir=str(tmp_path), timezone="UTC"), [date(2026, 3, 2)]
    access = Access.from_env({"GRACE_API_TOKENS": "read:canary-r ingest:canary-i"}, "127.0.0.1")
    hosts = access.hosts("127.0.0.1")
    app = build_app(
        store.landing, Analytics(lake), store.zone, access, hosts, today=lambda: clock[0]
    )
    with serve(app) as client:
        client.headers["authorization"] = "Bearer canary-r"
        yield client, clock


def test_it_is_made_once_and_anew_as_soon_as_a_day_was_written(asked, lake, monkeypatch):
    monkeypatch.setattr(prepared, "KEPT_SECONDS", 3600.0)
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
    monkeypatch.setattr(prepared, "KEPT_SECONDS", 0.0)
    assert client.get(TREND).status_code == 404


def test_who_asks_while_it_is_made_waits_for_it_unless_a_day_was_written(asked, lake, monkeypatch):
    monkeypatch.setattr(prepared, "KEPT_SECONDS", 3600.0)
    analytics, client = asked
    analytics.may.clear()
    with ThreadPoolExecutor(8) as pool:
        early = [pool.submit(client.get, TREND) for _ in range(4)]
        assert analytics.begun.wait(10)
        write(lake, 601.0)
        late = [pool.submit(client.get, TREND) for _ in range(4)]
        end = time.monotonic() + 5
        while analytics.made < 2 and time.monotonic() < end:
            time.sleep(0.01)
        analytics.may.set()
    assert {answer.result().status_code for answer in early} == {200}
    assert [answer.result().json()[0]["mttr_seconds"] for answer in late] == [601.0] * 4
    assert analytics.made == 2


def test_what_could_not_be_made_is_not_kept(asked, lake, monkeypatch):
    monkeypatch.setattr(prepared, "KEPT_SECONDS", 3600.0)
    analytics, client = asked
    file = part(lake, "domain_daily", DAY)
    aside = file.with_name("aside")
    file.rename(aside)
    assert client.get(TREND).status_code == 404
    aside.rename(file)
    assert client.get(TREND).status_code == 200
    assert analytics.made == 2


def test_no_more_answers_are_kept_than_said(asked, monkeypatch):
    monkeypatch.setattr(prepared, "KEPT_ANSWERS", 1)
    monkeypatch.setattr(prepared, "KEPT_SECONDS", 3600.0)
    analytics, client = asked
    for path in (TREND, TREND.replace("=7", "=8"), TREND):
        client.get(path)
    assert analytics.made == 3


def test_what_is_sent_again_needs_the_token_and_the_host_and_is_sealed(gated):
    client, _ = gated
    first, again = client.get(TREND), client.get(TREND)
    assert dict(first.headers) == dict(again.headers) | {"date": first.headers["date"]}
    assert again.headers.items() >= SECURITY_HEADERS.items()
    for wrong, status in (
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer canary-i"}, 403),
        ({"host": "evil.example"}, 400),
    ):
        refused = client.get(TREND, headers=wrong)
        assert (refused.status_code, "mttr" in refused.text) == (status, False)
        assert refused.headers.items() >= SECURITY_HEADERS.items()
        assert refused.headers["cache-control"] == "no-store"
    assert client.post(TREND).status_code == 403
    assert client.head(TREND).status_code == 405


def test_an_answer_up_to_today_is_made_anew_on_the_next_day(gated):
    client, clock = gated
    path = "/api/analytics/mttr-trend?period_days=2"
    assert [point["date"] for point in client.get(path).json()] == [DAY]
    clock[0] = date(2026, 3, 3)
    assert client.get(path).json() == []


def test_tables_that_cannot_be_looked_at_are_unavailable_not_broken(gated, tmp_path):
    client, _ = gated
    assert client.get(TREND).status_code == 200
    (tmp_path / "tables").rename(tmp_path / "elsewhere")
    (tmp_path / "tables").write_text("no folder")
    assert client.get(TREND).status_code == 503
