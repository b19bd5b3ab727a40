"""The verdict and the score of a mission, from the verdicts on its metrics.

The mission's verdict. The metric that made Grace act is the primary one; the others are
guardrails. Per metric the row of the first source that could be judged counts
(`rag_kpis`, `domain_health`, `service_mesh`, others by name).
1. A window of a scored metric is still open: `pending`. No scored metric with samples:
   `insufficient_data`, or `not_applicable` where the catalogue knows none of those there are.
2. A critical metric is worse: `worse`.
3. The primary metric decides where it could be judged. Where a guardrail got worse, `effective`
   becomes `partial`, and what is no improvement becomes `worse`.
4. Without a primary metric all of them decide together, leaving aside those that were never
   unhealthy or lack data: better and worse at once is `inconclusive`; else `worse` if any is;
   `effective` if all are; `partial` if any is better; `no_effect` if all are; else
   `inconclusive`. Nothing left: `no_sustained_problem`, or `insufficient_data`.
5. A primary metric without data leaves the claim open that Grace acted on: what the others would
   call `effective`, `partial` or `no_effect` is `inconclusive`, and without them nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import windows
from grace_assets.core.catalogue import UNRULED, Catalogue
from grace_assets.core.wording import source_rank

MIN_ASSESSED_SHARE = 0.5
"""Of the weight of a mission's metrics; with less, a score would speak for the wrong ones."""
UNASSESSED = ("insufficient_data", "not_applicable")
BETTER = ("effective", "partial")


@dataclass(frozen=True)
class MissionRows:
    """Telemetry rows as columns, sorted by mission (an index), metric and source order."""

    table: pa.Table
    mission: np.ndarray
    metric: np.ndarray
    verdict: np.ndarray
    weight: np.ndarray
    critical: np.ndarray
    scored: np.ndarray
    """Speaks for its metric, and the catalogue knows the metric."""
    primary: np.ndarray
    horizon: np.ndarray

    def any(self, flag: np.ndarray, size: int) -> np.ndarray:
        """For each mission, whether any of its rows has the flag."""
        return np.bincount(self.mission[flag], minlength=size) > 0

    def sum(self, values: np.ndarray, flag: np.ndarray, size: int) -> np.ndarray:
        return np.bincount(self.mission[flag], weights=values[flag], minlength=size)


def rows_of(
    missions: pa.Table, telemetry: pa.Table, catalogue: Catalogue, trigger: np.ndarray
) -> MissionRows:
    ids = pa.array(missions["mission_id"].to_pylist(), pa.string())
    telemetry = telemetry.filter(pc.is_in(telemetry["mission_id"], ids))
    mission = pc.index_in(telemetry["mission_id"], ids).to_numpy().astype(np.int64)
    names, at = np.unique(texts(telemetry["metric"]).astype(str), return_inverse=True)
    sources, source_at = np.unique(texts(telemetry["source"]).astype(str), return_inverse=True)
    rank = np.argsort(sorted(range(len(sources)), key=lambda i: source_rank(sources[i])))
    order = np.lexsort((rank[source_at], at, mission)) if len(at) else at
    table, mission, at = telemetry.take(pa.array(order)), mission[order], at[order]
    verdict = texts(table["verdict"])
    rules = [catalogue.rule(str(name)) for name in names]
    known = np.array([rule is not None for rule in rules], bool)
    pick = first_of_each(mission, at, np.isin(verdict, UNASSESSED))

    def column(name: str, kind: type) -> np.ndarray:
        return np.array([getattr(rule or UNRULED, name) for rule in rules], kind)[at]

    metric = names.astype(object)[at]
    seconds = column("settle_seconds", float) + column("window_seconds", float)
    return MissionRows(
        table=table,
        mission=mission,
        metric=metric,
        verdict=verdict,
        weight=column("weight", float),
        critical=column("critical", bool),
        scored=pick & known[at],
        primary=pick & known[at] & (metric == trigger[mission]),
        horizon=np.where(known[at], np.rint(seconds * windows.SECOND), 0).astype(np.int64),
    )


