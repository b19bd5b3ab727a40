"""Figures of a set of missions: counts, rates, means and quantiles of rows of `domain_daily`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.schemas import DATE, VERDICTS
from grace_assets.core.uncertainty import (
    Interval,
    quantile,
    quantile_interval,
    ranked,
    wilson_interval,
)

_SUMMED = (
    "missions",
    "successes",
    "failures",
    "assessed",
    "duration_seconds_sum",
    "mttr_seconds_sum",
    "mttr_count",
    "effectiveness_sum",
    "effectiveness_count",
)


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Figures of a set of missions.

    `assessed` have a score. The means and quantiles of times are over the `mttr_count` missions
    with a time to restore; the `without_time_to_restore` did not succeed, and how long their
    problems went on is not known: they are counted here, because no mean holds them. The
    interval of a quantile has a null end where there are too few times for one.
    """

    total_missions: int
    successes: int
    failures: int
    success_rate: float | None
    success_rate_interval: Interval | None
    avg_duration_seconds: float | None
    assessed: int
    avg_effectiveness_score: float | None
    mttr_seconds: float | None
    mttr_count: int
    without_time_to_restore: int
    mttr_p50_seconds: float | None
    mttr_p50_interval: tuple[float | None, float | None]
    mttr_p90_seconds: float | None
    mttr_p90_interval: tuple[float | None, float | None]
    verdicts: dict[str, int]


def all_totals(rows: pa.Table) -> dict[str, Any]:
    """Of any rows of `domain_daily` together."""
    sums = {name: pc.sum(rows[name]).as_py() for name in _SUMMED}
    verdicts = sum(_verdicts(rows).values(), Counter())
    return _totals(sums, _times(rows), verdicts)


def totals_by_domain(rows: pa.Table) -> Iterator[tuple[str, dict[str, Any]]]:
    """Domain and its totals, by name."""
    # By date too: sums then do not depend on the order of files.
    ordered = rows.sort_by([("domain_id", "ascending"), (DATE, "ascending")]).combine_chunks()
    wanted = [(DATE, "count"), *((name, "sum") for name in _SUMMED)]
    groups = ordered.group_by("domain_id", use_threads=False).aggregate(wanted)
    verdicts, start = _verdicts(ordered), 0
    times, ends = _times(ordered), _ends(ordered)
    # Groups come in no order, the rows of each do.
    for group in groups.sort_by("domain_id").to_pylist():
        domain_id, size = group["domain_id"], group[f"{DATE}_count"]
        sums = {name: group[f"{name}_sum"] for name in _SUMMED}
        own = times[ends[start] : ends[start + size]]
        yield domain_id, _totals(sums, own, verdicts.get(domain_id, {}))
        start += size


def restore_times(daily: pa.Table) -> pa.Array:
    """The times to restore behind rows of `domain_daily`, in seconds."""
    return pc.list_flatten(daily["mttr_seconds_values"].combine_chunks())


def _totals(
    sums: Mapping[str, float | None], times: np.ndarray, verdicts: Mapping[str, int]
) -> dict[str, Any]:
    """The fields of `Totals`: of the sums of `_SUMMED`, the times to restore and the verdicts."""
    missions, successes, restored = (
        sums[name] or 0 for name in ("missions", "successes", "mttr_count")
    )
    times = ranked(times, (0.5, 0.9))
    return {
        "total_missions": missions,
        "successes": successes,
        "failures": sums["failures"] or 0,
        "success_rate": successes / missions if missions else None,
        "success_rate_interval": wilson_interval(successes, missions) if missions else None,
        "avg_duration_seconds": _mean(sums, "duration_seconds_sum", "missions"),
        "assessed": sums["assessed"] or 0,
        "avg_effectiveness_score": _mean(sums, "effectiveness_sum", "effectiveness_count"),
        "mttr_seconds": _mean(sums, "mttr_seconds_sum", "mttr_count"),
        "mttr_count": restored,
        "without_time_to_restore": missions - restored,
        "mttr_p50_seconds": quantile(times, 0.5),
        "mttr_p50_interval": quantile_interval(times, 0.5),
        "mttr_p90_seconds": quantile(times, 0.9),
        "mttr_p90_interval": quantile_interval(times, 0.9),
        "verdicts": {verdict: verdicts[verdict] for verdict in VERDICTS if verdict in verdicts},
    }


def _mean(sums: Mapping[str, float | None], total: str, count: str) -> float | None:
    return sums[total] / sums[count] if sums[count] else None


def _times(rows: pa.Table) -> np.ndarray:
    return restore_times(rows).to_numpy(zero_copy_only=False)


def _ends(rows: pa.Table) -> np.ndarray:
    """Where in `_times` those of each row end; 0 comes first."""
    lengths = pc.fill_null(pc.list_value_length(rows["mttr_seconds_values"]), 0)
    return np.concatenate([[0], np.cumsum(lengths.to_numpy())])


def _verdicts(rows: pa.Table) -> dict[str, Counter[str]]:
    """Domain → verdict → missions; verdicts of no mission are absent."""
    maps = rows["verdicts"].combine_chunks()
    ends = maps.offsets.to_numpy()
    domains = np.repeat(np.arange(len(maps)), np.diff(ends))
    columns = {
        "domain_id": rows["domain_id"].take(pa.array(domains)),
        "verdict": maps.keys[ends[0] : ends[-1]],
        "n": maps.items[ends[0] : ends[-1]],
    }
    keys = ["domain_id", "verdict"]
    groups = pa.table(columns).group_by(keys, use_threads=False).aggregate([("n", "sum")])
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in groups.to_pylist():
        if row["n_sum"]:
            counts[row["domain_id"]][row["verdict"]] = int(row["n_sum"])
    return counts
