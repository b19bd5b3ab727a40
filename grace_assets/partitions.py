"""The one partitions definition: local calendar days, the current one included."""

import dagster as dg

from grace_assets.settings import Settings


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Days from `GRACE_START_DATE` to today in `GRACE_TIMEZONE`; `end_offset` adds today."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(), timezone=settings.timezone, end_offset=1
    )


DAILY = daily_partitions(Settings.from_env())
