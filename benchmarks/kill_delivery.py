"""Kills a delivery before each system call that leaves a trace, delivers again, and counts.

`make kill-delivery` delivers one brief to Slack and to two mail recipients, once traced, so that
each (system call, number) of it is known, and then once for each of them in a process that
strace kills there: SIGKILL, at a boundary that no line of Python shows. The servers stay alive
beside it. After each kill the brief is delivered twice more, as the sensor would, and then:
every destination stands in the ledger in a named state, whoever is `sent` has the message, and
no server has a second one that does not say that it may be one. Both policies are swept.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default as modern
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory

from benchmarks.reliability.part import ALL, Part
from benchmarks.reliability.tracing import Job, Worker, inject, worker, write_calls
from grace_assets.notify.lifecycle import HOLD, RESEND_MARKED
from tests.notify.briefs import Post, brief
from tests.notify.smtp_server import Mailbox, smtp_server
from tests.notify.strict_slack import StrictSlack, strict_slack

RECIPIENTS = ("ann@example.org", "bob@example.org")
WAYS = tuple(
    (channel, policy) for channel in ("slack", "email") for policy in (RESEND_MARKED, HOLD)
)
LATER = (timedelta(hours=1), timedelta(hours=2))
SECONDS = 540.0
BUSY = ("01", "03", "08")
"""States of a TCP connection that its server has not closed: established, half open, left."""


@dataclass(frozen=True)
class Point:
    channel: str
    on_unknown: str
    call: str
    number: int
    then: tuple[str, int] | None = None
    """Where the delivery that makes up for it is killed as well."""

    def __str__(self) -> str:
        then = f", then {self.then[0]} {self.then[1]}" if self.then else ""
        return f"{self.channel}, {self.on_unknown}, {self.call} {self.number}{then}"


@dataclass
class Tally:
    """What became of the points; `lost` and `unflagged` name them."""

    points: int = 0
    flagged: int = 0
    held: int = 0
    unreached: int = 0
    slowest: float = 0.0
    lost: list[str] = field(default_factory=list)
    unflagged: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.points} kill points, {len(self.lost)} lost, "
            f"{self.flagged} flagged duplicates, {len(self.unflagged)} unflagged"
        )


@dataclass(frozen=True)
class Servers:
    slack: StrictSlack
    mail: Mailbox

    def env(self, channel: str, on_unknown: str) -> dict[str, str]:
        if channel == "slack":
            return {"SLACK_WEBHOOK_URL": self.slack.url, "SLACK_ON_UNKNOWN": on_unknown}
        return {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.mail.port),
            "SMTP_TLS": "none",
            "SMTP_FROM_EMAIL": "grace@ops.example",
            "STATUS_BRIEF_RECIPIENTS": ",".join(RECIPIENTS),
            "EMAIL_ON_UNKNOWN": on_unknown,
        }

    def forget(self) -> None:
        self.slack.messages.clear()
        self.mail.taken.clear()

    def subjects(self, channel: str, destination: str) -> list[str]:
        """The first line of each message that a destination has."""
        if channel == "slack":
            return [message["text"] for message in self.slack.messages]
        mine = [content for to, content in self.mail.taken if to == destination]
        return [str(message_from_bytes(content, policy=modern)["Subject"]) for content in mine]

    def settle(self) -> None:
        """Wait until nobody is talked to: what a killed sender had sent is taken by then."""
        ports = {int(self.slack.url.split(":")[2].split("/")[0]), self.mail.port}
        for _ in range(1000):
            if not ports & _busy_ports():
                return
            time.sleep(0.002)
        raise RuntimeError("a connection stayed open")


def _busy_ports() -> set[int]:
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    fields = [line.split() for line in lines]
    return {int(words[1].rpartition(":")[2], 16) for words in fields if words[3] in BUSY}


def deliver(folder: str, channel: str, env: dict[str, str]) -> None:
    """A job for a worker."""
    Post(Path(folder), channel, env)()


def _job(post: Post) -> Job:
    arguments = {"folder": str(post.folder), "channel": post.channel, "env": dict(post.env)}
    return Job("benchmarks.kill_delivery:deliver", arguments)


def points_of(
    servers: Servers, work: Worker, channel: str, on_unknown: str, folder: Path
) -> list[Point]:
    """The system calls of one delivery, by name and number among those of that name."""
    post = Post(folder / "traced", channel, servers.env(channel, on_unknown))
    calls = write_calls(work, _job(post), folder / "strace.log")
    return [Point(channel, on_unknown, call, number) for call, number in calls]


def kill_at(point: Point, servers: Servers, work: Worker, folder: Path, tally: Tally) -> None:
    """Kill, deliver again, look. A run that made fewer calls this time is no kill point."""
    servers.forget()
    post = Post(folder, point.channel, servers.env(point.channel, point.on_unknown))
    for call, number in filter(None, ((point.call, point.number), point.then)):
        ended = work.run(_job(post), inject(call, number, "signal=KILL"))
        if ended.code:
            raise RuntimeError(f"the delivery ended with {ended}")
        if ended.signal != SIGKILL:
            return
        servers.settle()
    tally.points += 1
    started = time.monotonic()
    post(after=LATER[0])
    tally.slowest = max(tally.slowest, time.monotonic() - started)
    results = {result.destination: result.status for result in post(after=LATER[1])}
    servers.settle()
    states = {row["destination"]: row["status"] for row in post.ledger.rows(brief().date)}
    expected = len(RECIPIENTS) if point.channel == "email" else 1
    if states != results or len(states) != expected:
        tally.lost.append(f"{point}: {states}")
    for destination, state in states.items():
        marked = ["possible repeat" in s for s in servers.subjects(point.channel, destination)]
        tally.held += state == "unknown"
        if not _in_order(state, point, len(marked)):
            tally.lost.append(f"{point}: {destination} is {state} and has {len(marked)}")
        if len(marked) > 1 and (point.on_unknown == HOLD or marked != [False, True]):
            tally.unflagged.append(f"{point}: {destination} has {marked}")
        else:
            tally.flagged += len(marked) == 2


def _in_order(state: str, point: Point, messages: int) -> bool:
    """Whether a state is one that may be left, and what it says is true.

    What may have arrived is left to a person on hold, and after a repeat that was cut off too.
    """
    if state == "unknown" and (point.on_unknown == HOLD or point.then):
        return True
    return state == "sent" and messages >= 1


def pairs_of(points: Sequence[Point], number: int) -> list[Point]:
    """So many points with a second kill in what makes up for the first, always the same."""
    pick = random.Random(2)
    firsts = pick.choices(points, k=number)
    same = {way: [p for p in points if (p.channel, p.on_unknown) == way] for way in WAYS}
    seconds = [pick.choice(same[p.channel, p.on_unknown]) for p in firsts]
    return [
        replace(first, then=(second.call, second.number))
        for first, second in zip(firsts, seconds, strict=True)
    ]


def sweep(part: Part = ALL, calls: Collection[str] = (), pairs: int = 0) -> Tally:
    """A part of all points (or of those of the `calls` named) and of `pairs` of kills; what there
    was no time for is counted."""
    tally = Tally()
    with (
        TemporaryDirectory(prefix="grace-kill-") as home,
        strict_slack() as slack,
        smtp_server(None, login=False) as mail,
        worker() as work,
    ):
        servers, folder, every = Servers(slack, mail), Path(home), []
        for number, (channel, on_unknown) in enumerate(WAYS):
            place = folder / f"way-{number}"
            place.mkdir()
            work.warm_up(_job(Post(place / "warm", channel, servers.env(channel, on_unknown))))
            every += points_of(servers, work, channel, on_unknown, place)
        chosen = [point for point in every if not calls or point.call in calls]
        chosen += pairs_of(every, pairs)
        tally.unreached = part.size(chosen)
        for point in part.among(chosen):
            kill_at(point, servers, work, folder / "killed", tally)
            shutil.rmtree(folder / "killed", ignore_errors=True)
            tally.unreached -= 1
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--of", type=int, default=1, help="one of so many points, spread over all")
    parser.add_argument("--pairs", type=int, default=0, help="so many more with a second kill")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="end after so long")
    parser.add_argument("--json", action="store_true", help="all figures")
    options = parser.parse_args()
    if shutil.which("strace") is None:
        print("strace is not installed: run scripts/install-test-servers", file=sys.stderr)
        return 2
    tally = sweep(Part(options.of, options.seconds), pairs=options.pairs)
    for problem in (*tally.lost, *tally.unflagged):
        print(problem, file=sys.stderr)
    if tally.unreached:
        print(f"no time for {tally.unreached} more points", file=sys.stderr)
    print(json.dumps(asdict(tally)) if options.json else tally)
    return 1 if tally.lost or tally.unflagged or not tally.points else 0


if __name__ == "__main__":
    sys.exit(main())
