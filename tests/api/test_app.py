"""Missions over HTTP: what is taken is on disk, what is not is named, and nothing is a 500."""

import base64
import json
import time
from http import HTTPStatus

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grace_assets.api import ingest as application
from grace_assets.api.access import LOOPBACK_HOSTS, Access
from grace_assets.api.app import build_app
from grace_assets.api.strict_json import MAX_EVENTS
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.mission_files import take_file
from grace_assets.resources import StoreResource
from tests.conftest import event
from tests.serving import serve

URL = "/api/missions/events"
ALERTS = "/api/missions/alertmanager"
JSON = {"content-type": "application/json"}
EVENT = event("m1")


@pytest.fixture
def store(tmp_path) -> StoreResource:
    return StoreResource(data_dir=str(tmp_path), timezone="UTC")


def app_of(store, token=None, hosts=("*",)):
    access = Access.from_env({"GRACE_API_TOKEN": token} if token else {})
    return build_app(
        store.landing, Analytics(store.lake()), store.zone, access, hosts, today=store.today
    )


@pytest.fixture
def client(store):
    with serve(app_of(store)) as client:
        yield client


def known(store) -> list[str]:
    with store.landing() as landing:
        rows = landing._db.execute("SELECT mission_id FROM mission ORDER BY 1").fetchall()
    return [row[0] for row in rows]


def post(client, body, **headers):
    raw = body if isinstance(body, bytes | str) else json.dumps(body)
    return client.post(URL, content=raw, headers={**JSON, **headers})


def counts(answer) -> tuple:
    body = answer.json()
    return (
        answer.status_code,
        body["accepted"],
        body["duplicates"],
        body["corrected"],
        [(r["index"], r["field"]) for r in body["rejected"]],
    )


def test_events_are_accepted_once_corrected_and_kept(client, store):
    assert counts(post(client, EVENT)) == (202, 1, 0, 0, [])
    assert counts(post(client, EVENT)) == (202, 0, 1, 0, [])
    changed = {**EVENT, "success": not EVENT["success"]}
    assert counts(post(client, [changed, event("m2")])) == (202, 1, 0, 1, [])
    assert known(store) == ["m1", "m2"]


def test_of_a_batch_the_good_ones_are_taken_and_the_others_named(client, store):
    bad = {**event("x"), "completed_at": "soon"}
    answer = post(client, [bad, EVENT, {"mission_id": "y"}])
    assert counts(answer) == (202, 1, 0, 0, [(0, "completed_at"), (2, "domain_id")])
    assert known(store) == ["m1"]
    with store.landing() as landing:
        waiting = landing.quarantine.lines(waiting_only=True)
    assert [(r.origin, r.line, r.field) for r in waiting] == [
        ("http", 1, "completed_at"),
        ("http", 3, "domain_id"),
    ]


TEXT = json.dumps(EVENT)
DEEP = '{"a":' * 40 + "1" + "}" * 40
BROKEN = [
    ('{"metrics": {"x": NaN}, ' + TEXT[1:], "NaN"),
    ('{"metrics": {"x": -Infinity}, ' + TEXT[1:], "Infinity"),
    ('{"metrics": {"x": 1e999}, ' + TEXT[1:], "double"),
    ('{"mission_id": "other", ' + TEXT[1:], "twice"),
    ('{"title": "\\ud800", ' + TEXT[1:], "surrogate"),
    ('{"more": ' + "9" * 30 + ", " + TEXT[1:], "64 bits"),
    ('{"more": ' + "9" * 5000 + ", " + TEXT[1:], "64 bits"),
    ('{"more": ' + DEEP + ", " + TEXT[1:], "deeper"),
]


