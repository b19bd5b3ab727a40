"""The page that answers a question."""

from __future__ import annotations

from typing import Any

from grace_assets.ask.tell_missions import MAX_SOURCES
from grace_assets.ask.telling import worded
from grace_assets.core import wording
from grace_assets.dashboard.mission import path_of

SHOWN = 20


def answer_page(answer: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of an answer as `POST /api/ask` gives it."""
    figures = [
        (
            wording.spoken(figure["label"]),
            _shown(figure["value"], figure["unit"]),
            f"{figure['n']:,}",
            _between(figure["interval"], figure["unit"]),
        )
        for figure in answer.get("figures", ())
    ]
    return {
        "answer": {**answer, "related": [n for n in answer.get("related", ()) if n["mission_id"]]},
        "figures": figures,
        "path_of": path_of,
        "shown": SHOWN,
        "most": MAX_SOURCES,
    }


def _between(interval: tuple[float | None, float | None] | None, unit: str) -> str:
    if not interval or None in interval:
        return "not known"
    return " and ".join(worded(end, unit) for end in interval if end is not None)


def _shown(value: float | None, unit: str) -> str:
    return "not known" if value is None else worded(value, unit)
