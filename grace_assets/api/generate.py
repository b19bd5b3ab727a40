"""`POST /api/status-brief/generate`: a run of the brief's job for one day, which sends nothing.

What a run is comes from outside: this ring knows no Dagster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from grace_assets.api.access import Refusal, problem, problem_answer, problems
from grace_assets.api.answers import Day
from grace_assets.api.models import Brief
from grace_assets.api.reads import Reads

logger = logging.getLogger(__name__)

MAX_WAITING = 4


class Launched(BaseModel):
    run_id: str


class Made(Brief):
    """The brief, how many follow-ups its day opened, and the Dagster run."""

    follow_ups_created: int
    run_id: str


Finish = Callable[[], bool]
"""Waits for a run, or makes it; says whether it succeeded."""
Begin = Callable[[str], tuple[str, Finish]]
"""Day → the run's id, and what ends it. Nothing of the run may be sent."""


class Generator:
    """Runs of which `MAX_WAITING` may be under way or wait, and `at_once` are ended at a time.

    `begin` starts one and may block or raise `Refusal`; `first_day` is the first that has a
    partition.
    """

    def __init__(self, begin: Begin, first_day: date, at_once: int = 1) -> None:
        self.first_day = first_day
        self._begin = begin
        self._pool = ThreadPoolExecutor(at_once, "generate")
        self._lock = Lock()
        self._waiting = 0

    def launch(self, day: str) -> tuple[str, Future[bool]]:
        with self._lock:
            if self._waiting >= MAX_WAITING:
                raise Refusal(503, "other runs are under way", {"Retry-After": "60"})
            self._waiting += 1
        try:
            run_id, finish = self._begin(day)
        except BaseException:
            with self._lock:
                self._waiting -= 1
            raise
        future = self._pool.submit(finish)
        future.add_done_callback(self._done)
        return run_id, future

    def close(self) -> None:
        """Waits for the runs that were promised."""
        self._pool.shutdown()

    def _done(self, future: Future[bool]) -> None:
        with self._lock:
            self._waiting -= 1
        if error := future.exception():
            # Its text may quote paths or addresses; Dagster has it.
            logger.error("a run could not be made: %s", type(error).__name__)


def generate_router(generator: Generator, reads: Reads) -> APIRouter:
    router = APIRouter()

    @router.post(
        "/api/status-brief/generate",
        response_model=Made,
        responses={202: {"model": Launched}, **problems(401, 403, 404, 422, 429, 500, 503)},
    )
    async def generate(
        day: Annotated[Day | None, Query(alias="date", description="Yesterday by default.")] = None,
        wait: Annotated[bool, Query(description="Answer when the run has ended.")] = True,
    ) -> Response:
        """Make the brief of a day; yesterday's where none is named. Nothing is sent."""
        today = reads.today()
        wanted = day or today - timedelta(days=1)
        if wanted > today:
            raise Refusal(422, "the day has not begun")
        if wanted < generator.first_day:
            raise Refusal(404, "there is no such partition; it lies before GRACE_START_DATE")
        run_id, future = await run_in_threadpool(generator.launch, wanted.isoformat())
        if not wait:
            return JSONResponse({"run_id": run_id}, 202)
        # Not awaited itself: a client that hangs up would take the run with it.
        await asyncio.wait([waiting := asyncio.wrap_future(future)])
        made = waiting.exception() is None and waiting.result()
        if not made:
            return problem_answer(
                problem(
                    500, "the run failed or cannot be followed; Dagster shows which", run_id=run_id
                )
            )
        brief, created = await run_in_threadpool(reads.made, wanted.isoformat())
        return JSONResponse({**brief, "follow_ups_created": created, "run_id": run_id})

    return router