@pytest.mark.parametrize(("text", "reason"), BROKEN, ids=[r for _, r in BROKEN])
def test_what_would_break_a_later_reader_is_refused_alone_and_named_among_others(
    client, store, text, reason
):
    alone = post(client, text)
    assert alone.status_code == 422
    assert reason in alone.json()["rejected"][0]["reason"]
    assert alone.headers["content-type"] == "application/problem+json"
    among = post(client, f"[{text}, {TEXT}]")
    assert counts(among) == (202, 1, 0, 0, [(0, None)])
    assert known(store) == ["m1"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"a": }', 400),
        (b"[1, 2", 400),
        (b"[{},]", 400),
        (b"{} {}", 400),
        (b"\xff\xfe{", 400),
        ('{"a": "\x00"}', 400),
        (TEXT.encode("utf-16"), 400),
        (b"3", 422),
        (b'"text"', 422),
        (b"null", 422),
        (b"[]", 422),
        (b"[1, null]", 422),
        (b"[" * 100_000, 422),
        (b"[" + b",".join([b"{}"] * (MAX_EVENTS + 1)) + b"]", 422),
    ],
)
def test_a_body_that_is_no_event_is_refused_with_a_problem(client, store, body, status):
    answer = post(client, body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["title"] == HTTPStatus(status).phrase
    assert known(store) == []


@pytest.mark.parametrize("levels", [33, 500, *range(940, 1000, 3), 5_000])
def test_nesting_is_refused_however_near_to_the_interpreters_own_limit(client, levels):
    deep = "[" * levels + "]" * levels
    assert post(client, f'{{"a": {deep}}}').status_code == 422
    packed = base64.b64encode(deep.encode()).decode()
    wrapped = json.dumps(envelope(data=None, data_base64=packed))
    assert client.post(URL, content=wrapped, headers=STRUCTURED).status_code == 422
    assert client.post(ALERTS, content=f'{{"alerts": {deep}}}', headers=JSON).status_code == 422


def test_a_key_repeated_among_many_is_found_in_no_time(client):
    keys = ", ".join(f'"k{n}": 1' for n in range(50_000))
    began = time.monotonic()
    answer = post(client, f'{{{keys}, "k49999": 2}}')
    assert "twice" in answer.json()["rejected"][0]["reason"]
    assert time.monotonic() - began < 5


def test_what_cannot_be_stored_is_not_acknowledged(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    broken = StoreResource(data_dir=str(tmp_path / "file"), timezone="UTC")
    with serve(app_of(broken)) as client:
        answer = post(client, EVENT)
    assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")
    assert answer.headers["retry-after"].isdigit()
    assert str(tmp_path) not in answer.text


def test_a_body_that_drips_is_given_up(client, monkeypatch):
    monkeypatch.setattr(application, "READ_SECONDS", 0.2)

    def drip():
        for _ in range(20):
            yield b" "
            time.sleep(0.05)

    assert client.post(URL, content=drip(), headers=JSON).status_code == 408


def test_other_content_and_other_methods_are_refused(client):
    assert client.post(URL, content=TEXT, headers={"content-type": "text/plain"}).status_code == 415
    assert client.get(URL).status_code == 405
    assert client.get("/nothing").status_code == 404
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_beyond_the_limit_is_refused_while_it_comes(client, declared, monkeypatch):
    monkeypatch.setattr(application, "MAX_BODY", 1000)
    content = b"x" * 2000 if declared else iter([b"x" * 600] * 3)
    answer = client.post(URL, content=content, headers=JSON)
    assert answer.status_code == 413


def test_a_token_is_needed_where_one_is_set_and_never_echoed(store):
    wrong = ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic canary-token"})
    with serve(app_of(store, "canary-token")) as client:
        for header in wrong:
            answer = post(client, EVENT, **header)
            assert answer.status_code == 401
            assert "canary" not in answer.text + str(answer.headers)
        assert post(client, EVENT, authorization="Bearer canary-token").status_code == 202
        assert client.post(ALERTS, content=b"{}", headers=JSON).status_code == 401
        assert client.get("/healthz").status_code == 200


def test_a_token_may_hold_any_character(store):
    with serve(app_of(store, "Schlüssel")) as client:
        headers = {**JSON, "authorization": "Bearer Schlüssel".encode()}
        assert client.post(URL, content=TEXT, headers=headers).status_code == 202


@pytest.mark.parametrize(
    ("host", "token", "allowed"),
    [
        ("127.0.0.1", None, True),
        ("localhost", None, True),
        ("::1", None, True),
        ("0.0.0.0", None, False),
        ("10.0.0.1", None, False),
        ("grace.example", None, False),
        ("0.0.0.0", "t", True),
    ],
)
def test_without_a_token_only_this_machine_is_served(host, token, allowed):
    env = {"GRACE_API_TOKEN": token} if token else {}
    assert Access.from_env(env, host).may_bind(host) is allowed


def test_a_name_that_was_rebound_to_this_machine_is_not_answered(store):
    with serve(app_of(store, hosts=LOOPBACK_HOSTS)) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/healthz", headers={"host": "evil.example"}).status_code == 400


def envelope(**changes) -> dict:
    base = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/grace",
        "type": "grace.mission.completed",
        "data": EVENT,
    }
    return {k: v for k, v in (base | changes).items() if v is not None}


STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCHED = {"content-type": "application/cloudevents-batch+json"}


def test_cloudevents_come_structured_batched_and_binary(client, store):
    one = client.post(URL, content=json.dumps(envelope()), headers=STRUCTURED)
    assert counts(one) == (202, 1, 0, 0, [])
    batch = [envelope(data=event("m2")), envelope(type="other"), envelope(data=event("m3"))]
    many = client.post(URL, content=json.dumps(batch), headers=BATCHED)
    assert counts(many) == (202, 2, 0, 0, [(1, "type")])
    binary = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/grace",
        "ce-type": "grace.mission.completed",
    }
    assert counts(post(client, event("m4"), **binary)) == (202, 1, 0, 0, [])
    for name in binary:
        partly = {key: value for key, value in binary.items() if key != name}
        assert post(client, event("m5"), **partly).status_code == 422
    assert post(client, event("m5"), **{**binary, "ce-type": "other"}).status_code == 422
    packed = base64.b64encode(json.dumps(event("m6")).encode()).decode()
    based = json.dumps(envelope(data=None, data_base64=packed))
    assert counts(client.post(URL, content=based, headers=STRUCTURED)) == (202, 1, 0, 0, [])
    assert known(store) == ["m1", "m2", "m3", "m4", "m6"]


