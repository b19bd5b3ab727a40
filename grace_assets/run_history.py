"""The sensor that makes missions of Dagster's own run history; off unless it is switched on."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.resources import StoreResource
from grace_assets.sensors import RANGE_END_TAG, RANGE_START_TAG
from grace_assets.settings import Settings

if TYPE_CHECKING:
    from grace_assets.sources.dagster_runs import Run

HISTORY = timedelta(days=30)
MAX_RUNS = 2_000
"""Runs looked at in a tick, the latest of `HISTORY`."""
PARTITION_TAG = "dagster/partition"
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def build_run_history_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    return [dagster_runs_sensor] if settings.dagster_runs else []


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Makes a mission of each failed run and the retry or later run that repaired the same "
        "partition, for every job of this instance."
    ),
)
def dagster_runs_sensor(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult:
    from grace_assets.lake.landing import Line
    from grace_assets.sources.dagster_runs import encode, mission, missions

    now = store.now()
    since = datetime.fromisoformat(context.cursor) if context.cursor else now - HISTORY
    records = context.instance.get_run_records(
        dg.RunsFilter(statuses=_FINISHED, updated_after=now - HISTORY), limit=MAX_RUNS
    )
    history = [run for record in records if (run := plain(record))]
    new = [run for run in history if run.ended > since]
    events = [
        mission(run, failed, what_failed(context.instance, failed.run_id), between)
        for run, failed, between in missions(history, sorted(new, key=lambda run: run.ended))
    ]
    if events:
        lines = [Line(number, encode(event)) for number, event in enumerate(events, start=1)]
        with store.landing() as landing:
            counts = landing.add("dagster", lines, datetime.now(UTC))
        for bad in counts.rejected:
            context.log.warning(f"{bad.field}: {bad.reason}")
    # A run may be stored a little after it ended: look back a minute, duplicates are nothing.
    latest = max((run.ended for run in new), default=None)
    cursor = max(since, latest - timedelta(minutes=1)) if latest else since
    return dg.SensorResult(
        skip_reason=f"{len(new)} new runs, {len(events)} repairs", cursor=cursor.isoformat()
    )


def plain(record: dg.RunRecord) -> "Run | None":
    """A run record as plain data; None where it has no times."""
    from grace_assets.sources.dagster_runs import Run

    run = record.dagster_run
    if record.start_time is None or record.end_time is None:
        return None
    tags = run.tags
    first = tags.get(RANGE_START_TAG) or tags.get(PARTITION_TAG)
    return Run(
        run_id=run.run_id,
        root_run_id=run.root_run_id or run.run_id,
        job=run.job_name,
        success=run.status == dg.DagsterRunStatus.SUCCESS,
        started=datetime.fromtimestamp(record.start_time, UTC),
        ended=datetime.fromtimestamp(record.end_time, UTC),
        assets=frozenset(key.to_user_string() for key in run.asset_selection or ()),
        first_partition=first,
        last_partition=tags.get(RANGE_END_TAG) or first,
    )


def what_failed(instance: dg.DagsterInstance, run_id: str) -> str:
    """The first failed step and its error, without the stack."""
    steps = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for entry in steps:
        event = entry.dagster_event
        error = event.step_failure_data.error if event else None
        if error is None:
            continue
        # The outermost error is Dagster's; what the user's code raised is its cause.
        while error.cause is not None:
            error = error.cause
        name = error.cls_name or "error"
        # Not its message: that may hold a password or a token of the user's.
        return f"{event.step_key}: {name}"
    return "the run failed before any step did"
