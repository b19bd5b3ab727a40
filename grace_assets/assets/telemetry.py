"""What the metrics show: readings before and after, the verdict, and its history."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
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
from grace_assets.assets.portions import Portion, worked
from grace_assets.core.look_back import EXPERIENCE_DAYS
from grace_assets.core.schemas import VERDICTS
from grace_assets.resources import StoreResource

if TYPE_CHECKING:
    import pyarrow as pa

    from grace_assets.lake.landing import Landing
    from grace_assets.lake.waiting_days import Why

COUNTER_SLACK = timedelta(hours=1)
"""Read before the first window, for the rate of a counter that is read seldom."""


def reach(store: StoreResource, missions: "pa.Table") -> tuple[datetime, datetime]:
    """From the first reference window of the missions to the end of their last window."""
    import pyarrow.compute as pc

    from grace_assets.core.moments import earlier
    from grace_assets.core.windows import REFERENCE_DAYS, read_since

    margin = store.catalogue().settle_and_window_max
    before = timedelta(days=REFERENCE_DAYS) + margin + COUNTER_SLACK
    first = pc.min(read_since(missions)).as_py()
    last = pc.max(missions["completed_at"]).as_py()
    return earlier(first, before), last + margin


def judge_portion(store: StoreResource, portion: Portion) -> "pa.Table":
    """The telemetry rows of a portion, those without samples because a source failed too."""
    from grace_assets.core.missing import with_failures

    missions = store.lake().read_domains("mission_events", portion.days, portion.domains)
    failures = store.source_log().failures(portion.days)
    owed = [(f.day, f.source, f.metric, f.reason) for f in failures]
    judged = judge_missions(store, portion, missions)
    return with_failures(judged, missions, owed, store.catalogue())


def judge_missions(store: StoreResource, portion: Portion, missions: "pa.Table") -> "pa.Table":
    """What the samples say of a portion's missions; of closed days the rows that there are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from grace_assets.core.judge import judge

    closed = store.closed(sorted(set(missions["date"].to_pylist())))
    kept = store.lake().read_domains("mission_telemetry", closed, portion.domains)
    known = pc.is_in(missions["mission_id"], pc.unique(kept["mission_id"]))
    missions = missions.filter(pc.invert(known))
    if missions.num_rows == 0:
        return kept
    first, last = reach(store, missions)
    samples = store.samples().read(first, last, pc.unique(missions["domain_id"]).to_pylist())
    with store.landing() as landing:
        neighbours = landing.missions.neighbours(first, last, portion.domains)
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
    strange = []
    columns = ["mission_id", "metric", "pre", "post", "healthy", "verdict"]
    if closed := store.closed(context.partition_keys):
        context.log.warning(
            f"{len(closed)} days from {closed[0]} to {closed[-1]} keep what was judged: "
            "their samples were dropped (GRACE_KEEP_SAMPLES_DAYS)"
        )
    with DailyTable(context, store.lake(), columns) as table:
        for portion, rows in worked(store, context.partition_keys, judge_portion):
            strange += sorted(set(rows["verdict"].unique().to_pylist()) - set(VERDICTS))
            figures = {day: {"samples_dropped": True} for day in portion.days if day in closed}
            table.write(portion, rows, figures)
    yield dg.MaterializeResult()
    yield verdict(context, "verdicts_known", strange)


class Dues:
    """When days can next change, of portions: the earliest counts."""

    def __init__(self, landing: "Landing", why: "Why") -> None:
        self._landing, self._why = landing, why

    def set(self, portion: Portion, due: Mapping[str, datetime]) -> None:
        if portion.first:
            self._due: dict[str, datetime] = {}
        for day, at in due.items():
            self._due[day] = min(at, self._due.get(day, at))
        if portion.last:
            self._landing.waiting.set_due(self._why, portion.days, self._due)


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
    missing, unbounded, unsupported = [], [], []
    columns = ["mission_id", "verdict", "effectiveness_score", "narrative"]
    tell = partial(outcomes_of, now=store.now())
    with DailyTable(context, store.lake(), columns) as table, store.landing() as landing:
        dues = Dues(landing, "rejudge")
        for portion, outcomes in worked(store, context.partition_keys, tell):
            missing += outcomes.missing
            unbounded += out_of_bounds(outcomes.rows)
            unsupported += outcomes.unsupported
            table.write(portion, outcomes.rows)
            dues.set(portion, outcomes.rejudge_at)
    yield dg.MaterializeResult()
    yield verdict(context, "every_mission_present", missing)
    yield verdict(context, "scores_within_bounds", unbounded)
    yield verdict(context, "narrative_numbers_supported", unsupported)


@dataclass(frozen=True)
class Outcomes:
    """The rows of a portion, when each day's verdicts can next change, and what is wrong."""

    rows: "pa.Table"
    rejudge_at: Mapping[str, datetime]
    missing: Sequence[str]
    unsupported: Sequence[str]


def outcomes_of(store: StoreResource, portion: Portion, now: datetime) -> Outcomes:
    """What came of a portion's missions, and how it is told."""
    from grace_assets.core.claims import unsupported_narratives
    from grace_assets.core.narrative import narrate
    from grace_assets.core.outcomes import (
        outcome_rows,
        rejudge_times,
        summarise,
        trigger_metrics,
    )
    from grace_assets.core.told import told_metrics

    lake, days, domains = store.lake(), portion.days, portion.domains
    missions = lake.read_domains("mission_events", days, domains)
    telemetry = lake.read_domains("mission_telemetry", days, domains)
    neighbours = None
    if missions.num_rows:
        with store.landing() as landing:
            neighbours = landing.missions.neighbours(*reach(store, missions), domains)
    summary = summarise(
        missions,
        telemetry,
        neighbours,
        now,
        store.catalogue(),
        lake.read_domains("mission_controls", days, domains),
        lake.read_domains("placebo_daily", days_around(days, EXPERIENCE_DAYS, -1), domains),
    )
    ids = missions["mission_id"].to_pylist()
    told = told_metrics(ids, trigger_metrics(missions), telemetry)
    narratives = narrate(missions, summary, told)
    rows = outcome_rows(missions, summary, narratives, now)
    claims = unsupported_narratives(missions, told, narratives)
    return Outcomes(
        rows,
        rejudge_times(missions, summary),
        missing=sorted(set(ids) - set(rows["mission_id"].to_pylist())),
        unsupported=[f"{mission}: {number}" for mission, number in claims],
    )


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
