"""The one partitions definition: local calendar days, the current one included."""

from collections.abc import Mapping

import dagster as dg

from grace_assets.settings import Settings

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
"""Dagster's own tags of a run over one partition, or a range of them."""


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Days from `GRACE_START_DATE` to today in `GRACE_TIMEZONE`; `end_offset` adds today."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(), timezone=settings.timezone, end_offset=1
    )


DAILY = daily_partitions(Settings.from_env())


def span_of(tags: Mapping[str, str]) -> tuple[str, str]:
    """First and last partition of a run with these tags; two empty strings where it has none."""
    first = tags.get(RANGE_START_TAG) or tags.get(PARTITION_TAG) or ""
    return first, tags.get(RANGE_END_TAG) or first
