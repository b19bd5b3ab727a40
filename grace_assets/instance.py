"""The Dagster instance of a data directory, and runs started from the command line."""

import gc
import os
from importlib import resources

import dagster as dg
from filelock import FileLock

from grace_assets.notify.lease import this_process
from grace_assets.partitions import RANGE_END_TAG, RANGE_START_TAG
from grace_assets.settings import Settings

PROCESS_TAG = "grace/process"
"""Run tag: the process that a run is made in, as `notify.lease` names it."""


def use_home(settings: Settings) -> str:
    """Point `DAGSTER_HOME` at the data directory's own instance, unless it is set already."""
    if not os.environ.get("DAGSTER_HOME"):
        home = settings.dagster_home
        home.mkdir(parents=True, exist_ok=True)
        config = home / "dagster.yaml"
        with _alone(settings):
            if not config.exists():
                shipped = resources.files("grace_assets").joinpath("dagster_home.yaml")
                config.write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
        os.environ["DAGSTER_HOME"] = str(home)
    return os.environ["DAGSTER_HOME"]


def run_days(
    settings: Settings,
    job_name: str,
    first: str,
    last: str,
    tags: dict[str, str],
    run_id: str | None = None,
) -> dg.ExecuteInProcessResult:
    """One run of a job over the days first..last, in this process, recorded in the instance."""
    from grace_assets.definitions import build_definitions
    from grace_assets.event_log import use_batches

    use_home(settings)
    # Also for an instance on PostgreSQL, whose storage is Dagster's own.
    use_batches()
    job = build_definitions(settings).resolve_job_def(job_name)
    # The events are in the instance; a terminal is for what went wrong.
    run_config = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
    single = first == last
    # Whoever called runs it again; Dagster's daemon could not.
    tags = {**tags, PROCESS_TAG: this_process(), "dagster/max_retries": "0"}
    if not single:
        # A long run makes millions of objects without cycles: to look through them as often as
        # Python does by itself is a tenth of it.
        gc.set_threshold(50_000, 20, 100)
        tags = {**tags, RANGE_START_TAG: first, RANGE_END_TAG: last}
    with _opened(settings) as instance:
        return job.execute_in_process(
            instance=instance,
            partition_key=first if single else None,
            run_config=run_config,
            tags=tags,
            raise_on_error=False,
            run_id=run_id,
        )


def _opened(settings: Settings) -> dg.DagsterInstance:
    """The instance; one at a time, as Dagster's databases are made when they are opened first."""
    with _alone(settings):
        return dg.DagsterInstance.get()


def _alone(settings: Settings) -> FileLock:
    """Alone with the home, among the commands of a data directory that begin at once."""
    locks = settings.data_dir / "state" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / "dagster_home.lock")
