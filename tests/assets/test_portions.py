"""Portions of a run that are worked in several processes: their order, their errors, their end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from loky.process_executor import TerminatedWorkerError

from grace_assets.assets.portions import Portion, worked
from grace_assets.lake.mission_files import take_file
from grace_assets.resources import StoreResource
from tests.conftest import encode, event

DAYS = [(date(2026, 3, 1) + timedelta(days=n)).isoformat() for n in range(8)]
SLOW = """
import sys
from grace_assets.assets.portions import worked
from grace_assets.resources import StoreResource
from tests.assets.test_portions import DAYS, waits

store = StoreResource(data_dir=sys.argv[1], timezone="UTC", missions_at_once=4, processes=2)
list(worked(store, DAYS, waits))
"""


def tells_itself(store: StoreResource, portion: Portion) -> tuple[int, list[str], str]:
    # The first takes longest, and comes first all the same.
    time.sleep(0.5 if DAYS[0] in portion.days else 0)
    return os.getpid(), list(portion.days), store.data_dir


def refuses(store: StoreResource, portion: Portion) -> None:
    if DAYS[2] in portion.days:
        raise ValueError(f"{portion.days[0]} cannot be made")


def is_killed(store: StoreResource, portion: Portion) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def waits(store: StoreResource, portion: Portion) -> None:
    (store.root / f"worker-{os.getpid()}").touch()
    time.sleep(120)


@pytest.fixture
def root(tmp_path) -> Path:
    lines = [
        event(f"m-{day}-{n}", started_at=f"{day}T01:00:00Z", completed_at=f"{day}T01:10:00Z")
        for day in DAYS
        for n in range(2)
    ]
    path = tmp_path / "events.jsonl"
    path.write_bytes(encode(*lines))
    with store_of(tmp_path).landing() as landing:
        assert take_file(landing, path).accepted == len(lines)
    return tmp_path


def store_of(root: Path, missions_at_once: int = 4, processes: int = 2) -> StoreResource:
    return StoreResource(
        data_dir=str(root),
        timezone="UTC",
        missions_at_once=missions_at_once,
        processes=processes,
    )


def test_portions_come_in_order_from_other_processes_which_share_what_is_worked_on_at_once(root):
    found = [(portion.days, made) for portion, made in worked(store_of(root), DAYS, tells_itself)]
    assert [days for days, _ in found] == [[day] for day in DAYS]
    assert [(made[1], made[2]) for _, made in found] == [([day], str(root)) for day in DAYS]
    assert os.getpid() not in {made[0] for _, made in found}


@pytest.mark.parametrize(("missions_at_once", "processes"), [(16, 2), (4, 1)])
def test_what_is_worked_on_at_once_anyway_or_is_to_be_stays_in_its_process(
    root, missions_at_once, processes
):
    store = store_of(root, missions_at_once, processes)
    found = [made for _, made in worked(store, DAYS, tells_itself)]
    assert {made[0] for made in found} == {os.getpid()}
    assert [day for made in found for day in made[1]] == DAYS


def test_a_process_that_may_start_none_works_alone(root):
    # As those of a Celery worker are.
    listens, tells = multiprocessing.Pipe(duplex=False)
    alone = multiprocessing.get_context("spawn").Process(
        target=tell_all, args=(str(root), tells), daemon=True
    )
    alone.start()
    tells.close()
    assert listens.recv() == ({alone.pid}, len(DAYS))
    alone.join()


def tell_all(root: str, tells: Connection) -> None:
    found = [made for _, made in worked(store_of(Path(root)), DAYS, tells_itself)]
    tells.send(({made[0] for made in found}, sum(len(made[1]) for made in found)))


def test_an_error_in_another_process_ends_the_run_as_it_is(root):
    days = []
    with pytest.raises(ValueError, match="2026-03-03 cannot be made"):
        for portion, _ in worked(store_of(root), DAYS, refuses):
            days += portion.days
    assert days == DAYS[:2]


def test_a_process_that_is_killed_ends_the_run_and_says_so(root):
    # As where the machine has no memory left.
    with pytest.raises(TerminatedWorkerError, match="SIGKILL"):
        list(worked(store_of(root), DAYS, is_killed))


def test_a_run_that_fails_while_it_writes_leaves_no_process_working(root):
    made = worked(store_of(root), DAYS, tells_itself)
    worker = next(made)[1][0]
    made.close()
    assert ended(worker)
    # And the next asset has some again.
    assert len(list(worked(store_of(root), DAYS, tells_itself))) == len(DAYS)


def test_a_killed_run_leaves_no_process_working(root):
    run = subprocess.Popen([sys.executable, "-c", SLOW, root], cwd=Path(__file__).parents[2])
    try:
        deadline = time.monotonic() + 60
        while len(workers := list(root.glob("worker-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(workers) == 2
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert all(ended(int(worker.name.removeprefix("worker-"))) for worker in workers)


def ended(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            # A process that ended and was not waited for is there, with a Z.
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False
