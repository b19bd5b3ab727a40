"""Any story of inputs, kills, retries, corrections and replays, beside a model of the landing.

Hypothesis makes the stories. After each step the landing holds
what the model holds, and accepted + duplicate + corrected + quarantined = received.
"""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from benchmarks.reliability.landing_works import DAYS, NOW, UTC_ZONE
from benchmarks.reliability.oracle import Tally
from benchmarks.reliability.tracing import Job, Worker, inject
from grace_assets.lake.blocks import Line
from grace_assets.lake.inbox import Inbox
from grace_assets.lake.landing import Counts, Landing
from grace_assets.lake.quarantine import replay
from tests.conftest import encode, event

RECEIVED = NOW - timedelta(days=30)
"""So long before the missions ended that those are ahead of time; a replay finds them past."""
BROKEN = "{broken"


@dataclass(frozen=True)
class Sent:
    """A line of an input: a mission in one of a few states, too early or not, or no mission."""

    mission: str
    title: str
    day: str

    @property
    def raw(self) -> bytes:
        if self.mission == BROKEN:
            return BROKEN.encode()
        times = {"started_at": f"{self.day}T10:00:00Z", "completed_at": f"{self.day}T10:10:00Z"}
        return encode(event(self.mission, title=self.title, **times)).strip()


missions = st.builds(Sent, st.sampled_from("abc"), st.sampled_from("xy"), st.sampled_from(DAYS))
inputs = st.lists(st.one_of(missions, missions, st.just(Sent(BROKEN, "", ""))), max_size=5)
KILLS = st.tuples(st.sampled_from(["pwrite64", "fdatasync", "openat"]), st.integers(1, 12))


@dataclass
class Model:
    """What the landing must hold, in a dozen lines."""

    missions: dict[str, Sent] = field(default_factory=dict)
    waiting: list[Sent] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    received: int = 0

    def take(self, lines: list[Sent], *, early: bool = False) -> set[str]:
        """The days that change."""
        days: set[str] = set()
        self.received += len(lines)
        for line in lines:
            if early or line.mission == BROKEN:
                self.waiting.append(line)
                days.add((RECEIVED if early else NOW).date().isoformat())
                continue
            before = self.missions.get(line.mission)
            if before == line:
                self.counts["duplicate"] += 1
                continue
            self.counts["corrected" if before else "accepted"] += 1
            days |= {line.day} | ({before.day} if before else set())
            self.missions[line.mission] = line
        return days

    def replay(self) -> set[str]:
        lines = [line for line in self.waiting if line.mission != BROKEN]
        self.waiting = [line for line in self.waiting if line.mission == BROKEN]
        self.received -= len(lines)
        return self.take(lines)

    def copy(self) -> Model:
        return Model(dict(self.missions), list(self.waiting), self.counts.copy(), self.received)


def add(root: str, raws: list[str]) -> None:
    """A job for a worker."""
    with closing(Landing(Path(root), UTC_ZONE)) as landing:
        landing.add("f", _lines(raws), NOW)


def _lines(raws: list[str]) -> list[Line]:
    return [Line(number, raw.encode()) for number, raw in enumerate(raws, start=1)]


class Story(RuleBasedStateMachine):
    """One story on a landing of its own; `work` and `tally` are set by `tell`."""

    work: Worker
    tally: Tally

    def __init__(self) -> None:
        super().__init__()
        self._root = Path(mkdtemp(prefix="grace-model-"))
        self._model = Model()
        self._journal = 0
        self._last: list[Sent] = []
        with closing(self._landing()):
            pass

    def teardown(self) -> None:
        shutil.rmtree(self._root)

    def _landing(self) -> Landing:
        return Landing(self._root, UTC_ZONE)

    @rule(lines=inputs, early=st.booleans())
    def ingest(self, lines: list[Sent], early: bool) -> None:
        self._last = lines
        before, days = self._model.copy(), self._model.take(lines, early=early)
        with closing(self._landing()) as landing:
            raws = [line.raw.decode() for line in lines]
            counts = landing.add("f", _lines(raws), RECEIVED if early else NOW)
        self._counted(counts, before)
        self._changed(days)

    @rule()
    def retry(self) -> None:
        self.ingest(self._last, early=False)

    @rule(lines=inputs, kill=KILLS)
    def ingest_killed(self, lines: list[Sent], kill: tuple[str, int]) -> None:
        """All of it is there, or none of it."""
        arguments = {"root": str(self._root), "raws": [line.raw.decode() for line in lines]}
        job = Job("benchmarks.reliability.model:add", arguments)
        ended = self.work.run(job, inject(*kill, "signal=KILL"))
        assert ended.code == 0, ended
        after = self._model.copy()
        days = after.take(lines)
        if not ended.signal or self._held() == _as_held(after):
            self._model = after
            self._changed(days)
        else:
            self._changed(set())

    @rule()
    def replay(self) -> None:
        days = self._model.replay()
        with closing(self._landing()) as landing:
            replay(landing, Inbox(self._root, UTC_ZONE, landing, reach_seconds=0))
        self._changed(days)

    @invariant()
    def the_landing_holds_what_the_model_holds(self) -> None:
        self.tally.points += 1
        model = self._model
        assert self._held() == _as_held(model)
        assert sum(model.counts.values()) + len(model.waiting) == model.received

    def _counted(self, counts: Counts, before: Model) -> None:
        """What the sender is told adds up, and is what became of the lines."""
        told = [counts.accepted, counts.duplicate, counts.corrected, len(counts.rejected)]
        names = ("accepted", "duplicate", "corrected")
        became = [self._model.counts[name] - before.counts[name] for name in names]
        assert told == [*became, len(self._model.waiting) - len(before.waiting)]
        assert sum(told) == self._model.received - before.received

    def _changed(self, days: set[str]) -> None:
        """The journal names the days that changed since it was looked at, and no others."""
        with closing(self._landing()) as landing:
            self._journal, found = landing.changed_days(self._journal)
        assert set(found) == days

    def _held(self) -> tuple[object, ...]:
        with closing(self._landing()) as landing:
            events = {row.raw: row.day for row in landing.events(DAYS)}
            revisions = sum(row.revision for row in landing.events(DAYS))
            waiting = sorted(line.raw for line in landing.rejected(waiting_only=True))
        return events, revisions, waiting


def _as_held(model: Model) -> tuple[object, ...]:
    events = {line.raw: line.day for line in model.missions.values()}
    revisions = model.counts["accepted"] + model.counts["corrected"]
    return events, revisions, sorted(line.raw for line in model.waiting)


def tell(work: Worker, stories: int) -> Tally:
    """So many stories of up to twenty steps, always the same ones; a point is a step looked at."""
    Story.work, Story.tally = work, Tally()
    options = settings(
        max_examples=stories,
        stateful_step_count=20,
        deadline=None,
        derandomize=True,
        database=None,
        # A story is short, and one that goes wrong takes minutes of kills to make shorter.
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Story, settings=options)
    except AssertionError as error:
        notes = "\n".join(getattr(error, "__notes__", []))
        Story.tally.lost.append(f"{error}\n{notes}")
    return Story.tally
