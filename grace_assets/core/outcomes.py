"""One row a mission: score, verdict, attribution, from what the judge says of its metrics.

Belongs here: the columns of `mission_outcomes`, and whether the mission may be credited. How
verdicts on metrics become one on the mission is in `mission_verdict`.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import windows
from grace_assets.core.attribution import Experience, controlled, experience, supports
from grace_assets.core.catalogue import Catalogue
from grace_assets.core.judge import METHOD_VERSION, reason_lists
from grace_assets.core.mission_verdict import (
    BETTER,
    MissionRows,
    first_of_each,
    rows_of,
    scores,
    texts,
    verdicts,
)
from grace_assets.core.moments import micros
from grace_assets.core.schemas import TABLES
from grace_assets.core.wording import source_rank

_SCHEMA = TABLES["mission_outcomes"].with_date()


def summarise(
    missions: pa.Table,
    telemetry: pa.Table,
    neighbours: pa.Table | None,
    now: datetime,
    catalogue: Catalogue,
    controls: pa.Table | None = None,
    placebos: pa.Table | None = None,
) -> pa.Table:
    """One row a mission, in the order of `missions` (`mission_events` with `date`).

    Columns: mission_id, effectiveness_score, effectiveness_low, effectiveness_high, verdict,
    attribution, reason_codes, metrics_delta, data_sources, and rejudge_at: when the last window
    of a pending verdict closes, else null. `neighbours` (mission_id, domain_id, started_at,
    completed_at) are other missions, `controls` are rows of `mission_controls`, `placebos` rows
    of `placebo_daily` of these days and the `EXPERIENCE_DAYS` before.

    Attribution: `confounded` where another mission of the domain falls between the start and the
    end of the last window; else, where it got better, `controlled` or `supported` as far as
    `core.attribution` finds cause to credit it, or `coincident`; else `unknown`.
    """
    size = missions.num_rows
    trigger = trigger_metrics(missions)
    rows = rows_of(missions, telemetry, catalogue, trigger)
    closes = _closes(missions, rows, catalogue)
    named = np.array([m is not None and catalogue.rule(m) is not None for m in trigger], bool)
    verdict, why = verdicts(rows, named, closes > micros(now))
    score, low, high, score_why = scores(rows, verdict)
    overlap = _overlaps(missions, neighbours, closes)
    better = np.isin(verdict, BETTER) & ~overlap
    by_controls = better & _by_controls(rows, controls, size)
    by_experience = better & ~by_controls & _by_experience(missions, rows, placebos)
    attribution = np.select(
        [overlap, by_controls, by_experience, better],
        ["confounded", "controlled", "supported", "coincident"],
        "unknown",
    )
    why |= score_why | {
        "overlapping_mission": overlap,
        "left_alone_did_not_recover": by_controls,
        "rarely_heals_by_itself": by_experience,
    }
    stamp = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "mission_id": missions["mission_id"],
            "effectiveness_score": pa.array(score, mask=np.isnan(score)),
            "effectiveness_low": pa.array(low, mask=np.isnan(score)),
            "effectiveness_high": pa.array(high, mask=np.isnan(score)),
            "verdict": pa.array(verdict, pa.string()),
            "attribution": pa.array(attribution, pa.string()),
            "reason_codes": reason_lists(why),
            "metrics_delta": _metrics_delta(rows, size),
            "data_sources": _data_sources(rows, size),
            "rejudge_at": pa.array(closes, stamp, mask=verdict != "pending"),
        }
    )


def _deciding(rows: MissionRows) -> np.ndarray:
    """The rows by which a mission recovered: the primary metric's, else all that did."""
    better = rows.scored & np.isin(rows.verdict, BETTER)
    primary = better & rows.primary
    return np.where(np.isin(rows.mission, rows.mission[primary]), primary, better)


def _by_controls(rows: MissionRows, controls: pa.Table | None, size: int) -> np.ndarray:
    if controls is None or controls.num_rows == 0:
        return np.zeros(size, bool)
    names = ("mission_id", "source", "metric")
    credited = controls.filter(controlled(controls))
    keys = (
        pc.binary_join_element_wise(*(table[name] for name in names), "\x1f")
        for table in (rows.table, credited)
    )
    own, known = keys
    found = pc.is_in(own, known.combine_chunks()).to_numpy().astype(bool)
    return rows.any(found & _deciding(rows), size)


