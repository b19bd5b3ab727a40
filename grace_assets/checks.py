"""Checks that look at the whole instance; checks on rows stand with their assets."""

import dagster as dg

from grace_assets.partitions import DAILY

WATCHED = ("mission_events", "mission_outcomes", "status_briefs", "follow_up_missions")


@dg.asset_check(
    asset="mission_outcomes",
    name="no_partitions_left_failed",
    description="No day's latest attempt failed, in any table that others are made of.",
)
def no_partitions_left_failed(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    failed = [
        f"{name} {day}"
        for name in WATCHED
        for day, status in (
            context.instance.get_status_by_partition(
                dg.AssetKey(name), DAILY.get_partition_keys(), DAILY
            )
            or {}
        ).items()
        if status is not None and status.name == "FAILED"
    ]
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "failed_partitions": len(failed),
            "sample": ", ".join(failed[:10]) or "none",
            "what_to_do": "Open a run of the day, mend the cause, and materialise the day again.",
        },
    )
