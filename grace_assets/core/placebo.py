"""The judge at times when nobody acted: how often would it have claimed a success?

Belongs here: making placebo missions from the gaps between real ones, and counting what the
judge says of them. A success claimed for a placebo is false whatever the metric did; a problem
seen by one is an episode that nobody treated, and whether it passed by itself is what a repair
of such a problem has to be compared with (`attribution`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import windows
from grace_assets.core.catalogue import Catalogue
from grace_assets.core.judge import NOT_SCORED, judge, saw_problem
from grace_assets.core.mission_verdict import BETTER
from grace_assets.core.moments import micros
from grace_assets.core.schemas import DATE, TABLES

EVERY = timedelta(hours=1)
LENGTH = timedelta(minutes=10)
MIN_PLACEBOS = 50
"""Fewer say too little about a rate of a few percent."""

_SCHEMA = TABLES["placebo_daily"].with_date()
_STAMP = pa.timestamp("us", tz="UTC")


def placebo_missions(
    days: Iterable[tuple[str, datetime, datetime]],
    domains: list[str],
    real: pa.Table,
    catalogue: Catalogue,
) -> pa.Table:
    """One placebo an hour and domain of each (day, start, end), away from real missions.

    `real` are all missions near (mission_id, domain_id, started_at, completed_at). A placebo
    keeps so far from them that neither its windows nor theirs touch the other.
    """
    days = list(days)
    starts, dates = [], []
    for day, start, end in days:
        count = -((start - end) // EVERY)
        starts += [start + EVERY * n for n in range(count)]
        dates += [day] * count
    size = len(starts)
    began = np.tile(np.array([micros(at) for at in starts], np.int64), len(domains))
    ended = began + LENGTH // timedelta(microseconds=1)
    domain = np.repeat(np.array(domains, object), size)
    reach = catalogue.settle_and_window_max // timedelta(microseconds=1)
    known = windows.missions_of(real)
    low, high = began - 2 * reach, ended + 2 * reach
    free = windows.overlapping(domain, low, high, known) == 0
    table = pa.table(
        {
            DATE: pa.array(dates * len(domains), pa.string()),
            "mission_id": pa.array([f"placebo-{n}" for n in range(len(began))], pa.string()),
            "domain_id": pa.array(domain, pa.string()),
            "started_at": pa.array(began).cast(_STAMP),
            "completed_at": pa.array(ended).cast(_STAMP),
        }
    )
    return table.filter(pa.array(free, pa.bool_()))


def placebo_daily(
    placebos: pa.Table,
    samples: pa.Table,
    catalogue: Catalogue,
    now: datetime,
    real: pa.Table,
    timezone: str = "UTC",
) -> pa.Table:
    """Counts per date, domain, source and metric (table `placebo_daily`).

    An episode begins at a placebo with a problem whose placebo before, an hour earlier on the
    same date, was judged and had none; it healed where that placebo looks effective.
    """
    rows = judge(placebos, samples, catalogue, now, real, timezone=timezone, acted=False)
    at = pc.index_in(rows["mission_id"], placebos["mission_id"].combine_chunks())
    started = windows.microseconds(placebos["started_at"].take(at))
    keys = [DATE, "domain_id", "source", "metric"]
    key = pc.binary_join_element_wise(*(rows[k] for k in keys[1:]), "\x1f")
    _, series = np.unique(np.array(key.to_pylist(), str), return_inverse=True)
    order = np.lexsort((started, series))
    rows, started, series = rows.take(pa.array(order)), started[order], series[order]
    verdict = np.array(rows["verdict"].to_pylist(), str)
    judged = ~np.isin(verdict, NOT_SCORED)
    problem = judged & saw_problem(rows)
    hour = EVERY // timedelta(microseconds=1)
    dates = np.array(rows[DATE].to_pylist(), str)
    same = (np.diff(series) == 0) & (np.diff(started) == hour) & (dates[1:] == dates[:-1])
    follows = np.append(False, same)[: len(problem)]
    begins = problem & (follows & np.append(False, judged & ~problem)[:-1])
    counts = {
        "placebos": judged,
        "false_successes": np.isin(verdict, BETTER),
        "false_harms": verdict == "worse",
        "episodes": begins,
        "healed": begins & (verdict == "effective"),
    }
    flags = pa.table({name: pa.array(flag.astype(np.int64)) for name, flag in counts.items()})
    table = rows.select(keys)
    for name in flags.column_names:
        table = table.append_column(name, flags[name])
    table = table.filter(pa.array(judged))
    grouped = table.group_by(keys).aggregate([(name, "sum") for name in counts])
    grouped = grouped.rename_columns({f"{name}_sum": name for name in counts})
    ordered = grouped.sort_by([(name, "ascending") for name in keys])
    return ordered.select(_SCHEMA.names).cast(_SCHEMA)


def rates(counts: pa.Table) -> list[dict]:
    """Per metric: placebos, false successes and their rate, highest first."""
    grouped = counts.group_by("metric").aggregate([("placebos", "sum"), ("false_successes", "sum")])
    found = [
        {"metric": metric, "placebos": n, "false_successes": k, "rate": k / n}
        for metric, n, k in zip(
            grouped["metric"].to_pylist(),
            grouped["placebos_sum"].to_pylist(),
            grouped["false_successes_sum"].to_pylist(),
            strict=True,
        )
        if n
    ]
    return sorted(found, key=lambda row: (-row["rate"], row["metric"]))


def beyond(counts: pa.Table, limit: float) -> list[str]:
    """Metrics whose false-success rate exceeds the limit, in words."""
    return [
        f"{row['metric']}: {row['false_successes']} of {row['placebos']} "
        f"({100 * row['rate']:.1f} %) would have been called a success"
        for row in rates(counts)
        if row["placebos"] >= MIN_PLACEBOS and row["rate"] > limit
    ]
