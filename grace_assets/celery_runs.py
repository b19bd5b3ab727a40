"""Runs on the workers of several hosts: a Celery task a run, and runs of lost workers noticed.

`dagster.yaml` names the launcher (`deploy/celery`). Needs the extra `celery`.
"""

from __future__ import annotations

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

ASKED, ANSWER_SECONDS = 3, 5.0
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
        task = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        started = self.celery.AsyncResult(task).info
        worker = started.get("hostname") if isinstance(started, dict) else None
        if worker is None:
            return health
        # Not whether it is alive: a supervisor starts it anew under the same name.
        tasks = self._tasks_of(worker, task)
        if tasks and task in tasks:
            return health
        ended = super().check_run_worker_health(run)
        if ended.status != WorkerStatus.RUNNING:
            return ended
        why = "does not answer" if tasks is None else "was started anew, and has no such task"
        return CheckRunHealthResult(WorkerStatus.FAILED, f"worker {worker} {why}")

    def _tasks_of(self, worker: str, task: str) -> dict | None:
        """What a worker says of a task: nothing where it has none. None where it is silent."""
        inspect = self.celery.control.inspect(destination=[worker], timeout=ANSWER_SECONDS)
        answers = (inspect.query_task(task) for _ in range(ASKED))
        return next((answer[worker] for answer in answers if answer), None)
