"""Commands that answer: one question, or whoever asks over HTTP, MCP and in the browser."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grace_assets.cli_common import day_option, open_store, show, show_json
from grace_assets.core.wording import clean
from grace_assets.settings import Settings

if TYPE_CHECKING:
    from grace_assets.api.access import Access

PORT = click.IntRange(0, 65_535)
"""Sockets take a higher number for what is left of it by 65,536."""


@click.command()
@click.argument("question")
@click.option("--json", "as_json", is_flag=True, help="The whole answer as JSON.")
def ask(question: str, as_json: bool) -> None:
    """Answer a question in ordinary words from the tables: grace ask "What's the MTTR?"

    Exits 0 whether or not it can be answered; what cannot be told is said with why.
    """
    store = open_store()
    answer = store.answerer(store.notes())(question)
    if as_json:
        show_json(answer)
    else:
        show(answer["answer"])


@click.command()
@click.argument("words")
@click.option("--domain", help="Only this domain's.")
@day_option("--from", "first", help="From this day on, YYYY-MM-DD.")
@day_option("--to", "last", help="Up to this day, YYYY-MM-DD.")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def search(
    words: str,
    domain: str | None,
    first: datetime | None,
    last: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Find missions and briefs by ordinary words; by meaning too with the extra semantic."""
    from grace_assets.lake.analytics import UnknownDomain

    since, until = (day.date().isoformat() if day else None for day in (first, last))
    try:
        notes = (
            open_store().notes().find(words, domain=domain, since=since, until=until, limit=limit)
        )
    except UnknownDomain as error:
        raise click.UsageError(f"no mission of a domain {error} was ever seen") from error
    if as_json:
        show_json([asdict(note) for note in notes])
        return
    for note in notes:
        where = f" {note.domain_id}:" if note.domain_id else ""
        show(f"{note.date} {note.mission_id or note.kind}{where} {clean(note.title, 120)}")
        click.echo(f"    {clean(note.snippet, 200)}")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=3000, show_default=True)
@click.option("--dashboard-port", type=PORT, default=8000, show_default=True)
def dev(host: str, port: int, dashboard_port: int) -> None:
    """Start the Dagster UI and its daemon on the data directory's instance, and the dashboard."""
    from grace_assets.instance import use_home
    from grace_assets.serving import serve_beside

    settings = Settings.from_env()
    if not os.environ.get("DAGSTER_UI_URL"):
        settings = replace(settings, dagster_url=f"http://{host}:{port}")
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
        with usage_errors():
            sys.exit(serve_beside(settings, command, dashboard_port))
    except OSError as error:
        raise click.ClickException(
            f"port {dashboard_port} is taken: --dashboard-port has another"
        ) from error


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=8000, show_default=True)
def serve(host: str, port: int) -> None:
    """The dashboard and the HTTP API: missions in, analytics and briefs out."""
    from grace_assets.serving import server

    with usage_errors():
        web = server(Settings.from_env(), host, port, access_to(host))
    web.run()


@click.command()
@click.option("--transport", type=click.Choice(["stdio", "http"]), default="stdio")
@click.option("--host", default="127.0.0.1", show_default=True, help="Of http.")
@click.option("--port", type=PORT, default=8001, show_default=True, help="Of http.")
def mcp(transport: str, host: str, port: int) -> None:
    """An MCP server: assistants read outcomes, briefs and trends, and ask. Needs the extra mcp."""
    try:
        from grace_assets.assistant.server import build_server, http_app
    except ModuleNotFoundError as error:
        raise click.ClickException("install the extra: pip install 'grace-assets[mcp]'") from error
    import uvicorn

    from grace_assets.api.reads import Reads
    from grace_assets.serving import web_config

    store = open_store()
    notes = store.notes()
    server = build_server(Reads(notes.analytics, store.today), notes, store.answerer(notes))
    if transport == "stdio":
        server.run("stdio")
        return
    with usage_errors():
        access = access_to(host)
    app = http_app(server, access, access.hosts(host))
    uvicorn.Server(web_config(app, host, port)).run()


@contextmanager
def usage_errors() -> Iterator[None]:
    """What is wrong with a variable, as wrong usage."""
    from grace_assets.api.access import AccessError

    try:
        yield
    except AccessError as error:
        raise click.UsageError(str(error)) from error


def access_to(host: str) -> Access:
    from grace_assets.api.access import Access

    access = Access.from_env(os.environ, host)
    if not access.may_bind(host):
        raise click.UsageError(f"set GRACE_API_TOKEN to serve on {host}, which others can reach")
    return access
