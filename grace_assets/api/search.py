"""`GET /api/search`: free search over what Grace remembers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from grace_assets.api.access import problems
from grace_assets.api.answers import Domain, FirstDate, LastDate, told
from grace_assets.api.reads import between
from grace_assets.ask.notes import Note, Notes


def search_router(notes: Notes) -> APIRouter:
    router = APIRouter(responses=problems(401, 403, 404, 422, 503))

    @router.get("/api/search", response_model=list[Note])
    def search(
        request: Request,
        q: Annotated[
            str,
            Query(min_length=1, max_length=500, description="Words.", examples=["slow checkout"]),
        ],
        domain_id: Domain = None,
        first: FirstDate = None,
        last: LastDate = None,
        limit: Annotated[int, Query(ge=1, le=100, description="Notes at most.")] = 10,
    ) -> Response:
        """Missions and briefs that fit the words of `q` best; dates are inclusive."""

        def found() -> list[Note]:
            since, until = between(first, last)
            return notes.find(q, domain=domain_id, since=since, until=until, limit=limit)

        return told(request, found)

    return router
