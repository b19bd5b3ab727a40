"""A real PostgreSQL of the tests' own, in a folder of its own, on a free loopback port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    initdb = found[-1] if found else Path(on_path) if on_path else None
    return initdb.parent if initdb else None


@contextmanager
def server(folder: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """Start one with the programs in `folder`; yields its SQLAlchemy URL, and stops it."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    # PostgreSQL refuses to be root; root runs it as nobody.
    user = "nobody" if os.geteuid() == 0 else None
    with TemporaryDirectory(prefix="grace-pg-") as home:
        if user:
            shutil.chown(home, user)
        data = f"{home}/data"

        def call(program: str, *arguments: str) -> None:
            command = [str(folder / program), "-D", data, *arguments]
            subprocess.run(
                command,
                check=True,
                user=user,
                cwd=home,
                env={"LC_ALL": "C", "HOME": home},
                stdout=subprocess.DEVNULL,
            )

        # What is made for one test need not survive the machine.
        call("initdb", "--no-sync", "--auth=trust", "--username=grace", "--encoding=UTF8")
        if host != "127.0.0.1":
            with Path(f"{data}/pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")
        options = f"-h {host} -p {port} -k {home}"
        call("pg_ctl", "start", "-w", "-l", f"{home}/log", "-o", options)
        try:
            yield f"postgresql+psycopg://grace@{host}:{port}/postgres"
        finally:
            call("pg_ctl", "stop", "-w", "-m", "immediate")
