"""Checks that look at the whole instance; checks on rows stand with their assets."""

import dagster as dg

from grace_assets.partitions import DAILY

WATCHED = ("mission_events", "mission_outcomes", "status_briefs", "follow_up_missions")


def failed_partitions(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """Watched table → days whose latest attempt failed; tables without any are absent."""
    keys = DAILY.get_partition_keys()
    found = {
        name: instance.get_status_by_partition(dg.AssetKey(name), keys, DAILY) or {}
        for name in WATCHED
    }
    failed = {
        name: [day for day, status in days.items() if status and status.name == "FAILED"]
        for name, days in found.items()
    }
    return {name: days for name, days in failed.items() if days}


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
