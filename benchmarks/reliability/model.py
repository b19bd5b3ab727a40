"""Any story of inputs, kills, retries, corrections, replays, backfills and clocks that jump.

Hypothesis makes the stories. After each step the landing holds what a model of it holds, accepted +
duplicate + corrected + quarantined = received, and the tables hold what they held when their days
were last backfilled.
"""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import dagster as dg
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
from grace_assets.assets.missions import mission_events, rejected_events
from grace_assets.lake.blocks import Line
from grace_assets.lake.inbox import Inbox
from grace_assets.lake.landing import Counts, Landing
from grace_assets.lake.replay import replay
from grace_assets.lake.tables import Lake
from grace_assets.partitions import RANGE_END_TAG, RANGE_START_TAG
from grace_assets.resources import StoreResource
from tests.conftest import encode, event

CLOCKS = [NOW + timedelta(days=days) for days in (-30, -3, 0, 60)]
"""By the first all missions are ahead of time, by the second some; a replay finds them past."""
BROKEN = "{broken"

Rows = tuple[list[tuple[str, str]], list[str]]
"""Missions with their titles, and lines that were refused."""


@dataclass(frozen=True)
class Sent:
    """A line of an input: a mission in one of a few states, or no mission."""

    mission: str
    title: str
    day: str

    @property
    def raw(self) -> bytes:
        if self.mission == BROKEN:
            return BROKEN.encode()
        times = {"started_at": f"{self.day}T10:00:00Z", "completed_at": f"{self.day}T10:10:00Z"}
        return encode(event(self.mission, title=self.title, **times)).strip()

    def refused(self, now: datetime) -> bool:
        """Whether it is no mission, or one of a day to come; no clock is near its end."""
        return self.mission == BROKEN or datetime.fromisoformat(f"{self.day}T10:10Z") > now


missions = st.builds(Sent, st.sampled_from("abc"), st.sampled_from("xy"), st.sampled_from(DAYS))
inputs = st.lists(st.one_of(missions, missions, st.just(Sent(BROKEN, "", ""))), max_size=5)
KILLS = st.tuples(st.sampled_from(["pwrite64", "fdatasync", "openat"]), st.integers(1, 12))


@dataclass
class Model:
    """What the landing must hold, in a dozen lines."""

    missions: dict[str, Sent] = field(default_factory=dict)
    waiting: list[Sent] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    received: int = 0

    def take(self, lines: list[Sent], now: datetime) -> set[str]:
        """The days that change."""
        days: set[str] = set()
        self.received += len(lines)
        for line in lines:
            if line.refused(now):
                self.waiting.append(line)
                self.rejected.append((now.date().isoformat(), line.raw.decode()))
                days.add(now.date().isoformat())
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
        return self.take(lines, CLOCKS[-1])

    def rows(self, day: str) -> Rows:
        """What the tables of a day hold once it is backfilled."""
        current = self.missions.values()
        missions = [(line.mission, line.title) for line in current if line.day == day]
        return sorted(missions), sorted(raw for at, raw in self.rejected if at == day)


def add(root: str, raws: list[str], now: str) -> None:
    """A job for a worker."""
    with closing(Landing(Path(root), UTC_ZONE)) as landing:
        landing.add("f", _lines(raws), datetime.fromisoformat(now))


def _lines(raws: list[str]) -> list[Line]:
    return [Line(number, raw.encode()) for number, raw in enumerate(raws, start=1)]


class Story(RuleBasedStateMachine):
    """One story on a landing of its own; `work` and `tally` are set by `tell`."""

    work: Worker
    tally: Tally
    instance: dg.DagsterInstance

    def __init__(self) -> None:
        super().__init__()
        self._root = Path(mkdtemp(prefix="grace-model-"))
        self._model = Model()
        self._now = NOW
        self._journal = 0
        self._last: list[Sent] = []
        self._stale: set[str] = set()
        self._tables: dict[str, Rows] = {}
        with closing(self._landing()):
            pass

    def teardown(self) -> None:
        shutil.rmtree(self._root)

    def _landing(self) -> Landing:
        return Landing(self._root, UTC_ZONE)

    @rule(now=st.sampled_from(CLOCKS))
    def jump(self, now: datetime) -> None:
        self._now = now

    @rule(lines=inputs)
    def ingest(self, lines: list[Sent]) -> None:
        self._last = lines
        before, days = deepcopy(self._model), self._model.take(lines, self._now)
        with closing(self._landing()) as landing:
            counts = landing.add("f", _lines([line.raw.decode() for line in lines]), self._now)
        self._counted(counts, before)
        self._changed(days)

    @rule()
    def retry(self) -> None:
        self.ingest(self._last)

    @rule(lines=inputs, kill=KILLS)
    def ingest_killed(self, lines: list[Sent], kill: tuple[str, int]) -> None:
        """All of it is there, or none of it."""
        raws = [line.raw.decode() for line in lines]
        arguments = {"root": str(self._root), "raws": raws, "now": self._now.isoformat()}
        job = Job("benchmarks.reliability.model:add", arguments)
        ended = self.work.run(job, inject(*kill, "signal=KILL"))
        assert ended.code == 0, ended
        after = deepcopy(self._model)
        days = after.take(lines, self._now)
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

    @rule()
    def backfill(self) -> None:
        """From the first day to the last that changed since the one before."""
        if not self._stale:
            return
        days = min(self._stale), max(self._stale)
        made = dg.materialize(
            [mission_events, rejected_events],
            instance=self.instance,
            tags=dict(zip((RANGE_START_TAG, RANGE_END_TAG), days, strict=True)),
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
            resources={"store": StoreResource(data_dir=str(self._root), timezone="UTC")},
        )
        assert made.success
        self._tables |= {day: self._model.rows(day) for day in self._stale}
        self._stale = set()

    @invariant()
    def the_tables_hold_what_was_backfilled(self) -> None:
        lake, found = Lake(self._root), {}
        for day in self._tables:
            missions = lake.read("mission_events", [day], ["mission_id", "title"]).to_pylist()
            refused = lake.read("rejected_events", [day], ["raw"]).to_pylist()
            titles = sorted((row["mission_id"], row["title"]) for row in missions)
            found[day] = titles, sorted(row["raw"] for row in refused)
        assert found == self._tables

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
            self._journal, found = landing.journal.changed_days(self._journal)
        assert set(found) == days
        self._stale |= days

    def _held(self) -> tuple[object, ...]:
        with closing(self._landing()) as landing:
            events = {row.raw: row.day for row in landing.missions.events(DAYS)}
            revisions = sum(row.revision for row in landing.missions.events(DAYS))
            waiting = sorted(line.raw for line in landing.quarantine.lines(waiting_only=True))
        return events, revisions, waiting


def _as_held(model: Model) -> tuple[object, ...]:
    events = {line.raw: line.day for line in model.missions.values()}
    revisions = model.counts["accepted"] + model.counts["corrected"]
    return events, revisions, sorted(line.raw for line in model.waiting)


def tell(work: Worker, stories: int) -> Tally:
    """So many stories of up to twenty steps, always the same ones; a point is a step looked at."""
    Story.work, Story.tally, Story.instance = work, Tally(), dg.DagsterInstance.ephemeral()
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
