"""What happens when something arrives or falls due. Deciding is plain, launching is Dagster's."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta

import dagster as dg

from grace_assets.assets.daily import days_around
from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.failures import MAX_RUNS, WILL_RETRY_TAG
from grace_assets.instance import PROCESS_TAG
from grace_assets.jobs import brief_job, delivery_job, holds_job, missions_job
from grace_assets.partitions import DAILY, RANGE_END_TAG, RANGE_START_TAG, span_of
from grace_assets.resources import StoreResource
from grace_assets.run_history import what_failed
from grace_assets.settings import Settings

NOT_BEGUN = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
]
LAUNCHED = {job.name: job for job in (missions_job, brief_job, holds_job, delivery_job)}
AGAIN_TAG = "grace/again"
"""Run tag: how often it was launched again after Dagster had given it up."""
MOST_AGAIN = 3
LOST_HISTORY = timedelta(hours=6)
TICK_BUDGET_SECONDS = 30.0
"""Dagster ends a tick after 60 s; what is left over waits for the next one."""


def spans(days: Iterable[str]) -> Iterator[list[str]]:
    """Ascending days in runs of consecutive ones: exactly these days, in as few runs as can be."""
    span: list[str] = []
    for day in sorted(days):
        if span and date.fromisoformat(day) - date.fromisoformat(span[-1]) != timedelta(days=1):
            yield span
            span = []
        span.append(day)
    if span:
        yield span


def request(
    days: list[str], key: str, tags: Mapping[str, str] | None = None, job: str | None = None
) -> dg.RunRequest:
    """One run of consecutive days. `key` names what caused it, so that it is launched once.

    `job` is for sensors of several.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    if len(days) == 1:
        return dg.RunRequest(
            job_name=job,
            run_key=f"{days[0]}:{digest}",
            partition_key=days[0],
            tags=dict(tags or {}),
        )
    return dg.RunRequest(
        job_name=job,
        run_key=f"{days[0]}..{days[-1]}:{digest}",
        tags={
            RANGE_START_TAG: days[0],
            RANGE_END_TAG: days[-1],
            **(tags or {}),
        },
    )


@dg.sensor(
    job=missions_job,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Takes what was dropped into the inbox and launches exactly the days that changed. "
        "The cursor is a place in the landing's journal."
    ),
)
def mission_events_sensor(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult:
    with store.landing() as landing:
        intake = store.inbox(landing).take(store.now(), TICK_BUDGET_SECONDS)
        cursor, early = read_cursor(context.cursor)
        latest, changed = landing.journal.changed_days(cursor)
    changed = {**early, **changed}
    # An event may lie up to a day ahead: its day waits until there is such a partition.
    known = {day for day in changed if DAILY.has_partition_key(day)}
    today = store.today().isoformat()
    ahead = {day: seq for day, seq in changed.items() if day > today}
    too_old = sorted(set(changed) - known - set(ahead))
    if too_old:
        context.log.warning(
            f"{len(too_old)} days with missions lie before GRACE_START_DATE, the first "
            f"{too_old[0]}: set it earlier to have them"
        )
    waiting = known & days_waiting(context.instance, missions_job.name, brief_job.name)
    requests = [
        request(span, ",".join(f"{day}@{changed[day]}" for day in span))
        for span in spans(known - waiting)
    ]
    why = f"{len(waiting)} days wait for runs already" if waiting else "nothing changed"
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else f"{why} ({intake.files} files read)",
        cursor=write_cursor(latest, ahead),
    )


def read_cursor(text: str | None) -> tuple[int, dict[str, int]]:
    """Journal entry reached, and days ahead of today that wait: `12;2026-01-02@11`."""
    if not text:
        return 0, {}
    reached, *waiting = text.split(";")
    pairs = (entry.split("@") for entry in waiting)
    return int(reached), {day: int(seq) for day, seq in pairs}


def write_cursor(reached: int, ahead: Mapping[str, int]) -> str:
    return ";".join([str(reached), *(f"{day}@{seq}" for day, seq in sorted(ahead.items()))])


