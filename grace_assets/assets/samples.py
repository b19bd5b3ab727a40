"""KPI samples: what was dropped or ingested, and what the configured sources are asked for."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from os import environ
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.assets.daily import check, daily_asset, preview, report, verdict
from grace_assets.assets.portions import portions
from grace_assets.resources import StoreResource

if TYPE_CHECKING:
    import pyarrow as pa

    from grace_assets.sources.pull import Pulled

TRY_AGAIN, TRY_FOR = timedelta(hours=1), timedelta(days=8)


@daily_asset(
    group="telemetry",
    description=(
        "The samples that the day's missions are judged by, in one store whatever their source. "
        "Where Prometheus is configured, what their windows and reference days still lack is "
        "fetched: per metric for all missions together, and nothing twice."
    ),
    kinds={"python", "parquet", "prometheus"},
    deps=["mission_events"],
    checks=[
        check("kpi_samples", "sources_answered", "Every configured source gave what was asked.")
    ],
)
def kpi_samples(
    context: dg.AssetExecutionContext, store: StoreResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    samples, counts, notes = store.samples(), {}, {}
    figures, missing = Counter(), set()
    for portion in portions(store, context.partition_keys):
        if not portion.first:
            # Sources are asked for whole days.
            continue
        days = portion.days
        # What was dropped is not fetched once more.
        closed = store.closed(days)
        if pulled := pull_for(store, [day for day in days if day not in closed]):
            from grace_assets.sources.pull import SOURCE

            figures["queries"] += pulled.queries
            figures["fetched"] += sum(pulled.samples.values())
            figures["dropped_as_no_number"] += pulled.dropped
            missing |= {f"{SOURCE} {name}: {why}" for name, why in pulled.failed.items()}
        for day in days:
            by_source = samples.counts(day)
            counts[day] = sum(by_source.values())
            records = [{"source": s, "samples": n} for s, n in sorted(by_source.items())]
            notes[day] = preview(records, len(records))
    report(context, counts, notes)
    yield dg.MaterializeResult(metadata=dict(figures))
    yield verdict(context, "sources_answered", sorted(missing), warn=True)


def pull_for(store: StoreResource, days: Sequence[str]) -> "Pulled | None":
    """Fetch for the missions of some days; what failed is remembered, and due again in an hour.

    None where no source is configured: then the days owe nothing.
    """
    url = environ.get("PROMETHEUS_URL")
    if not days:
        return None
    if not url:
        store.source_log().replace_failures(days, ())
        with store.landing() as landing:
            landing.waiting.set_due("source", days, {})
        return None

    from grace_assets.lake.source_log import Failure
    from grace_assets.sources.http import Endpoint, SourceError
    from grace_assets.sources.pull import SOURCE, Pulled, pull

    now, log, pulled = store.now(), store.source_log(), Pulled()
    columns = ["domain_id", "started_at", "completed_at"]
    missions = store.lake().read("mission_events", days, columns)
    if missions.num_rows:
        try:
            endpoint = Endpoint.of(url, environ.get("PROMETHEUS_BEARER_TOKEN"))
            wanted = reaches(store, missions)
            pulled = pull(log, store.samples(), endpoint, store.catalogue(), wanted, now)
        except SourceError as error:
            metrics = [name for name, rule in store.catalogue().rules if rule.promql]
            pulled.failed = dict.fromkeys(metrics, error)
    failed_days = sorted(missions["date"].unique().to_pylist()) if pulled.failed else []
    failures = [
        Failure(day, SOURCE, metric, error.code)
        for day in failed_days
        for metric, error in pulled.failed.items()
    ]
    log.replace_failures(days, failures)
    # Of older days nobody waits for a verdict: they are asked for when they are made again.
    recent = (store.today() - TRY_FOR).isoformat()
    again = {day: now + TRY_AGAIN for day in failed_days if day >= recent}
    with store.landing() as landing:
        landing.waiting.set_due("source", days, again)
    return pulled


def reaches(store: StoreResource, missions: "pa.Table") -> dict[str, tuple[datetime, datetime]]:
    """Per domain, from its first reference window to the end of its last window."""
    from grace_assets.assets.telemetry import COUNTER_SLACK
    from grace_assets.core.moments import earlier
    from grace_assets.core.windows import REFERENCE_DAYS, read_since

    margin = store.catalogue().settle_and_window_max
    before = timedelta(days=REFERENCE_DAYS) + margin + COUNTER_SLACK
    spans = (
        missions.append_column("since", read_since(missions))
        .group_by("domain_id")
        .aggregate([("since", "min"), ("completed_at", "max")])
    )
    return {
        row["domain_id"]: (earlier(row["since_min"], before), row["completed_at_max"] + margin)
        for row in spans.to_pylist()
    }
