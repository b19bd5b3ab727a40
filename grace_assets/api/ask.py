"""`POST /api/ask`: a question in ordinary words, answered from the tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from grace_assets.api.access import Refusal, problems
from grace_assets.api.answers import plain
from grace_assets.api.ingest import content_type, one_object, read_body
from grace_assets.ask.notes import Note

MAX_BODY = 64 * 2**10

Ask = Callable[[str], dict[str, Any]]


class Asked(BaseModel):
    """One question, as a person puts it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: str = Field(min_length=1, max_length=500, examples=["What's the MTTR of payments?"])


class Window(BaseModel):
    """Inclusive dates."""

    first: str = Field(alias="from")
    last: str = Field(alias="to")


class Figure(BaseModel):
    """`value` in `unit` over `n`, with its 95 % interval; null where nothing is known."""

    label: str
    value: float | None
    unit: str
    n: int
    interval: list[float | None] | None


class Answer(BaseModel):
    """`value` answers the question, in `unit`, over `n` missions (readings, problems, …).

    Units: seconds, ratio (0..1), score (0..1), percent, missions, problems, follow-ups. `sources`
    are the latest 100 missions behind it; `partial` says that days of the window are not over or
    not made yet; `as_of` is when the newest verdict behind it was given.
    """

    answer: str
    kind: str
    value: float | None
    unit: str
    n: int
    interval: list[float | None] | None
    window: Window
    time_zone: str
    partial: bool
    as_of: str
    sources: list[str]
    figures: list[Figure]


class Unknown(BaseModel):
    """There is no answer, and why.

    `examples` can be answered, `nearest` are known names, `related` the missions whose narratives
    come nearest to the words: a search result, no answer.
    """

    answer: str
    kind: Literal["unknown"]
    why: str
    examples: list[str]
    nearest: list[str]
    related: list[Note]


def ask_router(ask: Ask) -> APIRouter:
    router = APIRouter()
    body = {"schema": Asked.model_json_schema(), "example": {"question": "What's the MTTR?"}}

    @router.post(
        "/api/ask",
        response_model=Answer | Unknown,
        responses=problems(400, 401, 403, 408, 413, 415, 422, 503),
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": body}},
        },
    )
    async def answer(request: Request) -> Response:
        """Answer a question in ordinary words, with the missions behind the answer."""
        if content_type(request) != "application/json":
            raise Refusal(415, "application/json is needed")
        event = one_object(await read_body(request, MAX_BODY))
        try:
            asked = Asked.model_validate(json.loads(event))
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0]) if first["loc"] else "body"
            raise Refusal(422, f"{field[:100]}: {first['msg']}") from error
        return JSONResponse(plain(await run_in_threadpool(ask, asked.question)))

    return router
