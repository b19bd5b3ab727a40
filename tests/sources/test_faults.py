"""A source may be slow, huge, wrong or down: it costs its own metrics, in bounded time."""

import gzip
import json
import logging
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from grace_assets.core.catalogue import parse_catalogue
from grace_assets.lake.samples import SampleStore
from grace_assets.lake.source_log import SourceLog
from grace_assets.sources import http
from grace_assets.sources.http import Endpoint, Exchange, SourceError
from grace_assets.sources.pull import Pulled, pull
from tests.conftest import event
from tests.sources.awkward import reply, server
from tests.test_loop import Loop

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
RULES = """
a_ms: {direction: lower, promql: 'a{d=~"$domains"}', promql_label: d}
b_ms: {direction: lower, promql: 'b{d=~"$domains"}', promql_label: d}
"""
CATALOGUE = parse_catalogue(RULES, "k")
REACH = {"payments": (NOW - timedelta(hours=1), NOW)}


def matrix(*values: tuple, domain: str = "payments", **more) -> bytes:
    result = [{"metric": {"d": domain}, "values": [list(v) for v in values]}]
    data = {"resultType": "matrix", "result": result}
    return json.dumps({"status": "success", "data": data, **more}).encode()


GOOD = matrix((NOW.timestamp() - 600, "1.5"))


def ask(answer, seconds: float = 5.0, token: str | None = None, userinfo: str = "") -> tuple:
    """What an exchange returns or raises, and the requests it made."""
    with server(answer) as source:
        url = source.url.replace("http://", f"http://{userinfo}")
        with Exchange(Endpoint.of(url, token), seconds) as exchange:
            try:
                return exchange.ask("/x", {"query": "secret-query"}), source.requests
            except SourceError as error:
                return error, source.requests


def pull_from(url: str, root: Path) -> Pulled:
    """Both metrics of the catalogue, once more after what was fetched below `root` before."""
    return pull(SourceLog(root), SampleStore(root), Endpoint.of(url), CATALOGUE, REACH, NOW)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status):
    found, requests = ask(lambda h, n: reply(h, status if n < 3 else 200, b"fine"))
    assert (found, len(requests)) == (b"fine", 3)
    found, requests = ask(lambda h, n: reply(h, status), 30)
    assert (found.code, len(requests)) == (f"http_{status}", http.ATTEMPTS)


@pytest.mark.parametrize("status", [401, 403, 404, 418])
def test_what_will_not_pass_is_not_tried_again(status):
    found, requests = ask(lambda h, n: reply(h, status))
    assert (found.code, len(requests)) == (f"http_{status}", 1)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_wait_that_is_asked_for_is_kept(form):
    def answer(handler, number):
        later = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        wait = "1" if form == "seconds" else later
        reply(handler, 429 if number == 1 else 200, b"fine", retry_after=wait)

    started = time.monotonic()
    found, _ = ask(answer, 20)
    assert found == b"fine"
    assert 0.9 <= time.monotonic() - started < 5


@pytest.mark.parametrize("wait", ["\u00b2", "Fri, 31 Dec 99999999999999999999 23:59:59 GMT"])
def test_a_wait_that_cannot_be_read_is_none(wait):
    def answer(handler, number):
        reply(handler, 503 if number == 1 else 200, b"fine", retry_after=wait)

    assert ask(answer, 20)[0] == b"fine"


def test_a_wait_beyond_the_deadline_ends_at_once():
    started = time.monotonic()
    found, requests = ask(lambda h, n: reply(h, 429, retry_after="3600"), 3)
    assert (found.code, len(requests)) == ("http_429", 1)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "opening", ["HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n", "HTTP/1.1 200 OK\r\n"]
)
def test_a_drip_of_single_bytes_ends_at_the_deadline_in_body_and_head(opening):
    def drip(handler, _):
        handler.wfile.write(opening.encode())
        for _ in range(60):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.1)

    with server(drip) as source, Exchange(Endpoint.of(source.url), 0.5) as exchange:
        started = time.monotonic()
        with pytest.raises(SourceError) as failed:
            exchange.ask("/x")
        assert time.monotonic() - started < 2
    assert failed.value.code == "deadline"


def test_a_query_that_is_too_slow_is_not_asked_again(monkeypatch):
    monkeypatch.setattr(http, "READ_SECONDS", 0.3)

    def hang(handler, _):
        time.sleep(1)
        reply(handler, 200)

    found, requests = ask(hang)
    assert (found.code, len(requests)) == ("timeout", 1)


