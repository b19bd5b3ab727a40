"""The sensor that makes missions of Dagster's own run history; off unless it is switched on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.resources import StoreResource
from grace_assets.sensors import RANGE_END_TAG, RANGE_START_TAG
from grace_assets.settings import Settings

if TYPE_CHECKING:
    from grace_assets.sources.dagster_runs import Run

HISTORY = timedelta(days=30)
LOOK_BACK = timedelta(minutes=1)
"""A run may be stored a little after it ended; what is seen twice is a duplicate and no more."""
MAX_RUNS = 2_000
"""Runs looked at in a tick, the latest of `HISTORY`; a failure before them is not known."""
PARTITION_TAG = "dagster/partition"
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
    from grace_assets.lake.landing import Line
    from grace_assets.sources.dagster_runs import encode, mission, repairs

    now = store.now()
    since = datetime.fromisoformat(context.cursor) if context.cursor else now - HISTORY
    instance = context.instance
    latest = _ended_last(instance, since)
    if latest is None or latest <= since:
        return dg.SensorResult(skip_reason="no new runs", cursor=since.isoformat())
    history = runs(instance, now - HISTORY)
    if len(history) == MAX_RUNS:
        context.log.info(f"only the latest {MAX_RUNS} runs of the last 30 days were looked at")
    events = [mission(repair) for repair in repairs(history, since)]
    if events:
        lines = [Line(number, encode(event)) for number, event in enumerate(events, start=1)]
        with store.landing() as landing:
            counts = landing.add("dagster", lines, now)
        for bad in counts.rejected:
            context.log.warning(f"{bad.field}: {bad.reason}")
    return dg.SensorResult(
        skip_reason=f"{len(events)} repairs in {len(history)} runs",
        cursor=max(since, latest - LOOK_BACK).isoformat(),
    )
