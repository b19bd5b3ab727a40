"""A real Prometheus with a history of the tests' making, scraping a real node exporter."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx

PROGRAMS = ("prometheus", "promtool", "prometheus-node-exporter")


def missing() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(
    command: list[str], ready: str, folder: Path, verify: ssl.SSLContext | bool = True
) -> Iterator[None]:
    """A server from start to answer, ended by its own id."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            for _ in range(200):
                with suppress(httpx.HTTPError):
                    # A login that is asked for is an answer too.
                    answer = httpx.get(ready, trust_env=False, timeout=1, verify=verify)
                    if answer.status_code < 500:
                        break
                time.sleep(0.05)
            else:
                raise RuntimeError(f"{command[0]} did not start")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait(10)


def backfill(folder: Path, name: str, label: str, series: dict[str, Iterable[tuple[int, str]]]):
    """Blocks of history: for each value of the label, (seconds since 1970, value as text)."""

    def quoted(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    lines = [f"# TYPE {name} gauge"]
    for value, points in series.items():
        lines += [f'{name}{{{label}="{quoted(value)}"}} {text} {at}' for at, text in points]
    source = folder / f"{name}.om"
    source.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    # It reads the whole file again for each block, which are of two hours by default.
    blocks = ["create-blocks-from", "--max-block-duration=720h", "openmetrics"]
    command = ["promtool", "tsdb", *blocks, str(source)]
    subprocess.run([*command, str(folder / "tsdb")], check=True, capture_output=True)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Prometheus on `folder/tsdb`, and a node exporter that it scrapes; yields its URL."""
    port, exporter = free_port(), free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        "  - job_name: node\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{exporter}']}}]\n",
        encoding="utf-8",
    )
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        node = f"127.0.0.1:{exporter}"
        command = ["prometheus-node-exporter", f"--web.listen-address={node}"]
        stack.enter_context(running(command, f"http://{node}/metrics", folder))
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        stack.enter_context(running(command, f"{url}/-/ready", folder))
        yield url
