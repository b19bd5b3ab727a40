"""The figures of a brief: counts over missions, worded once, with the rows they come from.

Every printed number is a `Figure`, so that all channels say the same and `claims` can check it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grace_assets.core import wording
from grace_assets.core.schemas import VERDICTS
from grace_assets.core.uncertainty import wilson_interval

_UNKNOWN = ("pending", "insufficient_data", "not_applicable")


@dataclass(frozen=True)
class Figure:
    """A statement with numbers: `values` supports each of them, `source` names their rows."""

    label: str
    text: str
    values: tuple[float, ...]
    source: str


@dataclass(frozen=True)
class Totals:
    """Counts over a set of missions; times in seconds, `null` where no mission has one."""

    missions: int
    successes: int
    failures: int
    assessed: int
    verdicts: dict[str, int]
    mttr_seconds: float | None
    mttr_p50_seconds: float | None
    mttr_count: int

    @property
    def state(self) -> str:
        """bad, mixed, good or unknown: what colours a card, and what the word beside it says."""
        if self.failures or self.verdicts["worse"]:
            return "bad"
        if any(self.verdicts[name] for name in ("partial", "no_effect", "inconclusive")):
            return "mixed"
        return "good" if self.verdicts["effective"] else "unknown"

    @property
    def unknown(self) -> int:
        return sum(self.verdicts[name] for name in _UNKNOWN)


def totals(rows: Sequence[Mapping[str, Any]]) -> Totals:
    """Counts and times over mission rows."""
    times = [t for row in rows if (t := row["time_to_restore_seconds"]) is not None]
    return totals_of(
        len(rows),
        sum(row["success"] for row in rows),
        sum(row["effectiveness_score"] is not None for row in rows),
        Counter(row["verdict"] for row in rows),
        np.array(times, float),
    )


def totals_of(
    missions: int, successes: int, assessed: int, verdicts: Mapping[str, int], times: np.ndarray
) -> Totals:
    """From counts, and the times to restore in seconds."""
    return Totals(
        missions=missions,
        successes=successes,
        failures=missions - successes,
        assessed=assessed,
        verdicts={name: verdicts.get(name, 0) for name in VERDICTS},
        # fsum: the same to the last bit in any order of the rows.
        mttr_seconds=math.fsum(times) / len(times) if len(times) else None,
        mttr_p50_seconds=float(np.median(times)) if len(times) else None,
        mttr_count=len(times),
    )


def wilson_percent(k: int, n: int) -> tuple[float, float]:
    """The Wilson 95 % interval of a rate k/n, in percent."""
    low, high = wilson_interval(k, n)
    return 100 * low, 100 * high


def total_figures(counts: Totals, source: str) -> tuple[Figure, ...]:
    """The key figures of a set of missions, good and bad alike; none for an empty set."""
    if not counts.missions:
        return ()
    low, high = wilson_percent(counts.successes, counts.missions)
    succeeded = (
        f"{counts.successes:,} of {counts.missions:,} "
        f"(likely rate {wording.percent_range(low, high)})"
    )
    effective, partial = counts.verdicts["effective"], counts.verdicts["partial"]
    worked = f"{effective:,} of {counts.missions:,}"
    if partial:
        worked += f", {partial:,} more partly"
    restored = (
        f"{wording.duration(counts.mttr_seconds)} mean, "
        f"{wording.duration(counts.mttr_p50_seconds)} median (n = {counts.mttr_count:,})"
        if counts.mttr_count
        else "not known: no mission succeeded"
    )
    times = (counts.mttr_seconds or 0.0, counts.mttr_p50_seconds or 0.0, counts.mttr_count)
    rate = (counts.successes, counts.missions, low, high)
    figures = [
        Figure("Succeeded", succeeded, rate, source),
        Figure("Effective", worked, (effective, counts.missions, partial), source),
        _count_figure("Did not work", setback_counts(counts), source),
    ]
    if unknown := unknown_counts(counts):
        figures.append(_count_figure("Not known", unknown, source))
    return (*figures, Figure("Time to restore", restored, times, source))


def setback_counts(counts: Totals) -> list[tuple[str, int]]:
    """What did not work, in words, with its count; zero counts are left out."""
    verdicts = counts.verdicts
    every = [
        ("failed", counts.failures),
        ("got worse", verdicts["worse"]),
        ("had no effect", verdicts["no_effect"]),
    ]
    return [(word, count) for word, count in every if count]


def unknown_counts(counts: Totals) -> list[tuple[str, int]]:
    """What cannot be told, in words, with its count; zero counts are left out."""
    names = ("inconclusive", "no_sustained_problem", *_UNKNOWN)
    return [(wording.VERDICT_WORDS[v], n) for v in names if (n := counts.verdicts[v])]


def _count_figure(label: str, counts: list[tuple[str, int]], source: str) -> Figure:
    text = ", ".join(f"{n:,} {word}" for word, n in counts) or "none known"
    return Figure(label, text, tuple(n for _, n in counts), source)
