"""The routes below `/api/analytics`: figures of the dates that end with `end_date`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from fastapi import APIRouter, Request
from starlette.responses import Response

from grace_assets.api.access import Refusal, problems
from grace_assets.api.answers import Domain, EndDate, Period
from grace_assets.api.prepared import Prepared
from grace_assets.core import analytics as shapes
from grace_assets.core import series
from grace_assets.core.calendar_windows import Granularity
from grace_assets.lake.analytics import Analytics

_SUMS = ("domain_daily",)
_TRENDS = (*_SUMS, "kpi_daily", "problems", "follow_up_missions", "mission_outcomes")


def analytics_router(ask: Analytics, today: Callable[[], date], prepared: Prepared) -> APIRouter:
    router = APIRouter(responses=problems(401, 403, 404, 422, 503))
    told = prepared.told

    def span(period_days: int, end_date: date | None) -> tuple[int, date]:
        end = end_date or today()
        if period_days > end.toordinal():
            raise Refusal(422, "the calendar has no such window")
        return period_days, end

    @router.get(
        "/api/analytics/domain-trends",
        response_model=shapes.DomainTrend | list[shapes.DomainTrend],
    )
    async def domain_trends(
        request: Request,
        domain_id: Domain = None,
        period_days: Period = 30,
        end_date: EndDate = None,
    ) -> Response:
        """One domain's figures, or an array with every domain's."""
        window = span(period_days, end_date)
        if domain_id is None:
            return await told(request, _TRENDS, ask.domain_trends, *window)
        return await told(request, _TRENDS, ask.domain_trend, domain_id, *window)

    @router.get(
        "/api/analytics/missions-per-domain", response_model=dict[str, list[series.MissionCount]]
    )
    async def missions_per_domain(
        request: Request,
        period_days: Period = 30,
        granularity: Granularity = "daily",
        end_date: EndDate = None,
    ) -> Response:
        """Missions by domain and date; zero counts are absent."""
        return await told(
            request,
            _SUMS,
            ask.missions_per_domain,
            *span(period_days, end_date),
            granularity,
        )

    @router.get("/api/analytics/mttr-trend", response_model=list[series.MttrPoint])
    async def mttr_trend(
        request: Request,
        domain_id: Domain = None,
        period_days: Period = 90,
        end_date: EndDate = None,
    ) -> Response:
        """Mean time to restore by date."""
        return await told(request, _SUMS, ask.mttr_trend, *span(period_days, end_date), domain_id)

    @router.get(
        "/api/analytics/effectiveness-trend", response_model=list[series.EffectivenessPoint]
    )
    async def effectiveness_trend(
        request: Request,
        domain_id: Domain = None,
        period_days: Period = 30,
        end_date: EndDate = None,
    ) -> Response:
        """Mean score by date."""
        return await told(
            request, _SUMS, ask.effectiveness_trend, *span(period_days, end_date), domain_id
        )

    @router.get("/api/analytics/stats", response_model=shapes.AnalyticsStats)
    async def analytics_stats(
        request: Request, period_days: Period = 30, end_date: EndDate = None
    ) -> Response:
        """All domains together."""
        return await told(request, _TRENDS, ask.stats, *span(period_days, end_date))

    return router
