"""Which metrics of a mission are told: the trigger's first, then the strongest verdicts.

Narratives are worded from these rows, `claims` holds their numbers against them, and an answer
speaks of the first. One source speaks for a metric: the first in order that has a reading before
and after, or else the first that has one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import wording
from grace_assets.core.mission_verdict import first_of_each
from grace_assets.core.windows import places

MAX_METRICS = 3
_STRENGTH = ("worse", "effective", "partial", "no_effect", "inconclusive", "no_sustained_problem")
_COLUMNS = (
    "metric",
    "unit",
    "pre",
    "post",
    "healthy",
    "problem_level",
    "improvement_percent",
    "improved",
    "verdict",
)
_ROWS_AT_ONCE = 4096
"""Python objects for all rows of a month at once would be a multiple of the month's Arrow."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """What is told of one mission's metrics.

    `shown`: rows of `mission_telemetry`; `hidden`: how many more there are. `unit` and
    `direction` are those of the metric that made Grace act, null where it was never measured.
    """

    shown: list[Row]
    hidden: int = 0
    hidden_worse: int = 0
    unit: str | None = None
    direction: str | None = None


@dataclass(frozen=True)
class ToldMetrics:
    """What is told of many missions, as columns; iterated, a `Told` a mission."""

    shown: pa.Table
    counts: np.ndarray
    hidden: np.ndarray
    hidden_worse: np.ndarray
    trigger: pa.Table

    def __iter__(self) -> Iterator[Told]:
        rows = rows_of(self.shown)
        columns = (self.counts, self.hidden, self.hidden_worse)
        counts = zip(*(column.tolist() for column in columns), strict=True)
        for (count, *hidden), trigger in zip(counts, rows_of(self.trigger), strict=True):
            yield Told(list(islice(rows, count)), *hidden, trigger["unit"], trigger["direction"])


def rows_of(table: pa.Table) -> Iterator[Row]:
    """The rows of a table as dicts, made a column at a time, some thousand rows at once."""
    names = table.column_names
    for start in range(0, table.num_rows, _ROWS_AT_ONCE):
        part = table.slice(start, _ROWS_AT_ONCE)
        columns = [column.to_pylist() for column in part.columns]
        for values in zip(*columns, strict=True):
            yield dict(zip(names, values, strict=True))


def told_metrics(
    mission_ids: Sequence[str], triggers: Sequence[str | None], telemetry: pa.Table
) -> ToldMetrics:
    """What is told of each mission, in their order.

    `triggers`: the metric that comes first, where it was measured; `telemetry`: rows of
    `mission_telemetry`, in any order.
    """
    size, ids = len(mission_ids), pa.array(mission_ids, pa.string())
    mission = places(telemetry["mission_id"], ids)
    names = sorted(telemetry["metric"].unique().to_pylist())
    metric = places(telemetry["metric"], pa.array(names, pa.string()))
    sources = sorted(telemetry["source"].unique().to_pylist(), key=wording.source_rank)
    source = places(telemetry["source"], pa.array(sources, pa.string()))
    wanted = places(pa.array(triggers, pa.string()), pa.array(names, pa.string()), -2)
    triggered = metric == np.append(wanted, -2)[mission]

    before, after = (pc.is_valid(telemetry[n]).to_numpy().astype(bool) for n in ("pre", "post"))
    read = np.flatnonzero((mission >= 0) & (before | after))
    read = read[np.argsort(source[read], kind="stable")]
    speaks = read[first_of_each(mission[read], metric[read], ~(before & after)[read])]
    strength = places(telemetry["verdict"], pa.array(_STRENGTH), len(_STRENGTH))
    change = np.abs(pc.fill_null(telemetry["improvement_percent"], 0.0).to_numpy())
    keys = (metric, -change, strength, ~triggered, mission)
    order = speaks[np.lexsort([key[speaks] for key in keys])]

    told = np.bincount(mission[order], minlength=size)
    place = np.arange(len(order)) - np.repeat(np.cumsum(told) - told, told)
    hidden = order[place >= MAX_METRICS]
    worse = hidden[strength[hidden] == _STRENGTH.index("worse")]

    measured = np.flatnonzero((mission >= 0) & triggered)
    of_trigger = np.full(size, -1)
    # Backwards, so that the first row of a mission is the one that stays.
    of_trigger[mission[measured][::-1]] = measured[::-1]
    rows = pa.array(of_trigger, mask=of_trigger < 0)
    return ToldMetrics(
        shown=telemetry.select(_COLUMNS).take(pa.array(order[place < MAX_METRICS])),
        counts=np.minimum(told, MAX_METRICS),
        hidden=np.bincount(mission[hidden], minlength=size),
        hidden_worse=np.bincount(mission[worse], minlength=size),
        trigger=telemetry.select(["unit", "direction"]).take(rows),
    )
