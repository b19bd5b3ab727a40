"""`make scale`: a year's backfill on two workers that share only S3, PostgreSQL and Redis.

    make scale                     # 60 days, runs of 10 days
    make scale ARGS="--days 365 --missions 36500 --per-run 31"

Each worker is a process in a network namespace, a home and a working folder of its own (as root;
without it the same, but in the namespace of this machine). The tables are compared, row by row,
with those that `grace backfill` makes of the same events and samples in one run and one folder.
Then all days are made again while one worker is killed, and compared once more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pyarrow as pa
import s3fs
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

from benchmarks import made
from benchmarks.backfill import CATALOGUE, DOMAINS, STEP_SECONDS
from benchmarks.harness import ROOT, clean_env, run, script
from grace_assets.core.schemas import TABLES
from grace_assets.lake.files import Files, LocalFiles, S3Files
from grace_assets.lake.tables import Lake
from tests import postgres, redis_server
from tests.seaweed import BUCKET, seaweed

SHIPPED = ROOT / "deploy" / "celery" / "dagster.yaml"
TAG = f"grace{os.getpid() % 10_000}"
"""Of the network's parts, so that two of these can run at once."""
SUBNET = f"10.213.{os.getpid() % 250}"
DIFFERS = {"received_at", "judged_at", "origin", "first_attempt_at", "last_attempt_at", "retry_at"}
"""When and from where something came: what two runs cannot have in common."""
PATIENCE = 3600


@dataclass
class Cluster:
    """The servers, and the variables by which every host finds them."""

    folder: Path
    env: dict[str, str]
    isolated: bool
    port: int = 0
    workers: dict[str, subprocess.Popen] = field(default_factory=dict)

    def home(self, name: str) -> dict[str, str]:
        """The variables of a host, with folders that it shares with nobody."""
        own = self.folder / name
        (own / "dagster").mkdir(parents=True, exist_ok=True)
        shutil.copy(SHIPPED, own / "dagster")
        return self.env | {
            "HOME": str(own),
            "DAGSTER_HOME": str(own / "dagster"),
            "GRACE_STATE_DIR": str(own / "state"),
        }

    def start(self, name: str, command: Sequence[str | Path]) -> subprocess.Popen:
        env = self.home(name)
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                list(map(str, command)),
                cwd=env["HOME"],
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_worker(self, number: int) -> None:
        name = f"worker{number}"
        inside = ["ip", "netns", "exec", f"{TAG}-{number}"] if self.isolated else []
        celery = [script("celery"), "--app", "grace_assets.celery_worker", "worker"]
        options = [
            "--loglevel",
            "INFO",
            "--queues",
            "dagster",
            "--concurrency",
            "1",
            "--hostname",
            f"{name}@%h",
        ]
        self.workers[name] = self.start(name, [*inside, *celery, *options])

    def runs_of(self, name: str) -> int:
        """Runs that a worker has finished."""
        text = (self.folder / f"{name}.log").read_text(errors="replace")
        return sum(
            "Task execute_job[" in line and "succeeded" in line for line in text.splitlines()
        )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--missions", type=int, default=6000)
    parser.add_argument("--per-run", type=int, default=10, help="days that a run makes")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="grace-scale-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        alone = prepare(folder, options.missions, options.days)
        timed_step("one machine: all days in one run", lambda: backfill_alone(alone))
        cluster = stack.enter_context(start(folder, options.per_run, alone))
        timed_step("taken in on the first host, samples put", lambda: take_in(cluster, alone))
        # As the hosts: its keys are in the environment.
        os.environ.update({k: v for k, v in cluster.env.items() if k.startswith("AWS_")})
        files = S3Files(cluster.env["GRACE_DATA_DIR"])
        client = DagsterGraphQLClient("127.0.0.1", cluster.port)
        days = days_of(options.days)

        def first() -> str:
            wait_for(client, launch(cluster, days))
            runs = ", ".join(f"{name} {cluster.runs_of(name)}" for name in cluster.workers)
            return f"runs: {runs}"

        timed_step(f"two workers: runs of {options.per_run} days", first)
        say("compared", compare(alone, files, days))
        before = {name: cluster.runs_of(name) for name in cluster.workers}

        def second() -> str:
            return with_a_kill(cluster, client, days)

        timed_step("the same again, one worker killed in the middle", second)
        rest = ", ".join(f"{n} {cluster.runs_of(n) - before[n]}" for n in cluster.workers)
        say("runs after", rest)
        say("compared", compare(alone, files, days))
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


