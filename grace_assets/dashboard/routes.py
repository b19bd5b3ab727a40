"""The dashboard's routes: pages for people, complete without script.

What Dagster alone knows comes in as functions, so that nothing here imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from grace_assets.core import wording
from grace_assets.core.catalogue import Catalogue
from grace_assets.core.reasons import reason
from grace_assets.core.schemas import VERDICTS
from grace_assets.dashboard.answer import answer_page
from grace_assets.dashboard.briefs import brief_page
from grace_assets.dashboard.choice import BadChoice, Choice, choice_of
from grace_assets.dashboard.freshness import FailedDays, freshness, named
from grace_assets.dashboard.home import home
from grace_assets.dashboard.mission import mission_list, mission_page
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.samples import SampleStore
from grace_assets.render.pages import page

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

MAX_QUESTION = 500

Ask = Callable[[str], dict[str, Any]]
RunOf = Callable[[str], str | None]
"""Day → the id of the Dagster run that made its outcomes last."""


def routes(
    analytics: Analytics,
    samples: SampleStore,
    catalogue: Catalogue,
    today: Callable[[], date],
    zone: ZoneInfo,
    dagster_url: str | None = None,
    *,
    failed: FailedDays | None = None,
    run_of: RunOf | None = None,
    ask: Ask,
) -> list[BaseRoute]:
    """The pages under `/`, and their style sheet and script under `/static`.

    `dagster_url` is where Dagster's UI is seen; without it no page links there. `failed` and
    `run_of` are asked for every page that shows what they know, and must not raise. `ask`
    answers as `ask.answer` does.
    """
    pages = Pages(analytics, samples, catalogue, today, zone, dagster_url, failed, run_of, ask)
    # Plain functions: Starlette runs them in threads, as they read files and draw.
    return [
        Route("/", pages.home),
        Route("/missions", pages.missions),
        Route("/missions/{mission_id:path}", pages.mission),
        Route("/briefs", pages.briefs),
        Route("/briefs/{day}", pages.brief),
        Route("/ask", pages.answer),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static"),
    ]


class Pages:
    """Handlers; they share what was read of the tables."""

    def __init__(
        self,
        analytics: Analytics,
        samples: SampleStore,
        catalogue: Catalogue,
        today: Callable[[], date],
        zone: ZoneInfo,
        dagster_url: str | None,
        failed: FailedDays | None,
        run_of: RunOf | None,
        ask: Ask,
    ) -> None:
        self._analytics = analytics
        self._lake = analytics.lake
        self._samples = samples
        self._catalogue = catalogue
        self._today = today
        self._zone = zone
        self._dagster_url = dagster_url.rstrip("/") if dagster_url else None
        self._failed = failed
        self._run_of = run_of
        self._ask = ask

    def home(self, request: Request) -> Response:
        try:
            choice = self._choice(request)
        except BadChoice as error:
            return self._sorry(400, str(error))
        return self._page(
            "home.html.j2",
            **self._filter(choice),
            **home(self._analytics, choice),
            freshness=freshness(self._lake, choice.window, self._today(), self._failed),
            named=named,
        )

    def missions(self, request: Request) -> Response:
        verdict, number = request.query_params.get("verdict"), request.query_params.get("page", "1")
        try:
            choice = self._choice(request)
            if verdict and verdict not in VERDICTS:
                raise BadChoice("There is no such verdict.")
            if not number.isdecimal() or len(number) > 9:
                raise BadChoice("“page” must be a number.")
        except BadChoice as error:
            return self._sorry(400, str(error))
        found = mission_list(self._analytics, choice, verdict or None, int(number))
        return self._page("missions.html.j2", **self._filter(choice), **found)

    def mission(self, request: Request) -> Response:
        found = mission_page(
            self._lake,
            self._samples,
            self._analytics,
            self._catalogue,
            self._zone,
            request.path_params["mission_id"],
        )
        if found is None:
            return self._sorry(404, "No mission of this name is known.")
        run_id = self._run_of(found["day"]) if self._run_of else None
        return self._page("mission.html.j2", **found, run_id=run_id, zone=self._zone.key)

    def briefs(self, request: Request) -> Response:
        if day := request.query_params.get("date"):
            return RedirectResponse(f"/briefs/{quote(day, safe='')}", 303)
        try:
            choice = self._choice(request)
        except BadChoice as error:
            return self._sorry(400, str(error))
        rows = self._analytics.rows("status_briefs", choice.window, ("headline",)).to_pylist()
        return self._page("briefs.html.j2", choice=choice, briefs=rows[::-1])

    def brief(self, request: Request) -> Response:
        day = request.path_params["day"]
        # Only what is listed is opened: an address names no files.
        known = day in self._lake.days("status_briefs")
        found = brief_page(self._lake, day) if known else None
        if found is None:
            return self._sorry(404, "There is no brief of this day.")
        return self._page("brief.html.j2", **found, state_words=wording.STATE_WORDS)

    def answer(self, request: Request) -> Response:
        question = request.query_params.get("question", "").strip()
        if not question or len(question) > MAX_QUESTION:
            return self._sorry(400, f"Ask something in at most {MAX_QUESTION} characters.")
        return self._page("answer.html.j2", question=question, **answer_page(self._ask(question)))

    def _choice(self, request: Request) -> Choice:
        return choice_of(request.query_params, self._today(), self._analytics.domains())

    def _filter(self, choice: Choice) -> dict[str, Any]:
        return {
            "choice": choice,
            "domains": self._analytics.domains(),
            "quick": choice.quick(self._today()),
        }

    def _sorry(self, status: int, message: str) -> Response:
        return self._page("sorry.html.j2", status, message=message)

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        made = page(
            f"dashboard/{template}",
            dagster_url=self._dagster_url,
            clean=wording.clean,
            counted=wording.counted,
            duration=wording.duration,
            measure=wording.measure,
            reason=reason,
            spoken=wording.spoken,
            verdict_words=wording.VERDICT_WORDS,
            **values,
        )
        return HTMLResponse(made, status, HEADERS)
