"""The names that the tables hold, for reading questions; kept until a table changes."""

from __future__ import annotations

import re
from datetime import date
from threading import Lock

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.ask.names import Names
from grace_assets.lake.analytics import Analytics

MAX_TITLES = 20_000
"""So many latest missions can be named by their title; older ones by their id alone."""

_MISSIONS = ("mission_id", "title", "mission_type")
_EDGES = "\"'`“”‘’«»()[]{}<>?!,.;:"
_SPACES = re.compile(r"\s+")


class Known:
    """Names on record; safe to use from several threads."""

    def __init__(self, analytics: Analytics) -> None:
        self._analytics = analytics
        self._lock = Lock()
        self._kept: tuple[object, Names] | None = None

    def names_for(self, text: str) -> Names:
        """Names that the question `text` may use."""
        names = self._names()
        older = [name for name in self._ids_in(text) if name not in names.missions]
        if not older:
            return names
        return Names(
            names.domains,
            names.metrics,
            {**names.missions, **dict.fromkeys(older)},
            names.mission_types,
        )

    def first_day(self, today: date) -> date:
        """The first day on record; today where there is none."""
        days = self._analytics.days("mission_outcomes")
        return min(date.fromisoformat(days[0]), today) if days else today

    def _names(self) -> Names:
        version = [self._analytics.signatures(name) for name in ("mission_outcomes", "kpi_daily")]
        with self._lock:
            if self._kept is None or self._kept[0] != version:
                missions = self._all("mission_outcomes", _MISSIONS)
                latest = missions.slice(max(0, missions.num_rows - MAX_TITLES))
                ids, titles = latest["mission_id"].to_pylist(), latest["title"].to_pylist()
                names = Names(
                    tuple(self._analytics.domains()),
                    _sorted(self._all("kpi_daily", ("metric",))["metric"]),
                    dict(zip(ids, titles, strict=True)),
                    _sorted(missions["mission_type"]),
                )
                self._kept = (version, names)
            return self._kept[1]

    def _ids_in(self, text: str) -> list[str]:
        """Mission ids that stand in the text as they are."""
        words = {word.strip(_EDGES) for word in _SPACES.split(text)} - {""}
        ids = self._all("mission_outcomes", _MISSIONS)["mission_id"]
        found = ids.filter(pc.is_in(ids, pa.array(sorted(words), pa.string())))
        return found.to_pylist()

    def _all(self, table: str, columns: tuple[str, ...]) -> pa.Table:
        return self._analytics.of_days(table, self._analytics.days(table), columns)


def _sorted(column: pa.ChunkedArray) -> tuple[str, ...]:
    return tuple(sorted(pc.unique(column).to_pylist()))
