"""Hosts of `deploy/celery` on one machine, each with a home and a working folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.harness import ROOT, script

INSTANCE = ROOT / "deploy" / "celery" / "dagster.yaml"
MODULE = ("--module-name", "grace_assets.definitions")


def addresses(database: str, broker: str, files: str, password: str = "none") -> dict[str, str]:
    """The variables by which a host finds what all share."""
    where = urlsplit(database)
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DAGSTER_PG_HOST": str(where.hostname),
        "DAGSTER_PG_PORT": str(where.port),
        "DAGSTER_PG_USER": str(where.username),
        "DAGSTER_PG_PASSWORD": password,
        "DAGSTER_PG_DB": where.path.strip("/"),
        "GRACE_STATE_URL": database,
        "GRACE_CELERY_BROKER_URL": broker,
        "GRACE_DATA_DIR": files,
    }


@dataclass(frozen=True)
class Hosts:
    """Hosts by name. `inside` is what puts a command into a host's network."""

    folder: Path
    env: Mapping[str, str]
    instance: str = INSTANCE.read_text(encoding="utf-8")
    inside: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def home(self, name: str) -> dict[str, str]:
        """The variables of a host, with folders that it shares with nobody."""
        own = self.folder / name
        (own / "dagster").mkdir(parents=True, exist_ok=True)
        (own / "dagster" / "dagster.yaml").write_text(self.instance, encoding="utf-8")
        return {
            **self.env,
            "HOME": str(own),
            "DAGSTER_HOME": str(own / "dagster"),
            "GRACE_STATE_DIR": str(own / "state"),
        }

    def call(self, name: str, program: str, *arguments: str) -> str:
        """What a command printed; `RuntimeError` with its last words where it fails."""
        env = self.home(name)
        command = [str(script(program)), *arguments]
        done = subprocess.run(command, cwd=env["HOME"], env=env, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    @contextmanager
    def process(self, name: str, program: str, *arguments: str) -> Iterator[subprocess.Popen]:
        """A process that lasts as long as the block, and says what it says to the host's log."""
        env = self.home(name)
        command = [*self.inside.get(name, ()), str(script(program)), *arguments]
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                command, cwd=env["HOME"], env=env, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield process
        finally:
            kill(process)

    def worker(self, name: str) -> AbstractContextManager[subprocess.Popen]:
        """A worker with a place for one run."""
        options = ("--loglevel", "INFO", "--queues", "dagster", "--concurrency", "1")
        app = ("--app", "grace_assets.celery_worker")
        return self.process(name, "celery", *app, "worker", *options, "--hostname", f"{name}@host")

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def kill(process: subprocess.Popen) -> None:
    """It and all that it started, at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
