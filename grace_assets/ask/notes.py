"""Free search over what Grace remembers: missions and briefs by ordinary words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from grace_assets.lake.analytics import Analytics
from grace_assets.world.semantic import Search
from grace_assets.world.store import Hit, Kind


@dataclass(frozen=True)
class Note:
    """A mission or brief that fits; `snippet` is the passage that does, `score` has no unit.

    A brief has no mission, domain and verdict.
    """

    kind: Kind
    date: str
    mission_id: str | None
    domain_id: str | None
    title: str
    verdict: str | None
    snippet: str
    score: float


class Notes:
    """Search over the world model that `open_search` opens when it is first asked."""

    def __init__(self, analytics: Analytics, open_search: Callable[[], Search]) -> None:
        self.analytics = analytics
        self._open = open_search

    @cached_property
    def _search(self) -> Search:
        return self._open()

    def find(
        self,
        query: str,
        *,
        domain: str | None = None,
        kind: Kind | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 10,
    ) -> list[Note]:
        """Notes, best first; dates are inclusive. A domain never seen raises `UnknownDomain`."""
        known = None if domain is None else self.analytics.known(domain)
        hits = self._search.search(
            query, domain=known, kind=kind, since=since, until=until, limit=limit
        )
        days = sorted({hit.document.day for hit in hits if hit.document.kind == "mission"})
        rows = self.analytics.of_days("mission_outcomes", days, ("mission_id", "knowledge_id"))
        names = dict(
            zip(rows["knowledge_id"].to_pylist(), rows["mission_id"].to_pylist(), strict=True)
        )
        return [_note(hit, names) for hit in hits]


def _note(hit: Hit, names: dict[str, str]) -> Note:
    document = hit.document
    return Note(
        kind=document.kind,
        date=document.day,
        mission_id=names.get(document.knowledge_id),
        domain_id=document.domain_id,
        title=document.title,
        verdict=document.verdict,
        snippet=hit.snippet,
        score=hit.score,
    )
