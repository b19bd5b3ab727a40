"""`make scale`: a backfill on two workers that share only S3, PostgreSQL and Redis.

    make scale                     # 60 days, runs of 10 days
    make scale ARGS="--days 365 --missions 36500 --per-run 31"

Each worker is a process in a network namespace, a home and a working folder of its own (where the
machine lets us; without it the same, but in the network of this machine). The tables are compared,
row by row, with those that `grace backfill` makes of the same events and samples in one run and
one folder. Then all days are made again while one worker loses its network and is killed, as where
the power goes, and compared once more.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory

import psycopg
import s3fs
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

from benchmarks import made
from benchmarks.backfill import CATALOGUE, DOMAINS, STEP_SECONDS
from benchmarks.harness import clean_env, run, script
from benchmarks.hosts import MODULE, Hosts, addresses, kill
from benchmarks.networks import ADDRESS, cut, networks, possible, traffic
from benchmarks.same_tables import differences
from grace_assets.core.schemas import TABLES
from grace_assets.lake.files import Files
from grace_assets.lake.local_files import LocalFiles
from grace_assets.lake.s3_files import S3Files
from grace_assets.launching import client_of
from tests import postgres, redis_server
from tests.seaweed import BUCKET, free_port, seaweed

WORKERS = ("worker1", "worker2")
VANISHED = {
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""As in the README of `deploy/celery`: PostgreSQL gives up a host that is gone, and its locks."""
PATIENCE = 3600


@dataclass(frozen=True)
class Cluster:
    """All hosts, the workers by name, and a client of the first host's webserver."""

    hosts: Hosts
    workers: dict[str, Popen]
    client: DagsterGraphQLClient
    isolated: bool

    def runs_of(self, name: str) -> int:
        """Runs that a worker has finished."""
        lines = self.hosts.log(name).read_text(errors="replace").splitlines()
        return sum("Task execute_job[" in line and "succeeded" in line for line in lines)

    def runs(self) -> dict[str, int]:
        return {name: self.runs_of(name) for name in WORKERS}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--missions", type=int, default=6000)
    parser.add_argument("--per-run", type=int, default=10, help="days that a run makes")
    options = parser.parse_args(arguments)
    # Whoever stops this leaves no servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with TemporaryDirectory(prefix="grace-scale-") as temporary, ExitStack() as stack:
        folder, days = Path(temporary), days_of(options.days)
        alone = prepare(folder, options.missions, options.days)
        timed("one machine, all days in one run", lambda: backfill_alone(alone, days))
        cluster = stack.enter_context(start(folder, options.per_run))
        # As the hosts: its keys are in the environment.
        os.environ.update({k: v for k, v in cluster.hosts.env.items() if k.startswith("AWS_")})
        files = S3Files(cluster.hosts.env["GRACE_DATA_DIR"])
        timed("taken in by the first host", lambda: take_in(cluster, alone))

        timed(f"two workers, runs of {options.per_run} days", lambda: backfill(cluster, days))
        timed("compared", lambda: compare(alone, files, days))
        timed("again, one worker lost in the middle", lambda: lose_one(cluster, days))
        timed("compared", lambda: compare(alone, files, days))
        say("shared", shared(cluster))


def prepare(folder: Path, count: int, days: int) -> Path:
    """Events and samples, and the folder in which one machine makes its tables."""
    alone = folder / "alone"
    alone.mkdir()
    missions = made.missions(count, days, DOMAINS)
    made.write_events(folder / "missions.jsonl", missions, DOMAINS)
    made.write_samples(alone, missions, days, DOMAINS, STEP_SECONDS)
    rules = CATALOGUE.format(settle=made.SETTLE_SECONDS, window=made.WINDOW_SECONDS)
    (folder / "kpis.yaml").write_text(rules, encoding="utf-8")
    say("prepared", f"{count:,} missions of {days} days in {DOMAINS} domains")
    return alone


def backfill_alone(alone: Path, days: Sequence[str]) -> str:
    env = clean_env(alone, GRACE_KPI_CATALOG=str(alone.parent / "kpis.yaml"))
    run([script("grace"), "ingest", alone.parent / "missions.jsonl"], env)
    ran = run([script("grace"), "backfill", "--from", days[0], "--to", days[-1]], env)
    return f"{ran.peak_mib:,.0f} MiB at peak"


@contextmanager
def start(folder: Path, per_run: int) -> Iterator[Cluster]:
    """Servers, the host that is asked, and two workers; all gone when the block ends."""
    programs = postgres.programs()
    if programs is None or redis_server.PROGRAM is None:
        sys.exit("needs postgresql and redis-server: scripts/install-test-servers")
    with ExitStack() as stack:
        isolated = possible()
        inside = stack.enter_context(networks(WORKERS)) if isolated else {}
        here = ADDRESS if isolated else "127.0.0.1"
        say("network", "a namespace a worker" if isolated else "this machine's: namespaces refused")
        database = stack.enter_context(postgres.server(programs, here))
        with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as db:
            for name, value in VANISHED.items():
                db.execute(f"ALTER ROLE grace SET {name} = {value}")
        broker = stack.enter_context(redis_server.server(here))
        (folder / "s3").mkdir()
        bucket = stack.enter_context(seaweed(folder / "s3", here))
        port = free_port()
        env = {
            **addresses(database, broker, f"s3://{BUCKET}/scale"),
            **bucket,
            "GRACE_KPI_CATALOG": str(folder / "kpis.yaml"),
            "GRACE_BACKFILL_DAYS_PER_RUN": str(per_run),
            "GRACE_MISSIONS_AT_ONCE": "400",  # so few that a run has several portions
            "ENABLE_AUTO_STATUS_BRIEFS": "false",
            "DAGSTER_GRAPHQL_URL": f"http://127.0.0.1:{port}",
        }
        hosts = Hosts(folder, env, inside=inside)
        hosts.call("first", "dagster", "instance", "migrate")
        # It would make all days at once, by itself, before the backfill is asked for.
        hosts.call("first", "dagster", "sensor", "stop", "mission_events_sensor", *MODULE)
        stack.enter_context(hosts.process("first", "dagster-webserver", "-p", str(port), *MODULE))
        stack.enter_context(hosts.process("first", "dagster-daemon", "run", *MODULE))
        workers = {name: stack.enter_context(hosts.worker(name)) for name in WORKERS}
        yield Cluster(hosts, workers, client_of(env["DAGSTER_GRAPHQL_URL"]), isolated)


