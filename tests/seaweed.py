"""A real S3 server (SeaweedFS) on free loopback ports, for as long as a block lasts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import s3fs
from botocore.exceptions import BotoCoreError

BUCKET = "grace"
KEYS = {"AWS_ACCESS_KEY_ID": "canary-key", "AWS_SECRET_ACCESS_KEY": "canary-secret"}
WEED = str(Path(sys.executable).with_name("weed"))


def free_port(host: str = "127.0.0.1") -> int:
    """One whose port 10,000 higher is free as well: SeaweedFS takes both."""
    while True:
        with socket.socket() as low, socket.socket() as high:
            low.bind((host, 0))
            port = low.getsockname()[1]
            try:
                high.bind((host, port + 10_000 if port < 55_000 else port - 10_000))
            except OSError:
                continue
            if port < 55_000:
                return port


@contextmanager
def seaweed(folder: Path, host: str = "127.0.0.1") -> Iterator[dict[str, str]]:
    """The variables by which AWS's tools find the server; it has the bucket `BUCKET`."""
    identity = {
        "name": "grace",
        "credentials": [
            {"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
        ],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    rules = folder / "s3.json"
    rules.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    (folder / "data").mkdir()
    master, volume, filer, s3 = (str(free_port(host)) for _ in range(4))
    command = [
        *(WEED, "server", f"-ip={host}", f"-ip.bind={host}", f"-dir={folder / 'data'}"),
        *(f"-master.port={master}", f"-volume.port={volume}", "-filer", f"-filer.port={filer}"),
        *("-s3", f"-s3.port={s3}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *(f"-s3.config={rules}", "-master.volumeSizeLimitMB=64", "-volume.max=20"),
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    env = {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{s3}", "AWS_REGION": "us-east-1"}
    try:
        _wait(env, folder / "log")
        yield env
    finally:
        # It takes half a minute to end by itself.
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(env: dict[str, str], log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            found = s3fs.S3FileSystem(
                key=env["AWS_ACCESS_KEY_ID"],
                secret=env["AWS_SECRET_ACCESS_KEY"],
                endpoint_url=env["AWS_ENDPOINT_URL"],
                skip_instance_cache=True,
            )
            found.mkdir(BUCKET)
            found.pipe_file(f"{BUCKET}/ready", b"yes")
            return
        except (OSError, BotoCoreError) as error:
            if time.monotonic() > end:
                raise RuntimeError(log.read_text(errors="replace")[-2000:]) from error
            time.sleep(0.3)
