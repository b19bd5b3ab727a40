"""What was said of each mission, and whether its recovery lasted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.assets.daily import DailyTable, daily_asset, days_around
from grace_assets.assets.portions import Portion, portions, worked
from grace_assets.assets.telemetry import Dues, reach
from grace_assets.core.look_back import LOOK_DAYS
from grace_assets.resources import StoreResource

if TYPE_CHECKING:
    import pyarrow as pa

    from grace_assets.lake.tables import Lake


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
    asked, opened = set(context.partition_keys), set()
    columns = ["mission_id", "stage", "verdict", "held", "judged_at"]
    say = partial(history_with_looks, now=store.now())
    with DailyTable(context, store.lake(), columns) as table, store.landing() as landing:
        dues = Dues(landing, "hold")
        for portion, said in worked(store, context.partition_keys, say):
            table.write(portion, said.rows)
            dues.set(portion, said.look_at)
            opened |= said.relapses - asked
        # The day on which a relapse showed tells it as a problem.
        landing.note_days(opened, "relapse")
    return dg.MaterializeResult(metadata={"relapses_open_days": sorted(opened)})


@dataclass(frozen=True)
class Said:
    """The history of a portion, when each day is looked at next, days on which relapses showed."""

    rows: "pa.Table"
    look_at: Mapping[str, datetime]
    relapses: set[str]


def history_with_looks(store: StoreResource, portion: Portion, now: datetime) -> Said:
    """What was said of a portion's missions, with what is new: verdicts and later looks."""
    from grace_assets.core.holds import next_due
    from grace_assets.core.verdicts import append_looks, append_verdicts

    lake, days = store.lake(), portion.days
    outcomes = lake.read_domains("mission_outcomes", days, portion.domains)
    history = history_of(lake, days, portion, outcomes, others=True)
    history = append_verdicts(history, outcomes)
    rows = append_looks(history, looks_at(store, portion, open_ones(store, days, outcomes)))
    new = rows.slice(history.num_rows)
    due = next_due(outcomes, store.catalogue(), now)
    return Said(rows, due, relapse_days(store, new, outcomes))


def history_of(
    lake: "Lake",
    days: Sequence[str],
    portion: Portion,
    outcomes: "pa.Table",
    *,
    others: bool = False,
) -> "pa.Table":
    """What was said of a portion's missions (`outcomes`), as it is in `mission_verdicts` of `days`.

    With `others` the first portion of a day also has what was said of missions that are no longer
    there: so each row is in one portion.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if portion.whole:
        return lake.read("mission_verdicts", days)
    missions = outcomes["mission_id"].combine_chunks()
    # The table knows no domains, so all of it is looked through.
    parts = list(lake.scan("mission_verdicts", days, missions=missions))
    if others and portion.first:
        for rows in lake.scan("mission_verdicts", days):
            gone = pa.array(np.ones(rows.num_rows, bool))
            for known in lake.scan("mission_outcomes", days, ["mission_id"]):
                here = pc.is_in(rows["mission_id"], known["mission_id"].combine_chunks())
                gone = pc.and_not(gone, here)
            parts.append(rows.filter(gone))
    return pa.concat_tables([lake.read("mission_verdicts", []), *parts])


def open_ones(store: StoreResource, days: Sequence[str], outcomes: "pa.Table") -> "pa.Table":
    """The outcomes of days whose samples are all there: others are not looked at again."""
    import pyarrow as pa
    import pyarrow.compute as pc

    closed = pa.array(store.closed(days), pa.string())
    return outcomes.filter(pc.invert(pc.is_in(outcomes["date"], closed)))


def looks_at(store: StoreResource, portion: Portion, outcomes: "pa.Table") -> "pa.Table":
    """Every look that is due at the recoveries of a portion."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from grace_assets.core.holds import RATE_DAYS, STAGES, due, look_again

    lake, now, catalogue = store.lake(), store.now(), store.catalogue()
    found = [lake.read("mission_verdicts", [])]
    wanted = [(stage, outcomes.filter(due(outcomes, stage, catalogue, now))) for stage in STAGES]
    if not any(recovered.num_rows for _, recovered in wanted):
        return found[0]
    days, domains = portion.days, portion.domains
    missions = lake.read_domains("mission_events", days, domains)
    telemetry = lake.read_domains("mission_telemetry", days, domains)
    # From the landing: whether later days have been made already must not matter.
    with store.landing() as landing:
        others = landing.missions.causes(days_around(days, RATE_DAYS, LOOK_DAYS), domains)
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
    columns = ["mission_id", "domain_id", "mission_type", "verdict"]
    shown = ["domain_id", "mission_type", "held_24h", "relapsed_24h", "held_7d"]
    with DailyTable(context, lake, shown) as table:
        for portion in portions(store, context.partition_keys):
            days = portion.days
            outcomes = lake.read_domains("mission_outcomes", days, portion.domains, columns)
            table.write(portion, roll_up(outcomes, history_of(lake, days, portion, outcomes)))
    return dg.MaterializeResult()