@pytest.mark.parametrize(
    ("headers", "body", "what"),
    [
        ("structured", [EVENT], "one object"),
        ("batched", EVENT, "an array"),
        ("binary", [EVENT], "one object"),
    ],
)
def test_each_mode_of_cloudevents_carries_its_own_shape(client, store, headers, body, what):
    modes = {
        "structured": STRUCTURED,
        "batched": BATCHED,
        "binary": {
            **JSON,
            "ce-specversion": "1.0",
            "ce-id": "1",
            "ce-source": "/grace",
            "ce-type": "grace.mission.completed",
        },
    }
    answer = client.post(URL, content=json.dumps(body), headers=modes[headers])
    assert (answer.status_code, what in answer.json()["detail"]) == (422, True)
    assert known(store) == []


def test_the_events_data_lies_in_the_trail_as_it_came(client, store):
    data = '{ "mission_id":"m1", "domain_id": "d\\u00e9", "odd":  1.50, ' + TEXT[1:].replace(
        '"mission_id": "m1", "domain_id": "payments", ', ""
    )
    raw = json.dumps(envelope(data=None))[:-1] + f', "data": {data}}}'
    assert client.post(URL, content=raw, headers=STRUCTURED).status_code == 202
    with store.landing() as landing:
        (kept,) = landing.missions.events(["2026-03-01"])
    assert kept.raw == data.encode()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"source": None}, "source"),
        ({"id": 7}, "id"),
        ({"type": "grace.mission.started"}, "type"),
        ({"datacontenttype": "text/plain"}, "datacontenttype"),
        ({"data": None}, "data"),
        ({"data": None, "data_base64": "%%%"}, "data_base64"),
        ({"data": None, "data_base64": "é"}, "data_base64"),
        ({"data_base64": "e30="}, "data_base64"),
        ({"data": {"mission_id": "m"}}, "domain_id"),
        ({"data": None, "data_base64": "/w=="}, "data"),
    ],
)
def test_a_cloudevent_that_cannot_be_taken_names_its_attribute(client, changes, field):
    answer = client.post(URL, content=json.dumps(envelope(**changes)), headers=STRUCTURED)
    assert answer.status_code == 422
    assert [r["field"] for r in answer.json()["rejected"]] == [field]


def test_lines_of_a_file_may_be_cloudevents(store, tmp_path):
    path = tmp_path / "events.jsonl"
    lines = [envelope(data=event("m1")), event("m2"), envelope(specversion="0.1")]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with store.landing() as landing:
        taken = take_file(landing, path)
    assert (taken.accepted, len(taken.rejected)) == (2, 1)
    assert known(store) == ["m1", "m2"]


def test_no_body_whatever_is_a_server_error(client):
    @settings(max_examples=150)
    @given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
    def answers(body):
        for headers in (JSON, STRUCTURED, BATCHED):
            assert client.post(URL, content=body, headers=headers).status_code in (400, 422)
        answer = client.post(ALERTS, content=body, headers=JSON)
        assert answer.status_code in (202, 400, 422)

    answers()


def test_a_client_that_hangs_up_in_the_middle_leaves_nothing_behind(client, store):
    def half():
        yield TEXT[:20].encode()
        raise RuntimeError("hung up")

    with pytest.raises(RuntimeError):
        client.post(URL, content=half(), headers=JSON)
    assert httpx.get(f"{client.base_url}/healthz", trust_env=False).status_code == 200
    assert known(store) == []
