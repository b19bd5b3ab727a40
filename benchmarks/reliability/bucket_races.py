"""Sixteen processes, as on sixteen hosts, that each add rows to one day of a table in a bucket.

They share the bucket and a PostgreSQL, and no folder. Each reads the day, adds a row and writes
it, alone with the day.

python -m benchmarks.reliability.bucket_races FOLDER PLACE STATE_URL    (the processes)
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pyarrow as pa

from benchmarks.reliability.oracle import Tally
from grace_assets.lake.locks import Locks
from grace_assets.lake.s3_files import S3Files
from grace_assets.lake.tables import Lake
from tests.rows import problem, table

HOSTS, ROUNDS = 16, 3
TABLE, DAY = "problems", "2025-01-03"
ROOT = Path(__file__).parents[2]


def _host(number: int, folder: Path, place: str, state_url: str, start: object) -> None:
    root = folder / str(number)
    lake = Lake(root, S3Files(place), Locks(root, state_url))
    # Connections take long to make, and would keep the processes apart.
    lake.read(TABLE, [DAY])
    start.wait()
    for name in (f"{number}-{turn}" for turn in range(ROUNDS)):
        with lake.exclusive(TABLE, [DAY]):
            rows = [lake.read(TABLE, [DAY]), table(TABLE, [problem(name)])]
            lake.replace(TABLE, [DAY], pa.concat_tables(rows))


def race(folder: Path, place: str, state_url: str) -> int:
    """How many of the processes failed."""
    # Forks of one that has imported everything: sixteen starts of Python would be no race.
    for name in ("psycopg", "pyarrow.parquet", "s3fs", "sqlalchemy"):
        import_module(name)
    context = multiprocessing.get_context("fork")
    start = context.Barrier(HOSTS)
    hosts = [
        context.Process(target=_host, args=(number, folder, place, state_url, start))
        for number in range(HOSTS)
    ]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    return sum(host.exitcode != 0 for host in hosts)


def sweep(folder: Path, place: str, state_url: str) -> Tally:
    """Every row is there in the end, and whoever reads meanwhile finds rows that only grow."""
    tally, seen = Tally(), 0
    lake = Lake(folder / "reader", S3Files(place))
    command = [sys.executable, "-m", "benchmarks.reliability.bucket_races"]
    with subprocess.Popen([*command, str(folder), place, state_url], cwd=ROOT) as hosts:
        while hosts.poll() is None:
            tally.points += 1
            try:
                rows = lake.read(TABLE, [DAY]).num_rows
            except (OSError, pa.ArrowException) as error:
                tally.torn.append(f"{error}")
                continue
            if rows < seen:
                tally.lost.append(f"{seen} rows, and then {rows}")
            seen = rows
    if hosts.returncode:
        tally.unclear.append(f"{hosts.returncode} of the processes failed")
    found = set(lake.read(TABLE, [DAY])["problem_id"].to_pylist())
    made = {f"{number}-{turn}" for number in range(HOSTS) for turn in range(ROUNDS)}
    tally.lost += [f"row {name}" for name in sorted(made - found)]
    return tally


def main(arguments: Sequence[str]) -> int:
    folder, place, state_url = arguments
    return race(Path(folder), place, state_url)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
