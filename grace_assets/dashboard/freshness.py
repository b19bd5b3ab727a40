"""Which days of which table are missing, or failed when they were last made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from grace_assets.core.calendar_windows import Window
from grace_assets.core.schemas import TABLES
from grace_assets.lake.tables import Lake

MAX_NAMED = 5

FailedDays = Callable[[], Mapping[str, Sequence[str]]]
"""Table → days whose latest run failed; only Dagster's instance knows."""


@dataclass(frozen=True)
class Freshness:
    """A table in a window. `last` is the last day it has at all, null where it has none."""

    table: str
    last: str | None
    missing: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def state(self) -> str:
        if self.failed:
            return "bad"
        if self.last is None:
            return "unknown"
        return "mixed" if self.missing else "good"

    @property
    def word(self) -> str:
        return {"bad": "failed", "unknown": "empty", "mixed": "incomplete", "good": "complete"}[
            self.state
        ]


def freshness(
    lake: Lake, window: Window, today: date, failed: FailedDays | None
) -> list[Freshness]:
    """Per table; owed is every day from the first that any table has until yesterday."""
    days = {table: lake.days(table) for table in TABLES}
    made = [found[0] for found in days.values() if found]
    known_failed = failed() if failed else {}
    owed: list[str] = []
    if made:
        first = max(window.first, date.fromisoformat(min(made)))
        last = min(window.last, today - timedelta(days=1))
        span = range(max(0, (last - first).days + 1))
        owed = [(first + timedelta(days=n)).isoformat() for n in span]
    return [
        Freshness(
            table,
            found[-1] if found else None,
            tuple(sorted(set(owed) - set(found))),
            tuple(sorted(day for day in known_failed.get(table, ()) if day in window)),
        )
        for table, found in days.items()
    ]


def named(days: Sequence[str]) -> str:
    """The latest days, and how many more."""
    shown = list(reversed(days))[:MAX_NAMED]
    hidden = len(days) - len(shown)
    return ", ".join([*shown, *([f"{hidden:,} more"] if hidden else [])]) or "none"
