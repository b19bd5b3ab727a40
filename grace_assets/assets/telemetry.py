"""What the metrics show: readings before and after, the verdict, and its history."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.assets.daily import (
    check,
    chunks,
    daily_asset,
    days_around,
    earlier,
    previews,
    report,
    verdict,
)
from grace_assets.core.look_back import EXPERIENCE_DAYS
from grace_assets.core.schemas import VERDICTS
from grace_assets.resources import StoreResource

if TYPE_CHECKING:
    import pyarrow as pa

    from grace_assets.lake.landing import Landing

COUNTER_SLACK = timedelta(hours=1)
"""Read before the first window, for the rate of a counter that is read seldom."""


def reach(store: StoreResource, missions: "pa.Table") -> tuple[datetime, datetime]:
    """From the first reference window of the missions to the end of their last window."""
    import pyarrow.compute as pc

    from grace_assets.core.windows import REFERENCE_DAYS

    margin = store.catalogue().settle_and_window_max
    first = pc.min(missions["started_at"]).as_py() - timedelta(days=REFERENCE_DAYS)
    last = pc.max(missions["completed_at"]).as_py()
    return first - margin - COUNTER_SLACK, last + margin


def judge_chunk(store: StoreResource, landing: "Landing", missions: "pa.Table") -> "pa.Table":
    """The telemetry rows of some days' missions; of closed days those that there are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from grace_assets.core.judge import judge

    closed = store.closed(sorted(set(missions["date"].to_pylist())))
    kept = store.lake().read("mission_telemetry", closed)
    known = pc.is_in(missions["mission_id"], pc.unique(kept["mission_id"]))
    missions = missions.filter(pc.invert(known))
    if missions.num_rows == 0:
        return kept
    first, last = reach(store, missions)
    samples = store.samples().read(first, last, pc.unique(missions["domain_id"]).to_pylist())
    neighbours = landing.neighbours(first, last)
    judged = judge(
        missions, samples, store.catalogue(), store.now(), neighbours, timezone=store.timezone
    )
    return pa.concat_tables([kept, judged.select(kept.column_names)]) if kept.num_rows else judged


@daily_asset(
    group="telemetry",
    description=(
        "One row per mission × source × metric: the reading before, the reading after it "
        "settled, what is healthy, and whether the fix worked by that metric."
    ),
    kinds={"python", "parquet", "numpy"},
    deps=["mission_events", "kpi_samples"],
    checks=[
        check("mission_telemetry", "verdicts_known", "Every verdict is one of ours.", blocking=True)
    ],
)
def mission_telemetry(
    context: dg.AssetExecutionContext, store: StoreResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from grace_assets.core.missing import with_failures

    lake, log, strange = store.lake(), store.source_log(), []
    with lake.exclusive("mission_telemetry", context.partition_keys), store.landing() as landing:
        for days in chunks(store, context.partition_keys):
            missions = lake.read("mission_events", days)
            owed = [(f.day, f.source, f.metric, f.reason) for f in log.failures(days)]
            rows = with_failures(
                judge_chunk(store, landing, missions), missions, owed, store.catalogue()
            )
            strange += sorted(set(rows["verdict"].to_pylist()) - set(VERDICTS))
            written = lake.replace("mission_telemetry", days, rows)
            columns = ["mission_id", "metric", "pre", "post", "healthy", "verdict"]
            closed = store.closed(days)
            if closed:
                context.log.warning(
                    f"{len(closed)} days from {closed[0]} to {closed[-1]} keep what was judged: "
                    "their samples were dropped (GRACE_KEEP_SAMPLES_DAYS)"
                )
            report(
                context,
                written,
                previews(rows, columns),
                {day: {"samples_dropped": True} for day in closed},
            )
    yield dg.MaterializeResult()
    yield verdict(context, "verdicts_known", strange)


@daily_asset(
    group="telemetry",
    description=(
        "One row a mission: what the agent said, what the metrics show, who may take credit, "
        "and the narrative in Grace's words."
    ),
    kinds={"python", "parquet"},
    deps=[
        "mission_events",
        "mission_telemetry",
        "mission_controls",
        earlier("placebo_daily", EXPERIENCE_DAYS),
    ],
    checks=[
        check("mission_outcomes", "every_mission_present", "None is missing.", blocking=True),
        check("mission_outcomes", "scores_within_bounds", "Scores are 0 to 1.", blocking=True),
        check(
            "mission_outcomes",
            "narrative_numbers_supported",
            "No number in a narrative that no row supports.",
            blocking=True,
        ),
    ],
)
def mission_outcomes(
    context: dg.AssetExecutionContext, store: StoreResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from grace_assets.core.claims import unsupported_narratives
    from grace_assets.core.narrative import narrate
    from grace_assets.core.outcomes import outcome_rows, rejudge_times, summarise

    lake, now = store.lake(), store.now()
    missing, unbounded, unsupported = [], [], []
    with lake.exclusive("mission_outcomes", context.partition_keys), store.landing() as landing:
        for days in chunks(store, context.partition_keys):
            missions = lake.read("mission_events", days)
            telemetry = lake.read("mission_telemetry", days)
            neighbours = landing.neighbours(*reach(store, missions)) if missions.num_rows else None
            summary = summarise(
                missions,
                telemetry,
                neighbours,
                now,
                store.catalogue(),
                lake.read("mission_controls", days),
                lake.read("placebo_daily", days_around(days, EXPERIENCE_DAYS, -1)),
            )
            narratives = narrate(missions, summary, telemetry)
            rows = outcome_rows(missions, summary, narratives, now)
            missing += sorted(
                set(missions["mission_id"].to_pylist()) - set(rows["mission_id"].to_pylist())
            )
            unbounded += out_of_bounds(rows)
            unsupported += [
                f"{mission}: {number}"
                for mission, number in unsupported_narratives(missions, telemetry, narratives)
            ]
            written = lake.replace("mission_outcomes", days, rows)
            landing.set_due("rejudge", days, rejudge_times(missions, summary))
            columns = ["mission_id", "verdict", "effectiveness_score", "narrative"]
            report(context, written, previews(rows, columns))
    yield dg.MaterializeResult()
    yield verdict(context, "every_mission_present", missing)
    yield verdict(context, "scores_within_bounds", unbounded)
    yield verdict(context, "narrative_numbers_supported", unsupported)


def out_of_bounds(rows: "pa.Table") -> list[str]:
    """Missions whose score or interval leaves 0..1, or whose interval does not hold the score."""
    columns = ["mission_id", "effectiveness_low", "effectiveness_score", "effectiveness_high"]
    return [
        row["mission_id"]
        for row in rows.select(columns).to_pylist()
        if row["effectiveness_score"] is not None
        and not 0
        <= row["effectiveness_low"]
        <= row["effectiveness_score"] + 1e-9
        <= row["effectiveness_high"] + 2e-9
        <= 1 + 3e-9
    ]