def backfill_alone(alone: Path) -> str:
    env = clean_env(alone, GRACE_KPI_CATALOG=str(alone.parent / "kpis.yaml"))
    run([script("grace"), "ingest", alone.parent / "missions.jsonl"], env)
    made_days = len(list((alone / "samples").iterdir()))
    first, last = days_of(made_days)[0], days_of(made_days)[-1]
    ran = run([script("grace"), "backfill", "--from", first, "--to", last], env)
    return f"{ran.peak_mib:,.0f} MiB at peak"


@contextmanager
def start(folder: Path, per_run: int, alone: Path) -> Iterator[Cluster]:
    """Servers, the host that is asked, and two workers; all gone when the block ends."""
    programs = postgres.programs()
    if programs is None or redis_server.PROGRAM is None:
        sys.exit("needs postgresql and redis-server: scripts/install-test-servers")
    with ExitStack() as stack:
        isolated = os.geteuid() == 0 and shutil.which("ip") is not None
        host = stack.enter_context(networks(2)) if isolated else "127.0.0.1"
        say("network", f"namespaces on {host}" if isolated else "of this machine: not root")
        url = stack.enter_context(postgres.server(programs, host))
        broker = stack.enter_context(redis_server.server(host))
        store = folder / "s3"
        store.mkdir()
        bucket = stack.enter_context(seaweed(store, host))
        where = urlsplit(url)
        env = {name: value for name, value in clean_env(alone).items() if name in ("PATH", "LANG")}
        env |= bucket | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DAGSTER_PG_HOST": str(where.hostname),
            "DAGSTER_PG_PORT": str(where.port),
            "DAGSTER_PG_USER": str(where.username),
            "DAGSTER_PG_PASSWORD": "none",
            "DAGSTER_PG_DB": where.path.strip("/"),
            "GRACE_STATE_URL": url,
            "GRACE_CELERY_BROKER_URL": broker,
            "GRACE_DATA_DIR": f"s3://{BUCKET}/scale",
            "GRACE_KPI_CATALOG": str(folder / "kpis.yaml"),
            "GRACE_BACKFILL_DAYS_PER_RUN": str(per_run),
            "ENABLE_AUTO_STATUS_BRIEFS": "false",
        }
        port = free_port()
        env["DAGSTER_GRAPHQL_URL"] = f"http://127.0.0.1:{port}"
        cluster = Cluster(folder, env, isolated, port)
        stack.callback(stop_all, cluster)
        subprocess.run(
            [script("dagster"), "instance", "migrate"],
            env=cluster.home("first"),
            check=True,
            capture_output=True,
        )
        web = ["--host", "127.0.0.1", "--port", str(cluster.port)]
        module = ["--module-name", "grace_assets.definitions"]
        cluster.workers["web"] = cluster.start(
            "first", [script("dagster-webserver"), *web, *module]
        )
        cluster.workers["daemon"] = cluster.start(
            "first", [script("dagster-daemon"), "run", *module]
        )
        for number in (1, 2):
            cluster.start_worker(number)
        for name in ("web", "daemon"):
            stack.callback(kill, cluster.workers.pop(name))
        yield cluster


@contextmanager
def networks(count: int) -> Iterator[str]:
    """Namespaces on a bridge; yields the address of this machine on it."""

    def ip(*arguments: str, check: bool = True) -> None:
        subprocess.run(["ip", *arguments], check=check, capture_output=not check)

    def clean() -> None:
        for number in range(1, count + 1):
            ip("link", "delete", f"{TAG}-o{number}", check=False)
            ip("netns", "delete", f"{TAG}-{number}", check=False)
        ip("link", "delete", TAG, check=False)

    try:
        ip("link", "add", TAG, "type", "bridge")
        ip("address", "add", f"{SUBNET}.1/24", "dev", TAG)
        ip("link", "set", TAG, "up")
        for number in range(1, count + 1):
            space, outer, inner = f"{TAG}-{number}", f"{TAG}-o{number}", f"{TAG}-i{number}"
            ip("netns", "add", space)
            ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", space)
            ip("link", "set", outer, "master", TAG, "up")
            within = ("-n", space)
            ip(*within, "address", "add", f"{SUBNET}.{number + 1}/24", "dev", inner)
            ip(*within, "link", "set", inner, "up")
            ip(*within, "link", "set", "lo", "up")
        yield f"{SUBNET}.1"
    finally:
        clean()


def take_in(cluster: Cluster, alone: Path) -> str:
    env = cluster.home("first")
    run([script("grace"), "ingest", cluster.folder / "missions.jsonl"], env)
    store = bucket_of(cluster)
    store.put(f"{alone}/samples/", f"{BUCKET}/scale/samples/", recursive=True)
    client = DagsterGraphQLClient("127.0.0.1", cluster.port)
    until(lambda: answers(client), "the webserver")
    return ""


