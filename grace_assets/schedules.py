"""What happens at a time of day, in `GRACE_TIMEZONE`."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.jobs import brief_job, failed_partitions_job, maintenance_job
from grace_assets.settings import Settings, SettingsError


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The daily brief, the look for failed partitions, maintenance where settings ask for it."""
    running, stopped = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED
    brief_status = running if settings.briefs_enabled else stopped
    try:
        daily_brief_schedule = _daily_brief_schedule(settings, brief_status)
    except dg.DagsterInvalidDefinitionError as error:
        cron = settings.brief_cron
        raise SettingsError(f"STATUS_BRIEF_CRON: {cron!r} is not a cron expression") from error
    failed_partitions_schedule = dg.ScheduleDefinition(
        name="failed_partitions_schedule",
        job=failed_partitions_job,
        cron_schedule="30 * * * *",
        execution_timezone=settings.timezone,
        default_status=running,
        description="Looks every hour for partitions whose latest run failed.",
    )
    wanted = settings.compact_after_days is not None or settings.keep_samples_days is not None
    maintenance_schedule = dg.ScheduleDefinition(
        name="maintenance_schedule",
        job=maintenance_job,
        cron_schedule="15 3 * * *",
        execution_timezone=settings.timezone,
        default_status=running,
        description="Every night: old months into one file each, old samples dropped.",
    )
    always = [daily_brief_schedule, failed_partitions_schedule]
    return [*always, maintenance_schedule] if wanted else always


def _daily_brief_schedule(
    settings: Settings, status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    @dg.schedule(
        job=brief_job,
        cron_schedule=settings.brief_cron,
        execution_timezone=settings.timezone,
        default_status=status,
        description="The brief of the day before, made and delivered.",
    )
    def daily_brief_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        at = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone))
        day = (at.date() - timedelta(days=1)).isoformat()
        # Who started the schedule in the UI, once, has not switched briefs on for ever.
        tags = {DELIVER_TAG: "always"} if settings.briefs_enabled else {}
        return dg.RunRequest(run_key=f"brief:{day}", partition_key=day, tags=tags)

    return daily_brief_schedule
