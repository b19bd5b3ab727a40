"""The API over a small real lake, on a real server."""

import shutil
import time
from pathlib import Path
from uuid import uuid4

import pytest

from grace_assets.api.access import Access
from grace_assets.api.app import build_app
from grace_assets.api.generate import Generator
from grace_assets.assets.delivery import DELIVER_TAG
from tests.conftest import event
from tests.serving import serve
from tests.test_loop import DAYS, FIRST, Loop


def app_of(loop: Loop, env=None, host="127.0.0.1", **more):
    store = loop.store
    access = Access.from_env(env or {}, host)

    def begin(day: str):
        return str(uuid4()), lambda: loop.run(day, **{DELIVER_TAG: "never"}).success

    notes = store.notes()
    more = {
        "generator": Generator(begin, FIRST),
        "ask": store.answerer(notes),
        "notes": notes,
        **more,
    }
    return build_app(store.landing, notes.analytics, store.zone, access, today=store.today, **more)


@pytest.fixture(scope="module")
def filled(tmp_path_factory, days_made) -> Loop:
    return Loop(Path(shutil.copytree(days_made, tmp_path_factory.mktemp("api") / "lake")))


@pytest.fixture(scope="module")
def client(filled):
    with serve(app_of(filled)) as client:
        client.timeout = 60
        yield client


END = f"end_date={DAYS[-1]}"
TREND = "domain_id total_missions success_rate avg_duration_seconds avg_effectiveness_score"
TREND += " mttr_seconds top_issues kpi_trends successes success_rate_interval mttr_p50_seconds"
TREND += " mttr_p90_seconds assessed verdicts"


def test_trends_are_one_of_a_domain_or_an_array(client):
    trends = client.get(f"/api/analytics/domain-trends?{END}").json()
    assert [(t["domain_id"], t["total_missions"]) for t in trends] == [
        ("payments", 15),
        ("search", 5),
    ]
    one = client.get(f"/api/analytics/domain-trends?domain_id=payments&{END}").json()
    assert one == trends[0]
    assert set(TREND.split()) <= set(one)
    assert (one["successes"], one["mttr_seconds"]) == (14, 1800.0)
    assert one["kpi_trends"]["latency_ms"] < -40


def test_series_have_the_names_of_the_contract(client):
    weekly = client.get(f"/api/analytics/missions-per-domain?{END}&granularity=weekly").json()
    assert weekly["search"] == [
        {"date": "2026-02-23", "count": 1},
        {"date": "2026-03-02", "count": 4},
    ]
    points = client.get(f"/api/analytics/mttr-trend?{END}&domain_id=payments").json()
    assert points[2] == {"date": DAYS[2], "mttr_seconds": 1800.0, "count": 2}
    scores = client.get(f"/api/analytics/effectiveness-trend?{END}").json()
    assert set(scores[0]) == {"date", "avg_effectiveness", "count"}
    assert client.get(f"/api/analytics/stats?{END}").json()["total_missions"] == 20


def test_a_known_domain_without_missions_in_the_window_is_nulls_and_a_stranger_is_404(client):
    empty = "period_days=1&end_date=2026-02-01"
    one = client.get(f"/api/analytics/domain-trends?domain_id=payments&{empty}").json()
    assert (one["total_missions"], one["success_rate"], one["mttr_seconds"]) == (0, None, None)
    assert one["top_issues"] == []
    assert client.get(f"/api/analytics/mttr-trend?domain_id=payments&{empty}").json() == []
    for route in ("analytics/domain-trends", "analytics/mttr-trend", "missions"):
        answer = client.get(f"/api/{route}?domain_id=nobody")
        assert (answer.status_code, answer.json()["status"]) == (404, 404)


def test_a_window_ends_today_where_no_date_is_given(client, filled):
    stats = client.get("/api/analytics/stats").json()
    assert stats["end_date"] == filled.store.today().isoformat() == "2026-03-20"
    assert (stats["start_date"], stats["period_days"]) == ("2026-02-19", 30)


