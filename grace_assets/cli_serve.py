"""Commands that answer: one question, or whoever asks over HTTP, MCP and in the browser."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grace_assets.cli_common import open_store, settings_or_exit

if TYPE_CHECKING:
    from grace_assets.api.access import Access


@click.command()
@click.argument("question")
@click.option("--json", "as_json", is_flag=True, help="The whole answer as JSON.")
def ask(question: str, as_json: bool) -> None:
    """Answer a question in ordinary words from the tables: grace ask "What's the MTTR?"

    Exits 0 whether or not it can be answered; what cannot be told is said with why.
    """
    answer = open_store().answerer()(question)
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False) if as_json else answer["answer"])


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=3000, show_default=True)
@click.option("--dashboard-port", default=8000, show_default=True)
def dev(host: str, port: int, dashboard_port: int) -> None:
    """Start the Dagster UI and its daemon on the data directory's instance, and the dashboard."""
    from grace_assets.api.access import TokensError
    from grace_assets.instance import use_home
    from grace_assets.serving import serve_beside

    settings = settings_or_exit()
    home = use_home(settings)
    click.echo(f"Instance {home}; UI at http://{host}:{port}")
    beside = Path(sys.executable).with_name("dagster")
    dagster = str(beside) if beside.exists() else shutil.which("dagster")
    if dagster is None:
        raise click.ClickException("the dagster command is not installed")
    # The module by name, so that it works outside a checkout; the location is called the same.
    where = ["-w", "workspace.yaml"] if Path("workspace.yaml").exists() else []
    where = where or ["-m", "grace_assets.definitions"]
    command = [dagster, "dev", *where, "-h", host, "-p", str(port)]
    click.echo(f"Dashboard at http://127.0.0.1:{dashboard_port}")
    try:
        sys.exit(serve_beside(settings, command, dashboard_port))
    except TokensError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"port {dashboard_port} is taken: --dashboard-port has another"
        ) from error


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
def serve(host: str, port: int) -> None:
    """The dashboard and the HTTP API: missions in, analytics and briefs out."""
    from grace_assets.serving import server

    server(settings_or_exit(), host, port, access_or_exit(host)).run()


@click.command()
@click.option("--transport", type=click.Choice(["stdio", "http"]), default="stdio")
@click.option("--host", default="127.0.0.1", show_default=True, help="Of http.")
@click.option("--port", default=8001, show_default=True, help="Of http.")
def mcp(transport: str, host: str, port: int) -> None:
    """An MCP server: assistants read outcomes, briefs and trends, and ask. Needs the extra mcp."""
    try:
        from grace_assets.assistant.server import build_server, http_app
    except ModuleNotFoundError as error:
        raise click.ClickException("install the extra: pip install 'grace-assets[mcp]'") from error
    import uvicorn

    from grace_assets.api.reads import Reads

    store = open_store()
    server = build_server(Reads(store.lake(), store.today), store.answerer())
    if transport == "stdio":
        server.run("stdio")
        return
    access = access_or_exit(host)
    app = http_app(server, access, access.hosts(host))
    uvicorn.run(app, host=host, port=port, server_header=False, limit_concurrency=200)


def access_or_exit(host: str) -> Access:
    from grace_assets.api.access import Access, TokensError

    try:
        access = Access.from_env(os.environ, host)
    except TokensError as error:
        raise click.UsageError(str(error)) from error
    if not access.may_bind(host):
        raise click.UsageError(f"set GRACE_API_TOKEN to serve on {host}, which others can reach")
    return access
