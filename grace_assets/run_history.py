"""The sensor that makes missions of Dagster's own run history; off unless it is switched on."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.partitions import span_of
from grace_assets.resources import StoreResource
from grace_assets.settings import Settings

if TYPE_CHECKING:
    from grace_assets.sources.dagster_runs import Run

HISTORY = timedelta(days=30)
LOOK_BACK = timedelta(minutes=10)
"""A run may be stored a little after it ended; what is seen twice is a duplicate and no more."""
MAX_RUNS = 2_000
"""Runs looked at in a tick, the latest of `HISTORY`; a failure before them is not known."""
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_FAILURES = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}

Steps = dict[str, frozenset[str]]
"""The assets that each step of a plan makes."""


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
    from grace_assets.lake.blocks import Line
    from grace_assets.sources.dagster_runs import encode, mission, repairs

    now = store.now()
    since = datetime.fromisoformat(context.cursor) if context.cursor else now - HISTORY
    finished = dg.RunsFilter(statuses=_FINISHED, updated_after=since)
    if not context.instance.get_run_records(finished, limit=1):
        return dg.SensorResult(skip_reason="no new runs", cursor=since.isoformat())
    finished = dg.RunsFilter(statuses=_FINISHED, updated_after=now - HISTORY)
    records = context.instance.get_run_records(finished, limit=MAX_RUNS)
    if len(records) == MAX_RUNS:
        context.log.info(f"only the latest {MAX_RUNS} runs of the last 30 days are looked at")
    found = repairs(plain(context.instance, records), since - LOOK_BACK)
    if found:
        lines = [Line(n, encode(mission(repair))) for n, repair in enumerate(found, start=1)]
        with store.landing() as landing:
            counts = landing.add("dagster", lines, now)
        for bad in counts.rejected:
            context.log.warning(f"{bad.field}: {bad.reason}")
    return dg.SensorResult(
        skip_reason=f"{len(found)} repairs in {len(records)} runs",
        cursor=max([since, *(record.update_timestamp for record in records)]).isoformat(),
    )


def plain(instance: dg.DagsterInstance, records: Sequence[dg.RunRecord]) -> "list[Run]":
    """Run records as plain data; without those that have no times."""
    from grace_assets.sources.dagster_runs import Run

    steps_of = cache(partial(assets_of_steps, instance))
    runs = []
    for record in records:
        run = record.dagster_run
        if record.start_time is None or record.end_time is None:
            continue
        steps = steps_of(run.execution_plan_snapshot_id)
        assets = frozenset().union(*steps.values())
        success = run.status == dg.DagsterRunStatus.SUCCESS
        failed_steps, failure = ([], "") if success else what_failed(instance, run.run_id)
        origin = run.remote_job_origin
        runs.append(
            Run(
                run_id=run.run_id,
                root_run_id=run.root_run_id or run.run_id,
                job=run.job_name,
                success=success,
                started=datetime.fromtimestamp(record.start_time, UTC),
                ended=datetime.fromtimestamp(record.end_time, UTC),
                assets=assets,
                # A step without assets of its own, or none at all: all of it is to be repaired.
                broken=frozenset() if success else _made_by(failed_steps, steps) or assets,
                failure=failure,
                location=origin.location_name if origin else "",
                part=span_of(run.tags),
            )
        )
    return runs


def assets_of_steps(instance: dg.DagsterInstance, snapshot_id: str | None) -> Steps:
    """What the steps of a plan make. A run's own `asset_selection` is empty for named jobs."""
    if snapshot_id is None:
        return {}
    plan = instance.get_execution_plan_snapshot(snapshot_id)
    chosen = set(plan.step_keys_to_execute or [step.key for step in plan.steps])
    return {
        step.key: frozenset(
            output.properties.asset_key.to_user_string()
            for output in step.outputs
            if output.properties and output.properties.asset_key
        )
        for step in plan.steps
        if step.key in chosen
    }


def _made_by(step_keys: Iterable[str], steps: Steps) -> frozenset[str]:
    return frozenset().union(*(steps.get(key, frozenset()) for key in step_keys))


def what_failed(instance: dg.DagsterInstance, run_id: str) -> tuple[list[str], str]:
    """The steps of a run that failed, and the first error's class."""
    entries = instance.all_logs(run_id, of_type=_FAILURES)
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    steps = [event for event in events if event.is_step_failure]
    for event in steps:
        error = event.step_failure_data.error
        # Dagster wraps what the user's code raised.
        while error and error.cause and (error.cls_name or "").startswith("Dagster"):
            error = error.cause
        if error is not None:
            name = error.cls_name or "error"
            # Not its message: that may hold a password or a token of the user's.
            return [e.step_key for e in steps], f"{event.step_key}: {name}"
    return [event.step_key for event in steps], "the run failed before any step did"
