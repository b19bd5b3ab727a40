"""Daily rollups that add up: counts and sums per day, from which any range is answered.

Means are taken when reading, never stored: a mean over thirty days is the sum of the sums over
the sum of the counts, so that it is a mean over missions, not over days. A value that is not
known adds nothing to a sum and nothing to its count; it is never taken for 0. All functions
work on the columns of any number of days at once.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.schemas import DATE, TABLES
from grace_assets.core.wording import source_rank


def domain_daily(outcomes: pa.Table) -> pa.Table:
    """Roll `mission_outcomes` up to one row per date and domain (table `domain_daily`).

    Rows come out ordered by date and domain, and the sums do not depend on the order of the
    input. `mttr_seconds_values` keeps the times to restore themselves (ascending, seconds),
    because quantiles of several days cannot be had from quantiles of each.
    """
    keys = [DATE, "domain_id"]
    rows = _ordered(outcomes, [*keys, "mission_id"], also=_OUTCOME_COLUMNS)
    flags = {
        "success": rows["success"],
        "failure": pc.invert(rows["success"]),
        "effective": pc.equal(rows["verdict"], "effective"),
        "follow_up": pc.is_valid(rows["follow_up_id"]),
    }
    for name, flag in flags.items():
        rows = rows.append_column(f"is_{name}", flag.cast(pa.int64()))
    groups = _grouped(
        rows,
        keys,
        [
            ("mission_id", "count"),
            *[(f"is_{name}", "sum") for name in flags],
            ("duration_seconds", "sum"),
            ("time_to_restore_seconds", "sum"),
            ("time_to_restore_seconds", "count"),
            ("effectiveness_score", "sum"),
            ("effectiveness_score", "count"),
        ],
    )
    return _table(
        "domain_daily",
        {
            DATE: groups[DATE],
            "domain_id": groups["domain_id"],
            "missions": groups["mission_id_count"],
            "successes": groups["is_success_sum"],
            "failures": groups["is_failure_sum"],
            "assessed": groups["effectiveness_score_count"],
            "effective": groups["is_effective_sum"],
            "duration_seconds_sum": _sum(groups, "duration_seconds"),
            "mttr_seconds_sum": _sum(groups, "time_to_restore_seconds"),
            "mttr_count": groups["time_to_restore_seconds_count"],
            "effectiveness_sum": _sum(groups, "effectiveness_score"),
            "effectiveness_count": groups["effectiveness_score_count"],
            "follow_up_missions": groups["is_follow_up_sum"],
            "mttr_seconds_values": _restore_times(rows, groups),
            "verdicts": _verdict_counts(rows, keys),
        },
    )


def kpi_daily(telemetry: pa.Table) -> pa.Table:
    """Roll `mission_telemetry` up to one row per date, domain and metric (table `kpi_daily`).

    A mission counts once per metric, however many sources measured it: the first one by
    `source_rank` with a reading before and one after speaks, as it does in `metrics_delta`. Where
    none has both, the mission counts in `missions` alone.
    """
    keys = [DATE, "domain_id", "metric"]
    rows = _ordered(
        first_sources(telemetry),
        [*keys, "mission_id"],
        also=["delta", "percent_change", "improvement_percent", "improved"],
    )
    moved_against = pc.coalesce(
        pc.less(rows["improvement_percent"], 0.0), pc.not_equal(rows["delta"], 0.0)
    )
    better = pc.fill_null(rows["improved"], False)
    worse = pc.fill_null(pc.and_(pc.invert(rows["improved"]), moved_against), False)
    rows = rows.append_column("is_better", better.cast(pa.int64()))
    rows = rows.append_column("is_worse", worse.cast(pa.int64()))
    changes = ("percent_change", "improvement_percent")
    groups = _grouped(
        rows,
        keys,
        [
            ("mission_id", "count"),
            *[(change, how) for change in changes for how in ("sum", "count")],
            ("is_better", "sum"),
            ("is_worse", "sum"),
        ],
    )
    return _table(
        "kpi_daily",
        {
            **{key: groups[key] for key in keys},
            "missions": groups["mission_id_count"],
            "percent_change_sum": _sum(groups, "percent_change"),
            "percent_change_count": groups["percent_change_count"],
            "improvement_percent_sum": _sum(groups, "improvement_percent"),
            "improvement_percent_count": groups["improvement_percent_count"],
            "improved": groups["is_better_sum"],
            "worsened": groups["is_worse_sum"],
        },
    )


_OUTCOME_COLUMNS = [
    "success",
    "verdict",
    "follow_up_id",
    "duration_seconds",
    "time_to_restore_seconds",
    "effectiveness_score",
]


def _ordered(table: pa.Table, by: list[str], *, also: list[str]) -> pa.Table:
    # Floating-point sums depend on the order; a fixed one makes one run over many days equal,
    # to the last bit, to a run per day.
    narrow = table.select([*by, *also]).combine_chunks()
    return narrow.sort_by([(column, "ascending") for column in by]).combine_chunks()


def _grouped(rows: pa.Table, keys: list[str], aggregations: list[tuple[str, str]]) -> pa.Table:
    groups = rows.group_by(keys, use_threads=False).aggregate(aggregations)
    return groups.sort_by([(key, "ascending") for key in keys])


def _sum(groups: pa.Table, column: str) -> pa.ChunkedArray:
    # The sum over no values; the count beside it says that it stands for nothing.
    return pc.fill_null(groups[f"{column}_sum"], 0.0)


def _offsets(lengths: np.ndarray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def _restore_times(rows: pa.Table, groups: pa.Table) -> pa.Array:
    """The known times to restore of each group, ascending, as one list a group."""
    known = rows.filter(pc.is_valid(rows["time_to_restore_seconds"]))
    order = [(key, "ascending") for key in (DATE, "domain_id", "time_to_restore_seconds")]
    values = known.sort_by(order)["time_to_restore_seconds"].combine_chunks()
    return pa.ListArray.from_arrays(
        _offsets(groups["time_to_restore_seconds_count"].to_numpy()), values
    )


def _verdict_counts(rows: pa.Table, keys: list[str]) -> pa.Array:
    """Verdict → missions of each group, verdicts by name."""
    counts = _grouped(rows, [*keys, "verdict"], [("mission_id", "count")])
    kinds = _grouped(counts, keys, [("verdict", "count")])["verdict_count"].to_numpy()
    return pa.MapArray.from_arrays(
        _offsets(kinds),
        counts["verdict"].combine_chunks(),
        counts["mission_id_count"].combine_chunks().cast(pa.float64()),
    )


def first_sources(telemetry: pa.Table) -> pa.Table:
    """One row per mission × metric: that of the source which speaks for the metric."""
    if not telemetry.num_rows:
        return telemetry
    sources = sorted(pc.unique(telemetry["source"]).to_pylist(), key=source_rank)
    rank = pc.index_in(telemetry["source"], value_set=pa.array(sources)).to_numpy()
    both = pc.and_(pc.is_valid(telemetry["pre"]), pc.is_valid(telemetry["post"])).to_numpy()
    n = telemetry.num_rows
    # One integer holds rank and row, so that the least of a group names the row to keep.
    choice = (rank.astype(np.int64) + np.where(both, 0, len(sources))) * n + np.arange(n)
    keys = telemetry.select([DATE, "mission_id", "metric"]).append_column(
        "choice", pa.array(choice)
    )
    least = keys.group_by([DATE, "mission_id", "metric"]).aggregate([("choice", "min")])
    return telemetry.take(pa.array(np.sort(least["choice_min"].to_numpy() % n)))


def _table(name: str, columns: dict[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    schema = TABLES[name].with_date()
    return pa.table([columns[field.name] for field in schema], names=schema.names).cast(schema)
