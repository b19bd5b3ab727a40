"""Checks that look at the whole instance; checks on rows stand with their assets."""

import dagster as dg
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from grace_assets.partitions import DAILY

WATCHED = ("mission_events", "mission_outcomes", "status_briefs", "follow_up_missions")


def failed_partitions(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """Watched table → days whose latest attempt failed; tables without any are absent."""
    failed = {name: _failed(instance, dg.AssetKey(name)) for name in WATCHED}
    return {name: days for name, days in failed.items() if days}


def _failed(instance: dg.DagsterInstance, key: dg.AssetKey) -> list[str]:
    """What `get_status_by_partition` calls failed, without asking for each day there ever was."""
    status = get_and_update_asset_status_cache_value(instance, key, DAILY)
    if status is None:
        return []
    failed = status.deserialize_failed_partition_subsets(DAILY).get_partition_keys()
    running = status.deserialize_in_progress_partition_subsets(DAILY)
    return sorted(day for day in failed if day not in running)


@dg.asset_check(
    asset="mission_outcomes",
    name="no_partitions_left_failed",
    description="No day's latest attempt failed, in any table that others are made of.",
)
def no_partitions_left_failed(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    found = failed_partitions(context.instance)
    failed = [f"{name} {day}" for name, days in found.items() for day in days]
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "failed_partitions": len(failed),
            "sample": ", ".join(failed[:10]) or "none",
            "what_to_do": "Open a run of the day, mend the cause, and materialise the day again.",
        },
    )
