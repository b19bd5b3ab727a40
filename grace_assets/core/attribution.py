"""May the mission be credited? Verdict and credit are two facts, and this is the second.

No comparison of before with after can tell a repair from a problem that passed by itself. What
can: other domains with the same problem at the same time that were left alone (`controlled`), or
how often such problems passed while nobody acted (`supported`). Both credit a mission where at
most one problem in five would have gone by itself; without either a recovery is `coincident`.

A sibling domain that was healthy all along says nothing about how problems end, however steady
it was, so it is no control: with it, every problem that healed by itself would earn a credit.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import windows
from grace_assets.core.catalogue import Catalogue
from grace_assets.core.judge import judge, saw_problem
from grace_assets.core.look_back import EXPERIENCE_DAYS
from grace_assets.core.mission_verdict import BETTER, texts
from grace_assets.core.schemas import DATE, TABLES

BY_CHANCE = 0.2
"""So likely may it be, at most, that the problem would have gone without the mission."""
MIN_DIFFERENCE = 0.25
"""Of the gap to healthy: a repair that does hardly better than nothing is not credited."""
MIN_EPISODES = 20
MAX_SIBLINGS = 20
"""Domains looked at beside one mission; bounds the cost of a fleet of thousands."""

Experience = dict[tuple[str, str], tuple[int, int]]
"""By domain and metric: episodes that nobody treated, and how many of them passed."""

_SCHEMA = TABLES["mission_controls"].with_date()


def with_times(telemetry: pa.Table, missions: pa.Table) -> pa.Table:
    """Rows of telemetry with started_at, completed_at and onset_at of their missions."""
    at = pc.index_in(telemetry["mission_id"], missions["mission_id"].combine_chunks())
    rows, at = telemetry.filter(pc.is_valid(at)), at.drop_null()
    for name in ("started_at", "completed_at", "onset_at"):
        rows = rows.append_column(name, missions[name].take(at))
    return rows


def siblings(recovered: pa.Table, series: pa.Table) -> pa.Table:
    """Mission × sibling domain: placebos at the missions' times, elsewhere.

    Args:
        recovered: rows of telemetry that recovered, with started_at, completed_at, onset_at.
        series: distinct source, domain_id, metric that have samples.

    Returns:
        mission_id (of the placebo), date, domain_id, started_at, completed_at, onset_at, and
        `mission`, the one it stands beside. A mission's siblings follow it in the order of
        names, round the circle, so that no domain serves all.
    """
    domains = np.unique(texts(series["domain_id"]))
    keys = ("source", "metric")
    having: dict[tuple[str, ...], list[int]] = {}
    places = np.searchsorted(domains, texts(series["domain_id"])).tolist()
    for key, place in zip(_rows_of(series, keys), places, strict=True):
        having.setdefault(key, []).append(place)
    circles = {key: np.sort(found) for key, found in having.items()}

    groups: dict[tuple[str, ...], list[int]] = {}
    for at, key in enumerate(_rows_of(recovered, keys)):
        groups.setdefault(key, []).append(at)
    first = _first_rows(texts(recovered["mission_id"]))
    own = np.searchsorted(domains, texts(recovered["domain_id"]))
    pairs = [np.empty((0, 2), np.int64)]
    for key, at in groups.items():
        circle = circles.get(key, np.empty(0, np.int64))
        # Its own place, which every recovered row of the group has, is passed over.
        ahead = 1 + np.arange(min(MAX_SIBLINGS, max(0, len(circle) - 1)))
        begin = np.searchsorted(circle, own[at])
        beside = circle[(begin[:, None] + ahead) % max(1, len(circle))]
        pairs.append(np.c_[np.repeat(first[at], len(ahead)), beside.ravel()])
    # A mission's sibling by several metrics is one placebo.
    wanted = np.unique(np.concatenate(pairs), axis=0)
    at = pa.array(wanted[:, 0])
    times = recovered.select(["mission_id", DATE, "started_at", "completed_at", "onset_at"]).take(
        at
    )
    names = [f"placebo-{n}" for n in range(len(wanted))]
    return pa.table(
        {
            DATE: times[DATE],
            "mission_id": pa.array(names, pa.string()),
            "domain_id": pa.array(domains[wanted[:, 1]], pa.string()),
            "started_at": times["started_at"],
            "completed_at": times["completed_at"],
            "onset_at": times["onset_at"],
            "mission": times["mission_id"],
        }
    )


def _rows_of(table: pa.Table, names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _first_rows(names: np.ndarray) -> np.ndarray:
    """For each row the first one of the same name."""
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    return first[which]


def untreated(placebos: pa.Table, real: pa.Table, catalogue: Catalogue) -> pa.Table:
    """Those placebos whose domain no mission touched from the window before to the one after."""
    ours = windows.missions_of(placebos)
    reach = round(catalogue.settle_and_window_max.total_seconds()) * windows.SECOND
    busy = windows.overlapping(
        ours.domain, ours.started - reach, ours.completed + reach, windows.missions_of(real)
    )
    return placebos.filter(pa.array(busy == 0))


def mission_controls(recovered: pa.Table, placebos: pa.Table, telemetry: pa.Table) -> pa.Table:
    """Rows of `mission_controls`: one per recovered row with at least one control.

    Args:
        recovered: as for `siblings`.
        placebos: those left of `siblings`.
        telemetry: what the judge says of them.

    The placebo p is that of a permutation: were the mission no better than leaving it alone,
    each of the K + 1 domains with the problem would be the one that recovered best with the same
    chance, p = (1 + #{controls that did at least as well}) / (K + 1).
    """
    affected = telemetry.filter(pa.array(saw_problem(telemetry) & _known(telemetry)))
    at = pc.index_in(affected["mission_id"], placebos["mission_id"].combine_chunks())
    beside = placebos["mission"].take(at).to_pylist()
    groups: dict[tuple[str, str, str], list[tuple[float, bool]]] = {}
    for mission, row in zip(beside, affected.to_pylist(), strict=True):
        key = (mission, row["source"], row["metric"])
        groups.setdefault(key, []).append((row["restoration"], row["verdict"] in BETTER))
    found = []
    columns = [DATE, "mission_id", "domain_id", "source", "metric", "restoration"]
    for row in recovered.select(columns).to_pylist():
        group = groups.get((row["mission_id"], row["source"], row["metric"]))
        if not group or row["restoration"] is None:
            continue
        restored = np.array([value for value, _ in group])
        as_well = int((restored >= row["restoration"]).sum())
        middle = float(np.median(restored))
        found.append(
            row
            | {
                "controls": len(group),
                "controls_recovered": sum(better for _, better in group),
                "control_restoration": middle,
                "difference": row["restoration"] - middle,
                "placebo_p": (1 + as_well) / (len(group) + 1),
            }
        )
    return pa.Table.from_pylist(found, schema=_SCHEMA)


def _known(telemetry: pa.Table) -> np.ndarray:
    return telemetry["restoration"].is_valid().to_numpy().astype(bool)


def control_rows(
    recovered: pa.Table,
    placebos: pa.Table,
    samples: pa.Table,
    catalogue: Catalogue,
    now: datetime,
    real: pa.Table,
    timezone: str = "UTC",
) -> pa.Table:
    """`mission_controls` from the samples of the placebos' domains (`siblings`).

    `real` are all missions near in those domains.
    """
    placebos = untreated(placebos, real, catalogue)
    if placebos.num_rows == 0:
        return _SCHEMA.empty_table()
    telemetry = judge(
        placebos,
        samples,
        catalogue,
        now,
        real,
        timezone=timezone,
        acted=False,
        wanted=_beside(recovered, placebos),
    )
    return mission_controls(recovered, placebos, telemetry)


def _beside(recovered: pa.Table, placebos: pa.Table) -> pa.Table:
    """mission_id, source, metric of each placebo, as its mission recovered by them."""
    missions = pc.unique(recovered["mission_id"])
    owner = pc.index_in(recovered["mission_id"], missions).to_numpy()
    order, size = np.argsort(owner, kind="stable"), np.bincount(owner, minlength=len(missions))
    own = pc.index_in(placebos["mission"], missions).to_numpy()
    count = size[own]
    rows = order[np.repeat((np.cumsum(size) - size)[own], count) + windows.ragged_arange(count)]
    of_each = pa.array(np.repeat(np.arange(len(own)), count))
    named = recovered.select(["source", "metric"]).take(pa.array(rows))
    return named.append_column("mission_id", placebos["mission_id"].take(of_each))


def controlled(controls: pa.Table) -> pa.ChunkedArray:
    """Which rows of `mission_controls` credit their mission."""
    surely = pc.less_equal(controls["placebo_p"], BY_CHANCE)
    return pc.and_(surely, pc.greater_equal(controls["difference"], MIN_DIFFERENCE))


def experience(counts: pa.Table, day: str) -> Experience:
    """Episodes that nobody treated in the days before `day`, and how many of them passed.

    From rows of `placebo_daily`.
    """
    first = (date.fromisoformat(day) - timedelta(days=EXPERIENCE_DAYS)).isoformat()
    before = counts.filter(
        pc.and_(pc.greater_equal(counts[DATE], first), pc.less(counts[DATE], day))
    )
    grouped = before.group_by(["domain_id", "metric"]).aggregate(
        [("episodes", "sum"), ("healed", "sum")]
    )
    return {
        (row["domain_id"], row["metric"]): (row["episodes_sum"], row["healed_sum"])
        for row in grouped.to_pylist()
    }


def supports(known: Experience, domain: str, metric: str) -> bool:
    """Whether experience of this domain credits a recovery of this metric.

    Other domains' problems do not count: they may be of another kind, and those that came
    together were one.
    """
    episodes, healed = known.get((domain, metric), (0, 0))
    return episodes >= MIN_EPISODES and healed <= BY_CHANCE * episodes