def test_a_host_that_cannot_be_reached_is_waited_for_once(tmp_path, monkeypatch):
    tries, once = [], Exchange._once

    async def counted(*args):
        tries.append(args)
        return await once(*args)

    monkeypatch.setattr(Exchange, "_once", counted)
    pulled = pull(
        SourceLog(tmp_path),
        SampleStore(tmp_path),
        Endpoint.of("http://127.0.0.1:9"),
        CATALOGUE,
        REACH,
        NOW,
    )
    assert {name: error.code for name, error in pulled.failed.items()} == {
        "a_ms": "unreachable",
        "b_ms": "unreachable",
    }
    assert len(tries) == http.ATTEMPTS


def test_a_small_answer_that_unpacks_to_gigabytes_is_cut_off(monkeypatch):
    monkeypatch.setattr(http, "MAX_BYTES", 2**20)
    bomb = gzip.compress(bytes(200 * 2**20))
    found, requests = ask(lambda h, n: reply(h, 200, bomb, content_encoding="gzip"), 20)
    assert (found.code, len(requests)) == ("too_large", 1)


def test_an_answer_packed_twice_is_not_unpacked():
    twice = gzip.compress(gzip.compress(b"fine"))
    found, requests = ask(lambda h, n: reply(h, 200, twice, content_encoding="gzip, gzip"))
    assert (found.code, len(requests)) == ("bad_answer", 1)


def test_a_redirect_is_not_followed():
    found, requests = ask(lambda h, n: reply(h, 302, location="http://127.0.0.1:1/admin"))
    assert (found.code, len(requests)) == ("redirect", 1)


def test_credentials_reach_the_source_and_nothing_else(caplog):
    caplog.set_level(logging.DEBUG)
    found, requests = ask(lambda h, n: reply(h, 500), 3, userinfo="anna:canary-1@")
    assert requests[0][1]["Authorization"].startswith("Basic ")
    other, requests = ask(lambda h, n: reply(h, 401), token="canary-2")
    assert requests[0][1]["Authorization"] == "Bearer canary-2"
    refused = SourceError("", "")
    try:
        Endpoint.of("ftp://anna:canary-3@host")
    except SourceError as error:
        refused = error
    texts = [str(found), repr(found), str(other), str(refused), caplog.text]
    assert not [t for t in texts if "canary" in t or "secret-query" in t]


