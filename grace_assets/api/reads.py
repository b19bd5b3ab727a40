"""Reads of missions, briefs and follow-ups from the tables as they are now."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from grace_assets.api.access import Refusal, problems
from grace_assets.api.answers import Day, Domain, FirstDate, LastDate, plain, told
from grace_assets.api.models import Brief, FollowUp, MissionDetail, Missions
from grace_assets.core import loop_stats
from grace_assets.core.schemas import DATE, VERDICTS
from grace_assets.lake.analytics import Analytics

_KEYS = ("mission_id", "domain_id", "verdict", "completed_at")
VerdictName = Literal[VERDICTS]


def to_cursor(row: Mapping[str, Any]) -> str:
    micros = round(row["completed_at"].timestamp() * 1e6)
    return base64.urlsafe_b64encode(json.dumps([micros, row["mission_id"]]).encode()).decode()


def from_cursor(cursor: str) -> tuple[int, str]:
    try:
        micros, mission_id = json.loads(base64.b64decode(cursor, b"-_", validate=True))
        if type(micros) is int and abs(micros) < 2**62 and isinstance(mission_id, str):
            mission_id.encode()
            return micros, mission_id
    except (ValueError, TypeError, RecursionError):
        pass
    raise Refusal(422, "the cursor is none of ours")


def between(first: date | None, last: date | None) -> tuple[str, str]:
    """Inclusive dates as partitions are named; `Refusal` where they are in the wrong order."""
    low, high = first or date.min, last or date.max
    if low > high:
        raise Refusal(422, "the first date is after the last")
    return low.isoformat(), high.isoformat()


class Reads:
    """Rows of the tables in the shape of the answers."""

    def __init__(self, analytics: Analytics, today: Callable[[], date]) -> None:
        self.analytics = analytics
        self.today = today
        self._lake = analytics.lake

    def missions(
        self,
        days: tuple[str, str],
        wanted: Mapping[str, str | None],
        limit: int,
        cursor: str | None,
    ) -> dict[str, Any]:
        """Latest first. The cursor names a mission, so that new ones move no page."""
        after = from_cursor(cursor) if cursor is not None else None
        if (name := wanted.get("domain_id")) is not None:
            wanted = {**wanted, "domain_id": self.analytics.known(name)}
        within = self._lake.days("mission_outcomes", *days)
        keys = self.analytics.of_days("mission_outcomes", within, _KEYS)
        for column, value in wanted.items():
            if value is not None:
                keys = keys.filter(pc.equal(keys[column], value))
        if after:
            at = pa.scalar(after[0], pa.timestamp("us", tz="UTC"))
            same = pc.equal(keys["completed_at"], at)
            rest = pc.and_(same, pc.less(keys["mission_id"], after[1]))
            keys = keys.filter(pc.or_(pc.less(keys["completed_at"], at), rest))
        order = [("completed_at", "descending"), ("mission_id", "descending")]
        page = keys.sort_by(order).slice(0, limit)
        rows = self._lake.read("mission_outcomes", sorted(set(page[DATE].to_pylist())))
        found = {row["mission_id"]: row for row in _records(rows)}
        ids = page["mission_id"].to_pylist()
        more = keys.num_rows > limit
        return {
            # One may have moved to another day since the keys were read.
            "missions": [found[name] for name in ids if name in found],
            "next_cursor": to_cursor(page.slice(limit - 1).to_pylist()[0]) if more else None,
        }

    def mission(self, mission_id: str) -> dict[str, Any]:
        day = self.analytics.day_of_mission(mission_id)
        rows = self._of("mission_outcomes", day, mission_id) if day else []
        if not rows:
            raise Refusal(404, "no such mission")
        (mission,) = rows
        compared: dict[str, dict[str, Any]] = {}
        captured = 0
        for row in self._of("mission_telemetry", day, mission_id):
            compared.setdefault(row["source"], {})[row["metric"]] = row
            captured += row["pre"] is not None and row["post"] is not None
        history = self._of("mission_verdicts", day, mission_id)
        telemetry = {
            "metrics_captured": captured,
            "effectiveness_score": mission["effectiveness_score"],
            "pre_post_comparison": compared,
            "data_sources": mission["data_sources"],
        }
        history.sort(key=lambda row: row["judged_at"])
        return {**mission, "verdict_history": history, "telemetry": telemetry}

    def _of(self, table: str, day: str, mission_id: str) -> list[dict[str, Any]]:
        return _records(self._lake.of_mission(table, day, mission_id))

    def brief(self, day: str | None) -> dict[str, Any]:
        """The brief of a day; the latest where none is named."""
        days = [day] if day else reversed(self._lake.days("status_briefs"))
        for each in days:
            for row in self._lake.read("status_briefs", [each]).to_pylist():
                # The view model has `domains` as sections, where the row only counts them.
                return {**row, **json.loads(row.pop("content"))}
        raise Refusal(404, "no such brief; POST /api/status-brief/generate makes it")

    def made(self, day: str) -> tuple[dict[str, Any], int]:
        """The brief as JSON has it, and how many follow-ups were opened on its day."""
        opened = self._lake.read("follow_up_missions", [day], ["follow_up_id"]).num_rows
        return plain(self.brief(day)), opened

    def follow_ups(self, status: str | None) -> list[dict[str, Any]]:
        rows = self._lake.read("follow_up_missions", self._lake.days("follow_up_missions"))
        if status:
            rows = rows.filter(pc.equal(rows["status"], status))
        return sorted(_records(rows), key=lambda r: (r["opened_on"], r["follow_up_id"]))[::-1]


def _records(rows: pa.Table) -> list[dict[str, Any]]:
    return rows.to_pylist(maps_as_pydicts="lossy")


def reads_router(reads: Reads) -> APIRouter:
    router = APIRouter(responses=problems(401, 403, 404, 422, 503))
    ask = reads.analytics

    @router.get("/api/missions", response_model=Missions)
    def missions(
        request: Request,
        domain_id: Domain = None,
        verdict: VerdictName | None = None,
        first: FirstDate = None,
        last: LastDate = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Missions a page.")] = 50,
        cursor: Annotated[
            str | None, Query(max_length=2000, description="`next_cursor` of the page before.")
        ] = None,
    ) -> Response:
        """Missions, latest first; dates are inclusive."""
        wanted = {"domain_id": domain_id, "verdict": verdict}
        return told(request, reads.missions, between(first, last), wanted, limit, cursor)

    @router.get("/api/missions/outcome/stats", response_model=loop_stats.OutcomeStats)
    def outcome_stats(request: Request) -> Response:
        """What became of telemetry, over all days."""
        return told(request, ask.outcome_stats)

    @router.get("/api/missions/{mission_id:path}", response_model=MissionDetail)
    def mission(request: Request, mission_id: str) -> Response:
        """A mission with its telemetry and what was said of it when."""
        if mission_id in ("events", "alertmanager"):
            raise Refusal(405, "missions are posted there", {"Allow": "POST"})
        return told(request, reads.mission, mission_id)

    @router.get("/api/status-brief/latest", response_model=Brief)
    def latest_brief(request: Request) -> Response:
        """The latest brief."""
        return told(request, reads.brief, None)

    @router.get("/api/status-brief/stats", response_model=loop_stats.BriefStats)
    def brief_stats(request: Request) -> Response:
        """Briefs, follow-ups and deliveries, over all days."""
        return told(request, ask.brief_stats)

    @router.get("/api/status-brief/{day}", response_model=Brief)
    def brief(request: Request, day: Day) -> Response:
        """The brief of a day."""
        return told(request, reads.brief, day.isoformat())

    @router.get("/api/follow-ups", response_model=list[FollowUp])
    def follow_ups(request: Request, status: Literal["open", "closed"] | None = None) -> Response:
        """What Grace asked for, latest first."""
        return told(request, reads.follow_ups, status)

    return router
