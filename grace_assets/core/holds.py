"""Did a recovery last? The judge looks again a day and a week later.

Belongs here: when a mission is due for another look, what that look says, and the counts that
hold rates are made of. A recovery of a mission is gone where the metrics that had recovered show
the problem again at the same clock time, or where the domain needed another mission for the same
trigger metric in between though it rarely does. Where it often does, nobody can say whose doing
the later state is. History is only ever appended to (`verdicts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import windows
from grace_assets.core.catalogue import Catalogue
from grace_assets.core.judge import METHOD_VERSION, judge, reason_lists
from grace_assets.core.mission_verdict import BETTER, texts
from grace_assets.core.outcomes import summarise, trigger_metrics
from grace_assets.core.schemas import DATE, TABLES

RATE_DAYS = 28
"""Days before a mission from which the usual number of its kind is taken."""
UNLIKELY = 0.05
"""A next mission for the same trigger is a relapse where chance brings one this rarely."""

_SCHEMA = TABLES["mission_verdicts"].with_date()


@dataclass(frozen=True)
class Stage:
    """A look at a recovery, `delay` after the windows of the first one."""

    name: str
    delay: timedelta


STAGES = (Stage("hold_24h", timedelta(days=1)), Stage("hold_7d", timedelta(days=7)))


def hold_at(completed: datetime, stage: Stage, catalogue: Catalogue) -> datetime:
    """When the windows of a look at a mission have closed, whatever its metrics."""
    return completed + stage.delay + catalogue.settle_and_window_max


def due(outcomes: pa.Table, stage: Stage, catalogue: Catalogue, now: datetime) -> pa.ChunkedArray:
    """Which missions recovered and can be looked at by now."""
    latest = now - stage.delay - catalogue.settle_and_window_max
    recovered = pc.is_in(outcomes["verdict"], pa.array(BETTER))
    return pc.and_(recovered, pc.less_equal(outcomes["completed_at"], pa.scalar(latest)))


def next_due(outcomes: pa.Table, catalogue: Catalogue, now: datetime) -> dict[str, datetime]:
    """When the next look at a mission of each day falls due, for days that have one."""
    recovered = outcomes.filter(pc.is_in(outcomes["verdict"], pa.array(BETTER)))
    found: dict[str, datetime] = {}
    rows = zip(recovered[DATE].to_pylist(), recovered["completed_at"].to_pylist(), strict=True)
    for day, completed in rows:
        ahead = [at for s in STAGES if (at := hold_at(completed, s, catalogue)) > now]
        if ahead:
            found[day] = min(ahead[0], found.get(day, ahead[0]))
    return found


def look_again(
    stage: Stage,
    missions: pa.Table,
    outcomes: pa.Table,
    telemetry: pa.Table,
    samples: pa.Table,
    catalogue: Catalogue,
    now: datetime,
    others: pa.Table,
    timezone: str = "UTC",
) -> pa.Table:
    """Rows of `mission_verdicts` for missions that recovered and are due.

    Args:
        missions, outcomes: rows of `mission_events` and `mission_outcomes`, in the same order.
        telemetry: their rows of `mission_telemetry`, which say by what they recovered.
        samples: as for `judge`, up to the end of the later window.
        others: all missions up to then: mission_id, domain_id, started_at, completed_at,
            trigger_metric, follow_up_id.
    """
    recovered = telemetry.filter(pc.is_in(telemetry["verdict"], pa.array(BETTER)))
    later = judge(
        missions,
        samples,
        catalogue,
        now,
        others,
        timezone=timezone,
        later=stage.delay,
        wanted=recovered,
    )
    summary = summarise(missions, later, None, now, catalogue)
    verdict, first = texts(summary["verdict"]), texts(outcomes["verdict"])
    worse, relapsed = _relapsed(missions, later)
    again, unlikely = _same_problem(missions, others, stage)
    busy = _busy(missions, others, stage, catalogue)
    partly = (verdict == "partial") & (first == "effective")
    lost = np.isin(verdict, ("no_effect", "worse")) | partly | worse
    # What is healthy or not after another repair says nothing of this one, in either direction:
    # to count relapses there and not recoveries would make every busy domain look hopeless.
    told = [unlikely, busy | again, lost, np.isin(verdict, BETTER)]
    held = np.select(told, [0, -1, 0, 1], -1)
    flags = {f"relapsed:{name}": flag & (held == 0) for name, flag in relapsed.items()}
    flags |= {
        "same_problem_again": unlikely,
        "repaired_again_since": again & ~unlikely,
        "overlapping_mission": busy & ~unlikely,
    }
    columns = {
        DATE: missions[DATE],
        "mission_id": missions["mission_id"],
        "stage": pa.repeat(stage.name, missions.num_rows),
        "judged_at": pa.array([now] * missions.num_rows, pa.timestamp("us", tz="UTC")),
        "method_version": pa.repeat(METHOD_VERSION, missions.num_rows),
        "verdict": summary["verdict"],
        "effectiveness_score": summary["effectiveness_score"],
        "held": pa.array(held == 1, mask=held < 0),
        "reason_codes": reason_lists(flags),
    }
    return pa.table([columns[name] for name in _SCHEMA.names], _SCHEMA.names).cast(_SCHEMA)


def _relapsed(missions: pa.Table, later: pa.Table) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Which missions have a metric that is worse than ever, and by metric which relapsed."""
    size = missions.num_rows
    at = pc.index_in(later["mission_id"], missions["mission_id"].combine_chunks()).to_numpy()
    verdict, metric = texts(later["verdict"]), texts(later["metric"])
    lost = np.isin(verdict, ("partial", "no_effect", "worse"))

    def has(flag: np.ndarray) -> np.ndarray:
        return np.bincount(at[flag], minlength=size) > 0

    names = sorted(set(metric[lost]))
    return has(verdict == "worse"), {name: has(lost & (metric == name)) for name in names}


