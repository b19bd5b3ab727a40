"""Numbers that add up over days, what keeps breaking, and the store to search in."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.assets.daily import (
    DailyTable,
    check,
    daily_asset,
    days_around,
    earlier,
    verdict,
)
from grace_assets.assets.portions import Portion, portions
from grace_assets.assets.verdicts import history_of
from grace_assets.core.look_back import BASE_RATE_DAYS, LOOK_DAYS
from grace_assets.resources import StoreResource

if TYPE_CHECKING:
    from grace_assets.core.holds import Look


@daily_asset(
    group="analytics",
    description="Counts and sums per domain: success, time to restore, effectiveness.",
    kinds={"python", "parquet"},
    deps=["mission_outcomes"],
    checks=[
        check("domain_daily", "every_mission_counted", "Counts equal the missions.", blocking=True)
    ],
)
def domain_daily(
    context: dg.AssetExecutionContext, store: StoreResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from grace_assets.core.rollups import domain_daily as roll_up

    lake, off = store.lake(), []
    columns = ["domain_id", "missions", "successes", "assessed", "effective", "mttr_count"]
    with DailyTable(context, lake, columns) as table:
        for portion in portions(store, context.partition_keys):
            days = portion.days
            outcomes = lake.read_domains("mission_outcomes", days, portion.domains)
            rows = roll_up(outcomes)
            counted = sum(rows["missions"].to_pylist())
            if counted != outcomes.num_rows:
                off.append(f"{days[0]}…{days[-1]}: {counted} counted of {outcomes.num_rows}")
            table.write(portion, rows)
    yield dg.MaterializeResult()
    yield verdict(context, "every_mission_counted", off)


@daily_asset(
    group="analytics",
    description="Counts and sums per domain and metric: how far missions moved it.",
    kinds={"python", "parquet"},
    deps=["mission_telemetry"],
)
def kpi_daily(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    from grace_assets.core.rollups import kpi_daily as roll_up

    lake = store.lake()
    columns = ["domain_id", "metric", "missions", "improved", "worsened"]
    with DailyTable(context, lake, columns) as table:
        for portion in portions(store, context.partition_keys):
            rows = lake.read_domains("mission_telemetry", portion.days, portion.domains)
            table.write(portion, roll_up(rows))
    return dg.MaterializeResult()


@daily_asset(
    group="analytics",
    description=(
        "What keeps breaking or got worse: more missions than a domain's base rate makes "
        "likely, failures, low effectiveness, degrading metrics, repairs that did not hold."
    ),
    kinds={"python", "parquet"},
    deps=[
        earlier("mission_outcomes", LOOK_DAYS),
        earlier("mission_verdicts", LOOK_DAYS),
        earlier("domain_daily", BASE_RATE_DAYS),
        "kpi_daily",
    ],
)
def problems(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    from grace_assets.core.problems import find_problems

    lake = store.lake()
    columns = ["domain_id", "type", "severity", "description"]
    with DailyTable(context, lake, columns) as table:
        for portion in portions(store, context.partition_keys):
            days, domains = portion.days, portion.domains
            rows = find_problems(
                list(days),
                lake.read_domains("mission_outcomes", days, domains),
                lake.read_domains("domain_daily", days_around(days, BASE_RATE_DAYS, 0), domains),
                lake.read_domains("kpi_daily", days, domains),
                earlier_looks(store, portion),
            )
            table.write(portion, rows)
    return dg.MaterializeResult()


def earlier_looks(store: StoreResource, portion: Portion) -> "list[Look]":
    """The looks at recoveries that can show on one of a portion's days."""
    from grace_assets.core.holds import looks_by_day

    lake, before = store.lake(), days_around(portion.days, LOOK_DAYS, 0)
    columns = ["mission_id", "domain_id", "completed_at", "verdict"]
    outcomes = lake.read_domains("mission_outcomes", before, portion.domains, columns)
    history = history_of(lake, before, portion, outcomes)
    return looks_by_day(history, outcomes, store.catalogue(), store.zone)
