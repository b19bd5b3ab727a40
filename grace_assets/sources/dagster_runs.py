"""Dagster's run history as missions: a failed run, and the run that repaired the same partition.

Plain records in, mission events out; reading the instance is `run_history`'s. A later run repairs
an earlier failure where it retried it (the same root run), or where it succeeded for the same
partitions with the same job or with all the assets that had failed. A repair that failed as well
is a mission without success; whoever succeeds in the end carries the time of the first failure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MAX_DESCRIPTION = 400
ASSET_JOB = "__ASSET_JOB"
"""What Dagster calls runs of assets without a job of their own."""


@dataclass(frozen=True)
class Run:
    """A finished run. `assets` is empty for a job that is not about assets."""

    run_id: str
    root_run_id: str
    job: str
    success: bool
    started: datetime
    ended: datetime
    assets: frozenset[str] = frozenset()
    first_partition: str | None = None
    last_partition: str | None = None

    @property
    def partition(self) -> str:
        if self.first_partition is None:
            return ""
        if self.first_partition == self.last_partition:
            return self.first_partition
        return f"{self.first_partition}…{self.last_partition}"

    @property
    def target(self) -> str:
        """What it was about, in words: the job, or the assets."""
        if self.job != ASSET_JOB:
            return self.job
        names = sorted(self.assets)
        if not names:
            return "assets"
        return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def takes_up(later: Run, failed: Run) -> bool:
    """Whether a later run is about all that an earlier one failed at."""
    if later.root_run_id == failed.root_run_id:
        return True
    if (failed.first_partition is None) != (later.first_partition is None):
        return False
    if failed.first_partition is not None and not (
        later.first_partition <= failed.first_partition
        and failed.last_partition <= later.last_partition
    ):
        return False
    if failed.assets and later.assets:
        return failed.assets <= later.assets
    return later.job == failed.job and later.job != ASSET_JOB


def first_failure(history: Iterable[Run], run: Run) -> Run | None:
    """The first failure that `run` takes up and that nobody repaired before it began."""
    before = sorted((r for r in history if r.ended <= run.started), key=lambda r: r.ended)
    failed = [r for r in before if not r.success and takes_up(run, r)]
    open_ = [
        f
        for f in failed
        if not any(r.success and r.started >= f.ended and takes_up(r, f) for r in before)
    ]
    return open_[0] if open_ else None


def mission(run: Run, failed: Run, failure: str, attempts: Sequence[Run]) -> dict[str, Any]:
    """The mission of the run that took up `failed`; `failure` is what had gone wrong.

    `attempts` are runs between the two that failed as well.
    """
    of = f" for {failed.partition}" if failed.partition else ""
    tried = f" after {len(attempts)} failed attempts" if attempts else ""
    verb = "re-executed" if run.root_run_id == failed.root_run_id else "ran"
    domain = re.sub(r"[/\\\x00-\x1f\x7f-\x9f]", "-", failed.target)[:100]
    return {
        "mission_id": f"dagster-{failed.run_id}-{run.run_id[:8]}",
        "domain_id": domain if domain not in ("", ".", "..") else "dagster",
        "onset_at": failed.started.isoformat(),
        "detected_at": failed.ended.isoformat(),
        "started_at": run.started.isoformat(),
        "completed_at": run.ended.isoformat(),
        "success": run.success,
        "error": None if run.success else "the repairing run failed as well",
        "title": f"{'Repaired' if run.success else 'Tried to repair'} {failed.target}{of}{tried}",
        "mission_type": "failure_remediation",
        "trigger": {"description": " ".join(failure.split())[:MAX_DESCRIPTION]},
        "actions": [f"{verb} {run.target}{of} as run {run.run_id[:8]}"],
        "run_ids": [failed.run_id, *(r.run_id for r in attempts), run.run_id],
    }


def missions(history: Sequence[Run], new: Iterable[Run]) -> list[tuple[Run, Run, list[Run]]]:
    """(run, first failure, failed attempts between them) for every new run that is a repair."""
    found = []
    for run in new:
        failed = first_failure(history, run)
        if failed is not None:
            between = [
                r
                for r in history
                if not r.success
                and r.run_id not in (failed.run_id, run.run_id)
                and failed.ended <= r.started
                and r.ended <= run.started
                and takes_up(r, failed)
            ]
            found.append((run, failed, between))
    return found


def encode(event: dict[str, Any]) -> bytes:
    """One line of JSON; what is not known is left out."""
    known = {name: value for name, value in event.items() if value is not None}
    return json.dumps(known, ensure_ascii=False).encode()