def _same_problem(
    missions: pa.Table, others: pa.Table, stage: Stage
) -> tuple[np.ndarray, np.ndarray]:
    """Whether the domain's same trigger metric called for another mission before the look, and
    whether that is unlikely for a domain as busy as this one (Poisson, `RATE_DAYS` before).

    A mission that carries out a follow-up was asked for; it is no sign of a relapse.
    """
    unasked = others.filter(pc.is_null(others["follow_up_id"]))
    starts: dict[tuple[str, str], list[int]] = {}
    for domain, metric, start in zip(
        unasked["domain_id"].to_pylist(),
        unasked["trigger_metric"].to_pylist(),
        windows.microseconds(unasked["started_at"]).tolist(),
        strict=True,
    ):
        if metric is not None:
            starts.setdefault((domain, metric), []).append(start)
    ordered = {key: np.sort(values) for key, values in starts.items()}
    none = np.empty(0, np.int64)
    keys = zip(missions["domain_id"].to_pylist(), trigger_metrics(missions), strict=True)
    found = [ordered.get(key, none) for key in keys]
    began = windows.microseconds(missions["started_at"])
    ended = windows.microseconds(missions["completed_at"])
    delay = round(stage.delay.total_seconds()) * windows.SECOND

    def between(low: np.ndarray, high: np.ndarray, side: str) -> np.ndarray:
        return np.array(
            [
                np.searchsorted(times, until, side) - np.searchsorted(times, since, side)
                for times, since, until in zip(found, low, high, strict=True)
            ],
            np.int64,
        )

    again = between(ended, ended + delay, "right") > 0
    usual = between(began - RATE_DAYS * windows.DAY, began, "left") / RATE_DAYS
    by_chance = -np.expm1(-usual * delay / windows.DAY)
    return again, again & (by_chance < UNLIKELY)