def answers(client: DagsterGraphQLClient) -> bool:
    try:
        return bool(client._execute("{ version }"))
    except (DagsterGraphQLClientError, OSError):
        return False


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


def launch(cluster: Cluster, days: Sequence[str]) -> str:
    """The shipped command, on the first host; the backfill's id."""
    command = [script("grace"), "backfill", "--launch", "--from", days[0], "--to", days[-1]]
    said = subprocess.run(
        command, env=cluster.home("first"), check=True, capture_output=True, text=True
    )
    return said.stdout.split()[-1]


def status(client: DagsterGraphQLClient, backfill: str) -> str:
    answer = client._execute(STATUS, {"id": backfill})["partitionBackfillOrError"]
    if answer["status"] in ("FAILED", "COMPLETED_FAILED", "CANCELED"):
        sys.exit(f"the backfill ended as {answer['status']}: {answer.get('error')}")
    return answer["status"]


def wait_for(client: DagsterGraphQLClient, backfill: str) -> None:
    done = ("COMPLETED", "COMPLETED_SUCCESS")
    until(lambda: status(client, backfill) in done, "the backfill")


def with_a_kill(cluster: Cluster, client: DagsterGraphQLClient, days: Sequence[str]) -> str:
    backfill = launch(cluster, days)
    victim = "worker1"
    finished = cluster.runs_of(victim)
    until(lambda: cluster.runs_of(victim) > finished, "a first run of the worker")
    until(lambda: in_a_run(cluster, victim), "the worker to be in a run")
    kill(cluster.workers[victim])
    wait_for(client, backfill)
    retried = client._execute(RETRIED)["runsOrError"]["count"]
    if not retried:
        sys.exit("no run was cut off: the kill hit a worker without one")
    return f"{victim} killed in a run; made anew: {retried}"


def in_a_run(cluster: Cluster, name: str) -> bool:
    text = (cluster.folder / f"{name}.log").read_text(errors="replace")
    return text.count("received") > cluster.runs_of(name)


def compare(alone: Path, files: Files, days: Sequence[str]) -> str:
    """Row by row; ends the program at the first table that differs."""
    ours, theirs = Lake(alone, LocalFiles(alone)), Lake(alone, files)
    rows = 0
    for table, schema in TABLES.items():
        names = [name for name in schema.with_date().names if name not in DIFFERS]
        pair = [ordered(lake.read(table, days).select(names)) for lake in (ours, theirs)]
        if pair[0] != pair[1]:
            sys.exit(f"{table} differs: {pair[0].num_rows:,} rows, {pair[1].num_rows:,} rows")
        rows += pair[0].num_rows
    return f"{len(TABLES)} tables, {rows:,} rows: equal"


def ordered(rows: pa.Table) -> pa.Table:
    """By what identifies a row, which is text."""
    text = [f.name for f in rows.schema if pa.types.is_string(f.type)]
    return rows.sort_by([(name, "ascending") for name in text]).combine_chunks()


def shared(cluster: Cluster) -> str:
    store = bucket_of(cluster)
    found = store.find(f"{BUCKET}/scale", detail=True)
    size = sum(info["size"] for info in found.values())
    left = sorted(
        {file.name for n in (1, 2) for file in (cluster.folder / f"worker{n}").rglob("*.sqlite")}
    )
    return f"{len(found):,} objects, {size / 2**20:,.1f} MiB; databases of the workers' own: {left}"


def bucket_of(cluster: Cluster) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(
        key=cluster.env["AWS_ACCESS_KEY_ID"],
        secret=cluster.env["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=cluster.env["AWS_ENDPOINT_URL"],
        use_listings_cache=False,
        skip_instance_cache=True,
    )


def days_of(count: int) -> list[str]:
    return [(made.FIRST.date() + timedelta(days=n)).isoformat() for n in range(count)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            sys.exit(f"waited an hour for {what}")
        time.sleep(1)


def kill(process: subprocess.Popen) -> None:
    """It and all that it started, at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def stop_all(cluster: Cluster) -> None:
    for process in cluster.workers.values():
        kill(process)


def timed_step(what: str, step: Callable[[], str]) -> float:
    started = time.monotonic()
    told = step()
    seconds = time.monotonic() - started
    say(what, f"{seconds:.0f} s" + (f"; {told}" if told else ""))
    return seconds


def say(what: str, told: str) -> None:
    print(f"{what}: {told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