def test_a_mission_shows_its_telemetry_and_its_history(client):
    mission = client.get("/api/missions/pay-0-8").json()
    assert (mission["verdict"], mission["completed_at"]) == ("effective", f"{DAYS[0]}T08:20:00Z")
    assert mission["narrative"]
    assert mission["knowledge_id"]
    assert mission["verdict_history"][0]["stage"] == "first"
    telemetry = mission["telemetry"]
    assert telemetry["metrics_captured"] == 1
    latency = telemetry["pre_post_comparison"]["rag_kpis"]["latency_ms"]
    assert latency["improved"] is True
    assert latency["delta"] == latency["post"] - latency["pre"]
    assert telemetry["data_sources"] == ["rag_kpis"]


def test_missions_are_filtered_by_domain_verdict_and_dates(client):
    def ids(query):
        return [m["mission_id"] for m in client.get(f"/api/missions?{query}").json()["missions"]]

    assert len(ids("")) == 20
    assert ids(f"domain_id=search&from={DAYS[1]}&to={DAYS[2]}") == ["search-2", "search-1"]
    assert ids("domain_id=search&verdict=effective") == []
    assert "pay-0-8" in ids(f"verdict=effective&to={DAYS[0]}")


def test_briefs_follow_ups_and_counts_are_read(client):
    latest = client.get("/api/status-brief/latest").json()
    assert (latest["date"], latest["revision"]) == (DAYS[-1], 1)
    brief = client.get(f"/api/status-brief/{DAYS[0]}").json()
    assert brief["period_end"] == f"{DAYS[1]}T00:00:00Z"
    assert [d["domain_id"] for d in brief["domains"]] == ["payments", "search"]
    assert brief["markdown"].startswith("#")
    assert client.get("/api/status-brief/stats").json()["total_briefs"] == 6
    stats = client.get("/api/missions/outcome/stats").json()
    assert (stats["total_outcomes"], stats["telemetry_backfills"], stats["pending"]) == (20, 15, 0)
    (follow_up,) = client.get("/api/follow-ups?status=open").json()
    assert follow_up["title"] == "Investigate payments issues"
    assert client.get("/api/follow-ups?status=closed").json() == []


