"""Whether the judge and the missions deserve their credit: placebos and untreated siblings."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.assets.daily import (
    DailyTable,
    check,
    daily_asset,
    days_around,
    verdict,
)
from grace_assets.assets.portions import Portion, portions
from grace_assets.assets.telemetry import COUNTER_SLACK, reach
from grace_assets.resources import StoreResource

if TYPE_CHECKING:
    import pyarrow as pa

    from grace_assets.lake.landing import Landing

ERROR_RATE_DAYS = 28
"""Days back over which the judge's error rate is taken."""


@daily_asset(
    group="telemetry",
    description=(
        "The judge on hours when nobody acted: how often it would have claimed a success, and "
        "how often problems passed by themselves."
    ),
    kinds={"python", "parquet", "numpy"},
    deps=["mission_events", "kpi_samples"],
    checks=[
        check(
            "placebo_daily",
            "false_success_rate_within_limit",
            "The judge rarely calls hours without a mission a success, by any metric.",
        )
    ],
)
def placebo_daily(
    context: dg.AssetExecutionContext, store: StoreResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from grace_assets.core.placebo import beyond

    lake, days = store.lake(), context.partition_keys
    columns = ["domain_id", "metric", "placebos", "false_successes", "episodes", "healed"]
    with DailyTable(context, lake, columns) as table, store.landing() as landing:
        for portion in portions(store, days):
            table.write(portion, judge_placebos(store, landing, portion))
        last = lake.read("placebo_daily", days_around(days[-1:], ERROR_RATE_DAYS - 1, 0))
    yield dg.MaterializeResult()
    yield verdict(
        context, "false_success_rate_within_limit", beyond(last, store.false_success_limit)
    )


def judge_placebos(store: StoreResource, landing: "Landing", portion: Portion) -> "pa.Table":
    """A portion's counts, from the samples of its domains; of closed days as they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from grace_assets.core.placebo import placebo_daily as roll_up
    from grace_assets.core.placebo import placebo_missions

    closed, domains = store.closed(portion.days), portion.domains
    kept = store.lake().read_domains("placebo_daily", closed, domains)
    days = [day for day in portion.days if day not in closed]
    if not days:
        return kept
    catalogue = store.catalogue()
    bounds = [(day, *store.bounds(day)) for day in days]
    first, last = around(store, days)
    samples = store.samples().read(first, last, domains=domains)
    named = sorted(pc.unique(samples["domain_id"]).to_pylist())
    real = landing.missions.neighbours(first, last, domains)
    placebos = placebo_missions(bounds, named, real, catalogue)
    rows = roll_up(placebos, samples, catalogue, store.now(), real, store.timezone)
    return pa.concat_tables([kept, rows.select(kept.column_names)]) if kept.num_rows else rows


@daily_asset(
    group="telemetry",
    description=(
        "Recoveries beside domains that had the same problem at the same time and were left "
        "alone: what of the recovery is the mission's."
    ),
    kinds={"python", "parquet", "numpy"},
    deps=["mission_events", "mission_telemetry"],
)
def mission_controls(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    columns = ["mission_id", "metric", "controls", "difference", "placebo_p"]
    with DailyTable(context, store.lake(), columns) as table, store.landing() as landing:
        for portion in portions(store, context.partition_keys):
            if portion.first:
                # Of all domains, so once for all portions of a day.
                series = store.samples().series(*around(store, portion.days))
            table.write(portion, compare(store, landing, portion, series))
    return dg.MaterializeResult()


def around(store: StoreResource, days: Sequence[str]) -> tuple[datetime, datetime]:
    """From the first reference window of some days to the end of their last window, and more.

    As far again as windows reach, for missions that began or ended on another day.
    """
    from grace_assets.core.windows import REFERENCE_DAYS

    margin = 2 * store.catalogue().settle_and_window_max + COUNTER_SLACK
    first, last = store.bounds(days[0])[0], store.bounds(days[-1])[1]
    return first - timedelta(days=REFERENCE_DAYS) - margin, last + margin


def compare(
    store: StoreResource, landing: "Landing", portion: Portion, series: "pa.Table"
) -> "pa.Table":
    """A portion's recoveries beside what was left alone; of closed days as they are.

    `series` are those of all domains that have samples near.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from grace_assets.core.attribution import control_rows, siblings, with_times
    from grace_assets.core.mission_verdict import BETTER
    from grace_assets.lake.domains import Domains

    lake, samples, domains = store.lake(), store.samples(), portion.domains
    closed = store.closed(portion.days)
    kept = lake.read_domains("mission_controls", closed, domains)
    days = [day for day in portion.days if day not in closed]
    telemetry = lake.read_domains("mission_telemetry", days, domains)
    recovered = telemetry.filter(pc.is_in(telemetry["verdict"], pa.array(BETTER)))
    if recovered.num_rows == 0:
        return kept
    missions = lake.read_domains("mission_events", days, domains)
    recovered = with_times(recovered, missions)
    first, last = reach(store, missions)
    placebos = siblings(recovered, series)
    beside = sorted(pc.unique(placebos["domain_id"]).to_pylist())
    if not beside:
        return kept
    # They follow the portion's domains in the order of names, and go round at the end.
    place = bisect_left(beside, domains.first)
    near = [
        landing.missions.neighbours(first, last, Domains(some[0], some[-1] + "\0"))
        for some in (beside[:place], beside[place:])
        if some
    ]
    rows = control_rows(
        recovered,
        placebos,
        samples.read(first, last, beside),
        store.catalogue(),
        store.now(),
        pa.concat_tables(near),
        store.timezone,
    )
    return pa.concat_tables([kept, rows.select(kept.column_names)]) if kept.num_rows else rows
