"""The proxy of `deploy/`, as it is shipped, in a real nginx before what it protects."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.notify.authority import make_authority
from tests.prometheus import free_port, running
from tests.servers import unavailable
from tests.sources.awkward import reply, server

SHIPPED = Path(__file__).parents[1] / "deploy" / "proxy"
BIN = Path(sys.executable).parent
LOGIN = ("ann", "correct horse")
BASIC = f"Basic {base64.b64encode(':'.join(LOGIN).encode()).decode()}"
TOKEN = "r3adTok3n"
WIPE = 'mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["x"]}}]) { __typename } }'
ELSEWHERE = "https://elsewhere.example"


@dataclass
class Behind:
    """What the proxy protects, with ports of their own and an instance that can be looked into."""

    folder: Path
    dashboard: int
    dagster: int
    instance: dg.DagsterInstance

    def make_asset(self) -> None:
        self.instance.report_runless_asset_event(dg.AssetMaterialization("x"))

    @property
    def has_asset(self) -> bool:
        return self.instance.get_latest_materialization_event(dg.AssetKey("x")) is not None


@pytest.fixture(scope="module")
def behind(tmp_path_factory) -> Iterator[Behind]:
    if shutil.which("nginx") is None:
        unavailable("nginx")
    folder = tmp_path_factory.mktemp("behind")
    (folder / "dagster").mkdir()
    (folder / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    dashboard, dagster = free_port(), free_port()
    env = {
        "DAGSTER_HOME": str(folder / "dagster"),
        "GRACE_DATA_DIR": str(folder / "data"),
        "GRACE_API_TOKENS": f"read:{TOKEN}",
    }
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in env.items():
            patch.setenv(name, value)
        instance = stack.enter_context(dg.DagsterInstance.get())
        grace = [str(BIN / "grace"), "serve", "--port", str(dashboard)]
        stack.enter_context(running(grace, f"http://127.0.0.1:{dashboard}/healthz", folder))
        ui = [str(BIN / "dagster-webserver"), "--empty-workspace", "--path-prefix", "/dagster"]
        ready = f"http://127.0.0.1:{dagster}/dagster/server_info"
        stack.enter_context(running([*ui, "--port", str(dagster)], ready, folder))
        yield Behind(folder, dashboard, dagster, instance)


@dataclass
class Proxy:
    url: str
    trust: ssl.SSLContext

    def client(self, login: tuple[str, str] | None = LOGIN, **more: object) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, auth=login, verify=self.trust, trust_env=False, **more
        )

    def greeted(self, **headers: str) -> str:
        """What the UI's websocket answers to its first message."""

        async def talk() -> str:
            address = f"{self.url.replace('https', 'wss')}/dagster/graphql"
            async with connect(
                address,
                ssl=self.trust,
                subprotocols=["graphql-ws"],
                additional_headers=headers,
                proxy=None,
            ) as socket:
                await socket.send(json.dumps({"type": "connection_init"}))
                return json.loads(await socket.recv())["type"]

        return asyncio.run(talk())


