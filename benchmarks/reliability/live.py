"""The loop as in production, on loopback: webserver, daemon, API, and the servers it sends to."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import httpx
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

from benchmarks.harness import clean_env, script
from benchmarks.hosts import MODULE, kill
from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.lake.tables import Lake
from grace_assets.launching import JOB, client_of
from tests.notify.smtp_server import Mailbox, smtp_server
from tests.notify.strict_slack import StrictSlack, strict_slack
from tests.seaweed import free_port

RECIPIENTS = ("ann@example.org", "bob@example.org")
WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
STARTS, ENDS = 300.0, 60.0
"""Seconds that a process may take to answer, and to end when it is asked to."""


@dataclass(frozen=True)
class Loop:
    """Processes by name, Dagster's instance, and the servers that messages arrive at."""

    folder: Path
    env: Mapping[str, str]
    commands: dict[str, Sequence[str]]
    url: str
    ui: str
    instance: dg.DagsterInstance
    slack: StrictSlack
    mail: Mailbox
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def client(self) -> DagsterGraphQLClient:
        return client_of(self.ui)

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start a process with a log of its own, in a group of its own."""
        program, *arguments = self.commands[name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [script(program), *arguments],
                cwd=self.folder,
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.processes[name]

    def wait_for_servers(self) -> None:
        for address in (f"{self.url}/healthz", f"{self.ui}/server_info"):
            _wait_for(address)

    def end(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDS)
            kill(process)

    def all_run(self) -> None:
        """`RuntimeError` where a process has ended."""
        ended = {name: p.poll() for name, p in self.processes.items() if p.poll() is not None}
        if ended:
            raise RuntimeError(f"ended, with exit codes: {ended}")

    def runs(self, statuses: Sequence[dg.DagsterRunStatus]) -> int:
        return self.instance.get_runs_count(dg.RunsFilter(statuses=list(statuses)))

    def missions(self) -> Counter[str]:
        """How often each stands in `mission_events`, over all days."""
        lake = Lake(self.data)
        rows = lake.read("mission_events", lake.days("mission_events"), ["mission_id"])
        return Counter(rows["mission_id"].to_pylist())

    def settle(self, expected: int, patience: float) -> bool:
        """Wait until so many missions are in their table and no run is left to do."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.missions().total() >= expected and not self.runs([*WAITING, *UNDER_WAY]):
                return True
            time.sleep(5)
        return False

    def ask_for_brief(self, day: str) -> None:
        """Have the brief of a day made and sent; a webserver that is too busy makes none."""
        with suppress(DagsterGraphQLClientError):
            tags = {"dagster/partition": day, DELIVER_TAG: "always"}
            self.client.submit_job_execution(JOB, tags=tags)


@contextmanager
def running(folder: Path) -> Iterator[Loop]:
    """All three up when the block begins, and gone when it ends."""
    data, port, ui = folder / "data", free_port(), free_port()
    (data / "inbox").mkdir(parents=True)
    with ExitStack() as stack:
        slack = stack.enter_context(strict_slack())
        mail = stack.enter_context(smtp_server(None, login=False))
        env = clean_env(
            data,
            SLACK_WEBHOOK_URL=slack.url,
            SMTP_HOST="127.0.0.1",
            SMTP_PORT=str(mail.port),
            SMTP_TLS="none",
            SMTP_FROM_EMAIL="grace@ops.example",
            STATUS_BRIEF_RECIPIENTS=",".join(RECIPIENTS),
        )
        # Its databases are made by one process: two at once would trip over each other.
        os.environ["DAGSTER_HOME"] = env["DAGSTER_HOME"]
        instance = dg.DagsterInstance.get()
        stack.callback(instance.dispose)
        commands = {
            "webserver": ("dagster-webserver", "--host", "127.0.0.1", "--port", str(ui), *MODULE),
            "daemon": ("dagster-daemon", "run", *MODULE),
            "api": ("grace", "serve", "--port", str(port)),
        }
        url = f"http://127.0.0.1:{port}"
        loop = Loop(folder, env, commands, url, f"http://127.0.0.1:{ui}", instance, slack, mail)
        stack.callback(loop.end)
        for name in commands:
            loop.start(name)
        loop.wait_for_servers()
        yield loop


def _wait_for(url: str) -> None:
    end = time.monotonic() + STARTS
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            httpx.get(url, trust_env=False, timeout=30)
            return
        time.sleep(0.2)
    raise TimeoutError(f"nothing answers at {url}")
