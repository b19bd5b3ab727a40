"""Who may ask for what."""

import pytest
from click.testing import CliRunner
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from grace_assets.api.access import SECURITY_HEADERS, Access, AccessError
from grace_assets.api.app import build_app
from grace_assets.api.rate import WriteLimit
from grace_assets.cli import main
from grace_assets.lake.analytics import Analytics
from grace_assets.resources import StoreResource
from tests.serving import serve

ALL = "canary-all"
TOKENS = {
    "GRACE_API_TOKEN": ALL,
    "GRACE_API_TOKENS": "read:canary-r ingest:canary-i admin:canary-a ingest+admin:canary:ia",
}
ROUTES = {
    "read": ("GET", "/api/missions"),
    "ingest": ("POST", "/api/missions/events"),
    "admin": ("POST", "/api/status-brief/generate"),
}
SCOPES = {
    ALL: {"read", "ingest", "admin"},
    "canary-r": {"read"},
    "canary-i": {"ingest"},
    "canary-a": {"admin"},
    "canary:ia": {"ingest", "admin"},
}


async def page(_):
    return PlainTextResponse("a page")


async def broken(_):
    raise RuntimeError("canary-error")


@pytest.fixture
def served(tmp_path):
    store = StoreResource(data_dir=str(tmp_path), timezone="UTC")

    def at(env, host="127.0.0.1", **more):
        access = Access.from_env(env, host)
        routes = [
            Route("/extra", page),
            Route("/broken", broken),
            Route("/api/ask", page, methods=["POST"]),
        ]
        return serve(
            build_app(
                store.landing,
                Analytics(store.lake()),
                store.zone,
                access,
                today=store.today,
                extra_routes=routes,
                **more,
            )
        )

    return at


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def test_each_token_opens_its_scopes_and_no_other(served):
    with served(TOKENS) as client:
        for token, scopes in SCOPES.items():
            for scope, (method, path) in ROUTES.items():
                answer = client.request(method, path, headers=bearer(token))
                assert (answer.status_code == 403) is (scope not in scopes), (token, scope)
                assert answer.status_code != 401
                assert "canary" not in answer.text + str(answer.headers)
        for method, path in ROUTES.values():
            for headers in (
                {},
                bearer("canary"),
                {"authorization": "Bearer"},
                {"authorization": f"Basic {ALL}"},
            ):
                answer = client.request(method, path, headers=headers)
                assert answer.status_code == answer.json()["status"] == 401
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_breaks_is_behind_the_gate_and_sealed_as_every_answer(served):
    with served(TOKENS) as client:
        assert client.get("/broken").status_code == 401
        answer = client.get("/broken", headers=bearer("canary-r"))
        assert (answer.status_code, "canary" in answer.text) == (500, False)
        assert answer.headers.items() >= SECURITY_HEADERS.items()


@pytest.mark.parametrize(
    ("env", "host", "private"),
    [
        ({}, "127.0.0.1", False),
        ({"GRACE_API_TOKEN": "t"}, "127.0.0.1", False),
        ({"GRACE_API_TOKENS": "ingest:t"}, "::1", False),
        ({"GRACE_API_TOKENS": "read:t"}, "127.0.0.1", True),
        ({"GRACE_API_TOKENS": "ingest+read:t"}, "localhost", True),
        ({"GRACE_API_TOKEN": "t"}, "0.0.0.0", True),
        ({"GRACE_API_TOKENS": "ingest:t"}, "10.0.0.1", True),
    ],
)
def test_reads_are_private_off_loopback_and_where_a_token_names_them(served, env, host, private):
    with served(env, host) as client:
        wanted = 401 if private else 200
        assert client.get("/api/missions").status_code == wanted
        # Routes that others add are behind the same gate.
        assert client.get("/extra").status_code == wanted
        assert client.post("/api/ask").status_code == wanted
        for path in ("/healthz", "/figures", "/openapi.json"):
            assert client.get(path).status_code == 200
        assert client.post("/api/missions/events").status_code == (401 if env else 415)
    with served(env, host, open_paths=["/extra"]) as client:
        assert client.get("/extra").status_code == 200


@pytest.mark.parametrize("text", ["canary", "write:canary", "read:", "read+:canary", ":canary"])
def test_tokens_that_are_not_as_documented_stop_the_server_and_are_not_shown(
    text, monkeypatch, tmp_path
):
    with pytest.raises(AccessError) as raised:
        Access.from_env({"GRACE_API_TOKENS": f"read:ok {text}"})
    assert "entry 2" in str(raised.value)
    assert "canary" not in str(raised.value)
    monkeypatch.setenv("GRACE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GRACE_API_TOKENS", text)
    result = CliRunner().invoke(main, ["serve"])
    assert (result.exit_code, "canary" in result.output) == (2, False)


def test_the_server_refuses_to_start_where_others_could_write(monkeypatch, tmp_path):
    monkeypatch.setenv("GRACE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("GRACE_API_TOKEN", raising=False)
    result = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0"])
    assert result.exit_code == 2
    assert "GRACE_API_TOKEN" in result.output


def test_too_many_writes_of_one_token_are_told_when_to_come_again(served):
    writes = WriteLimit.from_env({"GRACE_API_RATE_LIMIT": "3/minute"})
    with served(TOKENS, writes=writes) as client:
        sent = [client.post("/api/missions/events", headers=bearer("canary-i")) for _ in range(4)]
        assert [answer.status_code for answer in sent] == [415, 415, 415, 429]
        assert 1 <= int(sent[3].headers["retry-after"]) <= 61
        assert sent[3].headers["content-type"] == "application/problem+json"
        # Another token, and reads of the same, go on.
        other = client.post("/api/missions/events", headers=bearer("canary:ia"))
        assert other.status_code == 415
        assert client.get("/api/missions", headers=bearer("canary-r")).status_code == 200


def test_a_wrong_token_uses_up_nobodys_writes(served):
    writes = WriteLimit.from_env({"GRACE_API_RATE_LIMIT": "1/minute"})
    with served(TOKENS, writes=writes) as client:
        for _ in range(3):
            wrong = client.post("/api/missions/events", headers=bearer("wrong"))
            assert wrong.status_code == 401
        right = client.post("/api/missions/events", headers=bearer("canary-i"))
        assert right.status_code == 415


def test_a_limit_that_cannot_be_read_is_wrong_usage(monkeypatch, tmp_path):
    monkeypatch.setenv("GRACE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GRACE_API_RATE_LIMIT", "often")
    refused = CliRunner().invoke(main, ["serve"])
    assert refused.exit_code == 2
    assert "GRACE_API_RATE_LIMIT" in refused.output
    assert WriteLimit.from_env({"GRACE_API_RATE_LIMIT": "off"}).check("", "::1") is None