@pytest.mark.parametrize(
    ("url", "token", "code"),
    [
        ("http://anna:canary/word@host", None, "bad_url"),
        ("http://anna:canary[@host", None, "bad_url"),
        ("http://anna:canary@ho\u2100st", None, "bad_url"),
        ("http://anna:canary@host:99999", None, "bad_url"),
        ("file:///canary", None, "bad_url"),
        ("http://host", "canary\u2013", "bad_token"),
        ("http://host", "canary\r\nX: y", "bad_token"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_without_being_told(url, token, code):
    with pytest.raises(SourceError) as refused:
        Endpoint.of(url, token)
    assert refused.value.code == code
    assert "canary" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>", "bad_answer"),
        (b"\xff\xfe", "bad_answer"),
        (b"[1]", "bad_answer"),
        (b'{"status":"success"}', "query_refused"),
        (b'{"status":"error","error":"bad\\nthing"}', "query_refused"),
        (b'{"status":"success","data":{"resultType":"vector","result":[]}}', "bad_answer"),
        (b'{"status":"success","more":' + b"[" * 100_000, "bad_answer"),
        (matrix((NOW.timestamp() - 600, "twelve")), "bad_answer"),
        (matrix((NOW.timestamp() - 600, 12.5)), "bad_answer"),
        (GOOD.replace(b'"d"', b'"e"'), "label_missing"),
        (matrix((NOW.timestamp() - 600, "1"), (NOW.timestamp() - 600, "2")), "ambiguous"),
    ],
)
def test_an_answer_of_another_shape_fails_its_metric_and_not_the_next(tmp_path, body, code):
    def answer(handler, _):
        _, _, asked = handler.server.requests[-1]
        reply(handler, 200, body if b"query=a" in asked else GOOD)

    with server(answer) as source:
        pulled = pull_from(source.url, tmp_path)
    assert {name: error.code for name, error in pulled.failed.items()} == {"a_ms": code}
    assert pulled.samples == {"b_ms": 1}


def test_an_incomplete_answer_is_kept_and_asked_for_again(tmp_path):
    partial = matrix((NOW.timestamp() - 600, "1.5"), warnings=["a store is missing"])
    with server(lambda h, n: reply(h, 200, partial)) as source:
        for _ in range(2):
            pulled = pull_from(source.url, tmp_path)
            assert {error.code for error in pulled.failed.values()} == {"partial"}
            assert pulled.samples == {"a_ms": 1, "b_ms": 1}
        assert len(source.requests) == 4


def test_a_remark_on_the_style_of_a_query_makes_no_answer_incomplete(tmp_path):
    body = matrix((NOW.timestamp() - 600, "1.5"), warnings=["PromQL info: not named as a counter"])
    with server(lambda h, n: reply(h, 200, body)) as source:
        assert pull_from(source.url, tmp_path).failed == {}


@pytest.mark.parametrize("at", [-1e300, 0.0, NOW.timestamp(), NOW.timestamp() + 1, 1e300])
def test_times_that_were_not_asked_for_are_left_out(tmp_path, at):
    body = matrix((NOW.timestamp() - 600, "1"), (at, "2"))
    with server(lambda h, n: reply(h, 200, body)) as source:
        pulled = pull_from(source.url, tmp_path)
    assert (pulled.failed, pulled.samples) == ({}, {"a_ms": 1, "b_ms": 1})


def test_other_domains_and_values_that_are_no_number_are_left_out(tmp_path):
    at = NOW.timestamp() - 600
    body = matrix((at, "NaN"), (at + 60, "+Inf"), (at + 120, "2"))
    with server(lambda h, n: reply(h, 200, body)) as source:
        pulled = pull_from(source.url, tmp_path)
        assert (pulled.samples["a_ms"], pulled.dropped) == (1, 4)
    stranger = matrix((at, "1"), domain="somebody-else")
    with server(lambda h, n: reply(h, 200, stranger)) as source:
        pulled = pull_from(source.url, tmp_path / "2")
        assert sum(pulled.samples.values()) == 0


def test_a_source_that_fails_leaves_its_metrics_without_data_and_says_so(tmp_path, monkeypatch):
    rules = tmp_path / "kpis.yaml"
    rules.write_text(RULES, encoding="utf-8")
    (tmp_path / "data").mkdir()
    loop = Loop(tmp_path / "data", "2026-03-16T12:00:00+00:00", rules)
    times = {"started_at": "2026-03-15T10:00:00Z", "completed_at": "2026-03-15T10:05:00Z"}
    loop.take(event("m", domain_id="payments", **times))
    with server(lambda h, n: reply(h, 403)) as source:
        monkeypatch.setenv("PROMETHEUS_URL", source.url)
        with pytest.raises(AssertionError, match="sources_answered"):
            loop.run("2026-03-15", **{"grace/deliver": "never"})
    rows = loop.table("mission_telemetry")
    assert [(r["metric"], r["verdict"], r["reason_codes"]) for r in rows] == [
        ("a_ms", "insufficient_data", ["source_failed", "http_403"]),
        ("b_ms", "insufficient_data", ["source_failed", "http_403"]),
    ]
    (outcome,) = loop.table("mission_outcomes")
    assert outcome["verdict"] == "insufficient_data"
    assert len(loop.table("status_briefs")) == 1, "the others were made all the same"
    with loop.store.landing() as landing:
        due = landing.waiting.due("source", loop.store.now() + timedelta(hours=1))
    assert list(due) == ["2026-03-15"]
    with server(lambda h, n: reply(h, 200, GOOD)) as source:
        monkeypatch.setenv("PROMETHEUS_URL", source.url)
        loop.run("2026-03-15", **{"grace/deliver": "never"})
    assert all("source_failed" not in r["reason_codes"] for r in loop.table("mission_telemetry"))
    with loop.store.landing() as landing:
        assert landing.waiting.due("source", loop.store.now() + timedelta(days=9)) == {}


def test_a_source_that_is_switched_off_owes_nothing_any_more(tmp_path, monkeypatch):
    rules = tmp_path / "kpis.yaml"
    rules.write_text(RULES, encoding="utf-8")
    (tmp_path / "data").mkdir()
    loop = Loop(tmp_path / "data", "2026-03-16T12:00:00+00:00", rules)
    times = {"started_at": "2026-03-15T10:00:00Z", "completed_at": "2026-03-15T10:05:00Z"}
    loop.take(event("m", domain_id="payments", **times))
    monkeypatch.setenv("PROMETHEUS_URL", "not a url with canary-4")
    with pytest.raises(AssertionError, match="sources_answered"):
        loop.run("2026-03-15", **{"grace/deliver": "never"})
    assert loop.table("mission_telemetry")[0]["reason_codes"] == ["source_failed", "bad_url"]
    monkeypatch.delenv("PROMETHEUS_URL")
    loop.run("2026-03-15", **{"grace/deliver": "never"})
    assert loop.table("mission_telemetry") == []
    with loop.store.landing() as landing:
        assert landing.waiting.due("source", loop.store.now() + timedelta(days=9)) == {}
