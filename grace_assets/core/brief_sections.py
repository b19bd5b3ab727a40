"""The sections of a brief: what a domain's day holds, and how it is made from its rows.

Lists are capped here, so that a day of any size gives a brief that can be read; what is left
out is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from grace_assets.core import wording
from grace_assets.core.brief_figures import Figure, Totals, total_figures, totals
from grace_assets.core.brief_metrics import MetricLine

MAX_EXAMPLES = 2
NARRATIVE_LIMIT = 480

Row = dict[str, Any]

_MISSION_COLUMNS = (
    "mission_id",
    "domain_id",
    "title",
    "success",
    "severity",
    "verdict",
    "attribution",
    "effectiveness_score",
    "effectiveness_low",
    "effectiveness_high",
    "time_to_restore_seconds",
)


@dataclass(frozen=True)
class Example:
    """One mission worth telling; `fact` is its verdict, score and time in words."""

    mission_id: str
    title: str
    severity: str
    success: bool
    verdict: str
    attribution: str
    narrative: str
    fact: Figure


@dataclass(frozen=True)
class DomainSection:
    """A domain's day. `examples` worked best, `setbacks` worst; both at most `MAX_EXAMPLES`."""

    domain_id: str
    severity: str
    state: str
    totals: Totals
    figures: tuple[Figure, ...]
    examples: tuple[Example, ...]
    setbacks: tuple[Example, ...]
    metrics: tuple[MetricLine, ...]
    left_out: tuple[Figure, ...]


def mission_rows(outcomes: pa.Table) -> list[Row]:
    """The columns of `mission_outcomes` that a brief counts; `position` finds the narrative."""
    columns = [outcomes[name].to_pylist() for name in _MISSION_COLUMNS]
    return [
        dict(zip((*_MISSION_COLUMNS, "position"), values, strict=True))
        for values in zip(*columns, range(outcomes.num_rows), strict=True)
    ]


def domain_section(
    domain_id: str,
    rows: list[Row],
    metrics: tuple[list[MetricLine], int],
    outcomes: pa.Table,
    day: str,
) -> DomainSection:
    """The section of one domain from its mission rows and metric lines (shown, left out)."""
    source = f"mission_outcomes/date={day}?domain_id={domain_id}"
    counts = totals(rows)
    best = [r for r in rows if r["success"] and r["verdict"] in ("effective", "partial")]
    bad = [r for r in rows if not r["success"] or r["verdict"] in ("worse", "no_effect")]
    best.sort(
        key=lambda r: (
            -_known(r["effectiveness_low"]),
            -_known(r["effectiveness_score"]),
            r["mission_id"],
        )
    )
    bad.sort(
        key=lambda r: (
            r["verdict"] != "worse",
            r["success"],
            wording.severity_rank(r["severity"]),
            r["mission_id"],
        )
    )
    left_out = []
    if (hidden := len(bad) - MAX_EXAMPLES) > 0:
        text = f"{wording.counted(hidden, 'more mission')} failed, got worse or had no effect"
        left_out.append(Figure("", text, (hidden,), source))
    lines, hidden_metrics = metrics
    if hidden_metrics:
        text = f"{wording.counted(hidden_metrics, 'more metric')} changed"
        left_out.append(Figure("", text, (hidden_metrics,), f"kpi_daily/date={day}"))
    return DomainSection(
        domain_id=domain_id,
        severity=min((r["severity"] for r in rows), key=wording.severity_rank),
        state=counts.state,
        totals=counts,
        figures=total_figures(counts, source),
        examples=tuple(_example(row, outcomes, day) for row in best[:MAX_EXAMPLES]),
        setbacks=tuple(_example(row, outcomes, day) for row in bad[:MAX_EXAMPLES]),
        metrics=tuple(lines),
        left_out=tuple(left_out),
    )


def _known(value: float | None) -> float:
    return -1.0 if value is None else value


def _example(row: Row, outcomes: pa.Table, day: str) -> Example:
    parts = [wording.VERDICT_WORDS[row["verdict"]]]
    values = []
    if not row["success"]:
        parts.insert(0, "mission failed")
    score = row["effectiveness_score"]
    if score is not None:
        parts.append(f"effectiveness {score:.2f}")
        values.append(score)
        low, high = row["effectiveness_low"], row["effectiveness_high"]
        if low is not None and high is not None:
            parts[-1] += f" ({low:.2f}–{high:.2f})"
            values += [low, high]
    if row["time_to_restore_seconds"] is not None:
        parts.append(f"{wording.duration(row['time_to_restore_seconds'])} from detection")
        values.append(row["time_to_restore_seconds"])
    source = f"mission_outcomes/date={day}?mission_id={row['mission_id']}"
    return Example(
        mission_id=row["mission_id"],
        title=wording.clean(row["title"], 120),
        severity=row["severity"],
        success=row["success"],
        verdict=row["verdict"],
        attribution=row["attribution"],
        narrative=wording.clean(outcomes["narrative"][row["position"]].as_py(), NARRATIVE_LIMIT),
        fact=Figure("", ", ".join(parts), tuple(values), source),
    )


def figures_of(sections: Iterable[DomainSection]) -> Iterable[Figure]:
    """Every figure in the sections."""
    for section in sections:
        yield from (*section.figures, *section.left_out)
        yield from (part.fact for part in (*section.examples, *section.setbacks, *section.metrics))
