"""What was said of each mission, and whether its recovery lasted."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.assets.daily import chunks, daily_asset, days_around, previews, report
from grace_assets.assets.telemetry import reach
from grace_assets.core.look_back import LOOK_DAYS
from grace_assets.resources import StoreResource

if TYPE_CHECKING:
    import pyarrow as pa

    from grace_assets.lake.landing import Landing


@daily_asset(
    group="telemetry",
    description=(
        "Append-only history: a row each time a mission's verdict was given or changed, and each "
        "time its recovery was looked at again, after a day and after a week."
    ),
    kinds={"python", "parquet"},
    deps=["mission_outcomes"],
)
def mission_verdicts(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    from grace_assets.core.holds import next_due
    from grace_assets.core.verdicts import append_looks, append_verdicts

    lake, now, catalogue = store.lake(), store.now(), store.catalogue()
    asked, opened = set(context.partition_keys), set()
    with lake.exclusive("mission_verdicts", context.partition_keys), store.landing() as landing:
        for days in chunks(store, context.partition_keys):
            outcomes = lake.read("mission_outcomes", days)
            history = append_verdicts(lake.read("mission_verdicts", days), outcomes)
            looks = looks_at(store, landing, days, open_ones(store, days, outcomes))
            rows = append_looks(history, looks)
            written = lake.replace("mission_verdicts", days, rows)
            landing.set_due("hold", days, next_due(outcomes, catalogue, now))
            new = rows.slice(history.num_rows)
            opened |= relapse_days(store, new, outcomes) - asked
            columns = ["mission_id", "stage", "verdict", "held", "judged_at"]
            report(context, written, previews(rows, columns))
        # The day on which a relapse showed tells it as a problem.
        landing.note_days(opened, "relapse")
    return dg.MaterializeResult(metadata={"relapses_open_days": sorted(opened)})


def open_ones(store: StoreResource, days: Sequence[str], outcomes: "pa.Table") -> "pa.Table":
    """The outcomes of days whose samples are all there: others are not looked at again."""
    import pyarrow as pa
    import pyarrow.compute as pc

    closed = pa.array(store.closed(days), pa.string())
    return outcomes.filter(pc.invert(pc.is_in(outcomes["date"], closed)))


def looks_at(
    store: StoreResource, landing: "Landing", days: Sequence[str], outcomes: "pa.Table"
) -> "pa.Table":
    """Every look that is due at the recoveries of some days."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from grace_assets.core.events import to_table
    from grace_assets.core.holds import RATE_DAYS, STAGES, due, look_again

    lake, now, catalogue = store.lake(), store.now(), store.catalogue()
    found = [lake.read("mission_verdicts", [])]
    wanted = [(stage, outcomes.filter(due(outcomes, stage, catalogue, now))) for stage in STAGES]
    if not any(recovered.num_rows for _, recovered in wanted):
        return found[0]
    missions = lake.read("mission_events", days)
    telemetry = lake.read("mission_telemetry", days)
    # From the landing: whether later days have been made already must not matter.
    others = to_table(landing.events(days_around(days, RATE_DAYS, LOOK_DAYS)))
    first, last = reach(store, missions)
    last += max(stage.delay for stage in STAGES) + timedelta(hours=1)
    recovered_domains = pc.unique(wanted[0][1]["domain_id"]).to_pylist()
    samples = store.samples().read(first, last, recovered_domains)
    for stage, recovered in wanted:
        order = pc.index_in(recovered["mission_id"], missions["mission_id"].combine_chunks())
        recovered, order = recovered.filter(pc.is_valid(order)), order.drop_null()
        if recovered.num_rows == 0:
            continue
        looks = look_again(
            stage,
            missions.take(order),
            recovered,
            telemetry,
            samples,
            catalogue,
            now,
            others,
            store.timezone,
        )
        found.append(looks)
    return pa.concat_tables(found)


def relapse_days(store: StoreResource, looks: "pa.Table", outcomes: "pa.Table") -> set[str]:
    """The local days on which the relapses among `looks` showed."""
    from grace_assets.core.holds import looks_by_day

    rows = looks_by_day(looks, outcomes, store.catalogue(), store.zone)
    return {row.day for row in rows if not row.held}


@daily_asset(
    group="analytics",
    description="Per domain and mission type: how many recoveries lasted a day, and a week.",
    kinds={"python", "parquet"},
    deps=["mission_verdicts", "mission_outcomes"],
)
def hold_daily(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    from grace_assets.core.holds import hold_daily as roll_up

    lake = store.lake()
    with lake.exclusive("hold_daily", context.partition_keys):
        for days in chunks(store, context.partition_keys):
            columns = ["mission_id", "domain_id", "mission_type", "verdict"]
            outcomes = lake.read("mission_outcomes", days, columns)
            rows = roll_up(outcomes, lake.read("mission_verdicts", days))
            written = lake.replace("hold_daily", days, rows)
            columns = ["domain_id", "mission_type", "held_24h", "relapsed_24h", "held_7d"]
            report(context, written, previews(rows, columns))
    return dg.MaterializeResult()
