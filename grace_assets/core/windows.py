"""Cutting samples into windows, on columns: no loop over missions, however many there are.

Belongs here: grouping samples into series, pairing missions with the series of their domain,
finding each window's rows, and which missions overlap. What the windows say about a repair is
decided in `judge`. Times are microseconds since 1970, UTC;
windows are half-open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.catalogue import UNRULED, Catalogue, MetricRule

SECOND = 1_000_000
DAY = 86_400 * SECOND
REFERENCE_DAYS = 14
LONGEST = timedelta(days=90)
"""A mission that says it ran longer has a start that was never set: nobody reads all since 1970."""


@dataclass(frozen=True)
class Series:
    """Samples by series: series i holds rows `bounds[i]` to `bounds[i + 1]`, times ascending."""

    source: np.ndarray
    domain: np.ndarray
    metric: np.ndarray
    bounds: np.ndarray
    times: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.source)


NO_ONSET = -(2**62)


@dataclass(frozen=True)
class Missions:
    """Missions as columns; `onset` is `NO_ONSET` where it is not known.

    `days_back` (missions, `REFERENCE_DAYS`) are the microseconds back to the same clock time on
    each earlier day: not always whole days where clocks change.
    """

    ids: pa.Array
    domain: np.ndarray
    started: np.ndarray
    completed: np.ndarray
    onset: np.ndarray
    days_back: np.ndarray


@dataclass(frozen=True)
class Pairs:
    """Mission × series, by their indices, with the settle time and window of the metric."""

    mission: np.ndarray
    series: np.ndarray
    settle: np.ndarray
    window: np.ndarray

    def __len__(self) -> int:
        return len(self.mission)

    def take(self, rows: np.ndarray | slice) -> Pairs:
        return Pairs(self.mission[rows], self.series[rows], self.settle[rows], self.window[rows])


def series_of(samples: pa.Table, catalogue: Catalogue) -> Series:
    """Group samples by (source, domain, metric); counters become rates per second.

    Samples come sorted and unique; if they are not sorted they are sorted here. Values that are
    not finite are left out.
    """
    finite = pc.is_finite(samples["value"])
    if not pc.all(finite, min_count=0).as_py():
        samples = samples.filter(finite)
    columns = [_codes(samples[name]) for name in ("source", "domain_id", "metric")]
    key = np.zeros(samples.num_rows, np.int64)
    for codes, names in columns:
        key = key * max(len(names), 1) + codes
    times = microseconds(samples["timestamp"])
    values = samples["value"].to_numpy().astype(np.float64, copy=False)
    starts = _run_starts(key)
    if len(np.unique(key[starts])) < len(starts) or not _ascending(times, starts):
        order = np.lexsort((times, key))
        key, times, values = key[order], times[order], values[order]
        columns = [(codes[order], names) for codes, names in columns]
        starts = _run_starts(key)
    names = [np.array(names, object)[codes[starts]] for codes, names in columns]
    series = Series(*names, np.append(starts, len(key)), times, values)
    return _rates(series, catalogue)


def missions_of(missions: pa.Table, timezone: str = "UTC") -> Missions:
    """The columns of mission events that windows need; `onset_at` may be absent."""
    size = missions.num_rows
    onset = np.full(size, NO_ONSET)
    if "onset_at" in missions.column_names:
        known = missions["onset_at"].is_valid().to_numpy()
        onset[known] = microseconds(missions["onset_at"].drop_null())
    started = missions["started_at"].cast(pa.timestamp("us", tz="UTC"))
    return Missions(
        ids=pa.array(missions["mission_id"].to_pylist(), pa.string()),
        domain=np.array(missions["domain_id"].to_pylist(), object),
        started=microseconds(started),
        completed=microseconds(missions["completed_at"]),
        onset=onset,
        days_back=_days_back(started, timezone),
    )


def _days_back(started: pa.ChunkedArray, timezone: str) -> np.ndarray:
    whole = np.arange(1, REFERENCE_DAYS + 1) * DAY
    back = np.tile(whole, (len(started), 1))
    if timezone == "UTC":
        return back
    now = microseconds(started)
    local = pc.local_timestamp(started.cast(pa.timestamp("us", tz=timezone)))
    for column, day in enumerate(whole):
        then = pc.assume_timezone(
            pc.subtract(local, pa.scalar(int(day), pa.duration("us"))),
            timezone,
            ambiguous="earliest",
            nonexistent="earliest",
        )
        back[:, column] = now - then.cast(pa.int64()).to_numpy()
    return back


def read_since(missions: pa.Table) -> pa.ChunkedArray:
    """From when samples are read for each mission, its windows aside: its start, or `LONGEST`
    before its end. Without samples from before it has too little data."""
    started = missions["started_at"]
    earliest = pc.subtract(missions["completed_at"], pa.scalar(LONGEST))
    return pc.if_else(pc.less(started, earliest), earliest, started)


def with_neighbours(missions: Missions, neighbours: pa.Table | None) -> Missions:
    """The missions and, after them, those neighbours that are not among them."""
    if neighbours is None or neighbours.num_rows == 0:
        return missions
    others = missions_of(
        neighbours.filter(pc.invert(pc.is_in(neighbours["mission_id"], missions.ids)))
    )
    return Missions(
        ids=pa.concat_arrays([missions.ids, others.ids]),
        domain=np.concatenate([missions.domain, others.domain]),
        started=np.concatenate([missions.started, others.started]),
        completed=np.concatenate([missions.completed, others.completed]),
        onset=np.concatenate([missions.onset, others.onset]),
        days_back=np.concatenate([missions.days_back, others.days_back]),
    )


def none_but(neighbours: pa.Table | None) -> Missions:
    """The neighbours alone."""
    if neighbours is None:
        stamp = pa.timestamp("us", tz="UTC")
        names = ("mission_id", "domain_id", "started_at", "completed_at")
        neighbours = pa.schema(
            [(name, stamp if name.endswith("_at") else pa.string()) for name in names]
        ).empty_table()
    return missions_of(neighbours)


def pair(missions: Missions, series: Series, catalogue: Catalogue) -> Pairs:
    """Every mission with every series of its domain, grouped by series, by start within it."""
    domains = {name: code for code, name in enumerate(dict.fromkeys(missions.domain))}
    codes = np.fromiter((domains[d] for d in missions.domain), np.int64, len(missions.domain))
    order = np.lexsort((missions.started, codes))
    per_domain = np.bincount(codes, minlength=len(domains))
    offsets = np.append(0, np.cumsum(per_domain))
    wanted = np.flatnonzero([d in domains for d in series.domain])
    at = np.array([domains[d] for d in series.domain[wanted]], np.int64)
    counts = per_domain[at]
    rows = np.repeat(offsets[at], counts) + ragged_arange(counts)
    index = np.repeat(wanted, counts)
    rules = [catalogue.rule(metric) or UNRULED for metric in series.metric]
    settle = np.array([round(r.settle_seconds * SECOND) for r in rules], np.int64)
    window = np.array([round(r.window_seconds * SECOND) for r in rules], np.int64)
    return Pairs(order[rows], index, settle[index], window[index])


def pairs_of(pairs: Pairs, missions: Missions, series: Series, wanted: pa.Table) -> Pairs:
    """Those pairs that rows of `wanted` (mission_id, source, metric) name."""
    of_pairs, of_wanted = pairs.mission, places(wanted["mission_id"], missions.ids)
    known = of_wanted >= 0
    for name, column in (("source", series.source), ("metric", series.metric)):
        distinct, codes = np.unique(column.astype(str), return_inverse=True)
        place = places(wanted[name], pa.array(distinct, pa.string()))
        known &= place >= 0
        of_pairs = of_pairs * len(distinct) + codes[pairs.series]
        of_wanted = of_wanted * len(distinct) + place
    return pairs.take(np.flatnonzero(np.isin(of_pairs, of_wanted[known])))


def places(values: pa.Array | pa.ChunkedArray, known: pa.Array, other: int = -1) -> np.ndarray:
    """The place of each value in `known`; `other` where it is not there."""
    return pc.fill_null(pc.index_in(values, value_set=known), other).to_numpy().astype(np.int64)


def reach(missions: Missions, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """From the start of each pair's first reference window to the end of its window after."""
    first = (missions.started - missions.days_back[:, -1])[pairs.mission] - pairs.window
    return first, missions.completed[pairs.mission] + pairs.settle + pairs.window


