"""The store to search in: every outcome and brief as a document."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.assets.daily import daily_asset, report
from grace_assets.resources import StoreResource

if TYPE_CHECKING:
    from grace_assets.lake.tables import Lake
    from grace_assets.world.store import Document

SEARCHED = ("knowledge_id", "mission_id", "domain_id", "title", "narrative", "verdict")
"""What a mission's document is made of."""


@daily_asset(
    group="briefs",
    description=(
        "Every outcome and brief as a searchable document under its knowledge id (SQLite "
        "full-text). A day made again replaces its documents."
    ),
    kinds={"python", "sqlite"},
    deps=["mission_outcomes", "status_briefs"],
)
def world_model(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    lake, world = store.lake(), store.world()
    counts = {}
    with world.kept_open():
        for day in context.partition_keys:
            counts[day] = world.replace_day(day, "mission", mission_documents(lake, day))
            counts[day] += world.replace_day(day, "brief", brief_documents(lake, day))
    report(context, counts, {day: f"{n} documents to search in" for day, n in counts.items()})
    return dg.MaterializeResult()


def mission_documents(lake: "Lake", day: str) -> Iterator["Document"]:
    from grace_assets.world.store import Document

    for outcomes in lake.scan("mission_outcomes", [day], SEARCHED):
        for o in outcomes.to_pylist():
            yield Document(
                knowledge_id=o["knowledge_id"],
                kind="mission",
                day=day,
                domain_id=o["domain_id"],
                title=o["title"] or o["mission_id"],
                text=o["narrative"],
                verdict=o["verdict"],
            )


def brief_documents(lake: "Lake", day: str) -> Iterator["Document"]:
    from grace_assets.world.store import Document

    for b in lake.read("status_briefs", [day], ("brief_id", "headline", "markdown")).to_pylist():
        yield Document(
            knowledge_id=f"brief:{b['brief_id']}",
            kind="brief",
            day=day,
            domain_id=None,
            title=b["headline"],
            text=b["markdown"],
            verdict=None,
        )
