"""What becomes of old data: months in one file each, and samples that are no longer needed."""

from datetime import date, timedelta

import dagster as dg
from pydantic import Field

from grace_assets.assets.daily import OWNER
from grace_assets.core.schemas import TABLES
from grace_assets.resources import StoreResource


class Maintenance(dg.Config):
    dry_run: bool = Field(False, description="Tell what would be done, and leave all as it is.")


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
    context: dg.AssetExecutionContext, store: StoreResource, config: Maintenance
) -> dg.MaterializeResult:
    if store.compact_after_days is None:
        return dg.MaterializeResult(metadata={"skipped": "GRACE_COMPACT_AFTER_DAYS is not set"})
    lake, files, size, months = store.lake(), 0, 0, set()
    limit = store.today() - timedelta(days=store.compact_after_days)
    for table in TABLES:
        own = lake.own_days(table)
        for month in sorted({day[:7] for day in own}):
            if last_day(month) >= limit:
                continue
            days = [day for day in own if day.startswith(month)]
            its_size, count = lake.size(table, days), len(days)
            if not config.dry_run:
                count, rows = lake.compact(table, month)
                context.log.info(f"{table} {month}: {count} files, {rows} rows")
            files, size = files + count, size + its_size
            months |= {month} if count else set()
    return dg.MaterializeResult(
        metadata={
            "files_put_together": files,
            "bytes_before": size,
            "months": sorted(months),
            "dry_run": config.dry_run,
        }
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
def expired_samples(store: StoreResource, config: Maintenance) -> dg.MaterializeResult:
    if store.keep_samples_days is None:
        return dg.MaterializeResult(metadata={"skipped": "GRACE_KEEP_SAMPLES_DAYS is not set"})
    samples = store.samples()
    first_kept = (store.now().date() - timedelta(days=store.keep_samples_days)).isoformat()
    dropped, size = (samples.before if config.dry_run else samples.drop_before)(first_kept)
    return dg.MaterializeResult(
        metadata={
            "days_dropped": len(dropped),
            "bytes_dropped": size,
            "dropped": f"{dropped[0]} … {dropped[-1]}" if dropped else "none",
            "kept_since": samples.kept_since() or "ever",
            "dry_run": config.dry_run,
        }
    )
