"""How often search finds the right mission among the first five: `make search-recall`.

On `tests/world/search_set.py`, in which every second question is held out: what is tuned is
tuned on the others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from grace_assets.world.query_words import search_words
from grace_assets.world.semantic import Semantic
from grace_assets.world.store import WorldModel
from tests.world.search_set import PAIRS, documents

AT = 5
Pairs = Sequence[tuple[str, tuple[str, ...]]]
Engine = Callable[[str], list[str]]


def recall(engine: Engine, pairs: Pairs) -> float:
    """The mean share of the right missions that are among the first `AT`, 0..1."""
    shares = [len(set(engine(q)[:AT]) & set(right)) / min(AT, len(right)) for q, right in pairs]
    return sum(shares) / len(shares)


def engines(folder: Path) -> dict[str, Engine]:
    """What is compared; any-word matching is the peer that needs no index."""
    world = WorldModel(folder / "world.sqlite")
    every = documents()
    world.replace_day(every[0].day, "mission", every)
    semantic = Semantic(world)
    words = {
        document.knowledge_id: set(
            search_words(f"{document.domain_id} {document.title} {document.text}")
        )
        for document in every
    }

    def any_word(query: str) -> list[str]:
        wanted = set(search_words(query))
        return sorted(words, key=lambda name: (-len(words[name] & wanted), name))

    def named(search: Callable[..., list]) -> Engine:
        return lambda query: [hit.document.knowledge_id for hit in search(query, limit=AT)]

    return {
        "any word": any_word,
        "full text": named(world.search),
        "meaning": named(semantic.nearest),
        "both": named(semantic.search),
    }


def main() -> None:
    sets = {"all": PAIRS, "tuned on": PAIRS[::2], "held out": PAIRS[1::2]}
    print(
        f"recall at {AT}  " + "".join(f"{name} (n={len(p)})".rjust(18) for name, p in sets.items())
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, engine in engines(Path(folder)).items():
            figures = "".join(f"{recall(engine, pairs):18.3f}" for pairs in sets.values())
            print(f"{name:12} {figures}")


if __name__ == "__main__":
    main()