class Locator:
    """Finds rows of a series by time, for many (series, time) at once.

    Series and time make one integer, so that one binary search serves all series. Times before
    and after all samples are taken for the nearest one that can be asked for: a mission whose
    clock was never set began long before.
    """

    def __init__(self, series: Series) -> None:
        times = series.times if len(series.times) else np.zeros(1, np.int64)
        self._first = int(times.min())
        self._span = int(times.max()) - self._first + 2
        if len(series) * self._span >= 2**62:
            raise ValueError("too many series over too long a time for one call: judge fewer days")
        index = np.repeat(np.arange(len(series)), np.diff(series.bounds))
        self._keys = index * self._span + (series.times - self._first)

    def first_row(self, series: np.ndarray, time: np.ndarray) -> np.ndarray:
        """The first row of each series at or after each time."""
        at = np.clip(time - self._first, 0, self._span - 1)
        return np.searchsorted(self._keys, series * self._span + at)


def overlapping(
    domain: np.ndarray, low: np.ndarray, high: np.ndarray, missions: Missions
) -> np.ndarray:
    """How many missions of the same domain overlap each [low, high); shapes (n,), (n, …), (n, …).

    Of those that start before `high`, the ones that end by `low` do not overlap; both are
    counted by binary search. A mission of no length lasts one microsecond.
    """
    codes = {name: code for code, name in enumerate(dict.fromkeys(missions.domain))}
    owner = np.fromiter((codes[d] for d in missions.domain), np.int64, len(missions.domain))
    asked = np.fromiter((codes.get(d, len(codes)) for d in domain), np.int64, len(domain))
    asked = asked.reshape(-1, *[1] * (low.ndim - 1))
    ends = np.maximum(missions.completed, missions.started + 1)
    # Ranks, not times: with one mission whose clock was never set, no integer would hold them.
    times = np.unique(np.concatenate([missions.started, ends]))
    size = len(times) + 1
    starts = np.sort(owner * size + np.searchsorted(times, missions.started))
    stops = np.sort(owner * size + np.searchsorted(times, ends))
    begun = np.searchsorted(starts, asked * size + np.searchsorted(times, high, side="left"))
    over = np.searchsorted(stops, asked * size + np.searchsorted(times, low, side="right"))
    return begun - over


