"""Dagster's run history as missions: a failed run, and the run that repaired what it had failed at.

Plain records in, mission events out; reading the instance is `run_history`'s. A later run takes up
a failure where it retries it (same root run), or where it is about the same partitions and all
the assets whose steps had failed, whatever its job; runs without assets go by their job. A run
that covers a part of a failed range repairs that part. A repair that failed as well is a mission
without success; whoever succeeds in the end carries the time of the first failure.

The domain is the job; for runs without a job of their own it is the first asset that failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from grace_assets.sources.domains import as_domain

Part = tuple[str, str]
"""First and last partition; two empty strings where there are no partitions."""


@dataclass(frozen=True)
class Run:
    """A finished run. `assets` is what it was to make, empty for a job of plain ops.

    Of a failure, `broken` are the assets whose steps failed and `failure` names the step and
    the class of its error; not its message, which may hold a secret of the user's.
    Partitions are compared as strings, which is the order of dates.
    """

    run_id: str
    root_run_id: str
    job: str
    success: bool
    started: datetime
    ended: datetime
    assets: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    failure: str = ""
    location: str = ""
    part: Part = ("", "")

    @property
    def has_job(self) -> bool:
        """Dagster's own jobs, for assets picked by hand, have names with two underscores."""
        return not self.job.startswith("__")

    @property
    def target(self) -> str:
        """What it was about, in words."""
        names = sorted(self.broken or self.assets)
        if self.has_job or not names:
            return self.job
        return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"

    @property
    def domain(self) -> str:
        names = sorted(self.broken or self.assets)
        return as_domain(self.job if self.has_job or not names else names[0], "dagster")


@dataclass(frozen=True)
class Repair:
    """`run` took up `part` of what `failed` had failed at; `attempts` between them failed too."""

    run: Run
    failed: Run
    part: Part
    attempts: tuple[Run, ...] = ()


@dataclass
class _Episode:
    """A failure that nobody has repaired as a whole, and what was tried since."""

    failed: Run
    latest: Run
    attempts: list[tuple[Run, Part]] = field(default_factory=list)
    repaired: list[Part] = field(default_factory=list)

    def taken_up(self, run: Run) -> Part | None:
        """The part of the failure that `run` is about, where nobody repaired it before."""
        if run.started < self.failed.ended:
            return None
        if run.root_run_id == self.failed.root_run_id:
            part = self.failed.part
        elif _same_work(run, self.latest):
            part = _overlap(run.part, self.failed.part)
        else:
            return None
        if part is None or any(_overlap(part, done) == part for done in self.repaired):
            return None
        return part

    def note(self, run: Run, part: Part) -> None:
        if run.success:
            self.repaired.append(part)
            return
        self.attempts.append((run, part))
        if part == self.failed.part:
            # What is broken now is what the last try broke at.
            self.latest = run

    @property
    def over(self) -> bool:
        return self.failed.part in self.repaired


def _same_work(later: Run, failed: Run) -> bool:
    if failed.broken and later.assets:
        return failed.broken <= later.assets
    return failed.has_job and (later.location, later.job) == (failed.location, failed.job)


def _overlap(one: Part, other: Part) -> Part | None:
    if ("" in one) != ("" in other):
        return None
    first, last = max(one[0], other[0]), min(one[1], other[1])
    return (first, last) if first <= last else None


def repairs(history: Iterable[Run], after: datetime) -> list[Repair]:
    """The repairs among the runs that ended after `after`, by their end.

    `history` holds runs in any order; a failure that is not in it is not known.
    """
    found: list[Repair] = []
    episodes: list[_Episode] = []
    for run in sorted(history, key=lambda run: run.ended):
        known = False
        for episode in episodes:
            part = episode.taken_up(run)
            if part is None:
                continue
            if run.ended > after:
                tried = tuple(r for r, other in episode.attempts if _overlap(part, other))
                found.append(Repair(run, episode.failed, part, tried))
            episode.note(run, part)
            # A try that is about more than the episode is a failure of its own besides.
            known |= run.root_run_id == episode.failed.root_run_id or run.part == part
        episodes = [episode for episode in episodes if not episode.over]
        if not run.success and not known:
            episodes.append(_Episode(run, run))
    return found


def mission(repair: Repair) -> dict[str, Any]:
    """The mission event of a repair."""
    run, failed, (first, last) = repair.run, repair.failed, repair.part
    of = "" if not first else f" for {first}" if first == last else f" for {first}…{last}"
    count = len(repair.attempts)
    tried = f" after {count} failed attempt{'s' if count > 1 else ''}" if count else ""
    again = run.root_run_id == failed.root_run_id
    action = f"re-executed run {failed.run_id[:8]}" if again else f"ran {run.target}{of}"
    return {
        "mission_id": f"dagster-{failed.run_id}-{run.run_id[:8]}",
        "domain_id": failed.domain,
        "onset_at": failed.started.isoformat(),
        "detected_at": failed.ended.isoformat(),
        "started_at": run.started.isoformat(),
        "completed_at": run.ended.isoformat(),
        "success": run.success,
        "error": None if run.success else run.failure,
        "title": f"{'Repaired' if run.success else 'Tried to repair'} {failed.target}{of}{tried}",
        "mission_type": "failure_remediation",
        "trigger": {"description": failed.failure},
        "actions": [f"{action} as run {run.run_id[:8]}"],
        "run_ids": [failed.run_id, *(r.run_id for r in repair.attempts), run.run_id],
    }


def encode(event: dict[str, Any]) -> bytes:
    """One line of JSON; what is not known is left out."""
    known = {name: value for name, value in event.items() if value is not None}
    return json.dumps(known, ensure_ascii=False).encode("utf-8", "replace")
