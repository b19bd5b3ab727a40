"""How far the loop got over its whole history: outcomes with telemetry, briefs, follow-ups.

Frozen dataclasses whose fields are the JSON names; rates are fractions, intervals 95 %.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.schemas import DATE, VERDICTS
from grace_assets.core.uncertainty import Interval, wilson_interval


@dataclass(frozen=True)
class OutcomeStats:
    """What became of telemetry, which is fetched after a mission has ended.

    Of `total_outcomes` missions `pending` still wait for a window to close. The rest were looked
    up, and `telemetry_backfills` of them have at least one metric with a reading before and one
    after; `backfill_success_rate` is their share of the rest, null where all are pending.
    `assessed` have a score.
    """

    total_outcomes: int
    pending: int
    telemetry_backfills: int
    backfill_success_rate: float | None
    backfill_success_interval: Interval | None
    assessed: int
    verdicts: dict[str, int]


@dataclass(frozen=True)
class BriefStats:
    """Briefs, what they asked for, and `deliveries` by status (a row a revision × destination).

    Dates are the first and last day with a brief. `revised` briefs changed after they were sent.
    """

    total_briefs: int
    first_date: str | None
    last_date: str | None
    missions: int
    days_without_missions: int
    revised: int
    follow_ups: int
    open_follow_ups: int
    deliveries: dict[str, int]


def outcome_stats(outcomes: pa.Table) -> OutcomeStats:
    """Over rows of `mission_outcomes`: `verdict`, `effectiveness_score` and `metrics_delta`.

    `metrics_delta` has an entry for each metric with both readings, also where the change in
    percent is unknown.
    """
    verdicts = Counter(outcomes["verdict"].to_pylist())
    # Arrow gives the length of a list, but not of a map.
    entries = np.diff(outcomes["metrics_delta"].combine_chunks().offsets.to_numpy())
    looked_up = pc.not_equal(outcomes["verdict"], "pending").to_numpy()
    n = outcomes.num_rows - verdicts["pending"]
    k = int(((entries > 0) & looked_up).sum())
    return OutcomeStats(
        total_outcomes=outcomes.num_rows,
        pending=verdicts["pending"],
        telemetry_backfills=k,
        backfill_success_rate=k / n if n else None,
        backfill_success_interval=wilson_interval(k, n) if n else None,
        assessed=outcomes.num_rows - outcomes["effectiveness_score"].null_count,
        verdicts={verdict: verdicts[verdict] for verdict in VERDICTS if verdicts[verdict]},
    )


def brief_stats(briefs: pa.Table, follow_ups: pa.Table, deliveries: pa.Table) -> BriefStats:
    """Over rows of `status_briefs`, `follow_up_missions` and `deliveries`, as they stand."""
    span = pc.min_max(briefs[DATE])
    return BriefStats(
        total_briefs=briefs.num_rows,
        first_date=span["min"].as_py(),
        last_date=span["max"].as_py(),
        missions=pc.sum(briefs["missions"]).as_py() or 0,
        days_without_missions=_count(pc.equal(briefs["missions"], 0)),
        revised=_count(pc.greater(briefs["revision"], 1)),
        follow_ups=follow_ups.num_rows,
        open_follow_ups=_count(pc.equal(follow_ups["status"], "open")),
        deliveries=dict(sorted(Counter(deliveries["status"].to_pylist()).items())),
    )


def _count(flags: pa.ChunkedArray) -> int:
    return pc.sum(flags).as_py() or 0
