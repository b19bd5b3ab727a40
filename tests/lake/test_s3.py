"""Tables and samples in a bucket of a real S3 server: the same tables, never half a file."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.core.schemas import TABLES
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.bucket_inbox import dropped
from grace_assets.lake.inbox import Intake
from grace_assets.lake.s3_files import S3Files
from grace_assets.lake.samples import SampleStore
from grace_assets.lake.tables import Lake
from grace_assets.resources import StoreResource
from grace_assets.settings import Settings, SettingsError
from tests.conftest import encode, event
from tests.objects import put
from tests.rows import outcome, problem, table
from tests.seaweed import BUCKET
from tests.test_loop import DAYS, Loop, missions, samples

DAY = "2025-01-03"
ARRIVAL = ("received_at", "origin")
"""When and from which file a mission came."""
GRACE = str(Path(sys.executable).with_name("grace"))


@pytest.fixture
def lake(bucket, tmp_path, request) -> Lake:
    return Lake(tmp_path, S3Files(f"{bucket}/{request.node.name}"))


def test_a_day_is_written_read_and_replaced(lake):
    assert (lake.days("problems"), lake.read("problems", [DAY]).num_rows) == ([], 0)
    lake.replace("problems", [DAY, "2025-01-04"], table("problems", [problem()]))
    assert lake.days("problems") == [DAY, "2025-01-04"]
    assert lake.read("problems", [DAY]).to_pylist() == [problem()]
    lake.replace("problems", [DAY], table("problems", [problem("p2"), problem("p3")]))
    assert lake.read("problems", [DAY], ["problem_id"])["problem_id"].to_pylist() == ["p2", "p3"]
    assert lake.read("problems", ["2025-01-04"]).num_rows == 0


def test_another_process_sees_a_new_and_a_remade_day_at_once(lake, tmp_path, bucket, request):
    reader = Analytics(Lake(tmp_path / "other", S3Files(f"{bucket}/{request.node.name}")))
    assert reader.of_days("mission_outcomes", [DAY]).num_rows == 0
    lake.replace("mission_outcomes", [DAY], table("mission_outcomes", [outcome("m1")]))
    assert reader.day_of_mission("m1") == DAY
    lake.replace("mission_outcomes", [DAY], table("mission_outcomes", [outcome("m2")]))
    assert reader.day_of_mission("m1") is None
    assert reader.day_of_mission("m2") == DAY


def test_what_was_cached_of_the_bucket_stands_until_its_day_is_made_again(
    lake, tmp_path, bucket, request
):
    def told() -> list[str]:
        reader = Lake(tmp_path / "other", S3Files(f"{bucket}/{request.node.name}"))
        return Analytics(reader).of_days("problems", [DAY])["problem_id"].to_pylist()

    for name in ("p1", "p2"):
        lake.replace("problems", [DAY], table("problems", [problem(name)]))
        assert told() == told() == [name]
    assert (tmp_path / "other" / "cache" / "problems" / f"{DAY[:7]}.arrow").exists()


def test_sixteen_writers_race_and_no_reader_ever_finds_half_a_file(lake, tmp_path, bucket, request):
    place = f"{bucket}/{request.node.name}"
    versions = [
        table("problems", [problem(f"w{writer}-{n}") for n in range(200)]) for writer in range(16)
    ]
    lake.replace("problems", [DAY], versions[0])
    done, torn = threading.Event(), []

    def read() -> None:
        own = Lake(tmp_path, S3Files(place))
        while not done.is_set():
            writers = {
                i.split("-")[0] for i in own.read("problems", [DAY])["problem_id"].to_pylist()
            }
            if len(writers) != 1:
                torn.append(writers)

    def write(version: pa.Table, host: int) -> None:
        # Each with locks of its own, as on sixteen hosts.
        Lake(tmp_path / str(host), S3Files(place)).replace("problems", [DAY], version)

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=write, args=(v, n)) for n, v in enumerate(versions)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    reader.join()
    assert torn == []
    rows = lake.read("problems", [DAY])["problem_id"].to_pylist()
    assert (len(rows), len({row.split("-")[0] for row in rows})) == (200, 1)


def test_a_writer_that_is_killed_leaves_the_old_file(lake, tmp_path, bucket, request):
    lake.replace("problems", [DAY], table("problems", [problem("old")]))
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from grace_assets.lake.s3_files import S3Files\n"
        f"files = S3Files({bucket + '/' + request.node.name!r})\n"
        f"with files.replacing('tables/problems/date={DAY}/part-0.parquet') as file:\n"
        "    file.write(b'half a file')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert lake.read("problems", [DAY], ["problem_id"])["problem_id"].to_pylist() == ["old"]


def test_samples_are_merged_in_the_bucket_as_in_a_folder(bucket, tmp_path, request):
    remote = SampleStore(tmp_path, S3Files(f"{bucket}/{request.node.name}"))
    local = SampleStore(tmp_path)
    rows = samples().slice(0, 5_000)
    for store in (remote, local):
        store.add(rows.slice(0, 3_000), lambda touched: None)
        store.add(rows.slice(2_000), lambda touched: None)
    first, last = (rows["timestamp"][n].as_py() for n in (0, rows.num_rows - 1))
    assert remote.read(first, last).equals(local.read(first, last))


def test_months_in_a_bucket_read_as_their_days_did(lake, tmp_path, bucket, request):
    days = [f"2025-01-{n:02}" for n in range(1, 32)]
    for n, day in enumerate(days):
        row = problem(f"p-{n}") | {"date": day}
        lake.replace("problems", [day], table("problems", [row] if n != 5 else []))
    other = Lake(tmp_path / "other", S3Files(f"{bucket}/{request.node.name}"))
    reader = Analytics(other)
    before, kept = lake.read("problems", days), reader.of_days("problems", days)
    stored = held(bucket, request.node.name)
    assert lake.size("problems", days) == sum(len(content) for content in stored.values()) > 0
    assert lake.compact("problems", "2025-01") == (31, 30)
    assert other.read("problems", days).equals(before)
    assert other.days("problems") == days
    # By the files: this server lists a prefix for a while after its last object is gone.
    left = [f"tables/problems/date={day}/part-0.parquet" for day in days]
    assert list(lake._files.sources(left)) == []
    assert reader.of_days("problems", days).equals(kept)
    again = table("problems", [problem("again") | {"date": days[5]}])
    lake.replace("problems", [days[5]], again)
    assert other.read("problems", [days[5]]).equals(again)
    assert reader.of_days("problems", days).num_rows == 31
    assert lake.compact("problems", "2025-01") == (1, 1)
    assert other.read("problems", [days[5]]).equals(again)
    assert lake.compact("problems", "2025-01") == (0, 0)


def test_a_reader_of_a_bucket_sees_each_row_once_at_any_instant(lake, tmp_path, bucket, request):
    days = [f"2025-02-{n:02}" for n in range(1, 15)]
    rows = {day: table("problems", [problem(day) | {"date": day}]) for day in days}
    for day in days:
        lake.replace("problems", [day], rows[day])
    done, wrong, looks = threading.Event(), [], []

    def read() -> None:
        while not done.is_set() or len(looks) < 3:
            own = Lake(tmp_path / "other", S3Files(f"{bucket}/{request.node.name}"))
            ids = own.read("problems", days)["problem_id"].to_pylist()
            looks.append(len(ids))
            if ids != days:
                wrong.append(ids)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(4):
        lake.compact("problems", "2025-02")
        for day in days[turn : turn + 3]:
            lake.replace("problems", [day], rows[day])
    done.set()
    reader.join()
    assert wrong == []


def test_what_cannot_be_fetched_is_an_error_and_no_empty_day(lake, bucket, request, monkeypatch):
    """Else a compaction would put nothing in the place of the day."""
    lake.replace("problems", [DAY], table("problems", [problem()]))
    place = f"{bucket}/{request.node.name}"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(PermissionError):
        list(S3Files(place).sources([f"tables/problems/date={DAY}/part-0.parquet"]))


def test_the_whole_loop_makes_the_same_tables_in_a_bucket_as_in_a_folder(bucket, tmp_path):
    loops = [Loop(tmp_path / "local"), Loop(tmp_path / "state", files_url=f"{bucket}/loop")]
    for loop in loops:
        loop.root.mkdir()
        loop.take(*missions())
        loop.store.samples().add(samples(), lambda touched: None)
        loop.run(*DAYS[:3], **{DELIVER_TAG: "never"})
    assert not (tmp_path / "state" / "tables").exists()
    for name in TABLES:
        there, here = (
            [{k: v for k, v in row.items() if k not in ARRIVAL} for row in loop.table(name)]
            for loop in loops
        )
        assert there == here, name
    missing = [name for name in TABLES if not loops[1].store.lake().days(name)]
    assert missing == []


def test_other_engines_read_the_bucket_as_it_is(bucket, tmp_path):
    files = S3Files(f"{bucket}/engines")
    Lake(tmp_path, files).replace(
        "mission_outcomes", [DAY], table("mission_outcomes", [outcome("m1"), outcome("m2")])
    )
    db = duckdb.connect()
    import s3fs

    db.register_filesystem(s3fs.S3FileSystem())
    place = f"{bucket}/engines/tables/mission_outcomes/*/*.parquet"
    found = db.execute(
        "select date::varchar, avg(time_to_restore_seconds), count(*) "
        f"from read_parquet('{place}', hive_partitioning = true) group by 1"
    )
    assert found.fetchall() == [(DAY, 720.0, 2)]


def test_the_commands_work_on_a_bucket(bucket, tmp_path):
    from datetime import UTC, datetime, timedelta

    from tests.conftest import encode, event

    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    mission = event(started_at=f"{yesterday}T10:00:00Z", completed_at=f"{yesterday}T10:10:00Z")
    (tmp_path / "missions.jsonl").write_bytes(encode(mission))
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("GRACE_", "DAGSTER_"))},
        "GRACE_DATA_DIR": f"{bucket}/cli",
        "GRACE_STATE_DIR": str(tmp_path / "state"),
    }

    def grace(*arguments: str) -> str:
        command = [GRACE, *arguments]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "canary" not in done.stdout + done.stderr
        return done.stdout

    grace("ingest", "missions.jsonl")
    grace("backfill", "--from", yesterday, "--to", yesterday)
    assert "payments" in grace("brief")
    assert grace("ask", "how many missions did you run yesterday").startswith("1 mission.")
    written = b"".join(p.read_bytes() for p in (tmp_path / "state").rglob("*") if p.is_file())
    assert b"canary-secret" not in written


@pytest.mark.parametrize("where", ["s3://", "s3://key:canary@bucket", "gs://bucket", "s3://B/x"])
def test_another_address_is_refused_without_being_quoted(where):
    with pytest.raises(SettingsError, match="GRACE_DATA_DIR") as refused:
        Settings.from_env({"GRACE_DATA_DIR": where})
    assert "canary" not in str(refused.value)


def held(bucket: str, name: str) -> dict[str, bytes]:
    """What lies below a place of the bucket, by its name there."""
    files = S3Files(f"{bucket}/{name}")
    below = f"{BUCKET}/{name}/"
    return {key.removeprefix(below): files._s3.cat_file(key) for key in files._s3.find(below)}


def test_what_is_dropped_into_the_bucket_is_taken_once_and_archived(bucket, tmp_path, request):
    name = request.node.name
    files = S3Files(f"{bucket}/{name}")
    store = StoreResource(data_dir=str(tmp_path), timezone="UTC", files_url=f"{bucket}/{name}")

    def drop(file: str, content: bytes) -> None:
        put(files, file, content)

    def take() -> Intake:
        with store.landing() as landing:
            return store.inbox(landing).take(datetime.now(UTC))

    sample = {
        "source": "rag_kpis",
        "domain_id": "payments",
        "metric": "latency_ms",
        "timestamp": "2026-03-01T09:00:00Z",
        "value": 280.0,
    }
    drop("inbox/a.jsonl", encode(event("m-1"), event("m-2")) + b"{broken")
    drop("inbox/kpis/s.jsonl", encode(sample))
    drop("inbox/kpis/t.jsonl", encode({**sample, "value": 300.0}))
    drop("inbox/kpis/bad.parquet", b"no Parquet")
    drop("inbox/notes.txt", b"nobody's business")
    drop("inbox/.hidden.jsonl", encode(event("m-9")))
    intake = take()
    counts = intake.missions
    assert (counts.accepted, len(counts.rejected), intake.samples.accepted) == (2, 1, 1)
    assert (intake.samples.restated, intake.bad_samples, intake.files) == (1, 1, 4)
    with store.landing() as landing:
        told = {(bad.origin, bad.line, bad.raw) for bad in landing.quarantine.lines()}
    assert told == {("a.jsonl", 3, b"{broken"), ("bad.parquet", 0, b"")}
    assert {file for file in held(bucket, name) if "inbox" in file} == {
        "archive/inbox/a.jsonl",
        "archive/inbox/kpis/s.jsonl",
        "archive/inbox/kpis/t.jsonl",
        "archive/inbox/kpis/bad.parquet",
        "inbox/notes.txt",
        "inbox/.hidden.jsonl",
    }
    assert take().files == 0
    # The same name again is another drop: what is known already is a duplicate.
    drop("inbox/a.jsonl", encode(event("m-2"), event("m-3")))
    again = take().missions
    assert (again.accepted, again.duplicate) == (1, 1)


def test_an_object_that_is_replaced_while_it_is_taken_is_taken_as_well(bucket, tmp_path, request):
    files = S3Files(f"{bucket}/{request.node.name}")

    def drop(content: bytes) -> None:
        put(files, "inbox/a.jsonl", content)

    drop(b"first")
    found = []
    for later in (b"second", None):
        for drop_ in dropped(files):
            found.append(drop_.local.read_bytes())
            if later:
                drop(later)
            drop_.archive()
    assert found == [b"first", b"second"]
    assert list(dropped(files)) == []


def test_the_outbox_lies_in_the_bucket(bucket, tmp_path, request, monkeypatch):
    name = request.node.name
    for channel in ("SLACK_WEBHOOK_URL", "SMTP_HOST", "STATUS_BRIEF_RECIPIENTS"):
        monkeypatch.delenv(channel, raising=False)
    loop = Loop(tmp_path, files_url=f"{bucket}/{name}")
    loop.take(*missions())
    loop.store.samples().add(samples(), lambda touched: None)
    loop.run(*DAYS[:3], **{DELIVER_TAG: "always"})
    found = held(bucket, name)
    briefs = [file for file in found if file.startswith("outbox/slack/")]
    assert len(briefs) == 3 and all(json.loads(found[file]) for file in briefs)
    assert len([file for file in found if file.startswith("outbox/email/")]) == 3
    asked = [json.loads(line) for line in found["outbox/missions.jsonl"].splitlines()]
    assert asked and not list((tmp_path / "outbox").rglob("*.*"))
    # A consumer takes the lines away; what is asked for later is put there alone.
    files = S3Files(f"{bucket}/{name}")
    put(files, "outbox/missions.jsonl", b"")
    later = {**asked[0], "follow_up_id": "fu-later", "type": "repair", "status": "open"}
    assert loop.store.outbox().announce([later]) == 1
    (line,) = held(bucket, name)["outbox/missions.jsonl"].splitlines()
    assert json.loads(line)["follow_up_id"] == "fu-later"
