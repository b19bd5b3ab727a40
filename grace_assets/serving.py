"""What `grace serve` and `grace dev` serve: missions in, and the dashboard."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from grace_assets.instance import use_home
from grace_assets.resources import StoreResource
from grace_assets.settings import Settings

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from grace_assets.api.access import Access
    from grace_assets.api.generate import Generator

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 20
"""What Dagster's daemon may take to end."""


def application(settings: Settings, host: str, access: Access) -> FastAPI:
    """The application as bound to `host`; it reads the tables as they are at the moment."""
    from grace_assets.api.app import build_app
    from grace_assets.api.rate import WriteLimit
    from grace_assets.dashboard.routes import routes

    store = StoreResource.from_settings(settings)
    notes = store.notes()
    ask, analytics = store.answerer(notes), notes.analytics
    pages = routes(
        analytics,
        store.samples(),
        store.catalogue(),
        store.today,
        store.zone,
        settings.dagster_url,
        failed=lambda: failed_days(settings),
        run_of=lambda day: run_of_day(settings, day),
        ask=ask,
    )
    return build_app(
        store.landing,
        analytics,
        store.zone,
        access,
        access.hosts(host),
        writes=WriteLimit.from_env(os.environ),
        today=store.today,
        generator=generator(settings),
        ask=ask,
        notes=notes,
        extra_routes=pages,
    )


def generator(settings: Settings) -> Generator:
    """Makes briefs by the webserver that is configured, else here, one after the other."""
    from grace_assets.api.generate import MAX_WAITING, Generator
    from grace_assets.launching import by_webserver, in_process

    if settings.graphql_url:
        return Generator(by_webserver(settings.graphql_url), settings.start_date, MAX_WAITING)
    return Generator(in_process(settings), settings.start_date)


def failed_days(settings: Settings) -> dict[str, list[str]]:
    """Table → days whose latest run failed, as Dagster's instance has it."""
    import dagster as dg

    from grace_assets.checks import failed_partitions

    use_home(settings)
    with dg.DagsterInstance.get() as instance:
        return failed_partitions(instance)


def run_of_day(settings: Settings, day: str) -> str | None:
    """The run that made a day's outcomes last; null where this instance does not know it."""
    import dagster as dg

    use_home(settings)
    wanted = dg.AssetRecordsFilter(dg.AssetKey("mission_outcomes"), asset_partitions=[day])
    with dg.DagsterInstance.get() as instance:
        records = instance.fetch_materializations(wanted, limit=1).records
    return records[0].run_id if records else None


def server(settings: Settings, host: str, port: int, access: Access) -> uvicorn.Server:
    import uvicorn

    return uvicorn.Server(web_config(application(settings, host, access), host, port))


def web_config(app: ASGIApp, host: str, port: int) -> uvicorn.Config:
    """How whatever we serve meets the network."""
    import uvicorn

    from grace_assets.api.access_log import log_config
    from grace_assets.api.slow_clients import TimedProtocol

    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=TimedProtocol,
        log_config=log_config(),
        server_header=False,
        limit_concurrency=200,
    )


def serve_beside(settings: Settings, command: Sequence[str], port: int) -> int:
    """Run `command` with the application beside it on loopback, until either ends.

    Returns the exit code of `command`. Raises `OSError` where the port is taken, `AccessError`
    where `GRACE_API_TOKENS` cannot be read.
    """
    import dagster as dg

    from grace_assets.api.access import Access

    access = Access.from_env(os.environ, LOOPBACK)
    with socket.create_server((LOOPBACK, port)) as listener:
        # Its databases are made by one process: two at once would trip over each other.
        dg.DagsterInstance.get().dispose()
        serving = server(settings, LOOPBACK, port, access)
        serving.config.log_level = "warning"
        serving.config.configure_logging()
        # A script's background job ignores SIGINT, and Dagster would inherit that; the server
        # passes on each signal that ended it, and Dagster is to end before we do.
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, signal.default_int_handler)
        beside = subprocess.Popen(command)

        def watch() -> None:
            beside.wait()
            serving.should_exit = True

        threading.Thread(target=watch, daemon=True).start()
        try:
            with suppress(KeyboardInterrupt):
                serving.run(sockets=[listener])
        finally:
            if beside.poll() is None:
                beside.terminate()
            try:
                beside.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                beside.kill()
    return beside.wait()
