"""Runs on this machine, and those whose process died with its code server noticed.

Dagster's code server tells when a run's process is gone; where it went down itself (a host that
restarts, a container out of memory), its runs would stay "started" for good, and every later one
would wait for their pools. `dagster.yaml` names the launcher.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

if TYPE_CHECKING:
    from dagster import DagsterRun
    from dagster._grpc.client import DagsterGrpcClient

RUNNING = CheckRunHealthResult(WorkerStatus.RUNNING)


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's launcher, with which its run monitoring fails, and so makes anew, lost runs."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """`NOT_FOUND` where no code server answers for the run any more.

        Its process may go on for a while without one. It holds the locks of the tables that it
        writes until it ends, so that the run made anew waits for it.
        """
        server = self._get_grpc_client_for_termination(run.run_id)
        if server is None:
            # A command makes it; see `failures.end_abandoned`.
            return RUNNING
        if server.socket and not _listens(server.socket):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its code server is gone")
        makes = _runs_of(server)
        if makes is None or run.run_id in makes:
            return RUNNING
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its code server does not make it")


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            # It is busy, say.
            pass
    return True


def _runs_of(server: DagsterGrpcClient) -> list[str] | None:
    """Ids of the runs that a code server makes; null where it does not answer."""
    # Costs every command a tenth of a second more.
    from dagster._grpc.types import GetCurrentRunsResult
    from dagster._serdes import deserialize_value

    try:
        answer = deserialize_value(server.get_current_runs(), GetCurrentRunsResult)
    except DagsterUserCodeUnreachableError:
        return None
    return answer.current_runs
