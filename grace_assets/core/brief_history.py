"""What a brief tells of more than its day: verdicts that changed since, and recoveries that lasted.

Belongs here: which changes of `mission_verdicts` are worth telling, and hold rates from
`hold_daily`. Both become chapters of figures, which every channel shows alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core import wording
from grace_assets.core.brief_figures import Figure, wilson_percent
from grace_assets.core.look_back import HOLD_DAYS

MAX_LINES = 8
TELLING = 0.01
"""A score that moved by less is told as the same."""

_GIVEN = ("first", "restated")
_BAD_NEWS = ("worse", "no_effect", "insufficient_data", "inconclusive", "no_sustained_problem")

Row = dict[str, Any]


@dataclass(frozen=True)
class Chapter:
    """A titled list; labels may be event text, texts are ours."""

    title: str
    figures: tuple[Figure, ...]
    left_out: int = 0

    @property
    def more(self) -> str:
        return f"… {self.left_out:,} more" if self.left_out else ""


def restated(verdicts: pa.Table, outcomes: pa.Table, day: date) -> Chapter | None:
    """Missions of the day whose verdict or score is no longer what was first said of it.

    `verdicts` are the day's rows of `mission_verdicts`, `outcomes` those of the missions. From
    the first verdict given to the latest: one that changed and changed back is not told.
    """
    again = verdicts.filter(pc.equal(verdicts["stage"], "restated"))["mission_id"].unique()
    told = outcomes.select(["mission_id", "title"])
    told = told.filter(pc.is_in(told["mission_id"], again))
    titles = {row["mission_id"]: wording.clean(row["title"], 80) for row in told.to_pylist()}
    given: dict[str, list[Row]] = {name: [] for name in titles}
    history = verdicts.filter(pc.is_in(verdicts["mission_id"], again))
    for row in history.sort_by("judged_at").to_pylist():
        if row["stage"] in _GIVEN and row["mission_id"] in titles:
            given[row["mission_id"]].append(row)
    changed = [rows for rows in given.values() if _differs(rows[0], rows[-1])]
    changed.sort(key=lambda rows: (_badness(rows[-1]["verdict"]), rows[0]["mission_id"]))
    source = f"mission_verdicts/date={day.isoformat()}"
    figures = []
    for first, *_, last in changed[:MAX_LINES]:
        name = first["mission_id"]
        title = f" “{titles[name]}”" if titles[name] else ""
        label = f"{name}{title}, {last['judged_at']:%Y-%m-%d %H:%M} UTC"
        text = f"was {_told(first)}, now {_told(last)}"
        scores = [row["effectiveness_score"] for row in (first, last)]
        values = tuple(score for score in scores if score is not None)
        figures.append(Figure(label, text, values, source))
    if not figures:
        return None
    return Chapter("Restated", tuple(figures), len(changed) - len(figures))


def _differs(first: Row, last: Row) -> bool:
    before, after = first["effectiveness_score"], last["effectiveness_score"]
    if first["verdict"] != last["verdict"] or (before is None) != (after is None):
        return True
    return before is not None and abs(before - after) >= TELLING


def _badness(verdict: str) -> int:
    return _BAD_NEWS.index(verdict) if verdict in _BAD_NEWS else len(_BAD_NEWS)


def _told(row: Row) -> str:
    score = row["effectiveness_score"]
    words = wording.VERDICT_WORDS[row["verdict"]]
    return words if score is None else f"{words} ({score:.2f})"


def held(holds: pa.Table, day: date) -> Chapter | None:
    """Per mission type, how many recoveries of the last `HOLD_DAYS` lasted; None where unknown."""
    names = ("held_24h", "relapsed_24h", "held_7d", "relapsed_7d")
    sums = holds.group_by("mission_type").aggregate([(name, "sum") for name in names])
    counts = {row["mission_type"]: row for row in sums.to_pylist()}
    first = (day - timedelta(days=HOLD_DAYS - 1)).isoformat()
    source = f"hold_daily?from={first}&to={day.isoformat()}"
    figures = []
    for kind, of in counts.items():
        parts, values = [], []
        for suffix, after in (("24h", "a day"), ("7d", "a week")):
            k = of[f"held_{suffix}_sum"]
            n = k + of[f"relapsed_{suffix}_sum"]
            if n:
                low, high = wilson_percent(k, n)
                likely = wording.percent_range(low, high)
                parts.append(f"{k:,} of {n:,} still healthy after {after} ({likely})")
                values += [k, n, low, high]
        if parts:
            label = wording.capital(wording.clean(kind.replace("_", " "), 60))
            figures.append(Figure(label, ", ".join(parts), tuple(values), source))
    figures.sort(key=lambda figure: (-figure.values[1], figure.label))
    if not figures:
        return None
    title = f"What held (missions of the {HOLD_DAYS} days to {day.isoformat()})"
    return Chapter(title, tuple(figures[:MAX_LINES]), max(0, len(figures) - MAX_LINES))
