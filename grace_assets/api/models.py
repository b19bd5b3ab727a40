"""What reads answer, as types; columns come from `core/schemas.py`, which alone names them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from grace_assets.core.schemas import DATE, TABLES

_TYPES: dict[str, Any] = {
    "string": str,
    "bool": bool,
    "int": int,
    "float": float,
    "date": date,
    "timestamp": datetime,
    "list<string>": list[str],
    "list<float>": list[float],
    "map<string,float>": dict[str, float | None],
    "trigger": dict[str, Any],
}


def row_model(name: str, table: str) -> type[BaseModel]:
    """A row of a table, with its `date`."""
    fields: dict[str, Any] = {DATE: (str, Field(description="The day, `YYYY-MM-DD`."))}
    for column in TABLES[table].columns:
        kind = _TYPES[column.type]
        kind = kind if column.required else kind | None
        fields[column.name] = (kind, Field(description=column.description))
    return create_model(name, **fields)


Mission = row_model("Mission", "mission_outcomes")
FollowUp = row_model("FollowUp", "follow_up_missions")
Verdict = row_model("Verdict", "mission_verdicts")


class Telemetry(BaseModel):
    """`metrics_captured` have a reading before and one after; by source and metric."""

    metrics_captured: int
    effectiveness_score: float | None
    pre_post_comparison: dict[str, dict[str, dict[str, Any]]]
    data_sources: list[str]


class MissionDetail(Mission):  # type: ignore[misc, valid-type]
    """A mission, what was said of it when, and its readings."""

    verdict_history: list[Verdict]  # type: ignore[valid-type]
    telemetry: Telemetry


class Missions(BaseModel):
    """Latest first; `next_cursor` is null on the last page."""

    missions: list[Mission]  # type: ignore[valid-type]
    next_cursor: str | None


class Brief(BaseModel):
    """The brief as every rendering has it, and its markdown."""

    model_config = ConfigDict(extra="allow")

    brief_id: str
    date: str
    period_start: datetime
    period_end: datetime
    headline: str
    domains: list[dict[str, Any]]
    missions: int
    markdown: str
    content_hash: str
    revision: int
