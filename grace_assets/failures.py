"""The sensor that tells people when the pipeline itself fails."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.instance import PROCESS_TAG
from grace_assets.notify.lease import certainly_gone
from grace_assets.partitions import span_of
from grace_assets.resources import DeliveryResource, StoreResource
from grace_assets.run_history import what_failed

if TYPE_CHECKING:
    from grace_assets.render.failure import Failure

WILL_RETRY_TAG = "dagster/will_retry"
"""Dagster sets it on a failed run a moment after the failure is stored."""
SETTLED = timedelta(seconds=10)
UNDER_WAY = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
MAX_RUNS = 500
"""Failed runs looked at in a tick; the rest wait for the next one."""


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Tells Slack, email and the other channels what failed, for which partitions and where to "
        "look: once a day for the same failure, and not while Dagster will retry the run."
    ),
)
def run_failure_sensor(
    context: dg.SensorEvaluationContext, store: StoreResource, delivery: DeliveryResource
) -> dg.SensorResult:
    from grace_assets.notify.channels import ChannelError, Channels
    from grace_assets.notify.deliver import deliver, resume
    from grace_assets.notify.routes import CHANNELS
    from grace_assets.render.failure import message

    end_abandoned(context.instance)
    now = store.now()
    channels, ledger = Channels.from_env(delivery.environment()), store.ledger()
    resume(ledger, channels, store.bucket() or store.root, now)
    if context.cursor is None:
        # What failed before anybody looked is history.
        return dg.SensorResult(skip_reason="begins now", cursor=now.isoformat())
    since = datetime.fromisoformat(context.cursor)
    records = failed_since(context.instance, since, now)
    told = 0
    ended = [run for run in final(records) if is_ours(context, run.dagster_run)]
    for failure in alike(context.instance, ended, delivery.dagster_url):
        notice = message(failure, failure.at.astimezone(store.zone).date().isoformat())
        for channel in CHANNELS:
            try:
                deliver(
                    channel, notice, ledger, channels, store.bucket() or store.root, now, "send"
                )
            except ChannelError as error:
                context.log.error(f"{channel}: {error}")
        told += 1
    # Only now: a tick that breaks off looks at the same runs again, and the ledger knows them.
    return dg.SensorResult(
        skip_reason=f"{told} failures told in {len(records)} failed runs",
        cursor=max([since, *(record.update_timestamp for record in records)]).isoformat(),
    )


def end_abandoned(instance: dg.DagsterInstance) -> None:
    """Fail the runs whose process was killed.

    Dagster's own monitoring knows only runs that it launched; those of a `grace` command would
    keep their pools, and every later run waiting, for good.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)):
        process = run.tags.get(PROCESS_TAG)
        if process and certainly_gone(process):
            instance.report_run_failed(run, "The process that made this run is gone.")


def failed_since(
    instance: dg.DagsterInstance, since: datetime, now: datetime
) -> list[dg.RunRecord]:
    """Runs that failed after `since` and have been at rest for a moment, oldest first."""
    failed = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since, updated_before=now - SETTLED
    )
    return list(
        instance.get_run_records(
            failed, limit=MAX_RUNS, order_by="update_timestamp", ascending=True
        )
    )


def final(records: Iterable[dg.RunRecord]) -> list[dg.RunRecord]:
    """Without runs that Dagster will retry: the last of those speaks for them."""
    return [r for r in records if r.dagster_run.tags.get(WILL_RETRY_TAG) != "true"]


def is_ours(context: dg.SensorEvaluationContext, run: dg.DagsterRun) -> bool:
    """Whether the run is of this code location; others have people of their own."""
    here, there = context.code_location_origin, run.remote_job_origin
    return here is None or there is None or here.location_name == there.location_name


def alike(
    instance: dg.DagsterInstance, records: Iterable[dg.RunRecord], url: str
) -> Iterator["Failure"]:
    """The failures of a tick, those of the same steps and errors as one."""
    from grace_assets.render.failure import Failure

    groups: dict[tuple, list[dg.RunRecord]] = defaultdict(list)
    for record in records:
        steps, error = what_failed(instance, record.dagster_run.run_id)
        job = record.dagster_run.job_name
        groups[tuple(sorted(set(steps))), error, "" if steps else job].append(record)
    for (steps, error, _), group in groups.items():
        runs = [record.dagster_run for record in group]
        ended = [record.end_time for record in group if record.end_time is not None]
        yield Failure(
            steps=steps,
            errors=(error,) if error else (),
            partitions=tuple(dict.fromkeys(filter(None, map(partitions_of, runs)))),
            run_ids=tuple(run.run_id for run in runs),
            job=runs[0].job_name,
            at=datetime.fromtimestamp(max(ended), UTC) if ended else group[-1].update_timestamp,
            url=url,
        )


def partitions_of(run: dg.DagsterRun) -> str:
    """The partition or range of a run, as printed; empty where it has none."""
    first, last = span_of(run.tags)
    return first if first == last else f"{first}…{last}"
