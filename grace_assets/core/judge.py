"""The judge: did a repair help, by each metric? Rows of `mission_telemetry` from columns.

Belongs here: the verdict on a metric and its reasons. The statistics are in `estimate`, the
windows in `readings`, the healthy level and the published numbers in `healthy`. The order of the
verdicts is that of the questions: may it be judged at all, was there a sustained problem, did it
change, is it healthy again. All that is published about a row (`pre`, `post`, percentages) is as
measured; the verdict may rest on a part of it, and then says so in its reasons.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from os import cpu_count

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import estimate, windows
from grace_assets.core.catalogue import Catalogue
from grace_assets.core.cuts import cut
from grace_assets.core.estimate import Estimate
from grace_assets.core.healthy import (
    Healthy,
    gaps,
    healthy_level,
    louder,
    measured_change,
    restoration,
    smallest_effect,
)
from grace_assets.core.moments import micros
from grace_assets.core.readings import Readings, read
from grace_assets.core.rules import Rules, rules_of
from grace_assets.core.schemas import TABLES
from grace_assets.core.windows import Locator, Pairs, Series

METHOD_VERSION = "2"
"""Changes whenever the same samples could get another verdict."""

_ROWS_AT_ONCE = 1 << 14
_THREADS = 4
"""Each holds a portion of the readings: more would cost memory and find few idle cores."""
_SCHEMA = TABLES["mission_telemetry"].with_date()
NOT_SCORED = ("not_applicable", "pending", "insufficient_data")


@dataclass(frozen=True)
class Context:
    """What judging needs to know of a row besides its samples."""

    window_open: np.ndarray
    threshold: np.ndarray
    is_hold: bool


def judge(
    missions: pa.Table,
    samples: pa.Table,
    catalogue: Catalogue,
    now: datetime,
    neighbours: pa.Table | None = None,
    timezone: str = "UTC",
    later: timedelta = timedelta(0),
    *,
    acted: bool = True,
    wanted: pa.Table | None = None,
) -> pa.Table:
    """Rows of `mission_telemetry` (with `date`): one per mission × source × metric with samples.

    Args:
        missions: `mission_events` with `date`.
        samples: source, domain_id, metric, timestamp (UTC), value; from the first reference
            window (14 days and a window before the first start) to the last window's end.
        catalogue: rules by metric.
        now: decides which windows are still open.
        neighbours: mission_id, domain_id, started_at, completed_at of other missions: their
            days do not serve as reference.
        timezone: reference days are compared at the same clock time there.
        later: whole days by which the window after is judged later, to see whether a recovery
            lasted; `post` and what is measured from it stay those of the first window.
        acted: False for placebos, which are no reason to leave a day out of the reference.
        wanted: mission_id, source, metric of the rows to make; all where not given.
    """
    series = windows.series_of(samples, catalogue)
    ours = windows.missions_of(missions, timezone)
    pairs = windows.pair(ours, series, catalogue)
    if wanted is not None:
        pairs = windows.pairs_of(pairs, ours, series, wanted)
    if len(pairs) == 0:
        return _SCHEMA.empty_table()
    delay = round(later.total_seconds()) * windows.SECOND
    first, last = windows.reach(ours, pairs)
    last = last + delay
    rows = Locator(series)
    found = rows.first_row(pairs.series, last) > rows.first_row(pairs.series, first)
    pairs = pairs.take(np.flatnonzero(found))
    not_positive = np.append(0, np.cumsum(series.values <= 0))
    busy = windows.with_neighbours(ours, neighbours) if acted else windows.none_but(neighbours)
    rules = rules_of(series.metric, catalogue)
    triggers = _triggers(missions, series, pairs)
    closed = ours.completed[pairs.mission] + pairs.settle + pairs.window
    window_open = closed + delay > micros(now)

    def part(start: int) -> dict[str, np.ndarray]:
        chunk = slice(start, start + _ROWS_AT_ONCE)
        some = pairs.take(chunk)
        its_rules = rules.take(some.series)
        context = Context(window_open[chunk], triggers[chunk], is_hold=delay > 0)
        # Values at the edge of a float may overflow on the way; such results become null.
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            cuts = cut(some, ours, busy, rows, its_rules, not_positive, delay)
            return _judged(read(series, cuts, its_rules, some.window), its_rules, context)

    # NumPy lets go of the interpreter while it computes.
    with ThreadPoolExecutor(min(_THREADS, cpu_count() or 1)) as pool:
        parts = list(pool.map(part, range(0, len(pairs), _ROWS_AT_ONCE)))
    if not parts:
        return _SCHEMA.empty_table()
    return _table(missions, series, pairs, rules, parts)


def reason_lists(flags: dict[str, np.ndarray]) -> pa.ListArray:
    """One list of codes a row: those whose flag is set, in the order of `flags`."""
    matrix = np.stack(list(flags.values()), axis=1)
    offsets = np.append(0, np.cumsum(matrix.sum(axis=1)))
    codes = pa.array(list(flags), pa.string()).take(pa.array(np.nonzero(matrix)[1]))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), codes)


def saw_problem(rows: pa.Table) -> np.ndarray:
    """Whether each row of telemetry was preceded by a sustained problem; scored rows only."""
    verdict = np.array(rows["verdict"].to_pylist(), object)
    codes = rows["reason_codes"].combine_chunks()
    owner = pc.list_parent_indices(codes).to_numpy()
    broke = pc.equal(pc.list_flatten(codes), "was_healthy_before")
    found = ~np.isin(verdict, ("no_sustained_problem", *NOT_SCORED))
    found[owner[broke.to_numpy(zero_copy_only=False)]] = False
    return found


def _triggers(missions: pa.Table, series: Series, pairs: Pairs) -> np.ndarray:
    """The threshold that made Grace act where it is about this metric, else NaN."""
    if "trigger" not in missions.column_names:
        return np.full(len(pairs), np.nan)
    trigger = missions["trigger"].combine_chunks()
    metric = np.array(pc.struct_field(trigger, "metric").to_pylist(), object)
    threshold = pc.struct_field(trigger, "threshold").cast(pa.float64())
    value = threshold.to_numpy(zero_copy_only=False)
    same = metric[pairs.mission] == series.metric[pairs.series]
    return np.where(same, value[pairs.mission], np.nan)


def _judged(readings: Readings, rules: Rules, context: Context) -> dict[str, np.ndarray]:
    healthy = healthy_level(readings, rules, context.threshold)
    smallest = smallest_effect(readings, rules, healthy)
    # Beyond the threshold that made Grace act there is a problem, however small the excess.
    beyond = np.where(healthy.kind == "threshold", 0.0, smallest)
    found = estimate.estimate(
        readings.before,
        readings.after,
        readings.noise,
        *gaps(readings, rules, healthy),
        smallest,
        beyond,
        young=readings.before.n * 2 < readings.n_judged[0],
        usual=readings.n_usual,
        apart=readings.apart,
        steps=readings.steps,
        louder=louder(readings, rules, healthy),
        z_restored=estimate.Z_HELD if context.is_hold else estimate.Z_RESTORED,
    )
    obstacles = _obstacles(readings, rules, context, healthy)
    measured = measured_change(readings, rules)
    verdict = _verdict(found, obstacles)
    restored = restoration(readings, healthy, found)
    shown = found.problem & ~np.isin(verdict, NOT_SCORED)
    return {
        **measured,
        **{name: np.where(shown, column, np.nan) for name, column in restored.items()},
        "problem_level": np.where(shown, readings.unscale(readings.before.centre), np.nan),
        "healthy": healthy.shown,
        "healthy_kind": healthy.kind,
        "n_pre": readings.n_pre,
        "n_post": readings.n_post,
        "n_reference": readings.n_reference,
        "verdict": verdict,
        **_reasons(readings, rules, measured, found, obstacles, verdict),
    }


def _obstacles(
    readings: Readings, rules: Rules, context: Context, healthy: Healthy
) -> dict[str, np.ndarray]:
    """What forbids a verdict, by reason code. The first that holds decides."""
    n_before, n_after = readings.n_judged
    wanted = rules.min_coverage * readings.n_usual
    return {
        "no_rule": ~rules.known,
        "window_open": context.window_open,
        "no_samples_before": n_before == 0,
        "no_samples_after": n_after == 0,
        "few_samples_before": (n_before > 0) & (n_before < rules.min_samples),
        "few_samples_after": (n_after > 0) & (n_after < rules.min_samples),
        "low_coverage_before": (n_before >= rules.min_samples) & (n_before < wanted),
        "low_coverage_after": (n_after >= rules.min_samples) & (n_after < wanted),
        "no_healthy_level": ~(np.isfinite(healthy.before) & np.isfinite(healthy.after)),
    }


def _verdict(found: Estimate, obstacles: dict[str, np.ndarray]) -> np.ndarray:
    blocked = np.any([flag for name, flag in obstacles.items()], axis=0)
    return np.select(
        [
            obstacles["no_rule"],
            obstacles["window_open"],
            blocked,
            found.worse,
            ~found.problem,
            found.improved & found.restored,
            found.improved,
            found.unchanged,
        ],
        [*NOT_SCORED, "worse", "no_sustained_problem", "effective", "partial", "no_effect"],
        "inconclusive",
    ).astype(object)


def _reasons(
    readings: Readings,
    rules: Rules,
    measured: dict[str, np.ndarray],
    found: Estimate,
    obstacles: dict[str, np.ndarray],
    verdict: np.ndarray,
) -> dict[str, np.ndarray]:
    """Flags by reason code, as columns `reason:<code>`."""
    scored = ~np.isin(verdict, NOT_SCORED)
    limit = rules.max_plausible * 100
    applies = rules.known & ~obstacles["window_open"]
    flags = {
        name: flag & (applies if name not in ("no_rule", "window_open") else True)
        for name, flag in obstacles.items()
    }
    flags["window_open"] = flags["window_open"] & rules.known
    return {
        f"reason:{code}": flag
        for code, flag in {
            **flags,
            "healthy_again": verdict == "effective",
            "better_not_healthy": verdict == "partial",
            "same_as_before": verdict == "no_effect",
            "worse_than_before": (verdict == "worse") & found.problem,
            "was_healthy_before": (verdict == "worse") & ~found.problem,
            "never_clearly_unhealthy": verdict == "no_sustained_problem",
            "within_noise": verdict == "inconclusive",
            "recent_problem": scored & found.young,
            "silence_read_as_zero": scored & rules.zero & (readings.n_pre != readings.n_post),
            "judged_by_means": scored & (rules.kind == "count"),
            "suspicious_change": np.abs(measured["percent_change"]) > limit,
            "zero_before": applies & (readings.pre == 0),
        }.items()
    }


def _table(
    missions: pa.Table,
    series: Series,
    pairs: Pairs,
    rules: Rules,
    parts: list[dict[str, np.ndarray]],
) -> pa.Table:
    """All columns, in the order of the missions, then by metric and source."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    flags = {k.removeprefix("reason:"): v for k, v in columns.items() if k.startswith("reason:")}
    at, known = pairs.series, rules.known[pairs.series]
    names = np.lexsort((series.source.astype(str), series.metric.astype(str)))
    rank = np.empty(len(series), np.int64)
    rank[names] = np.arange(len(series))
    order = pa.array(np.lexsort((rank[at], pairs.mission)))
    mission = pa.array(pairs.mission)
    arrays = {
        **{name: missions[name].take(mission) for name in ("date", "mission_id", "domain_id")},
        "source": series.source[at],
        "metric": series.metric[at],
        "unit": np.where(known, rules.unit[at], None),
        "direction": np.where(known, rules.direction[at], None),
        "reason_codes": reason_lists(flags),
        "method_version": pa.repeat(METHOD_VERSION, len(at)),
    }
    for field in _SCHEMA:
        if field.name not in arrays:
            column = columns[field.name]
            unknown = ~np.isfinite(column) if column.dtype == float else None
            arrays[field.name] = pa.array(column, field.type, mask=unknown)
    table = pa.table({field.name: arrays[field.name] for field in _SCHEMA})
    return table.cast(_SCHEMA).take(order)