def _busy(missions: pa.Table, others: pa.Table, stage: Stage, catalogue: Catalogue) -> np.ndarray:
    """Whether another mission of the domain ran while the recovery was looked at."""
    ours = windows.missions_of(missions)
    known = windows.with_neighbours(ours, others)
    low = ours.completed + round(stage.delay.total_seconds()) * windows.SECOND
    reach = round(catalogue.settle_and_window_max.total_seconds()) * windows.SECOND
    return windows.overlapping(ours.domain, low, low + reach, known) > 0


def latest_looks(history: pa.Table) -> pa.Table:
    """The last row of each mission and hold stage."""
    looks = history.filter(pc.is_in(history["stage"], pa.array([s.name for s in STAGES])))
    return last_rows(looks, ["mission_id", "stage"])


def last_rows(history: pa.Table, keys: list[str]) -> pa.Table:
    """The row of each key that was judged last; where two were at once, the later one."""
    ordered = history.sort_by("judged_at")
    place = pa.array(np.arange(ordered.num_rows))
    numbered = ordered.select(keys).append_column("position", place)
    last = numbered.group_by(keys).aggregate([("position", "max")])
    return ordered.take(last["position_max"].sort())


def hold_daily(outcomes: pa.Table, history: pa.Table) -> pa.Table:
    """Roll looks up to one row per date, domain and mission type (table `hold_daily`).

    Only missions whose verdict still is that they recovered count; a look that could not tell
    counts in neither column.
    """
    looks = latest_looks(history)
    looks = looks.filter(pc.is_valid(looks["held"]))
    recovered = outcomes.filter(pc.is_in(outcomes["verdict"], pa.array(BETTER)))
    at = pc.index_in(looks["mission_id"], recovered["mission_id"].combine_chunks())
    looks, at = looks.filter(pc.is_valid(at)), at.drop_null()
    rows = recovered.select([DATE, "domain_id", "mission_type"]).take(at)
    names = {"hold_24h": "24h", "hold_7d": "7d"}
    counts = []
    for stage, suffix in names.items():
        of_stage = pc.equal(looks["stage"], stage)
        for word, flag in (("held", looks["held"]), ("relapsed", pc.invert(looks["held"]))):
            counts.append(f"{word}_{suffix}")
            rows = rows.append_column(counts[-1], pc.and_(of_stage, flag).cast(pa.int64()))
    keys = [DATE, "domain_id", "mission_type"]
    grouped = rows.group_by(keys).aggregate([(name, "sum") for name in counts])
    grouped = grouped.rename_columns({f"{name}_sum": name for name in counts})
    schema = TABLES["hold_daily"].with_date()
    ordered = grouped.sort_by([(key, "ascending") for key in keys])
    return ordered.select(schema.names).cast(schema)


@dataclass(frozen=True)
class Look:
    """One answer to whether a recovery lasted; `day` is the local date on which it showed."""

    day: str
    domain_id: str
    mission_id: str
    stage: str
    held: bool
    reason_codes: tuple[str, ...]


def looks_by_day(
    history: pa.Table, outcomes: pa.Table, catalogue: Catalogue, zone: ZoneInfo
) -> list[Look]:
    """The latest looks that could tell, of missions in `outcomes` that still count as recovered.

    `outcomes`: mission_id, domain_id, completed_at, verdict. The day follows from the mission's
    end and not from the time of judging, so that a backfill finds the same.
    """
    recovered = outcomes.filter(pc.is_in(outcomes["verdict"], pa.array(BETTER)))
    names = ("mission_id", "domain_id", "completed_at")
    ends = {row[names[0]]: row for row in recovered.select(names).to_pylist()}
    stages = {stage.name: stage for stage in STAGES}
    found = []
    for row in latest_looks(history).to_pylist():
        mission = ends.get(row["mission_id"])
        if mission is None or row["held"] is None:
            continue
        shown = hold_at(mission["completed_at"], stages[row["stage"]], catalogue)
        found.append(
            Look(
                day=shown.astimezone(zone).date().isoformat(),
                domain_id=mission["domain_id"],
                mission_id=row["mission_id"],
                stage=row["stage"],
                held=row["held"],
                reason_codes=tuple(row["reason_codes"]),
            )
        )
    return found