def first_of_each(mission: np.ndarray, key: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Flags one row of each (mission, key): the first one that is not `later`, else the first."""
    order = np.lexsort((later, key, mission))
    same = (np.diff(mission[order]) == 0) & (np.diff(key[order]) == 0)
    flag = np.zeros(len(order), bool)
    flag[order[np.append(True, ~same)[: len(order)]]] = True
    return flag


def verdicts(
    rows: MissionRows, named: np.ndarray, waiting: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The verdict on each mission, by the rules at the top, and why."""
    size = len(named)

    def has(flag: np.ndarray) -> np.ndarray:
        return rows.any(rows.scored & flag, size)

    def said(*verdicts: str) -> np.ndarray:
        return has(np.isin(rows.verdict, verdicts))

    deciding = rows.primary & ~np.isin(rows.verdict, (*UNASSESSED, "pending"))
    primary = np.full(size, "", object)
    primary[rows.mission[deciding]] = rows.verdict[deciding]
    decided = primary != ""
    scored = has(rows.scored)
    pending = said("pending") | (~scored & waiting)
    critical = has(rows.critical & (rows.verdict == "worse"))
    better, worse = said(*BETTER), said("worse")
    guardrail = decided & worse & (primary != "worse")
    guarded = np.where(np.isin(primary, BETTER), "partial", "worse")
    blind = named & ~decided
    unknown_only = ~scored & (rows.any(np.ones(len(rows.mission), bool), size))
    verdict = np.select(
        [pending, unknown_only, ~scored, critical, guardrail, decided],
        ["pending", "not_applicable", "insufficient_data", "worse", guarded, primary],
        _together(said, blind),
    ).astype(object)
    final = ~pending & scored
    why = {
        "window_open": pending,
        "no_scored_metric": ~pending & unknown_only,
        "no_samples": ~pending & ~scored & ~unknown_only,
        "critical_metric_worse": final & critical,
        "trigger_metric_decides": final & ~critical & decided,
        "trigger_metric_not_judged": final & ~critical & blind,
        "guardrail_worse": final & ~critical & guardrail,
        "better_and_worse": final & ~critical & ~decided & better & worse,
    }
    speaking = rows.scored & np.where(decided[rows.mission], deciding, True) & final[rows.mission]
    return verdict, why | _codes(rows, speaking, size)


def _together(said: Callable[..., np.ndarray], blind: np.ndarray) -> np.ndarray:
    """The verdict of all metrics where no primary one decides; `blind`: one was named."""
    better, worse, same = said(*BETTER), said("worse"), said("no_effect")
    unsure, calm = said("inconclusive"), said("no_sustained_problem")
    all_effective = better & ~said("partial") & ~same & ~unsure
    return np.select(
        [
            better & worse,
            worse,
            blind & (better | same),
            all_effective,
            better,
            same & ~unsure,
            same | unsure,
            calm & ~blind,
        ],
        [
            "inconclusive",
            "worse",
            "inconclusive",
            "effective",
            "partial",
            "no_effect",
            "inconclusive",
            "no_sustained_problem",
        ],
        "insufficient_data",
    ).astype(object)


def _codes(rows: MissionRows, speaking: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """The reason codes of the metrics that decided, by code."""
    lists = rows.table["reason_codes"].combine_chunks().filter(pa.array(speaking))
    found = pc.list_flatten(lists).dictionary_encode()
    owner = rows.mission[speaking][pc.list_parent_indices(lists).to_numpy()]
    codes = found.indices.to_numpy()
    flags = np.zeros((len(found.dictionary), size), bool)
    flags[codes, owner] = True
    return dict(sorted(zip(found.dictionary.to_pylist(), flags, strict=True)))


def scores(
    rows: MissionRows, verdict: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Weighted mean restoration, 0 to 1, with the same mean of the intervals' ends.

    Metrics that were never clearly unhealthy have nothing to restore and do not count, except
    where they got worse: then with 0. NaN where it would speak for too little.
    """
    size = len(verdict)
    restoration, low, high = (
        rows.table[name].to_numpy(zero_copy_only=False).astype(float)
        for name in ("restoration", "restoration_low", "restoration_high")
    )
    harmed = (rows.verdict == "worse") & np.isnan(restoration)
    assessed = rows.scored & (np.isfinite(restoration) | harmed)
    lacking = rows.scored & (rows.verdict == "insufficient_data")
    weight = rows.sum(rows.weight, assessed, size)
    wanted = weight + rows.sum(rows.weight, lacking, size)
    little = (wanted > 0) & (weight < MIN_ASSESSED_SHARE * wanted)
    blind = rows.any(lacking & rows.critical, size)
    unscored = np.isin(verdict, ("pending", *UNASSESSED)) | little | blind | (weight == 0)

    def mean(values: np.ndarray) -> np.ndarray:
        clipped = np.where(harmed, 0.0, np.clip(values, 0, 1))
        total = rows.sum(rows.weight * clipped, assessed, size)
        share = np.divide(total, weight, out=np.zeros(size), where=weight > 0)
        return np.where(unscored, np.nan, np.clip(share, 0, 1))

    judged = verdict != "pending"
    why = {
        "little_of_it_assessed": judged & little,
        "critical_metric_without_data": judged & blind,
    }
    return mean(restoration), mean(low), mean(high), why


def texts(column: pa.ChunkedArray) -> np.ndarray:
    """A string column as Python strings."""
    return np.array(column.to_pylist(), object)
