"""What becomes of old data: months in one file each, and samples that are no longer needed."""

from datetime import date, timedelta

import dagster as dg

from grace_assets.assets.daily import OWNER
from grace_assets.core.schemas import TABLES
from grace_assets.resources import StoreResource


@dg.asset(
    group_name="maintenance",
    kinds={"python", "parquet"},
    owners=[OWNER],
    tags={"domain": "operations"},
    pool="compacted_months",
    description=(
        "Months older than `GRACE_COMPACT_AFTER_DAYS`, one file a table and month instead of one a "
        "day. Whoever reads through Grace sees the same rows, at every instant."
    ),
)
def compacted_months(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    if store.compact_after_days is None:
        return dg.MaterializeResult(metadata={"skipped": "GRACE_COMPACT_AFTER_DAYS is not set"})
    lake, files, rows, months = store.lake(), 0, 0, set()
    limit = store.today() - timedelta(days=store.compact_after_days)
    for table in TABLES:
        for month in sorted({day[:7] for day in lake.own_days(table)}):
            if last_day(month) >= limit:
                continue
            days, moved = lake.compact(table, month)
            files, rows = files + days, rows + moved
            months |= {month} if days else set()
            context.log.info(f"{table} {month}: {days} files, {moved} rows")
    return dg.MaterializeResult(
        metadata={"files_put_together": files, "rows": rows, "months": sorted(months)}
    )


def last_day(month: str) -> date:
    first = date.fromisoformat(f"{month}-01")
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


@dg.asset(
    group_name="maintenance",
    kinds={"python", "parquet"},
    owners=[OWNER],
    tags={"domain": "operations"},
    pool="expired_samples",
    description=(
        "Samples older than `GRACE_KEEP_SAMPLES_DAYS`, which are dropped. What was judged by them "
        "stays: days that would lack samples keep their readings, verdicts and looks as they are."
    ),
)
def expired_samples(store: StoreResource) -> dg.MaterializeResult:
    if store.keep_samples_days is None:
        return dg.MaterializeResult(metadata={"skipped": "GRACE_KEEP_SAMPLES_DAYS is not set"})
    samples = store.samples()
    first_kept = (store.now().date() - timedelta(days=store.keep_samples_days)).isoformat()
    dropped = samples.drop_before(first_kept)
    return dg.MaterializeResult(
        metadata={
            "days_dropped": len(dropped),
            "dropped": f"{dropped[0]} … {dropped[-1]}" if dropped else "none",
            "kept_since": samples.kept_since() or "ever",
        }
    )
