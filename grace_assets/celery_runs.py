"""Runs on the workers of several hosts: a Celery task a run, and runs of lost workers noticed.

`dagster.yaml` names the launcher (`deploy/celery`). Needs the extra `celery`.
"""

from __future__ import annotations

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

PINGS, PING_SECONDS = 3, 5.0
"""How often, and how long each time, a worker may be silent before it is taken for lost."""


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """Dagster's launcher, which also notices that the worker of a run is gone.

    Celery calls a task started for ever where its worker was killed. Such a run is reported as
    failed, so that Dagster's run monitoring makes it anew elsewhere.
    """

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        health = super().check_run_worker_health(run)
        if health.status != WorkerStatus.RUNNING:
            return health
        task = self.celery.AsyncResult(run.tags[DAGSTER_CELERY_TASK_ID_TAG])
        worker = (task.info or {}).get("hostname") if isinstance(task.info, dict) else None
        if worker is None or any(
            self.celery.control.ping(destination=[worker], timeout=PING_SECONDS)
            for _ in range(PINGS)
        ):
            return health
        return CheckRunHealthResult(WorkerStatus.FAILED, f"worker {worker} does not answer")
