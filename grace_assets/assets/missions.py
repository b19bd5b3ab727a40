"""From the landing to the first tables: what was accepted, and what was refused."""

from collections import Counter
from collections.abc import Iterator

import dagster as dg

from grace_assets.assets.daily import (
    DailyTable,
    check,
    daily_asset,
    previews,
    report,
    verdict,
)
from grace_assets.assets.portions import portions
from grace_assets.resources import StoreResource


@daily_asset(
    group="missions",
    description=(
        "Accepted missions of the day: valid, deduplicated, the latest correction of each. "
        "The day is the local date of `completed_at`."
    ),
    kinds={"python", "parquet"},
    checks=[
        check("mission_events", "mission_ids_unique", "No mission stands twice.", blocking=True)
    ],
)
def mission_events(
    context: dg.AssetExecutionContext, store: StoreResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from grace_assets.core.events import to_table

    columns, twice = ["mission_id", "domain_id", "completed_at", "severity", "success"], []
    with (
        DailyTable(context, store.lake(), columns) as table,
        store.landing() as landing,
        # A correction that moves a mission from one portion to another one must not show in half.
        landing.snapshot(),
    ):
        for portion in portions(store, context.partition_keys):
            rows = to_table(landing.missions.events(portion.days, portion.domains))
            seen = Counter(rows["mission_id"].to_pylist())
            twice += [mission for mission, times in seen.items() if times > 1]
            table.write(portion, rows)
    yield dg.MaterializeResult()
    yield verdict(context, "mission_ids_unique", twice)


@daily_asset(
    group="missions",
    description=(
        "Lines received that day that broke a rule, with file, line, field and reason. "
        "`grace quarantine replay` takes them again."
    ),
    kinds={"python", "parquet"},
    checks=[check("rejected_events", "nothing_rejected", "Every line received was taken.")],
)
def rejected_events(
    context: dg.AssetExecutionContext, store: StoreResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from grace_assets.lake.quarantine import to_table

    lake = store.lake()
    with lake.exclusive("rejected_events", context.partition_keys), store.landing() as landing:
        rows = to_table(landing.quarantine.lines(context.partition_keys))
        written = lake.replace("rejected_events", context.partition_keys, rows)
    report(context, written, previews(rows, ["origin", "line", "field", "reason"]))
    yield dg.MaterializeResult()
    places = [f"{r['origin']}:{r['line']}" for r in rows.select(["origin", "line"]).to_pylist()]
    yield verdict(context, "nothing_rejected", places, warn=True)