def take_in(cluster: Cluster, alone: Path) -> str:
    hosts = cluster.hosts
    hosts.call("first", "grace", "ingest", str(hosts.folder / "missions.jsonl"))
    bucket_of(cluster).put(f"{alone}/samples/", f"{BUCKET}/scale/samples/", recursive=True)
    until(lambda: answers(cluster.client), "the webserver")
    return "missions in PostgreSQL, samples in the bucket"


def answers(client: DagsterGraphQLClient) -> bool:
    return asked(client, "{ version }") is not None


def asked(client: DagsterGraphQLClient, query: str, **values: str) -> dict | None:
    """The webserver's answer; none where it has none just now."""
    try:
        return client._execute(query, values)
    except (DagsterGraphQLClientError, OSError):
        return None


STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill { status error { message } }
  }
}
"""
RETRIED = """
{ runsOrError(filter: {tags: [{key: "dagster/retry_number", value: "1"}]}) {
  ... on Runs { count }
} }
"""


def backfill(cluster: Cluster, days: Sequence[str]) -> str:
    wait_for(cluster, launch(cluster, days))
    return told(cluster.runs())


def lose_one(cluster: Cluster, days: Sequence[str]) -> str:
    before, victim = cluster.runs(), WORKERS[0]
    launched = launch(cluster, days)
    until(lambda: cluster.runs_of(victim) > before[victim], "a first run of the worker")
    until(lambda: in_a_run(cluster, victim), "the worker to be in a run")
    if cluster.isolated:
        cut(WORKERS.index(victim))
    kill(cluster.workers[victim])
    wait_for(cluster, launched)
    retried = cluster.client._execute(RETRIED)["runsOrError"]["count"]
    if not retried:
        sys.exit("no run was cut off: the kill hit a worker without one")
    runs = {name: count - before[name] for name, count in cluster.runs().items()}
    return f"{victim} lost in a run, {retried} made anew; {told(runs)}"


def in_a_run(cluster: Cluster, name: str) -> bool:
    text = cluster.hosts.log(name).read_text(errors="replace")
    return text.count(" - RUN_START - ") > cluster.runs_of(name)


def told(runs: dict[str, int]) -> str:
    return "runs: " + ", ".join(f"{name} {count}" for name, count in runs.items())


def launch(cluster: Cluster, days: Sequence[str]) -> str:
    """The shipped command, on the first host; the backfill's id."""
    ends = ("--from", days[0], "--to", days[-1])
    return cluster.hosts.call("first", "grace", "backfill", "--launch", *ends).split()[-1]


def wait_for(cluster: Cluster, backfill: str) -> None:
    """Until a backfill is made; ends the program where it failed."""

    def done() -> bool:
        answer = asked(cluster.client, STATUS, id=backfill)
        found = answer["partitionBackfillOrError"] if answer else {"status": "unknown"}
        if found["status"] in ("FAILED", "COMPLETED_FAILED", "CANCELED"):
            sys.exit(f"the backfill ended as {found['status']}: {found['error']}")
        return found["status"] in ("COMPLETED", "COMPLETED_SUCCESS")

    until(done, "the backfill")


def compare(alone: Path, files: Files, days: Sequence[str]) -> str:
    rows, found = differences(LocalFiles(alone), files, alone, days)
    if found:
        sys.exit(f"not equal: {'; '.join(found)}")
    return f"{len(TABLES)} tables, {rows:,} rows: equal"


def shared(cluster: Cluster) -> str:
    """What lies in the bucket, what went to and from each worker, what each kept to itself."""
    found = bucket_of(cluster).find(f"{BUCKET}/scale", detail=True).values()
    parts = [f"{len(found):,} objects of {mebibytes(sum(info['size'] for info in found))}"]
    for number, name in enumerate(WORKERS):
        if cluster.isolated:
            got, sent = traffic(number)
            parts.append(f"{name} received {mebibytes(got)}, sent {mebibytes(sent)}")
        own = {path.name for path in (cluster.hosts.folder / name).rglob("*.sqlite")}
        if own - {"world.sqlite"}:
            sys.exit(f"{name} kept state to itself: {sorted(own)}")
    return "; ".join(parts)


def mebibytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"


def bucket_of(cluster: Cluster) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(
        key=cluster.hosts.env["AWS_ACCESS_KEY_ID"],
        secret=cluster.hosts.env["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=cluster.hosts.env["AWS_ENDPOINT_URL"],
        use_listings_cache=False,
        skip_instance_cache=True,
    )


def days_of(count: int) -> list[str]:
    return [(made.FIRST.date() + timedelta(days=n)).isoformat() for n in range(count)]


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            sys.exit(f"waited an hour for {what}")
        time.sleep(1)


def timed(what: str, step: Callable[[], str]) -> None:
    started = time.monotonic()
    result = step()
    say(what, f"{time.monotonic() - started:.0f} s; {result}")


def say(what: str, told: str) -> None:
    print(f"{what}: {told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
