"""A few of the points that `make reliability` sweeps, and the disks that its power loss is on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.mutants import ROOT, Copy
from benchmarks.mutations import MUTATIONS
from benchmarks.reliability import clocks, disks, errors, fuse, kills, model, mounts, power, races
from benchmarks.reliability.disk import Disk, File, Folder
from benchmarks.reliability.oracle import Tally
from benchmarks.reliability.part import Part
from benchmarks.reliability.tracing import Worker, worker
from grace_assets.lake.durable import sync_folder
from tests.servers import unavailable


@pytest.fixture(scope="module")
def work() -> Worker:
    if shutil.which("strace") is None:
        unavailable("strace")
    with worker() as work:
        yield work


def sound(tally: Tally, points: int) -> bool:
    assert tally.problems == []
    return tally.points >= points


def test_a_table_killed_around_each_flush_and_rename_is_old_or_new(work, tmp_path):
    assert sound(kills.sweep("tables", work, tmp_path, calls=("fsync", "rename")), 15)


def test_follow_ups_killed_at_each_write_are_announced_once(work, tmp_path):
    assert sound(kills.sweep("follow-ups", work, tmp_path, calls=("write", "fdatasync")), 8)


def test_a_disk_that_breaks_is_told_and_costs_no_follow_up(work, tmp_path):
    assert sound(errors.sweep("follow-ups", work, tmp_path, calls=("write",)), 8)


def test_what_was_acknowledged_survives_power_loss(work, tmp_path):
    assert sound(power.sweep("first-ingest", work, tmp_path, Part(of=2)), 10)


def test_what_was_acknowledged_survives_power_loss_on_a_real_file_system(work, tmp_path):
    if what := fuse.missing():
        pytest.skip(f"missing: {what}")
    assert sound(fuse.sweep("follow-ups", work, tmp_path, Part(of=16)), 3)


def test_a_full_or_read_only_disk_is_told_and_costs_nothing(work, tmp_path):
    if what := mounts.missing():
        pytest.skip(f"missing: {what}")
    assert sound(disks.sweep("follow-ups", work, tmp_path, Part(of=8)), 3)


def test_stories_of_kills_retries_and_replays_end_as_the_model_says(work):
    assert sound(model.tell(work, stories=5), 20)


def test_a_brief_arrives_however_the_clocks_jump():
    if clocks.library() is None:
        unavailable("libfaketime")
    assert sound(clocks.sweep(Part(of=50)), 20)


def test_a_part_is_always_the_same_and_ends_in_time():
    points = range(100)
    assert list(Part(of=10).among(points)) == list(Part(of=10).among(points))
    assert sorted(Part().among(points)) == list(points)
    assert list(Part(seconds=-1).among(points)) == []


def test_the_file_system_forgets_what_was_not_flushed(tmp_path):
    if what := fuse.missing():
        pytest.skip(f"missing: {what}")
    folder, left = tmp_path / "data", tmp_path / "left"
    folder.mkdir()
    with fuse.lossy(folder, left) as calls:
        for name in ("flushed", "written", "unnamed"):
            with (folder / name).open("wb") as file:
                file.write(b"abcd")
                file.flush()
                if name != "written":
                    os.fsync(file.fileno())
            if name == "written":
                sync_folder(folder)
        (folder / "flushed").rename(folder / "renamed")
    assert {path.name: path.read_bytes() for path in left.iterdir()} == {
        "flushed": b"abcd",
        "written": b"",
    }
    assert calls.count("fsync") == 2


def test_of_processes_that_ingest_the_same_one_is_told_accepted(tmp_path):
    assert sound(races.on_one_landing(tmp_path), races.WRITERS * races.MISSIONS)


def test_the_disk_forgets_what_was_not_flushed(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    disk, path = Disk(tmp_path), str(tmp_path / "new")
    file = disk.open(path, create=True, truncate=False)
    assert isinstance(file, File)
    file.write(0, b"abcd")
    assert disk.image(names=False, kept="all") == {"old": b"old"}
    assert disk.image(names=True, kept="flushed")["new"] == b""
    assert disk.image(names=True, kept="torn")["new"] == b"ab"
    file.flush()
    assert disk.image(names=True, kept="flushed")["new"] == b"abcd"
    assert disk.image(names=False, kept="flushed") == {"old": b"old"}
    top = disk.node(str(tmp_path))
    assert isinstance(top, Folder)
    top.flush()
    disk.create(str(tmp_path / "old"), disk.remove(path))
    assert disk.image(names=True, kept="flushed") == {"old": b"abcd"}
    assert disk.image(names=False, kept="flushed") == {"old": b"old", "new": b"abcd"}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_bug_that_must_be_caught_still_fits_the_code(mutation, tmp_path):
    path = Path("grace_assets", mutation.module)
    (tmp_path / path).parent.mkdir(parents=True)
    shutil.copy(ROOT / path, tmp_path / path)
    Copy(tmp_path).mutate(mutation)
    compile((tmp_path / path).read_text(encoding="utf-8"), path.name, "exec")
