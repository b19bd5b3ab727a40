"""Search by meaning beside search by words: "stuck newsletters" finds "mail queue".

The extra `semantic` brings word embeddings whose model lies inside the package: no network, no
GPU. A document is embedded once, when somebody first searches after it was written; its vector
lies beside it in the world model.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from grace_assets.world.store import Document, Hit, Kind, WorldModel

POOL = 20
"""So many of the best of each kind of search are put together."""
RANK = 10
"""How slowly a lower rank counts less (Cormack et al. 2009, SIGIR, reciprocal rank fusion)."""
MEANING_WEIGHT = 2.0
"""Meaning counts twice as much as words: best on the half of the set that is not held out."""
_BATCH = 5_000
_SNIPPET = 200
_CHARACTERS = 2_000
"""Of a longer text only the beginning is embedded."""


class Search(Protocol):
    """Finds documents, best first; dates are inclusive."""

    def search(
        self,
        query: str,
        *,
        domain: str | None = None,
        kind: Kind | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 10,
    ) -> list[Hit]: ...


def best_search(world: WorldModel) -> Search:
    """By meaning and words where the extra is installed, else by words."""
    try:
        return Semantic(world)
    except ModuleNotFoundError:
        return world


class Semantic:
    """Search over `world` by meaning and words; `ModuleNotFoundError` without the extra."""

    def __init__(self, world: WorldModel) -> None:
        self._world = world
        self._model = _load()
        self._lock = Lock()
        self._version = -1
        self._ids = np.empty(0, np.int64)
        self._vectors = np.empty((0, 0), np.float32)

    def search(
        self,
        query: str,
        *,
        domain: str | None = None,
        kind: Kind | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 10,
    ) -> list[Hit]:
        """Documents by the words of `query` and by what it means; the score has no unit."""
        where = {"domain": domain, "kind": kind, "since": since, "until": until}
        pool = max(limit, POOL)
        by_words = self._world.search(query, **where, limit=pool)
        by_meaning = self._nearest(query, self._world.row_ids(**where), pool)
        scores: dict[str, float] = {}
        found: dict[str, Hit] = {}
        for weight, hits in ((1.0, by_words), (MEANING_WEIGHT, by_meaning)):
            for rank, hit in enumerate(hits):
                name = hit.document.knowledge_id
                scores[name] = scores.get(name, 0.0) + weight / (RANK + rank)
                found.setdefault(name, hit)
        best = sorted(scores, key=lambda name: (-scores[name], name))[:limit]
        return [Hit(found[name].document, found[name].snippet, scores[name]) for name in best]

    def nearest(self, query: str, limit: int = 10) -> list[Hit]:
        """By meaning alone."""
        return self._nearest(query, self._world.row_ids(), limit)

    def _nearest(self, query: str, among: list[int], limit: int) -> list[Hit]:
        ids, vectors = self._known()
        places = np.flatnonzero(np.isin(ids, among))
        if not len(places) or not query.strip():
            return []
        near = vectors[places] @ self._embed([query])[0]
        best = np.argsort(-near, kind="stable")[:limit]
        scores = dict(zip(ids[places[best]].tolist(), near[best].tolist(), strict=True))
        documents = self._world.documents(list(scores))
        return [
            Hit(documents[id_], documents[id_].text[:_SNIPPET], score)
            for id_, score in scores.items()
            if id_ in documents
        ]

    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """Row ids and vectors of all documents, worked out where they are new."""
        with self._lock:
            version = self._world.version()
            if version != self._version:
                while batch := self._world.without_vector(_BATCH):
                    made = self._embed([_text(document) for _, document in batch])
                    names = [id_ for id_, _ in batch]
                    halves = (row.astype(np.float16).tobytes() for row in made)
                    self._world.keep_vectors(zip(names, halves, strict=True))
                rows = self._world.vectors()
                self._ids = np.array([id_ for id_, _ in rows], np.int64)
                joined = np.frombuffer(b"".join(vector for _, vector in rows), np.float16)
                self._vectors = joined.reshape(len(rows), -1 if rows else 0).astype(np.float32)
                self._version = version
            return self._ids, self._vectors

    def _embed(self, texts: list[str]) -> np.ndarray:
        return self._model.embed(texts, norm=True)


def _text(document: Document) -> str:
    named = f"{document.domain_id}: {document.title}" if document.domain_id else document.title
    return f"{named}. {document.text}"[:_CHARACTERS]


def _load() -> Any:
    import wordllama

    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