@contextmanager
def nginx(behind: Behind, folder: Path, login: str, sign_on: str = "127.0.0.1:4180"):
    """The files of `deploy/proxy/`, with this machine's ports and folders in them."""
    authority, port = make_authority(folder), free_port()
    (folder / "server.pem").rename(folder / "certificate.pem")
    (folder / "server.key").rename(folder / "certificate.key")
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", LOGIN[1]], capture_output=True, check=True, text=True
    )
    (folder / "users").write_text(f"{LOGIN[0]}:{hashed.stdout}")
    header = f'proxy_set_header Authorization "Bearer {TOKEN}";\n'
    (folder / "read-token.conf").write_text(header)
    asked = (SHIPPED / login).read_text(encoding="utf-8")
    for old, new in (("/etc/nginx/grace/", f"{folder}/"), ("127.0.0.1:4180", sign_on)):
        asked = asked.replace(old, new)
    (folder / "login.conf").write_text(asked)
    config = (SHIPPED / "nginx.conf").read_text(encoding="utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
    scratch = "".join(f"\n  {kind}_temp_path {folder}/{kind};" for kind in kinds)
    for old, new in (
        ("http {", f"http {{{scratch}"),
        ("/etc/nginx/grace/", f"{folder}/"),
        ("/var/log/nginx/", f"{folder}/"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("proxy_pass http://127.0.0.1:8000", f"proxy_pass http://127.0.0.1:{behind.dashboard}"),
        ("proxy_pass http://127.0.0.1:3000", f"proxy_pass http://127.0.0.1:{behind.dagster}"),
    ):
        assert old in config
        config = config.replace(old, new)
    (folder / "nginx.conf").write_text(config)
    # Its workers would be another user, who cannot read this folder.
    main = f"daemon off; pid {folder}/pid;" + (" user root;" if os.geteuid() == 0 else "")
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", main]
    trust = ssl.create_default_context(cafile=authority.ca)
    url = f"https://localhost:{port}"
    with running(command, url, folder, verify=trust):
        yield Proxy(url, trust)


@pytest.fixture(scope="module")
def proxy(behind: Behind, tmp_path_factory) -> Iterator[Proxy]:
    with nginx(behind, tmp_path_factory.mktemp("nginx"), "login-basic.conf") as made:
        yield made


@pytest.mark.parametrize("login", [None, ("ann", "wrong"), ("bob", LOGIN[1])])
def test_nothing_is_seen_without_a_login(proxy, login):
    with proxy.client(login) as client:
        for path in ("/", "/missions", "/static/dashboard.css", "/dagster", "/dagster/server_info"):
            assert client.get(path).status_code == 401
        assert client.post("/dagster/graphql", json={"query": "{version}"}).status_code == 401
    with pytest.raises(InvalidStatus) as refused:
        proxy.greeted()
    assert refused.value.response.status_code == 401


def test_the_dashboard_is_read_with_a_token_that_the_browser_does_not_know(behind, proxy):
    direct = httpx.get(f"http://127.0.0.1:{behind.dashboard}/", trust_env=False)
    assert direct.status_code == 401
    with proxy.client() as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "Data freshness" in page.text
        for path in ("/missions", "/briefs", "/figures", "/static/dashboard.css"):
            assert client.get(path).status_code == 200
        assert client.get("/missions/a%2Fb").status_code == 404
        told = [page, client.get("/missions/none"), client.get("/nothing")]
    assert not [r for r in told if TOKEN in r.text or TOKEN in str(r.headers)]


def test_what_is_not_for_people_is_not_there(proxy):
    with proxy.client() as client:
        for path in ("/api/missions", "/openapi.json", "/healthz", "/mcp", "/missions/../api/ask"):
            assert client.get(path).status_code == 404
        for path in (
            "report_asset_materialization/x",
            "download_debug/x",
            "notebook",
            "dagit_info",
        ):
            assert client.get(f"/dagster/{path}").status_code == 404
            assert client.post(f"/dagster/{path}").status_code == 404
        for path in ("/", "/ask", "/dagster/server_info", "/dagster/"):
            assert client.post(path).status_code == 403


def test_a_link_wipes_an_asset_without_the_proxy_and_not_through_it(behind, proxy):
    behind.make_asset()
    direct = f"http://127.0.0.1:{behind.dagster}/dagster/graphql"
    query = {"query": WIPE}
    assert httpx.get(direct, params=query, trust_env=False).status_code == 200
    assert not behind.has_asset
    behind.make_asset()
    with proxy.client() as client:
        for path in ("graphql", "/graphql", "%67raphql", "x/../graphql", "graphql%3f", "graphql/"):
            address = f"/dagster/{path}"
            upgraded = {"Upgrade": "websocket", "Connection": "upgrade"}
            for headers in ({}, {"Upgrade": "websocket"}, upgraded, {"Accept": "text/html"}):
                client.get(address, params=query, headers=headers)
                client.head(address, params=query, headers=headers)
            # What a form of another page can send without asking first.
            client.post(address, params=query)
            client.post(address, params=query, data={"a": "b"})
            client.post(address, params=query, json={})
            for kind in ("text/plain", "application/graphql", "text/plain; application/json"):
                client.post(address, content=json.dumps(query), headers={"Content-Type": kind})
        for origin in (
            ELSEWHERE,
            "null",
            proxy.url.replace("https", "http"),
            f"{proxy.url}.example",
        ):
            refused = client.post("/dagster/graphql", json=query, headers={"Origin": origin})
            assert refused.status_code == 403
        assert client.get("/dagster/graphql", params=query).status_code == 405
        assert behind.has_asset
        done = client.post("/dagster/graphql", json=query, headers={"Origin": proxy.url})
        assert "AssetWipeSuccess" in done.text
    assert not behind.has_asset


def test_the_ui_and_its_websocket_pass_and_other_pages_do_not(proxy):
    with proxy.client() as client:
        assert '<div id="root">' in client.get("/dagster/").text
        version = client.post("/dagster/graphql?op=V", json={"query": "{version}"})
        assert version.json()["data"]["version"] == dg.__version__
    assert proxy.greeted(Authorization=BASIC, Origin=proxy.url) == "connection_ack"
    with pytest.raises(InvalidStatus) as refused:
        proxy.greeted(Authorization=BASIC, Origin=ELSEWHERE)
    assert refused.value.response.status_code == 403


def test_a_password_reaches_no_server_and_no_log(behind, proxy, tmp_path):
    with server(lambda handler, _: reply(handler, 200)) as heard:
        port = int(heard.url.rpartition(":")[2])
        instead = Behind(tmp_path, port, port, behind.instance)
        with nginx(instead, tmp_path, "login-basic.conf") as other, other.client() as client:
            client.get("/ask?question=who")
            client.get("/dagster/server_info")
            client.post("/dagster/graphql", json={})
    given = [headers.get("Authorization") for _, headers, _ in heard.requests]
    assert given == [f"Bearer {TOKEN}", None, None]
    log = (tmp_path / "grace.log").read_text()
    assert "GET /ask 200" in log
    assert "who" not in log


def test_a_single_sign_on_decides_just_as_well(behind, tmp_path):
    def answer(handler, _):
        known = handler.headers.get("Cookie") == "session=good"
        reply(handler, (202 if known else 401) if handler.path == "/oauth2/auth" else 200, b"who?")

    with server(answer) as sign_on:
        place = sign_on.url.removeprefix("http://")
        with nginx(behind, tmp_path, "login-single-sign-on.conf", place) as made:
            with made.client(None) as client:
                assert client.get("/").text == "who?"
                assert client.get("/dagster/server_info").text == "who?"
            with made.client(None, cookies={"session": "good"}) as client:
                assert "Data freshness" in client.get("/").text
                assert "dagster_version" in client.get("/dagster/server_info").text
