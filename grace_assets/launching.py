"""Runs of the brief's job that the API asks for: in this process, or by a Dagster webserver."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from grace_assets.api.access import Refusal
from grace_assets.api.generate import Begin, Finish
from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.instance import run_days
from grace_assets.settings import Settings

if TYPE_CHECKING:
    from dagster_graphql import DagsterGraphQLClient

JOB = "brief_job"
NOTHING_SENT = {DELIVER_TAG: "never"}
ANSWER_SECONDS = 30
"""How long the webserver may take to answer one question."""
RUN_SECONDS = 3600.0
"""How long a run is waited for; it goes on after that."""
POLL_SECONDS = 0.5


def in_process(settings: Settings) -> Begin:
    """Runs made here, each when it is finished."""

    def run(day: str, run_id: str) -> bool:
        return run_days(settings, JOB, day, day, NOTHING_SENT, run_id).success

    def begin(day: str) -> tuple[str, Finish]:
        run_id = str(uuid4())
        return run_id, partial(run, day, run_id)

    return begin


def by_webserver(url: str) -> Begin:
    """Runs launched by the webserver at `url`, through its queue and on its machines.

    A webserver that takes no run is a `Refusal` 503: nothing else is tried, as a second launch
    might make two runs.
    """

    def begin(day: str) -> tuple[str, Finish]:
        import requests
        from dagster_graphql import DagsterGraphQLClientError
        from gql.transport.exceptions import TransportError

        try:
            run_id = client_of(url).submit_job_execution(
                JOB, tags={"dagster/partition": day, **NOTHING_SENT}
            )
        except (DagsterGraphQLClientError, TransportError, requests.RequestException) as error:
            why = "Dagster's webserver took no run; its log says why"
            raise Refusal(503, why, {"Retry-After": "30"}) from error
        return run_id, partial(_finish, client_of(url), run_id)

    return begin


def client_of(url: str) -> DagsterGraphQLClient:
    """A client of the webserver at `url`; made without asking it."""
    from dagster_graphql import DagsterGraphQLClient

    parts = urlsplit(url)
    return DagsterGraphQLClient(
        parts.hostname or "",
        parts.port,
        use_https=parts.scheme == "https",
        timeout=ANSWER_SECONDS,
        path_prefix=parts.path,
    )


def _finish(client: DagsterGraphQLClient, run_id: str) -> bool:
    import dagster as dg

    end = time.monotonic() + RUN_SECONDS
    while time.monotonic() < end:
        status = client.get_run_status(run_id)
        if status is dg.DagsterRunStatus.SUCCESS:
            return True
        if status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
            return False
        time.sleep(POLL_SECONDS)
    raise TimeoutError
