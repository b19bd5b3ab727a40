"""Clocks that jump while a brief is on its way: hours and years, ahead and back, in mid-flight.

A delivery runs with libfaketime (Debian's `libfaketime`), which reads the offset of its clock
from a file at each look; so the clock of a running process jumps, as that of a machine does whose
time server was wrong. A story: the brief is delivered under one clock and meets one fate, is
taken up again under another clock, and then by a clock that is right, hours apart, whenever the
ledger says that something is due. Then whoever is `sent` has it, and no one has it twice
unmarked.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory

from benchmarks.reliability.oracle import Tally
from benchmarks.reliability.part import ALL, Part
from benchmarks.reliability.tracing import Job, Worker, inject, worker, write_calls
from grace_assets.notify.channels import Channels
from grace_assets.notify.deliver import deliver
from grace_assets.notify.ledger import Ledger
from grace_assets.notify.lifecycle import HOLD, RESEND_MARKED
from tests.notify.briefs import brief
from tests.notify.strict_slack import OK, Answer, StrictSlack, Trouble, strict_slack

STORIES = 1000
ZONE = "Europe/Berlin"
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
JUMPS = (timedelta(0), 3 * HOUR, -3 * HOUR, -24 * HOUR, 5 * 24 * HOUR, YEAR, -YEAR)
CHANGES = (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
"""When the clocks of `ZONE` go forward and back; a story is told half a second before."""
LATER = (2 * HOUR, 4 * HOUR, 6 * HOUR)
FATES: dict[str, Answer | Trouble | str] = {
    "accepted": OK,
    "asked to wait": Answer(429, "rate_limited", {"Retry-After": "600"}),
    "out of service": Answer(503, "down"),
    "hung up on": Trouble("reset", taken=False),
    "taken, then hung up on": Trouble("reset", taken=True),
    "killed before it sends": "connect",
    "killed before its outcome is kept": "fdatasync",
}
"""What becomes of the first attempt: an answer of the server, or a kill before the last system
call of a name."""
MAY_HAVE_ARRIVED = frozenset(FATES) - {"accepted", "asked to wait"}
"""On hold these are left to a person."""


@dataclass(frozen=True)
class Story:
    policy: str
    fate: str
    first: timedelta
    in_flight: timedelta
    """Where the clock jumps to while the server holds the request."""
    second: timedelta

    def __str__(self) -> str:
        clocks = ", ".join(str(jump) for jump in (self.first, self.in_flight, self.second))
        return f"{self.policy}, {self.fate}, clocks off by {clocks}"


class Clock:
    """The clock of the processes started with its `env`."""

    def __init__(self, library: str, file: Path) -> None:
        self._file = file
        self.env = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            # A jump of the wall clock moves neither of them.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "TZ": ZONE,
        }
        self.off_by(timedelta(0))

    def off_by(self, offset: timedelta) -> None:
        # A reader never finds half of it.
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset.total_seconds():+.3f}\n", encoding="ascii")
        new.rename(self._file)


def library() -> str | None:
    """Where libfaketime is installed; null where it is not."""
    return next(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


def attempt(folder: str, env: dict[str, str], *, promise: bool) -> None:
    """A job for a worker: deliver, as the sensor would, where something is due or nothing was."""
    now, message = datetime.now(UTC), brief()
    ledger = Ledger(Path(folder) / "delivery.sqlite")
    if promise or message.date in ledger.due(now):
        deliver("slack", message, ledger, Channels.from_env(env), Path(folder), now, "send")


def stories() -> list[Story]:
    """Every story, in an order of chance that is always the same."""
    now = datetime.now(UTC)
    changes = [change - now - timedelta(seconds=0.5) for change in CHANGES]
    clocks = (*JUMPS, *changes)
    every = [Story(*parts) for parts in product((RESEND_MARKED, HOLD), FATES, *[clocks] * 3)]
    random.Random(3).shuffle(every)
    return every


def sweep(part: Part = ALL) -> Tally:
    """`STORIES` of them. Raises `FileNotFoundError` where libfaketime is not installed."""
    tally = Tally()
    with TemporaryDirectory(prefix="grace-clocks-") as home, _world(Path(home)) as world:
        for number, story in enumerate(part.among(stories()[:STORIES])):
            folder = Path(home) / str(number)
            folder.mkdir()
            _tell(story, folder, world, tally)
    return tally


@dataclass(frozen=True)
class _World:
    slack: StrictSlack
    clock: Clock
    work: Worker
    last_calls: dict[str, int]
    """How often an undisturbed delivery makes each system call."""

    def job(self, folder: Path, policy: str, *, promise: bool = True) -> Job:
        env = {"SLACK_WEBHOOK_URL": self.slack.url, "SLACK_ON_UNKNOWN": policy}
        arguments = {"folder": str(folder), "env": env, "promise": promise}
        return Job("benchmarks.reliability.clocks:attempt", arguments)


@contextmanager
def _world(home: Path) -> Iterator[_World]:
    found = library()
    if found is None:
        raise FileNotFoundError("libfaketime is not installed: run scripts/install-test-servers")
    clock = Clock(found, home / "clock")
    with strict_slack() as slack, worker(clock.env) as work:
        world = _World(slack, clock, work, {})
        for name in ("warm", "traced"):
            (home / name).mkdir()
        work.warm_up(world.job(home / "warm", HOLD))
        calls = write_calls(work, world.job(home / "traced", HOLD), home / "strace.log")
        # By name they ascend.
        world.last_calls.update(calls)
        yield world


def _tell(story: Story, folder: Path, world: _World, tally: Tally) -> None:
    slack, clock, work = world.slack, world.clock, world.work
    slack.messages.clear()
    fate = FATES[story.fate]
    clock.off_by(story.first)
    slack.on_request = lambda: clock.off_by(story.in_flight)
    if isinstance(fate, str):
        kill = inject(fate, world.last_calls[fate], "signal=KILL")
        ended = work.run(world.job(folder, story.policy), kill)
        if ended.signal != SIGKILL:
            raise RuntimeError(f"{story}: it was not killed, and ended with {ended}")
    else:
        slack.script = [fate]
        work.warm_up(world.job(folder, story.policy))
    slack.on_request = lambda: None
    for offset in (story.second, *LATER):
        clock.off_by(offset)
        work.warm_up(world.job(folder, story.policy, promise=False))
    slack.script = []
    tally.points += 1
    [row] = Ledger(folder / "delivery.sqlite").rows()
    marked = ["possible repeat" in message["text"] for message in slack.messages]
    held = row["status"] == "unknown" and story.policy == HOLD and story.fate in MAY_HAVE_ARRIVED
    if not held and not (row["status"] == "sent" and marked):
        tally.lost.append(f"{story}: {row['status']} ({row['reason']}), {len(marked)} arrived")
    if marked not in ([], [False], [True], [False, True]):
        tally.unflagged.append(f"{story}: {marked}")
    tally.flagged += len(marked) == 2
