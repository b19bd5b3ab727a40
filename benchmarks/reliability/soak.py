"""`make soak`: events for an hour while briefs are made and sent; nothing lost, nothing growing.

    make soak                                  # three minutes
    make soak ARGS="--minutes 60 --rate 50"    # as in docs/reliability.md

A webserver, a daemon and `grace serve` run on loopback as in production. A sender posts missions
of now and drops files of late ones; each minute the brief of a closed day is made and sent to a
strict Slack and a real SMTP server. What the sender was told is safe stands in a journal of its
own, what went out is counted where it arrived.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import httpx
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

from benchmarks.harness import clean_env, script
from benchmarks.hosts import MODULE, kill
from benchmarks.reliability import sinks
from benchmarks.reliability.sending import Journal, drop, posting
from benchmarks.reliability.vital_signs import Signs, report
from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.lake.tables import Lake
from grace_assets.launching import JOB, client_of
from tests.notify.smtp_server import Mailbox, smtp_server
from tests.notify.strict_slack import StrictSlack, strict_slack
from tests.seaweed import free_port

SAMPLE_SECONDS, PATIENCE = 60.0, 1800.0
CLOSED_DAYS = 20
"""Over which late missions and briefs go round."""
RECIPIENTS = ("ann@example.org", "bob@example.org")
WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


@dataclass(frozen=True)
class Loop:
    """What runs: processes by name, a client of the webserver, Dagster's instance, the sinks."""

    data: Path
    url: str
    processes: Mapping[str, subprocess.Popen[bytes]]
    client: DagsterGraphQLClient
    instance: dg.DagsterInstance
    slack: StrictSlack
    mail: Mailbox

    def all_run(self) -> None:
        """`RuntimeError` where a process has ended."""
        ended = {name: p.poll() for name, p in self.processes.items() if p.poll() is not None}
        if ended:
            raise RuntimeError(f"ended, with exit codes: {ended}")

    def runs(self, statuses: Sequence[dg.DagsterRunStatus]) -> int:
        return self.instance.get_runs_count(dg.RunsFilter(statuses=list(statuses)))

    def ask_for_brief(self, day: str) -> None:
        # A webserver that is too busy is asked again a minute later, for another day.
        with suppress(DagsterGraphQLClientError):
            tags = {"dagster/partition": day, DELIVER_TAG: "always"}
            self.client.submit_job_execution(JOB, tags=tags)


@contextmanager
def running(folder: Path) -> Iterator[Loop]:
    """Servers and the three processes, up when the block begins and gone when it ends."""
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
        processes = {
            name: stack.enter_context(_process(folder, name, command, env))
            for name, command in commands.items()
        }
        url = f"http://127.0.0.1:{port}"
        for address in (f"{url}/healthz", f"http://127.0.0.1:{ui}/server_info"):
            _wait_for(address)
        client = client_of(f"http://127.0.0.1:{ui}")
        yield Loop(data, url, processes, client, instance, slack, mail)


@contextmanager
def _process(
    folder: Path, name: str, command: Sequence[str], env: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [script(command[0]), *command[1:]],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
        kill(process)


def _wait_for(url: str) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            httpx.get(url, trust_env=False, timeout=30)
            return
        time.sleep(0.2)
    raise TimeoutError(f"nothing answers at {url}")


def soak(loop: Loop, journal: Journal, minutes: float, rate: float) -> Signs:
    """Send for so long; a brief, a file of late missions and a look at everything a minute."""
    signs = Signs(loop.instance, {name: p.pid for name, p in loop.processes.items()})
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    started = time.monotonic()
    with posting(loop.url, journal, rate):
        for minute in range(round(minutes * 60 / SAMPLE_SECONDS)):
            day = midnight - timedelta(days=1 + minute % CLOSED_DAYS)
            drop(loop.data / "inbox", journal, minute, day)
            loop.ask_for_brief(day.date().isoformat())
            due = started + (minute + 1) * SAMPLE_SECONDS
            time.sleep(max(0.0, due - time.monotonic()))
            loop.all_run()
            waiting, under_way = loop.runs(WAITING), loop.runs(UNDER_WAY)
            behind = journal.count - in_tables(loop.data)
            print(signs.look(waiting=waiting, running=under_way, behind=behind), flush=True)
    elapsed = time.monotonic() - started
    print(
        f"{journal.count:,} acknowledged in {elapsed:,.0f} s, "
        f"{journal.count / elapsed:.1f} a second"
    )
    return signs


def in_tables(data: Path) -> int:
    """Missions in `mission_events`, of all days."""
    lake = Lake(data)
    return lake.read("mission_events", lake.days("mission_events"), ["mission_id"]).num_rows


def settle(loop: Loop, expected: int) -> None:
    """Wait until all missions are in their table and no run is left to do."""
    started = time.monotonic()
    while time.monotonic() - started < PATIENCE:
        # A tick that saw the last of them launches its run within its interval.
        if in_tables(loop.data) >= expected and not loop.runs([*WAITING, *UNDER_WAY]):
            print(f"all done {time.monotonic() - started:,.0f} s after the last was sent")
            return
        time.sleep(5)
    print(f"not done after {PATIENCE:,.0f} s")


def judge(loop: Loop, journal: Journal) -> list[str]:
    """What must not be: a mission lost or doubled, a brief lost or repeated without a mark."""
    lake = Lake(loop.data)
    rows = lake.read("mission_events", lake.days("mission_events"), ["mission_id"])
    found, sent = Counter(rows["mission_id"].to_pylist()), set(journal.missions())
    lost = sent - set(found)
    doubled = [name for name, count in found.items() if count > 1]
    print(f"{len(sent):,} missions acknowledged, {len(lost)} lost, {len(doubled)} doubled")
    problems = [f"lost: {name}" for name in sorted(lost)[:10]]
    problems += [f"doubled: {name}" for name in doubled[:10]]
    counted = sinks.count(loop.data / "state" / "delivery.sqlite", loop.slack, loop.mail)
    print(counted)
    failed = loop.runs([dg.DagsterRunStatus.FAILURE])
    print(f"{loop.runs([dg.DagsterRunStatus.SUCCESS])} runs succeeded, {failed} failed")
    return [*problems, *counted.problems, *([f"{failed} runs failed"] if failed else [])]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.reliability.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--rate", type=float, default=50, help="missions a second")
    parser.add_argument("--keep", type=Path, help="an empty folder for data and logs, which stay")
    options = parser.parse_args(arguments)
    # Whoever stops this leaves no servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(TemporaryDirectory(prefix="grace-soak-")))
        journal = Journal(folder / "journal")
        stack.callback(journal.close)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
        loop = stack.enter_context(running(folder))
        signs = soak(loop, journal, options.minutes, options.rate)
        settle(loop, journal.count)
        problems = judge(loop, journal)
        print(report(signs))
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
