"""A day in sum, from its missions a part at a time: what a brief says of all of them.

Only sums over domains and the times to restore are kept, so the size of the day hardly matters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.brief_figures import Totals, totals_of
from grace_assets.core.schemas import SEVERITIES

MAX_DOMAINS = 25
"""Domains with a section of their own."""
SAMPLE_PREFIX = "sample-"
"""Mission ids of made-up data begin with it."""
COLUMNS = (
    *("mission_id", "domain_id", "success", "severity", "verdict"),
    *("effectiveness_score", "time_to_restore_seconds"),
)
"""What is read of `mission_outcomes`."""


@dataclass(frozen=True)
class Overview:
    """`shown` are the domains that are told in full, in their order; `hidden` counts the others
    and their missions. `sample` marks made-up data."""

    totals: Totals
    domains: int
    shown: tuple[str, ...]
    hidden: tuple[int, int]
    sample: bool


def overview(parts: Iterable[pa.Table]) -> Overview:
    """Sum up the rows of `mission_outcomes` (`COLUMNS`) of one day."""
    verdicts: Counter[str] = Counter()
    missions = successes = assessed = 0
    times, groups, sample = [np.empty(0)], [_NO_DOMAINS], False
    for part in parts:
        missions += part.num_rows
        successes += pc.sum(part["success"]).as_py() or 0
        assessed += part.num_rows - part["effectiveness_score"].null_count
        for count in pc.value_counts(part["verdict"]).to_pylist():
            verdicts[count["values"]] += count["counts"]
        times.append(part["time_to_restore_seconds"].drop_null().to_numpy())
        ids = part["mission_id"]
        sample = sample or bool(pc.any(pc.starts_with(ids, SAMPLE_PREFIX)).as_py())
        groups.append(_by_domain(part))
    domains = (
        pa.concat_tables(groups)
        .group_by("domain_id")
        .aggregate([("good", "min"), ("severity", "min"), ("missions", "sum")])
    )
    # Where something failed or got worse first, then by severity and size.
    ordered = domains.sort_by(
        [
            ("good_min", "ascending"),
            ("severity_min", "ascending"),
            ("missions_sum", "descending"),
            ("domain_id", "ascending"),
        ]
    )
    hidden = ordered.slice(MAX_DOMAINS)
    return Overview(
        totals_of(missions, successes, assessed, verdicts, np.concatenate(times)),
        ordered.num_rows,
        tuple(ordered["domain_id"].slice(0, MAX_DOMAINS).to_pylist()),
        (hidden.num_rows, pc.sum(hidden["missions_sum"]).as_py() or 0),
        sample,
    )


_NO_DOMAINS = pa.schema(
    [
        ("domain_id", pa.string()),
        ("good", pa.bool_()),
        ("severity", pa.int64()),
        ("missions", pa.int64()),
    ]
).empty_table()


def _by_domain(part: pa.Table) -> pa.Table:
    """Per domain: whether all is well, the rank of the highest severity, and its missions."""
    rank = pc.fill_null(pc.index_in(part["severity"], pa.array(SEVERITIES)), len(SEVERITIES))
    rows = pa.table(
        {
            "domain_id": part["domain_id"],
            "good": pc.and_(part["success"], pc.not_equal(part["verdict"], "worse")),
            "severity": rank.cast(pa.int64()),
        }
    )
    found = rows.group_by("domain_id").aggregate(
        [("good", "min"), ("severity", "min"), ("severity", "count")]
    )
    names = {"good_min": "good", "severity_min": "severity", "severity_count": "missions"}
    return found.rename_columns(names).select(_NO_DOMAINS.column_names).cast(_NO_DOMAINS.schema)