def ragged_arange(counts: np.ndarray) -> np.ndarray:
    """0 … c−1 for each count, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def microseconds(column: pa.ChunkedArray) -> np.ndarray:
    """A timestamp column without nulls as int64 microseconds."""
    return column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        return np.zeros(0, np.int64), []
    return array.indices.to_numpy().astype(np.int64), array.dictionary.to_pylist()


def _run_starts(key: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])


def _ascending(times: np.ndarray, starts: np.ndarray) -> bool:
    falls = np.flatnonzero(np.diff(times) < 0) + 1
    return bool(np.isin(falls, starts, assume_unique=True).all())


def _rates(series: Series, catalogue: Catalogue) -> Series:
    """Counters as growth per second since the sample before; a fall is a reset to zero.

    As Prometheus' `rate` does: after a reset the new value itself is the growth. The first sample
    of a counter says nothing and goes.
    """
    counters = [_kind(catalogue.rule(metric)) == "counter" for metric in series.metric]
    if not any(counters):
        return series
    lengths = np.diff(series.bounds)
    affected = np.repeat(np.array(counters), lengths)
    growth = np.diff(series.values, prepend=0.0)
    elapsed = np.diff(series.times, prepend=0) / SECOND
    first = np.zeros(len(affected), bool)
    first[series.bounds[:-1]] = True
    keep = ~(affected & (first | (elapsed <= 0)))
    growth = np.where(growth < 0, series.values, growth)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(affected, growth / elapsed, series.values)
    kept = np.append(0, np.cumsum(keep))
    return replace(
        series, bounds=kept[series.bounds], times=series.times[keep], values=values[keep]
    )


def _kind(rule: MetricRule | None) -> str | None:
    return rule.kind if rule else None
