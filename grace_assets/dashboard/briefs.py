"""The brief of any day as a page, from the same view model as the mail."""

from __future__ import annotations

from typing import Any

from grace_assets.core.brief import Brief
from grace_assets.dashboard.mission import path_of
from grace_assets.lake.tables import Lake
from grace_assets.render import charts
from grace_assets.render.html import TREND_MARKS, TREND_STATES, split_figure
from grace_assets.render.text import HOW, HOW_LINK, SAMPLE_BANNER, follow_up_fact


def brief_page(lake: Lake, day: str) -> dict[str, Any] | None:
    """What the template shows; null where the day has no brief."""
    rows = lake.read("status_briefs", [day], ["content", "revision"]).to_pylist()
    if not rows:
        return None
    days = lake.days("status_briefs")
    brief = Brief.from_json(rows[0]["content"])
    return {
        "brief": brief,
        "plots": charts.inline_sparklines(brief.trends),
        "revision": rows[0]["revision"],
        "earlier": max((other for other in days if other < day), default=None),
        "later": min((other for other in days if other > day), default=None),
        "path_of": path_of,
        "trend_states": TREND_STATES,
        "trend_marks": TREND_MARKS,
        "split_figure": split_figure,
        "follow_up_fact": follow_up_fact,
        "sample_banner": SAMPLE_BANNER,
        "how": HOW,
        "how_link": HOW_LINK,
    }