def _by_experience(missions: pa.Table, rows: MissionRows, placebos: pa.Table | None) -> np.ndarray:
    """Missions whose kind of problem rarely passed while nobody acted, in the days before."""
    found = np.zeros(missions.num_rows, bool)
    if placebos is None or placebos.num_rows == 0:
        return found
    deciding = np.flatnonzero(_deciding(rows))
    days, domains = missions["date"].to_pylist(), missions["domain_id"].to_pylist()
    known: dict[str, Experience] = {}
    for row in deciding.tolist():
        mission = int(rows.mission[row])
        day = days[mission]
        if day not in known:
            known[day] = experience(placebos, day)
        found[mission] |= supports(known[day], domains[mission], rows.metric[row])
    return found


def outcome_rows(
    missions: pa.Table, summary: pa.Table, narratives: list[str], now: datetime
) -> pa.Table:
    """Rows of `mission_outcomes` (with `date`): the event, its summary and its narrative."""
    record = missions["record_id"]
    times = {n: windows.microseconds(missions[n]) for n in ("started_at", "completed_at")}
    detected = windows.microseconds(missions["detected_at"])
    success = missions["success"].to_numpy(zero_copy_only=False).astype(bool)
    restore = (times["completed_at"] - detected) / windows.SECOND
    size = missions.num_rows
    made = {
        "duration_seconds": (times["completed_at"] - times["started_at"]) / windows.SECOND,
        "time_to_restore_seconds": pa.array(restore, pa.float64(), mask=~success),
        "narrative": pa.array(narratives, pa.string()),
        "knowledge_id": pc.binary_join_element_wise("mission", record, ":"),
        "judged_at": pa.array([now] * size, pa.timestamp("us", tz="UTC")),
        "method_version": pa.array([METHOD_VERSION] * size, pa.string()),
    }
    columns = {
        name: made[name]
        if name in made
        else (summary if name in summary.column_names else missions)[name]
        for name in _SCHEMA.names
    }
    return pa.table(columns).cast(_SCHEMA)


def rejudge_times(missions: pa.Table, summary: pa.Table) -> dict[str, datetime]:
    """When the first pending verdict of each day can be given, for days that have one."""
    pending = pa.table({"date": missions["date"], "due": summary["rejudge_at"]}).filter(
        pc.is_valid(summary["rejudge_at"])
    )
    first = pending.group_by("date").aggregate([("due", "min")])
    return dict(zip(first["date"].to_pylist(), first["due_min"].to_pylist(), strict=True))


def _closes(missions: pa.Table, rows: MissionRows, catalogue: Catalogue) -> np.ndarray:
    """When each mission's last window closes; the longest of all where it has no scored metric."""
    horizon = np.zeros(missions.num_rows, np.int64)
    np.maximum.at(horizon, rows.mission[rows.scored], rows.horizon[rows.scored])
    longest = round(catalogue.settle_and_window_max.total_seconds() * windows.SECOND)
    completed = windows.microseconds(missions["completed_at"])
    return completed + np.where(horizon == 0, longest, horizon)


def _overlaps(missions: pa.Table, neighbours: pa.Table | None, closes: np.ndarray) -> np.ndarray:
    """Whether another mission of the domain falls between its start and its last window's end."""
    ours = windows.missions_of(missions)
    known = windows.with_neighbours(ours, neighbours)
    return windows.overlapping(ours.domain, ours.started, closes, known) > 1


def _metrics_delta(rows: MissionRows, size: int) -> pa.MapArray:
    """Metric → percent change, of the first source that has a reading before and one after."""
    both = pc.and_(pc.is_valid(rows.table["pre"]), pc.is_valid(rows.table["post"]))
    has_both = both.to_numpy().astype(bool)
    _, metric = np.unique(rows.metric.astype(str), return_inverse=True)
    flag = first_of_each(rows.mission, metric, ~has_both) & has_both
    counts = np.bincount(rows.mission[flag], minlength=size)
    chosen = rows.table.filter(pa.array(flag))
    return pa.MapArray.from_arrays(
        pa.array(np.append(0, np.cumsum(counts)), pa.int32()),
        chosen["metric"].combine_chunks(),
        chosen["percent_change"].combine_chunks(),
    )


def _data_sources(rows: MissionRows, size: int) -> pa.ListArray:
    """The sources with samples before or after, in the order in which they speak."""
    source = texts(rows.table["source"])
    sampled = pc.greater(pc.add(rows.table["n_pre"], rows.table["n_post"]), 0)
    seen = sampled.to_numpy().astype(bool)
    names = sorted(set(source), key=source_rank)
    flags = {name: rows.any(seen & (source == name), size) for name in names}
    return reason_lists(flags) if flags else pa.array([[]] * size, pa.list_(pa.string()))


def trigger_metrics(missions: pa.Table) -> np.ndarray:
    """The metric that made Grace act on each mission, or None."""
    trigger = missions["trigger"].combine_chunks()
    return np.array(pc.struct_field(trigger, "metric").to_pylist(), object)
