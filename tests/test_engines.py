"""`docs/read-the-tables.md`: its blocks as they stand, on a year of tables."""

import json
import os
import re
import shutil
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

from benchmarks import made
from grace_assets.core.rollups import domain_daily
from grace_assets.core.schemas import TABLES
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.tables import Lake
from tests.servers import unavailable

PAGE = Path(__file__).parents[1] / "docs" / "read-the-tables.md"
BLOCKS = dict(re.findall(r"```python (\w+)\n(.+?)```", PAGE.read_text(), re.DOTALL))
SPARK = Path("/opt/grace-spark/bin/python")
"""Half a gigabyte: `scripts/install-test-servers` puts it beside the other servers."""
DAYS, DOMAINS = 365, 5
LAST = made.FIRST.date() + timedelta(days=DAYS - 1)


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """A year, with missions that failed and days on which nothing happened."""
    lake = Lake(tmp_path_factory.mktemp("year"))
    missions = made.missions(20_000, DAYS, DOMAINS)
    for n in range(DAYS):
        day = (made.FIRST.date() + timedelta(days=n)).isoformat()
        rows = (
            made.outcomes(missions.of_days(n, n + 1), DOMAINS)
            if n % 50
            else TABLES["mission_outcomes"].with_date().empty_table()
        )
        lake.replace("mission_outcomes", [day], rows)
        lake.replace("domain_daily", [day], domain_daily(rows))
    return lake


@pytest.fixture(scope="module")
def expected(lake) -> dict[str, float]:
    """By the product itself: month → mean time to restore."""
    found = {}
    for month in range(1, 13):
        end = date(LAST.year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        total = Analytics(lake).stats(end.day, end)
        found[f"{LAST.year}-{month:02}"] = total.mttr_seconds
    return found


def folder(lake: Lake) -> str:
    return str(lake._files.root / "tables")


@pytest.mark.parametrize("engine", sorted(set(BLOCKS) - {"spark", "compacted"}))
def test_an_engine_reads_the_tables_as_they_stand(engine, lake, expected):
    scope = {"TABLES": folder(lake)}
    exec(BLOCKS[engine], scope)
    assert dict(map(tuple, scope["rows"])) == pytest.approx(expected, rel=1e-9)


def test_months_and_days_are_read_together_with_days_that_were_made_again(lake, tmp_path):
    shutil.copytree(lake._files.root, tmp_path, dirs_exist_ok=True)
    partly, table = Lake(tmp_path), "mission_outcomes"
    days = partly.days(table)
    for month in sorted({day[:7] for day in days})[:10]:
        partly.compact(table, month)
    empty = partly.read(table, [])
    fewer = partly.read(table, [days[40]]).slice(1)
    partly.replace(table, [days[40], days[41]], fewer)
    assert partly.read(table, [days[41]]).equals(empty), "no row says that the day was made again"
    rows = partly.read(table, days, ["time_to_restore_seconds"])
    expected = (
        rows.append_column("month", pc.utf8_slice_codeunits(rows["date"], 0, 7))
        .group_by("month")
        .aggregate([("time_to_restore_seconds", "mean")])
    )
    scope = {"TABLES": folder(partly)}
    exec(BLOCKS["compacted"], scope)
    assert dict(scope["rows"]) == pytest.approx(
        dict(zip(*(column.to_pylist() for column in expected.select([0, 1])), strict=True)),
        rel=1e-9,
    )


def test_spark_reads_the_tables_as_they_stand_on_a_cluster_of_two(lake, expected, tmp_path):
    if not SPARK.exists() or shutil.which("java") is None:
        unavailable("pyspark", "java")
    # Two hundred shares, as by default, of twelve rows; and what Java gains only over minutes.
    quick = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    (tmp_path / "spark-defaults.conf").write_text(
        "spark.sql.shuffle.partitions 2\n"
        "spark.ui.enabled false\n"
        f"spark.driver.extraJavaOptions {quick}\n"
        f"spark.executor.extraJavaOptions {quick}\n"
    )
    said = "import json; print('ROWS', json.dumps([list(row) for row in rows])); spark.stop()"
    code = f"{BLOCKS['spark']}\n{said}"
    start = f"TABLES = {folder(lake)!r}; MASTER = 'local-cluster[2,1,1024]'\n"
    done = subprocess.run(
        [SPARK, "-c", start + code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            "SPARK_LOCAL_DIRS": str(tmp_path),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_CONF_DIR": str(tmp_path),
        },
        timeout=240,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("ROWS ")]
    assert told, done.stderr[-3000:]
    rows = json.loads(told[0].removeprefix("ROWS "))
    assert dict(map(tuple, rows)) == pytest.approx(expected, rel=1e-9)


def test_the_page_says_how_for_each_of_them():
    assert set(BLOCKS) == {"duckdb", "polars", "spark", "pandas", "compacted"}
