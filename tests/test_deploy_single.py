"""`deploy/single`: units that systemd takes, and a backup that can be gone back to."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grace_assets.core.schemas import TABLES
from grace_assets.lake.tables import Lake
from tests.conftest import encode, event
from tests.servers import unavailable

HERE = Path(__file__).parents[1] / "deploy" / "single"
BIN = Path(sys.executable).parent
UNITS = sorted(HERE.glob("*.service"))
BLOCKS = dict(re.findall(r"```sh (\w+)\n(.+?)```", (HERE / "README.md").read_text(), re.DOTALL))
DAYS = ["2026-03-01", "2026-03-02"]


def test_systemd_takes_the_units(tmp_path):
    if shutil.which("systemd-analyze") is None:
        unavailable("systemd-analyze")
    for unit in UNITS:
        # The programs of this environment, and a user that every machine has.
        text = unit.read_text().replace("/opt/grace/bin", str(BIN))
        text = re.sub(r"(User|Group)=grace", r"\1=daemon", text)
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(tmp_path.glob("*.service"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_service_is_nobody_special_and_starts_what_there_is(unit):
    said = dict(line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line)
    assert (said["User"], said["ProtectSystem"], said["CapabilityBoundingSet"]) == (
        "grace",
        "strict",
        "",
    )
    program = Path(said["ExecStart"].split()[0])
    assert (BIN / program.name).exists()
    assert "0.0.0.0" not in said["ExecStart"], "loopback only"


def test_what_was_backed_up_is_there_again_and_goes_on(tmp_path):
    home = tmp_path / "grace"
    (home / "data").mkdir(parents=True)
    (home / "dagster").mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GRACE_", "DAGSTER_"))}
    env = kept | {"GRACE_DATA_DIR": str(home / "data"), "DAGSTER_HOME": str(home / "dagster")}
    (home / "dagster" / "dagster.yaml").write_text(
        (HERE.parents[1] / "grace_assets" / "dagster_home.yaml").read_text()
    )

    def grace(*arguments: str) -> str:
        done = subprocess.run(
            [BIN / "grace", *arguments], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tables() -> dict[str, list[dict]]:
        lake = Lake(home / "data")
        return {name: lake.read(name, lake.days(name)).to_pylist() for name in TABLES}

    def follow(block: str) -> None:
        """The commands of the README, on this folder; there are no services to stop."""
        commands = BLOCKS[block].replace("/var/lib/grace", str(home))
        script = f"set -eu\nsystemctl() {{ :; }}\n{commands}"
        subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)

    lines = [
        event(f"m-{day}", started_at=f"{day}T10:00:00Z", completed_at=f"{day}T10:10:00Z")
        for day in DAYS
    ]
    (tmp_path / "missions.jsonl").write_bytes(encode(*lines))
    grace("ingest", "missions.jsonl")
    grace("backfill", "--from", DAYS[0], "--to", DAYS[1])
    before = tables()
    follow("backup")
    shutil.rmtree(home / "data")
    (home / "data").mkdir()
    follow("restore")
    assert tables() == before
    later = event("m-late", started_at="2026-03-02T12:00:00Z", completed_at="2026-03-02T12:10:00Z")
    (tmp_path / "again.jsonl").write_bytes(encode(*lines, later))
    assert "1 accepted, 2 duplicate" in grace("ingest", "again.jsonl")
    grace("backfill", "--from", DAYS[1], "--to", DAYS[1])
    ids = [row["mission_id"] for row in tables()["mission_outcomes"]]
    assert sorted(ids) == ["m-2026-03-01", "m-2026-03-02", "m-late"]
