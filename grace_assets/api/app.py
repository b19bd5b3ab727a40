"""The HTTP application (CONTRACT section 7), put together: missions in, tables out, briefs made.

Errors are RFC 9457 problems and never echo a body. Blocking work runs in threads.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date, tzinfo
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from grace_assets.api.access import Access, Gate, Problem, problem, problem_answer
from grace_assets.api.analytics import analytics_router
from grace_assets.api.ask import Ask, ask_router
from grace_assets.api.examples import ANSWERS
from grace_assets.api.generate import Generator, generate_router
from grace_assets.api.ingest import Ingest, OpenLanding, ingest_router
from grace_assets.api.prepared import Prepared, SendAgain
from grace_assets.api.rate import WriteLimit
from grace_assets.api.reads import Reads, reads_router
from grace_assets.api.search import search_router
from grace_assets.ask.notes import Notes
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.database import StateError
from grace_assets.render.definitions import field_definitions, figures_page
from grace_assets.render.message import FIGURES_PATH
from grace_assets.sources import alertmanager

logger = logging.getLogger(__name__)

HEALTH_PATH, OPENAPI_PATH = "/healthz", "/openapi.json"


class _Gated(FastAPI):
    """FastAPI behind `gate`, which is in front of FastAPI's own layers as well."""

    def __init__(self, gate: Callable[[ASGIApp], ASGIApp], **options: Any) -> None:
        super().__init__(**options)
        self._gate = gate

    def build_middleware_stack(self) -> ASGIApp:
        return self._gate(super().build_middleware_stack())


def build_app(
    open_landing: OpenLanding,
    analytics: Analytics,
    zone: tzinfo,
    access: Access | None = None,
    hosts: Sequence[str] = ("*",),
    domain_labels: Sequence[str] = alertmanager.DOMAIN_LABELS,
    *,
    writes: WriteLimit | None = None,
    today: Callable[[], date],
    generator: Generator | None = None,
    ask: Ask | None = None,
    notes: Notes | None = None,
    extra_routes: Sequence[BaseRoute] = (),
    open_paths: Sequence[str] = (),
) -> FastAPI:
    """The application.

    `hosts` are the Host headers answered, against rebinding of names; the first of
    `domain_labels` that an alert has names its domain. `extra_routes` are appended and need the
    scopes that `access.scope_needed` says, except reads of `open_paths`.
    """
    always_open = (HEALTH_PATH, OPENAPI_PATH, FIGURES_PATH, *open_paths)

    reads = Reads(analytics, today)
    # An answer without `end_date` is of the day it was given on.
    prepared = Prepared(lambda tables: (today(), reads.analytics.version(tables)))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if generator is not None:
            await run_in_threadpool(generator.close)

    app = _Gated(
        gate=lambda app: Gate(
            SendAgain(app, prepared),
            access or Access(),
            always_open,
            (writes or WriteLimit(None)).check,
        ),
        title="Grace",
        lifespan=lifespan,
        version="1",
        openapi_url=OPENAPI_PATH,
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Nobody gets traces of ours; to look for somebody who might takes longer than the gate.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={
            HTTPException: _refused,
            RequestValidationError: _invalid,
            OSError: _unavailable,
            sqlite3.Error: _unavailable,
            StateError: _unavailable,
            Exception: _broken,
        },
    )
    app.add_api_route(HEALTH_PATH, _health, summary="Whether the server runs")
    app.add_api_route(FIGURES_PATH, _figures, include_in_schema=False)
    app.include_router(ingest_router(Ingest(open_landing, zone, domain_labels)))
    if generator is not None:
        app.include_router(generate_router(generator, reads))
    if ask is not None:
        app.include_router(ask_router(ask))
    if notes is not None:
        app.include_router(search_router(notes))
    app.include_router(analytics_router(reads.analytics, today, prepared))
    app.include_router(reads_router(reads))
    app.router.routes.extend(extra_routes)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Every error is a `Problem`, and no route answers FastAPI's own validation error."""
    made = app.openapi

    def described() -> dict:
        document = made()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        _pairs_as_arrays(document)
        for name, schema in schemas.items():
            _define(name, schema)
        for (method, path, status), example in ANSWERS.items():
            if operation := document["paths"].get(path, {}).get(method):
                operation["responses"][status]["content"]["application/json"]["example"] = example
        return document

    app.openapi = described


def _define(name: str, schema: dict[str, Any]) -> None:
    """Fields are described by the page of definitions, so that each figure has one."""
    meanings = field_definitions()
    for field, of in schema.get("properties", {}).items():
        meaning = meanings.get(f"{name}.{field}") or meanings.get(field)
        if meaning and "description" not in of:
            of["description"] = meaning


def _pairs_as_arrays(part: Any) -> None:
    """An interval is two of one kind: said as an array, which every client understands."""
    if isinstance(part, dict):
        kinds = part.pop("prefixItems", None)
        if kinds is not None:
            part["items"] = kinds[0]
        for value in part.values():
            _pairs_as_arrays(value)
    elif isinstance(part, list):
        for value in part:
            _pairs_as_arrays(value)


async def _health() -> dict[str, str]:
    return {"status": "ok"}


async def _figures() -> Response:
    return HTMLResponse(figures_page())


async def _refused(_: Request, error: HTTPException) -> Response:
    return problem_answer(problem(error.status_code, str(error.detail)), error.headers)


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    """Names the parameters and the rules, never what was sent."""
    errors = [
        {"field": str(e["loc"][-1]) if e["loc"] else None, "reason": e["msg"]}
        for e in error.errors()
    ]
    return problem_answer(problem(422, "bad parameters", errors=errors))


async def _unavailable(request: Request, error: Exception) -> Response:
    """The disk is full or locked: nothing is acknowledged, and the sender is to come again."""
    logger.error("%s could not be answered: %s", request.scope["path"], error)
    detail = (
        "not read; ask again" if request.method in ("GET", "HEAD") else "not stored; send it again"
    )
    return problem_answer(problem(503, detail), {"Retry-After": "30"})


async def _broken(request: Request, error: Exception) -> Response:
    logger.error("%s %s broke: %s", request.method, request.scope["path"], type(error).__name__)
    return problem_answer(problem(500, "something is broken here; the log says what"))
