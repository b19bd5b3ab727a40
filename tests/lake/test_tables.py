"""Partitions are whole or untouched, and hold what their schema says."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grace_assets.core.schemas import TABLES
from grace_assets.lake.conform import SchemaError
from grace_assets.lake.tables import Lake
from tests import rows
from tests.rows import part

DAY, NEXT = "2026-03-01", "2026-03-02"


def problem_rows(*ids: str, day: str = DAY) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "date": day,
                "problem_id": id_,
                "domain_id": "payments",
                "type": "recurring_issue",
                "severity": "medium",
                "description": "It came back.",
                "evidence": ["m-1"],
            }
            for id_ in ids
        ],
        schema=TABLES["problems"].with_date(),
    )


def test_days_are_replaced_whole_and_others_left_alone(tmp_path):
    lake = Lake(tmp_path)
    both = pa.concat_tables([problem_rows("b", "a"), problem_rows("c", day=NEXT)])
    assert lake.replace("problems", [DAY, NEXT], both) == {DAY: 2, NEXT: 1}
    assert lake.replace("problems", [DAY], problem_rows("d")) == {DAY: 1}
    assert lake.read("problems", [DAY, NEXT])["problem_id"].to_pylist() == ["d", "c"]
    assert lake.days("problems") == [DAY, NEXT]


def test_a_day_without_rows_is_written_empty(tmp_path):
    lake = Lake(tmp_path)
    assert lake.replace("problems", [DAY], problem_rows()) == {DAY: 0}
    assert lake.days("problems") == [DAY]
    assert lake.read("problems", [DAY, NEXT]).num_rows == 0


def test_files_are_hive_partitions_that_do_not_repeat_the_date(tmp_path):
    lake = Lake(tmp_path)
    lake.replace("problems", [DAY], problem_rows("a"))
    (path,) = tmp_path.glob("tables/problems/date=2026-03-01/*.parquet")
    assert "date" not in pq.ParquetFile(path).schema_arrow.names
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    query = f"select problem_id, date::varchar from '{tmp_path}/tables/problems/**/*.parquet'"
    assert duckdb.sql(query).fetchall() == [("a", DAY)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (problem_rows("a").drop_columns(["type"]), r"missing columns \['type'\]"),
        (problem_rows("a").append_column("x", [[1]]), r"unknown columns \['x'\]"),
        (problem_rows("a", "a"), "problems.problem_id: a twice on 2026-03-01"),
        (problem_rows("a", day=NEXT), "days not asked for"),
        (
            problem_rows("a").set_column(4, "severity", pa.array([None], pa.string())),
            "problems.severity: null in a required column",
        ),
        (
            problem_rows("a").set_column(6, "evidence", pa.array([1.5])),
            "problems: .*evidence|Unsupported cast",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_the_old_day_stays(tmp_path, rows, message):
    lake = Lake(tmp_path)
    lake.replace("problems", [DAY], problem_rows("old"))
    with pytest.raises(SchemaError, match=message):
        lake.replace("problems", [DAY], rows)
    assert lake.read("problems", [DAY])["problem_id"].to_pylist() == ["old"]


KILLED_WRITER = """
import os, sys
from pathlib import Path
from grace_assets.lake.tables import Lake
from tests.lake.test_tables import problem_rows, DAY
calls = 0
def dying(real):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), 9)
        return real(*args, **kwargs)
    return call
os.fsync = dying(os.fsync)
os.replace = dying(os.replace)
os.rename = dying(os.rename)
Path.replace = dying(Path.replace)
Lake(Path(sys.argv[1])).replace("problems", [DAY], problem_rows("new"))
"""


def test_a_writer_killed_at_any_step_leaves_the_old_day_or_the_new_one(tmp_path):
    Lake(tmp_path).replace("problems", [DAY], problem_rows("old"))
    seen = set()
    for step in range(1, 10):
        done = subprocess.run(
            [sys.executable, "-c", KILLED_WRITER, str(tmp_path), str(step)],
            cwd=Path(__file__).parents[2],
            check=False,
        )
        seen.add(Lake(tmp_path).read("problems", [DAY])["problem_id"].to_pylist()[0])
        if done.returncode == 0:
            break
        assert done.returncode == -9
    else:
        pytest.fail("the writer never finished")
    assert step >= 3, "the writer was never killed in the middle"
    assert seen == {"old", "new"}
    left = [path.name for path in part(Lake(tmp_path), "problems", DAY).parent.iterdir()]
    assert left == ["part-0.parquet"], "a dead writer's file was not swept"


def test_the_rows_of_one_mission_are_found_in_any_part_of_a_day(tmp_path):
    lake = Lake(tmp_path)
    with lake.replacing("mission_telemetry", DAY) as write:
        for n in range(3):
            write(rows.table("mission_telemetry", [{**rows.reading(f"m{n}"), "date": DAY}]))
    for month in (None, DAY[:7]):
        if month:
            lake.compact("mission_telemetry", month)
        found = lake.of_mission("mission_telemetry", DAY, "m1")
        assert found.equals(lake.read("mission_telemetry", [DAY]).slice(1, 1))
        assert lake.of_mission("mission_telemetry", DAY, "m9").num_rows == 0
        assert lake.of_mission("mission_telemetry", "2020-01-01", "m1").num_rows == 0


def test_the_lock_keeps_a_second_process_out(tmp_path):
    lake = Lake(tmp_path)
    attempt = (
        "import sys; from filelock import FileLock, Timeout\n"
        "try: FileLock(sys.argv[1]).acquire(timeout=0)\n"
        "except Timeout: sys.exit(7)\n"
    )
    with lake.exclusive("problems"):
        lake.replace("problems", [DAY], problem_rows("a"))
        path = str(tmp_path / "state/locks/problems.lock")
        inside = subprocess.run([sys.executable, "-c", attempt, path], check=False)
    after = subprocess.run([sys.executable, "-c", attempt, path], check=False)
    assert (inside.returncode, after.returncode) == (7, 0)


def test_a_file_of_an_earlier_version_reads_with_what_it_lacks_unknown(tmp_path):
    lake = Lake(tmp_path)
    schema = TABLES["mission_verdicts"].arrow()
    old = schema.remove(schema.get_field_index("reason_codes"))
    old = old.remove(old.get_field_index("held"))
    values = {
        "mission_id": "m",
        "stage": "first",
        "judged_at": datetime(2026, 3, 1, tzinfo=UTC),
        "method_version": "1",
        "verdict": "effective",
        "effectiveness_score": 1.0,
    }
    path = part(lake, "mission_verdicts", "2026-03-01")
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([values], schema=old), path)
    (row,) = lake.read("mission_verdicts", ["2026-03-01"]).to_pylist()
    assert row == {"date": "2026-03-01", **values, "held": None, "reason_codes": []}
