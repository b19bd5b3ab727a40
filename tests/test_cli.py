"""The commands of CONTRACT section 6: what they print, and their exit codes."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from grace_assets.cli import main
from tests.conftest import encode, event

YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()


@pytest.fixture
def grace(tmp_path, monkeypatch):
    monkeypatch.setenv("GRACE_DATA_DIR", str(tmp_path / "data"))
    for name in (
        "DAGSTER_HOME",
        "GRACE_TIMEZONE",
        "GRACE_START_DATE",
        "SLACK_WEBHOOK_URL",
        "STATUS_BRIEF_RECIPIENTS",
        "SMTP_HOST",
        "FOLLOW_UP_WEBHOOK_URL",
    ):
        # Set and deleted: DAGSTER_HOME, which a command sets, is then taken back as well.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return lambda *args: CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        encode(
            event("a", started_at=f"{YESTERDAY}T10:00:00Z", completed_at=f"{YESTERDAY}T10:10:00Z"),
            event(
                "=cmd",
                domain_id="Müller – Edition",
                started_at=f"{YESTERDAY}T11:00:00Z",
                completed_at=f"{YESTERDAY}T11:30:00Z",
                success=False,
                error="disk full",
            ),
        )
    )
    return path


def test_what_the_disk_refuses_is_told_in_a_sentence(grace, events, tmp_path):
    (tmp_path / "data" / "state").mkdir(parents=True)
    (tmp_path / "data" / "state" / "landing.sqlite").write_bytes(b"no database" * 100)
    result = grace("ingest", events)
    assert (result.exit_code, result.output.splitlines()) == (
        1,
        [f"Error: {tmp_path / 'data'}: file is not a database"],
    )
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "data").write_bytes(b"")
    result = grace("ingest", events)
    assert result.exit_code == 1
    assert result.output.startswith("Error: [Errno ")


def test_ingest_counts_and_is_idempotent(grace, events):
    first, second = grace("ingest", events), grace("ingest", events)
    assert first.exit_code == second.exit_code == 0
    assert "2 accepted, 0 duplicate, 0 corrected, 0 rejected" in first.output
    assert "0 accepted, 2 duplicate, 0 corrected, 0 rejected" in second.output


def test_ingest_takes_the_good_lines_and_names_the_bad_ones(grace, tmp_path):
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(encode(event("a"), event("b", success="yes")))
    result = grace("ingest", path)
    assert result.exit_code == 3
    assert "1 accepted, 0 duplicate, 0 corrected, 1 rejected" in result.output
    assert f"{path}:2: success: Expected `bool`, got `str`" in result.output
    assert f"{path}:2: success" in grace("quarantine", "list").output
    replayed = grace("quarantine", "replay")
    assert (replayed.exit_code, replayed.output) == (
        3,
        "0 accepted, 0 duplicate, 0 corrected, 1 rejected\n",
    )


@pytest.mark.parametrize("spelled", [["--kpis", "{}"], ["--kpis={}"]])
def test_ingest_takes_several_sample_files_after_kpis(grace, events, tmp_path, spelled):
    files = []
    for number in (1, 2):
        path = tmp_path / f"{number}.csv"
        path.write_text(
            "source,domain_id,metric,timestamp,value\n"
            f"rag_kpis,payments,latency_ms,2026-03-0{number}T00:00:00Z,1\n",
            encoding="utf-8",
        )
        files.append(path)
    first, second = files
    result = grace("ingest", events, *(part.format(first) for part in spelled), second)
    assert (result.exit_code, result.output.count("1 accepted")) == (0, 2)


@pytest.mark.parametrize(
    "args",
    [
        ["ingest"],
        ["ingest", "/nowhere/at-all.jsonl"],
        ["ingest", "--kpis", "/nowhere/at-all.csv"],
        ["backfill", "--from", "2026-03-02", "--to", "2026-03-01"],
        ["backfill", "--from", "2013-03-02", "--to", "2026-03-01"],
        ["backfill", "--from", "2026-03-01", "--to", "2999-01-01"],
        ["brief", "--date", "tomorrow"],
        ["deliver", "--date", datetime.now(UTC).date().isoformat()],
        ["serve", "--port", "99999"],
        ["serve", "--port", "-1"],
        ["nonsense"],
    ],
)
def test_wrong_usage_and_unreadable_files_exit_with_2(grace, args):
    assert grace(*args).exit_code == 2


@pytest.mark.parametrize(
    "command", ["backfill --from 2026-03-01 --to 2026-03-01", "deliver", "serve"]
)
def test_a_bad_variable_is_wrong_usage_of_every_command(command, tmp_path):
    # In a process of its own: what the commands import reads the environment too.
    code = "from grace_assets.cli import main; main()"
    told = subprocess.run(
        [sys.executable, "-c", code, *command.split()],
        env={**os.environ, "GRACE_DATA_DIR": str(tmp_path), "GRACE_TIMEZONE": "Mars/Olympus"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert "Error: GRACE_TIMEZONE: 'Mars/Olympus'" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_first_partition_to_come_is_told(grace, monkeypatch):
    monkeypatch.setenv("GRACE_START_DATE", "2999-01-01")
    told = grace("backfill", "--from", YESTERDAY, "--to", YESTERDAY)
    assert told.exit_code == 2
    assert "GRACE_START_DATE: 2999-01-01 is in the future" in told.output


@pytest.mark.parametrize("option", [(), ("--kpis",)])
def test_a_file_whose_name_is_no_utf8_is_named_as_well_as_it_can_be(grace, tmp_path, option):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/agent-\xff.jsonl")
    Path(path).write_bytes(b"")
    result = grace("ingest", *option, path)
    assert (result.exit_code, "agent-\ufffd.jsonl: its name is no UTF-8" in result.output) == (
        2,
        True,
    )


def test_from_events_to_brief_export_and_delivery(grace, events, tmp_path):
    grace("ingest", events)
    done = grace("backfill", "--from", YESTERDAY, "--to", YESTERDAY)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "data/dagster/dagster.yaml").exists()
    for style, mark in (("text", "payments"), ("markdown", "payments"), ("html", "<html")):
        shown = grace("brief", "--format", style)
        assert (shown.exit_code, mark in shown.output) == (0, True), style
    assert json.loads(grace("brief", "--format", "json").output)["brief_id"]

    question = "How many missions did you run yesterday?"
    assert grace("ask", question).output.startswith("2 missions.")
    answer = json.loads(grace("ask", "--json", question).output)
    assert (answer["kind"], answer["value"], set(answer["sources"])) == ("count", 2, {"a", "=cmd"})
    found = json.loads(grace("search", "payments", "--json").output)
    assert {note["mission_id"] for note in found if note["kind"] == "mission"} == {"a", "=cmd"}
    assert grace("search", "payments", "--to", "2020-01-01").output == ""
    assert grace("search", "payments", "--domain", "nobody").exit_code == 2
    unknown = grace("ask", "Will it break again?")
    assert (unknown.exit_code, "do not predict" in unknown.output) == (0, True)

    rows = json.loads(grace("deliveries", "--json").output)
    assert {(r["date"], r["status"], r["reason"]) for r in rows} == {
        (YESTERDAY, "suppressed", "backfill")
    }
    assert grace("deliver").exit_code == 0
    rows = json.loads(grace("deliveries", "--date", YESTERDAY, "--json").output)
    assert [r["status"] for r in rows] == ["written", "written"]
    assert (tmp_path / "data/outbox/slack" / f"brief-{YESTERDAY}.json").exists()
    assert (tmp_path / "data/outbox/email" / f"brief-{YESTERDAY}.eml").exists()

    span = ("--from", YESTERDAY, "--to", YESTERDAY)
    trail = [json.loads(line) for line in grace("export", *span).output.splitlines()]
    assert [r["mission_id"] for r in trail] == ["a", "=cmd"]
    assert (
        trail[0]
        | {
            "success": True,
            "duration_seconds": 600.0,
            "effectiveness_score": None,
            "metrics_delta": {},
            "timestamp": f"{YESTERDAY}T10:10:00Z",
        }
        == trail[0]
    )
    table = list(csv.DictReader(io.StringIO(grace("export", *span, "--format", "csv").output)))
    assert [r["mission_id"] for r in table] == ["a", "'=cmd"]
    path = tmp_path / "trail.parquet"
    path.write_bytes(grace("export", *span, "--format", "parquet").stdout_bytes)
    assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(2,)]


def test_a_brief_that_was_not_made_says_how_to_make_it(grace):
    result = grace("brief", "--date", "2026-03-01")
    assert result.exit_code == 1
    assert "grace backfill --from 2026-03-01 --to 2026-03-01" in result.output


def test_every_command_is_in_the_readme_and_every_variable_too():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    missing = [name for name in main.commands if f"grace {name}" not in readme]
    assert missing == ["demo", "dev"], "those two are `make demo` and `make dev`"
    for command in ("make demo", "make dev", "make test"):
        assert command in readme
    package = Path(__file__).parents[1] / "grace_assets"
    source = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    prefixes = (
        "GRACE|STATUS_BRIEF|SLACK|EMAIL|SMTP|APPRISE|FOLLOW_UP|ENABLE|SSL|DAGSTER_UI|PROMETHEUS|"
        "DOMAIN_HEALTH"
    )
    variables = set(re.findall(rf'"((?:{prefixes})_[A-Z_]+)"', source))
    assert len(variables) > 15
    assert [name for name in sorted(variables) if f"`{name}`" not in readme] == []


STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
STEERS = "pay\x1b]0;title\x07\x9b31m\u202etnem\u2028\u061c"
ALLOWED_IN_NAMES = "pay\u202etnem\u2028\u061c"
"""Names may hold no control characters, and any script."""


@pytest.fixture
def steering(grace, tmp_path):
    """The command, with a day of missions that try to steer whoever looks at them."""

    def mission(number: int, **fields) -> dict:
        day = f"{YESTERDAY}T{number:02}"
        words = {"title": STEERS, "error": STEERS, "actions": [STEERS], "mission_type": STEERS}
        trigger = {"metric": STEERS, "observed": 2, "threshold": 1, "description": STEERS}
        names = {"domain_id": ALLOWED_IN_NAMES, "trigger": trigger, "success": number == 1}
        times = {"started_at": f"{day}:00:00Z", "completed_at": f"{day}:10:00Z"}
        return event(f"{ALLOWED_IN_NAMES}{number}", **{**times, **words, **names, **fields})

    path = tmp_path / "events\x1b\u202e.jsonl"
    path.write_bytes(encode(mission(1), mission(2), mission(3), mission(4, domain_id=STEERS)))
    outputs = [grace("ingest", path)]
    assert outputs[0].exit_code == 3
    outputs.append(grace("backfill", "--from", YESTERDAY, "--to", YESTERDAY, "--deliver"))
    assert outputs[1].exit_code == 0
    return grace, outputs


def test_nothing_that_an_event_holds_steers_the_terminal(steering):
    grace, outputs = steering
    briefs = [("brief", "--date", YESTERDAY, "--format", f) for f in ("text", "markdown", "html")]
    for args in (
        *briefs,
        ("brief", "--date", YESTERDAY, "--format", "json"),
        ("ask", "which missions failed yesterday?"),
        ("ask", "what keeps breaking?", "--json"),
        ("search", "pay"),
        ("search", "pay", "--json"),
        ("quarantine", "list"),
        ("quarantine", "list", "--json"),
        ("deliveries",),
        ("deliveries", "--json"),
    ):
        outputs.append(grace(*args))
        assert outputs[-1].exit_code == 0, args
        assert len(outputs[-1].output) > 20
    assert not [(o.output, found) for o in outputs if (found := STEERING.findall(o.output))]


def test_no_name_of_an_event_is_part_of_a_path(steering, tmp_path):
    found = [path.relative_to(tmp_path) for path in (tmp_path / "data").rglob("*")]
    assert len(found) > 50
    assert not [path for path in found if "tnem" in str(path) or STEERING.search(str(path))]


def test_json_says_the_same_as_before_its_escapes(steering):
    grace, _ = steering
    (line,) = grace("quarantine", "list", "--json").output.splitlines()
    assert json.loads(json.loads(line)["raw"])["domain_id"] == STEERS