def test_notes_are_found_by_words_of_a_domain_and_days(client):
    found = client.get("/api/search?q=slow+checkout&limit=3").json()
    assert len(found) == 3
    assert found[0]["title"] == "Checkout latency"
    mission = client.get(f"/api/missions/{found[0]['mission_id']}").json()
    assert (found[0]["date"], found[0]["verdict"]) == (mission["date"], mission["verdict"])
    days = {n["date"] for n in client.get(f"/api/search?q=latency&to={DAYS[0]}").json()}
    assert days == {DAYS[0]}
    domains = client.get("/api/search?q=repairs&domain_id=search").json()
    assert {note["domain_id"] for note in domains} == {"search"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/analytics/stats?period_days=0", 422),
        ("/api/analytics/stats?period_days=x", 422),
        ("/api/analytics/stats?end_date=1700000000", 422),
        ("/api/analytics/stats?end_date=2026-02-30", 422),
        ("/api/analytics/stats?end_date=0001-01-01", 422),
        ("/api/analytics/missions-per-domain?granularity=hourly", 422),
        ("/api/missions?verdict=good", 422),
        ("/api/missions?limit=1001", 422),
        ("/api/missions?cursor=AAAA", 422),
        ("/api/missions?cursor=%ff", 422),
        ("/api/missions?from=2026-03-02&to=2026-03-01", 422),
        ("/api/missions/nobody", 404),
        ("/api/missions/..%2f..%2fetc", 404),
        ("/api/status-brief/2020-01-01", 404),
        ("/api/status-brief/today", 422),
        ("/api/follow-ups?status=lost", 422),
        ("/api/search", 422),
        ("/api/search?q=x&domain_id=nobody", 404),
        ("/api/search?q=x&from=2026-03-02&to=2026-03-01", 422),
        ("/api/nothing", 404),
    ],
)
def test_an_error_is_a_problem(client, path, status):
    answer = client.get(path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_answer_that_is_still_true_is_not_sent_again(client):
    for path in ("/api/analytics/stats", "/api/missions", "/api/status-brief/latest"):
        first = client.get(path)
        assert first.headers["cache-control"] == "private, no-cache"
        tag = first.headers["etag"]
        for known in (tag, f'"x", W/{tag}', "*"):
            again = client.get(path, headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200


def test_every_answer_is_sealed(client):
    for path in ("/figures", "/healthz", "/api/missions", "/nothing", "/openapi.json"):
        headers = client.get(path, headers={"origin": "https://evil.example"}).headers
        assert "'unsafe-inline'" not in headers["content-security-policy"].split("style-src")[0]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in headers


def test_pages_hold_each_mission_once_and_a_new_day_shows_without_restart(tmp_path):
    loop = Loop(tmp_path)
    many = [
        event(
            f"m{n:04}",
            started_at=f"{DAYS[n % 3]}T09:00:00Z",
            completed_at=f"{DAYS[n % 3]}T1{n % 2}:00:00Z",
        )
        for n in range(1000)
    ]
    loop.take(*many)
    loop.run(*DAYS[:3], **{DELIVER_TAG: "never"})
    with serve(app_of(loop)) as client:
        client.timeout = 60
        tag = client.get("/api/missions").headers["etag"]
        seen, cursor, pages = [], "", 0
        while cursor is not None:
            query = {"limit": 37} | ({"cursor": cursor} if cursor else {})
            page = client.get("/api/missions", params=query).json()
            seen += [(m["completed_at"], m["mission_id"]) for m in page["missions"]]
            cursor, pages = page["next_cursor"], pages + 1
            if pages == 3:
                # What arrives meanwhile moves no page.
                loop.take(
                    event(
                        "new",
                        started_at=f"{DAYS[3]}T09:00:00Z",
                        completed_at=f"{DAYS[3]}T10:00:00Z",
                    )
                )
                loop.run(DAYS[3], **{DELIVER_TAG: "never"})
        assert pages == 28
        assert [i for _, i in sorted(seen)] == [i for _, i in seen][::-1]
        assert {i for _, i in seen} == {m["mission_id"] for m in many}
        assert len(seen) == 1000
        first = client.get("/api/missions?limit=1", headers={"if-none-match": tag})
        assert first.json()["missions"][0]["mission_id"] == "new"
        stats = client.get(f"/api/analytics/stats?end_date={DAYS[3]}").json()
        assert stats["total_missions"] == 1001


def test_a_brief_is_made_on_request_and_never_sent(filled, client):
    made = client.post(f"/api/status-brief/generate?date={DAYS[4]}")
    assert made.status_code == 200, made.text
    body = made.json()
    read = client.get(f"/api/status-brief/{DAYS[4]}").json()
    assert {k: body[k] for k in read} == read
    assert body["run_id"]
    assert isinstance(body["follow_ups_created"], int)
    assert not list((filled.root / "outbox").glob("slack/*"))
    assert {r["status"] for r in filled.table("deliveries")} == {"suppressed"}
    soon = client.post(f"/api/status-brief/generate?date={DAYS[4]}&wait=false")
    assert (soon.status_code, set(soon.json())) == (202, {"run_id"})
    for day, status in (("2026-02-28", 404), ("2026-03-21", 422), ("soon", 422)):
        assert client.post(f"/api/status-brief/generate?date={day}").status_code == status


def test_a_run_that_fails_says_which_and_many_at_once_are_refused(filled):
    def run(day: str) -> bool:
        if day == DAYS[0]:
            raise RuntimeError("canary")
        time.sleep(0.5)
        return False

    def begin(day: str):
        return str(uuid4()), lambda: run(day)

    with serve(app_of(filled, generator=Generator(begin, FIRST))) as client:
        failed = client.post(f"/api/status-brief/generate?date={DAYS[0]}")
        assert (failed.status_code, "canary" in failed.text) == (500, False)
        assert failed.json()["run_id"]
        later = f"/api/status-brief/generate?date={DAYS[1]}&wait=false"
        answers = [client.post(later).status_code for _ in range(6)]
        assert answers == [202, 202, 202, 202, 503, 503]
        assert client.get("/healthz").status_code == 200