@dg.sensor(
    job=missions_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Judges missions again once a window has closed, or a source may answer again.",
)
def pending_verdicts_sensor(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult:
    now = store.now()
    with store.landing() as landing:
        due = landing.waiting.due("source", now) | landing.waiting.due("rejudge", now)
    waiting = days_waiting(context.instance, missions_job.name, brief_job.name)
    return due_requests({day: at for day, at in due.items() if day not in waiting}, now)


@dg.sensor(
    job=holds_job,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks again at recoveries, a day and a week later: did they last?",
)
def holds_sensor(store: StoreResource) -> dg.SensorResult:
    now = store.now()
    with store.landing() as landing:
        due = landing.waiting.due("hold", now)
    return due_requests(due, now)


def days_waiting(instance: dg.DagsterInstance, *jobs: str) -> set[str]:
    """Days of runs that have not begun.

    Ask after what arrived was looked at: such a run will find it, and a second one behind it
    would find nothing new. So a queue stays short however long a run takes.
    """
    days: set[str] = set()
    for job in jobs:
        for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=NOT_BEGUN)):
            first, last = span_of(run.tags)
            # A person may have asked for some of the job's assets only.
            if first and not run.asset_selection:
                days.update(days_around([first, last], 0, 0))
    return days


def due_requests(due: Mapping[str, datetime], now: datetime) -> dg.SensorResult:
    """Runs for days whose verdicts can change by now; days before GRACE_START_DATE have none."""
    # The hour is part of the key: a run that failed is tried again an hour later, and one that
    # is still queued is not doubled within the hour.
    hour = now.strftime("%Y-%m-%dT%H")
    requests = [
        request(span, f"{hour}|" + ",".join(f"{day}@{due[day]:%FT%T.%f}" for day in span))
        for span in spans(filter(DAILY.has_partition_key, due))
    ]
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else "nothing is due"
    )


@dg.sensor(
    job=delivery_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes up deliveries whose next attempt is due.",
)
def due_deliveries_sensor(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult:
    now = store.now()
    due = store.ledger().due(now)
    waiting = days_waiting(context.instance, delivery_job.name) if due else set()
    requests = [
        request([day], f"{now:%Y-%m-%dT%H:%M}", {DELIVER_TAG: "always"})
        for day in filter(DAILY.has_partition_key, due)
        if day not in waiting
    ]
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else "no attempt is due"
    )


@dg.sensor(
    jobs=[*LAUNCHED.values()],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Launches runs again that were lost with their process and given up: Dagster tries once, "
        "and fails at that where the code server is gone as well."
    ),
)
def lost_runs_sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    instance, requests = context.instance, []
    given_up = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE],
        tags={WILL_RETRY_TAG: "false"},
        updated_after=store.now() - LOST_HISTORY,
    )
    for run in instance.get_runs(given_up, limit=MAX_RUNS):
        first, last = span_of(run.tags)
        times = int(run.tags.get(AGAIN_TAG, 0)) + 1
        # Whoever gave a `grace` command runs it again, and so does who asked for some assets.
        by_hand = PROCESS_TAG in run.tags or run.asset_selection
        if by_hand or not first or times > MOST_AGAIN or run.job_name not in LAUNCHED:
            continue
        # What failed at each of its retries, or in a step, would fail again.
        retries = int(run.tags.get("dagster/retry_number", 0))
        if retries >= instance.run_retries_max_retries or what_failed(instance, run.run_id)[0]:
            continue
        days = days_around([first, last], 0, 0)
        tags = {name: run.tags[name] for name in (DELIVER_TAG,) if name in run.tags}
        tags[AGAIN_TAG] = str(times)
        requests.append(request(days, f"again {run.run_id}", tags, run.job_name))
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else "no run was lost for good"
    )


SENSORS = [
    mission_events_sensor,
    pending_verdicts_sensor,
    holds_sensor,
    due_deliveries_sensor,
    lost_runs_sensor,
]


def build_source_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """Sensors of sources that are switched on."""
    sensors = []
    if settings.health_polled:
        sensors.append(domain_health_sensor)
    return sensors


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks the domains' health endpoint and keeps what it says as samples.",
)
def domain_health_sensor(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SkipReason:
    from os import environ

    from grace_assets.sources.health import read_health

    now = store.now()
    with store.landing() as landing:
        domains = landing.missions.domains(now - timedelta(days=30))
    rows, troubles = read_health(environ["DOMAIN_HEALTH_URL"], domains, now)
    # A live reading opens no day again: verdicts wait for their windows to close.
    counts = store.samples().add(rows, lambda _: None)
    for trouble in troubles[:20]:
        place = " ".join(filter(None, (trouble.domain_id, trouble.field))) or "endpoint"
        context.log.warning(f"{place}: {trouble.reason}")
    return dg.SkipReason(f"{counts.accepted} samples, {len(troubles)} refused or missing")
