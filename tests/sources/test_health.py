"""A health endpoint is asked now and then; what it says becomes samples, domain by domain."""

import json
import threading
import time
from datetime import UTC, datetime

import dagster as dg
import pytest

from grace_assets.sensors import domain_health_sensor
from grace_assets.sources.health import read_health
from grace_assets.sources.http import AT_ONCE
from tests.conftest import event
from tests.sources.awkward import reply, server
from tests.test_loop import Loop

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


def read(answer: object, path: str = "/health", domains: list[str] = ()):
    def handle(handler, _):
        body = answer(handler.path) if callable(answer) else answer
        status, body = body if isinstance(body, tuple) else (200, body)
        reply(handler, status, body if isinstance(body, bytes) else json.dumps(body).encode())

    with server(handle) as source:
        rows, troubles = read_health(source.url + path, list(domains), NOW, 5)
        found = [(r["domain_id"], r["metric"], r["value"]) for r in rows.to_pylist()]
        return sorted(found), [(t.domain_id, t.field) for t in troubles], rows


def test_one_answer_for_all_domains():
    health = {
        "payments": {"status": "ok", "metrics": {"latency_ms": 12.5, "ready": True}},
        "Müller – Edition": {"status": "degraded"},
        "search": {"status": "DOWN", "metrics": {}, "timestamp": "2026-03-15T12:59:00+01:00"},
    }
    found, troubles, rows = read({"domains": health})
    assert found == [
        ("Müller – Edition", "operational", 1.0),
        ("payments", "latency_ms", 12.5),
        ("payments", "operational", 1.0),
        ("payments", "ready", 1.0),
        ("search", "operational", 0.0),
    ]
    assert troubles == []
    assert set(rows["source"].to_pylist()) == {"domain_health"}
    times = dict(zip(rows["domain_id"].to_pylist(), rows["timestamp"].to_pylist(), strict=True))
    assert times["payments"] == NOW
    assert times["search"] == datetime(2026, 3, 15, 11, 59, tzinfo=UTC)


def test_one_question_a_domain_with_its_name_encoded():
    seen = []

    def answer(path):
        seen.append(path)
        return (404, b"") if "search" in path else {"status": "up"}

    found, troubles, _ = read(answer, "/of/{domain_id}", ["a b?c", "search", "店舗"])
    assert found == [("a b?c", "operational", 1.0), ("店舗", "operational", 1.0)]
    assert troubles == [("search", None)]
    assert sorted(seen) == ["/of/%E5%BA%97%E8%88%97", "/of/a%20b%3Fc", "/of/search"]


def test_domains_that_hang_share_one_deadline_and_do_not_hold_up_the_others():
    def answer(handler, _):
        if "slow" in handler.path:
            time.sleep(2)
        reply(handler, 200, b'{"status": "up"}')

    domains = [*(f"slow{n}" for n in range(5)), "good"]
    with server(answer) as source:
        started = time.monotonic()
        rows, troubles = read_health(source.url + "/{domain_id}", domains, NOW, 0.7)
        assert time.monotonic() - started < 1.7
    assert rows["domain_id"].to_pylist() == ["good"]
    assert [t.domain_id for t in troubles] == domains[:-1]


def test_only_a_few_domains_are_asked_at_a_time():
    running, most, guard = 0, 0, threading.Lock()

    def answer(handler, _):
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        time.sleep(0.1)
        with guard:
            running -= 1
        reply(handler, 200, b'{"status": "up"}')

    with server(answer) as source:
        domains = [f"d{n}" for n in range(3 * AT_ONCE)]
        rows, _ = read_health(source.url + "/{domain_id}", domains, NOW, 10)
    assert rows["domain_id"].to_pylist() == domains
    assert 1 < most <= AT_ONCE


def test_the_url_is_asked_as_it_stands():
    with server(lambda h, n: reply(h, 200, b'{"domains": {}}')) as source:
        assert read_health(source.url + "/health/?of=all/", [], NOW, 5)[1] == []
        assert source.requests[0][0] == "/health/?of=all/"


def test_a_url_that_is_none_is_one_trouble():
    rows, (trouble,) = read_health("http://anna:canary/x@host", ["a"], NOW, 5)
    assert (rows.num_rows, trouble.domain_id) == (0, None)
    assert "canary" not in trouble.reason


@pytest.mark.parametrize(
    "broken",
    [
        b'"a": {"metrics": {"m": NaN}}',
        b'"a": {"metrics": {"m": 1e999}}',
        b'"a": {"metrics": {"m": ' + b"9" * 5000 + b"}}",
        b'"a": {"metrics": {"": 1}}',
        b'"a": {"metrics": {"x\\n": 1}}',
        b'"a": {"metrics": {"\\ud800": 1}}',
        b'"\\ud800": {"status": "ok"}',
    ],
    ids=lambda text: ascii(text[:40]),
)
def test_what_no_table_can_hold_costs_itself_alone(broken):
    found, troubles, _ = read(b'{"domains": {' + broken + b', "b": {"status": "ok"}}}')
    assert found == [("b", "operational", 1.0)]
    ((domain, field),) = troubles
    f"{domain} {field}".encode()


@pytest.mark.parametrize(
    ("health", "trouble"),
    [
        ({"a/b": {"status": "ok"}}, ("a/b", None)),
        ({"x": 3}, ("x", None)),
        ({"x": {"timestamp": "soon"}}, ("x", "timestamp")),
        ({"x": {"timestamp": "2026-03-15T12:00:00"}}, ("x", "timestamp")),
        ({"x": {"timestamp": "2020-03-15T12:00:00Z"}}, ("x", "timestamp")),
        ({"x": {"status": "purple"}}, ("x", "operational")),
        ({"x": {"metrics": {"m": "12"}}}, ("x", "m")),
        ({"x": {"metrics": []}}, ("x", "metrics")),
    ],
)
def test_what_cannot_be_taken_is_named_and_the_others_are_taken(health, trouble):
    found, troubles, _ = read({"domains": {**health, "good": {"status": "ok"}}})
    assert troubles == [trouble]
    assert ("good", "operational", 1.0) in found


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"\xff", b"[" * 100_000, b'{"status": "ok"}', b'{"m": NaN}']
)
def test_an_answer_of_another_shape_is_one_trouble(body):
    found, troubles, _ = read(body)
    assert (found, len(troubles)) == ([], 1)


def test_the_sensor_keeps_what_it_reads_and_opens_no_day(tmp_path, monkeypatch):
    loop = Loop(tmp_path, NOW.isoformat())
    times = {"started_at": "2026-03-15T10:00:00Z", "completed_at": "2026-03-15T10:05:00Z"}
    loop.take(event("m", domain_id="payments", **times))
    with loop.store.landing() as landing:
        before, _ = landing.journal.changed_days(0)
    body = json.dumps({"status": "ok", "metrics": {"latency_ms": 12.5}}).encode()
    with server(lambda h, n: reply(h, 200, body)) as source:
        monkeypatch.setenv("DOMAIN_HEALTH_URL", source.url + "/{domain_id}")
        context = dg.build_sensor_context(resources={"store": loop.store})
        skipped = domain_health_sensor(context)
        assert source.requests[0][0] == "/payments"
    assert skipped.skip_message == "2 samples, 0 refused or missing"
    assert loop.store.samples().counts("2026-03-15") == {"domain_health": 2}
    with loop.store.landing() as landing:
        assert landing.journal.changed_days(before)[1] == {}
