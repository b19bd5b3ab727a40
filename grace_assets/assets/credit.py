"""Whether the judge and the missions deserve their credit: placebos and untreated siblings."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.assets.daily import (
    check,
    chunks,
    daily_asset,
    days_around,
    previews,
    report,
    verdict,
)
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
    with lake.exclusive("placebo_daily", context.partition_keys), store.landing() as landing:
        for some in chunks(store, days):
            rows = judge_placebos(store, landing, some)
            written = lake.replace("placebo_daily", some, rows)
            columns = ["domain_id", "metric", "placebos", "false_successes", "episodes", "healed"]
            report(context, written, previews(rows, columns))
        last = lake.read("placebo_daily", days_around(days[-1:], ERROR_RATE_DAYS - 1, 0))
    yield dg.MaterializeResult()
    yield verdict(
        context, "false_success_rate_within_limit", beyond(last, store.false_success_limit)
    )


def judge_placebos(store: StoreResource, landing: "Landing", days: Sequence[str]) -> "pa.Table":
    """The counts of some days, from the samples of every domain; of closed days as they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from grace_assets.core.placebo import placebo_daily as roll_up
    from grace_assets.core.placebo import placebo_missions
    from grace_assets.core.windows import REFERENCE_DAYS

    closed = store.closed(days)
    kept = store.lake().read("placebo_daily", closed)
    days = [day for day in days if day not in closed]
    if not days:
        return kept
    catalogue = store.catalogue()
    margin = 2 * catalogue.settle_and_window_max + COUNTER_SLACK
    bounds = [(day, *store.bounds(day)) for day in days]
    first = bounds[0][1] - timedelta(days=REFERENCE_DAYS) - margin
    last = bounds[-1][2] + margin
    samples = store.samples().read(first, last)
    domains = sorted(pc.unique(samples["domain_id"]).to_pylist())
    real = landing.neighbours(first, last)
    placebos = placebo_missions(bounds, domains, real, catalogue)
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
    lake = store.lake()
    with lake.exclusive("mission_controls", context.partition_keys), store.landing() as landing:
        for days in chunks(store, context.partition_keys):
            rows = compare(store, landing, days)
            written = lake.replace("mission_controls", days, rows)
            columns = ["mission_id", "metric", "controls", "difference", "placebo_p"]
            report(context, written, previews(rows, columns))
    return dg.MaterializeResult()


def compare(store: StoreResource, landing: "Landing", days: Sequence[str]) -> "pa.Table":
    """The recoveries of some days beside what was left alone; of closed days as they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from grace_assets.core.attribution import control_rows, with_times
    from grace_assets.core.mission_verdict import BETTER

    lake = store.lake()
    closed = store.closed(days)
    kept = lake.read("mission_controls", closed)
    days = [day for day in days if day not in closed]
    telemetry = lake.read("mission_telemetry", days)
    recovered = telemetry.filter(pc.is_in(telemetry["verdict"], pa.array(BETTER)))
    if recovered.num_rows == 0:
        return kept
    missions = lake.read("mission_events", days)
    recovered = with_times(recovered, missions)
    first, last = reach(store, missions)
    samples = store.samples().read(first, last)
    rows = control_rows(
        recovered,
        samples,
        store.catalogue(),
        store.now(),
        landing.neighbours(first, last),
        store.timezone,
    )
    return pa.concat_tables([kept, rows.select(kept.column_names)]) if kept.num_rows else rows
