"""The page of one mission, and the list that leads to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pyarrow.compute as pc

from grace_assets.core import wording
from grace_assets.core.calendar_windows import Window
from grace_assets.core.catalogue import Catalogue
from grace_assets.core.mission_view import BEFORE, SeriesView, mission_views
from grace_assets.core.moments import EARLIEST, earlier
from grace_assets.core.windows import REFERENCE_DAYS, read_since
from grace_assets.dashboard.choice import Choice
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.samples import SampleStore
from grace_assets.lake.tables import Lake
from grace_assets.render.plot import Chart
from grace_assets.render.plot_mission import kpi_series

PAGE = 50
MAX_CHARTS = 12
STAGES = {
    "first": "first verdict",
    "hold_24h": "looked at after a day",
    "hold_7d": "looked at after a week",
    "restated": "restated",
}
_LISTED = (
    *("mission_id", "domain_id", "title", "completed_at", "severity", "success", "verdict"),
    *("effectiveness_score", "time_to_restore_seconds"),
)
_NEIGHBOURS = ("mission_id", "domain_id", "started_at", "completed_at")


def mission_list(
    analytics: Analytics, choice: Choice, verdict: str | None, number: int
) -> dict[str, Any]:
    """Missions of the chosen days, the latest first, `PAGE` at a time."""
    rows = analytics.rows("mission_outcomes", choice.window, _LISTED, choice.domain_id)
    if verdict:
        rows = rows.filter(pc.equal(rows["verdict"], verdict))
    rows = rows.sort_by([("completed_at", "descending"), ("mission_id", "ascending")])
    pages = max(1, -(-rows.num_rows // PAGE))
    number = min(max(number, 1), pages)
    return {
        "missions": rows.slice((number - 1) * PAGE, PAGE).to_pylist(),
        "total": rows.num_rows,
        "number": number,
        "pages": pages,
        "verdict": verdict,
        "path_of": path_of,
    }


def path_of(mission_id: str) -> str:
    """The address of a mission's page."""
    return f"/missions/{quote(mission_id, safe='')}"


def mission_page(
    lake: Lake,
    samples: SampleStore,
    analytics: Analytics,
    catalogue: Catalogue,
    zone: ZoneInfo,
    mission_id: str,
) -> dict[str, Any] | None:
    """What the template shows; null where no day has the mission."""
    day = analytics.day_of_mission(mission_id)
    if day is None:
        return None
    outcome = lake.of_mission("mission_outcomes", day, mission_id)
    if outcome.num_rows == 0:
        return None
    telemetry, history = (
        lake.of_mission(table, day, mission_id).to_pylist()
        for table in ("mission_telemetry", "mission_verdicts")
    )
    row = outcome.to_pylist()[0]
    margin = catalogue.settle_and_window_max
    first = earlier(read_since(outcome)[0].as_py(), BEFORE + margin)
    last = row["completed_at"] + margin
    days = Window(date.fromisoformat(day) - timedelta(days=REFERENCE_DAYS + 2), _after(day))
    neighbours = analytics.rows("mission_events", days, _NEIGHBOURS, row["domain_id"])
    views = mission_views(
        outcome,
        samples.read(first, last, [row["domain_id"]]),
        catalogue,
        neighbours.drop_columns(["date"]),
        zone.key,
    )
    history.sort(key=lambda entry: entry["judged_at"])
    return {
        "row": row,
        "day": day,
        "telemetry": telemetry,
        "history": history,
        "stages": STAGES,
        "charts": charts(views, telemetry, (row["trigger"] or {}).get("metric"), zone),
        "attribution_words": wording.ATTRIBUTION_WORDS,
        "local": _local(zone),
    }


def charts(
    views: list[SeriesView],
    telemetry: list[dict[str, Any]],
    trigger: str | None,
    zone: ZoneInfo,
) -> list[Chart]:
    """One a judged metric, the one that made Grace act first."""
    rows = {(row["source"], row["metric"]): row for row in telemetry}
    views = sorted(views, key=lambda view: view.metric != trigger)
    return [
        kpi_series(view, rows[view.source, view.metric], f"kpi-{number}", zone)
        for number, view in enumerate(views)
        if (view.source, view.metric) in rows
    ][:MAX_CHARTS]


def _after(day: str) -> date:
    return date.fromisoformat(day) + timedelta(days=2)


def _local(zone: ZoneInfo) -> Callable[[datetime | None], str]:
    def told(moment: datetime | None) -> str:
        if moment is None:
            return "not known"
        return f"{max(moment, EARLIEST).astimezone(zone):%Y-%m-%d %H:%M:%S}"

    return told
