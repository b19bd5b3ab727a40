"""The MCP server, asked by the SDK's own client over its real transports."""

import asyncio
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from grace_assets.api.access import Access
from grace_assets.cli import main
from grace_assets.serving import application
from grace_assets.settings import Settings
from tests.serving import serve

GRACE = str(Path(sys.executable).with_name("grace"))
DAYS = {"period_days": 36_000}
CALLS = (
    ("outcomes", {"limit": 3}, "/api/missions?limit=3"),
    ("outcomes", {"domain_id": "search"}, "/api/missions?domain_id=search&limit=20"),
    ("mission", {"mission_id": "pay-0-8"}, "/api/missions/pay-0-8"),
    ("brief", {}, "/api/status-brief/latest"),
    ("brief", {"date": "2026-03-02"}, "/api/status-brief/2026-03-02"),
    ("trends", DAYS, "/api/analytics/domain-trends?period_days=36000"),
    ("mttr_trend", DAYS, "/api/analytics/mttr-trend?period_days=36000"),
    ("effectiveness_trend", DAYS, "/api/analytics/effectiveness-trend?period_days=36000"),
    ("follow_ups", {"status": "open"}, "/api/follow-ups?status=open"),
    ("search", {"query": "slow checkout", "limit": 3}, "/api/search?q=slow+checkout&limit=3"),
    ("ask", {"question": "Did mission pay-0-8 work?"}, None),
    ("ask", {"question": "Why did it break?"}, None),
)
WRAPPED = {"trends", "points", "follow_ups", "notes"}
"""Arrays lie in an object here: structured content is one."""


@pytest.fixture(scope="module")
def root(tmp_path_factory, days_made) -> Path:
    return Path(shutil.copytree(days_made, tmp_path_factory.mktemp("assistant") / "lake"))


@pytest.fixture(scope="module")
def environment(root) -> dict[str, str]:
    known = {k: v for k, v in os.environ.items() if not k.startswith(("GRACE_", "DAGSTER_"))}
    return {**known, "GRACE_DATA_DIR": str(root)}


def stdio(environment):
    return stdio_client(StdioServerParameters(command=GRACE, args=["mcp"], env=environment))


@contextmanager
def over_http(environment, **more: str):
    """The address of `grace mcp --transport http`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [GRACE, "mcp", "--transport", "http", "--port", str(port)]
    with subprocess.Popen(
        command, env={**environment, **more}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as server:
        try:
            address = f"http://127.0.0.1:{port}/mcp"
            for _ in range(300):
                with socket.socket() as knocking:
                    if knocking.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield address
        finally:
            server.terminate()
            server.communicate(timeout=20)


async def calls(transport) -> tuple[list, list]:
    async with Client(transport) as client:
        tools = (await client.list_tools()).tools
        return tools, [await client.call_tool(name, given) for name, given, _ in CALLS]


def digest(root: Path) -> dict[str, str]:
    """The tables, byte by byte."""
    files = (path for path in (root / "tables").rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_each_tool_answers_what_the_api_answers_and_writes_nothing(environment, root, transport):
    before = digest(root)
    if transport == "stdio":
        tools, answers = asyncio.run(calls(stdio(environment)))
    else:
        with over_http(environment) as address:
            tools, answers = asyncio.run(calls(streamable_http_client(address)))
    assert digest(root) == before
    assert {tool.name for tool in tools} == {name for name, _, _ in CALLS}
    for tool in tools:
        assert tool.annotations.read_only_hint
        assert tool.description
        assert tool.output_schema
    assert not any(answer.is_error for answer in answers)
    with api(root) as client:
        for (_, given, path), answer in zip(CALLS, answers, strict=True):
            told = answer.structured_content
            if path is None:
                expected = client.post("/api/ask", json=given).json()
                told = told.get("result", told)
            else:
                expected = client.get(path).json()
                told = next(iter(told.values())) if set(told) < WRAPPED else told
            assert told == expected
            assert json.loads(answer.content[0].text)


@contextmanager
def api(root: Path):
    settings = Settings.from_env({"GRACE_DATA_DIR": str(root)})
    with serve(application(settings, "127.0.0.1", Access())) as client:
        yield client


def test_a_bad_argument_is_named_and_an_unknown_name_said(environment):
    async def asked():
        async with Client(stdio(environment)) as client:
            return [
                (await client.call_tool(name, given)).content[0].text
                for name, given in (
                    ("trends", {"period_days": 0}),
                    ("outcomes", {"from_date": "1 March"}),
                    ("outcomes", {"from_date": "2026-03-02", "to_date": "2026-03-01"}),
                    ("trends", {"domain_id": "nobody"}),
                    ("mission", {"mission_id": "../../etc/passwd"}),
                    ("brief", {"date": "1999-01-01"}),
                    ("outcomes", {"cursor": "x"}),
                )
            ]

    said = asyncio.run(asked())
    wanted = ("period_days", "from_date", "first date is after", "no mission of such a domain")
    wanted += ("no such mission", "no such brief", "cursor")
    for text, words in zip(said, wanted, strict=True):
        assert words in text
        assert environment["GRACE_DATA_DIR"] not in text


def test_over_http_a_read_token_is_needed_where_one_is_named(environment):
    async def asked(address: str, token: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(address, http_client=http)) as client,
        ):
            return len((await client.list_tools()).tools)

    with over_http(environment, GRACE_API_TOKENS="read:reader ingest:sender") as address:
        assert asyncio.run(asked(address, "reader")) == 9
        initialize = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        for token, status in (("sender", 403), ("nobody", 401)):
            headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
            assert httpx2.post(address, json=initialize, headers=headers).status_code == status
        rebound = {"authorization": "Bearer reader", "host": "evil.example"}
        assert httpx2.post(address, json=initialize, headers=rebound).status_code == 400


def test_beyond_loopback_it_starts_with_a_token_only(environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GRACE_API_TOKEN", raising=False)
    refused = CliRunner().invoke(main, ["mcp", "--transport", "http", "--host", "0.0.0.0"])
    assert refused.exit_code == 2
    assert "GRACE_API_TOKEN" in refused.output
