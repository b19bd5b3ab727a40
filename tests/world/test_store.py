"""The world model: ordinary words find what Grace did, and a day made again never doubles."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from grace_assets.world.query_words import search_words
from grace_assets.world.store import Document, WorldModel

DAY = "2026-03-04"


def document(knowledge_id: str, domain_id: str | None = "payments", **fields) -> Document:
    values = {
        "kind": "mission",
        "day": DAY,
        "title": "Slow checkout",
        "text": "I noticed latency exceeded 500 ms. I scaled workers from 4 to 8.",
        "verdict": "effective",
    }
    return Document(knowledge_id=knowledge_id, domain_id=domain_id, **values | fields)


@pytest.fixture
def world(tmp_path: Path) -> WorldModel:
    return WorldModel(tmp_path / "world" / "world.sqlite")


def kept(world: WorldModel, **where: str) -> dict[str, Document]:
    """Every document by its knowledge id."""
    found = world.documents(world.row_ids(**where)).values()
    return {document.knowledge_id: document for document in found}


def ids(hits) -> list[str]:
    return [hit.document.knowledge_id for hit in hits]


def test_a_question_in_ordinary_words_finds_the_domain(world):
    other = "I restarted the indexer. What I did last week in search did not fix it."
    world.replace_day(
        DAY, "mission", [document("k1"), document("k2", "search", title="Stale", text=other)]
    )
    hits = world.search("what did you fix in payments last week?")
    assert ids(hits) == ["k1"]
    assert hits[0].document == document("k1")
    assert "latency" in hits[0].snippet
    assert hits[0].score > 0


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("latency", True),
        ("LATENCY", True),
        ("lat", True),
        ("worker", True),
        ("scaling", True),
        ("checkouts", True),
        ("payments latency zebra", True),
        ("cafe", True),
        ("CAFÉ", True),
        (unicodedata.normalize("NFD", "café"), True),
        ("検索", True),
        ("p95", True),
        ("zebra", False),
        ("ency", False),
    ],
)
def test_words_match_by_their_beginning_whatever_the_case_accent_or_ending(world, query, found):
    text = "I scaled workers. Latency fell: café_p95_ms, 検索サービス."
    world.replace_day(DAY, "mission", [document("k1", text=text)])
    assert bool(world.search(query)) is found


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "latency AND",
        "NOT latency",
        "latency OR OR *",
        "NEAR(latency, 2)",
        "text:latency",
        "-latency ^latency {latency}",
        "latency' OR 1=1; DROP TABLE documents; --",
        "latency \x00 \ud800 \u0903 🦊",
        "latency " * 5000,
        " ".join(f"latency{n}" for n in range(5000)),
        "\u0301",
        "?!",
        "",
    ],
)
def test_no_text_is_a_syntax_error(world, query):
    world.replace_day(DAY, "mission", [document("k1")])
    assert isinstance(world.search(query), list)
    assert len(kept(world)) == 1


def test_documents_with_every_word_win_over_documents_with_some(world):
    world.replace_day(
        DAY,
        "mission",
        [
            document("both", text="Connection pool was exhausted."),
            document("one", text="Pool pool pool pool."),
        ],
    )
    assert ids(world.search("connection pool")) == ["both"]
    assert set(ids(world.search("pool zebra"))) == {"both", "one"}


def test_a_word_in_the_domain_weighs_more_than_one_in_the_text(world):
    world.replace_day(
        DAY,
        "mission",
        [
            document("text", "search", text="It called payments."),
            document("domain", text="It called search."),
            *(document(f"filler{n}", "billing", text="Nothing.") for n in range(9)),
        ],
    )
    assert ids(world.search("payments")) == ["domain", "text"]


def test_filters_narrow_by_domain_kind_and_inclusive_dates(world):
    for day in ("2026-03-03", "2026-03-04", "2026-03-05"):
        world.replace_day(day, "mission", [document(f"m-{day}", day=day)])
        brief = document(f"b-{day}", None, kind="brief", day=day, verdict=None)
        world.replace_day(day, "brief", [brief])
    assert set(ids(world.search("latency", since=DAY))) == {
        "m-2026-03-04",
        "b-2026-03-04",
        "m-2026-03-05",
        "b-2026-03-05",
    }
    assert ids(world.search("latency", since=DAY, until=DAY, kind="brief")) == ["b-2026-03-04"]
    assert ids(world.search("latency", domain="payments", until="2026-03-03")) == ["m-2026-03-03"]
    assert world.search("latency", domain="search") == []
    assert [len(kept(world, kind=kind)) for kind in ("mission", "brief")] == [3, 3]
    assert len(kept(world)) == 6


def test_without_a_word_to_search_for_the_newest_come_first(world):
    for day in ("2026-03-03", "2026-03-05", "2026-03-04"):
        world.replace_day(day, "mission", [document(f"m-{day}", day=day)])
    hits = world.search("what did you do this week?", until="2026-03-04", limit=1)
    assert ids(hits) == ["m-2026-03-04"]
    assert hits[0].snippet.startswith("I noticed")


def test_a_day_made_again_replaces_and_never_doubles(world):
    world.replace_day(DAY, "mission", [document("k1"), document("k2")])
    world.replace_day(DAY, "mission", [document("k1", text="I rolled back.")])
    assert len(kept(world)) == 1
    assert world.search("latency") == []
    assert ids(world.search("rolled")) == ["k1"]
    assert kept(world).keys() == {"k1"}


def test_of_a_day_made_again_only_what_changed_is_written(world):
    day = [document(f"k{n}") for n in range(4)]
    world.replace_day(DAY, "mission", day)
    rows, version = world.row_ids(), world.version()
    world.keep_vectors([(row, b"v") for row in rows])
    assert world.replace_day(DAY, "mission", day) == 4
    assert (world.row_ids(), world.version()) == (rows, version)
    # One says something else, one is gone, one is new, and one is named twice.
    day[0] = document("k0", text="I restarted the cache.")
    assert world.replace_day(DAY, "mission", [*day[:3], document("k9"), day[1]]) == 4
    assert kept(world) == {d.knowledge_id: d for d in [*day[:3], document("k9")]}
    assert [row for row, _ in world.vectors()] == rows[1:3]
    assert ids(world.search("cache")) == ["k0"]
    assert "k0" not in ids(world.search("latency"))


def test_missions_and_briefs_of_a_day_do_not_replace_each_other(world):
    world.replace_day(DAY, "mission", [document("k1")])
    world.replace_day(DAY, "brief", [document("b1", None, kind="brief")])
    world.replace_day(DAY, "brief", [])
    assert (len(kept(world, kind="mission")), len(kept(world, kind="brief"))) == (1, 0)


@pytest.mark.parametrize("old_day_last", [True, False])
def test_a_mission_that_moved_day_is_there_once(world, old_day_last):
    world.replace_day(DAY, "mission", [document("k1")])
    moved = document("k1", day="2026-03-05", text="I rolled back.")
    remake = [(DAY, []), ("2026-03-05", [moved])]
    for day, documents in remake[::-1] if old_day_last else remake:
        world.replace_day(day, "mission", documents)
    assert kept(world)["k1"] == moved
    assert len(kept(world)) == 1
    assert world.search("latency") == []


def test_a_document_of_another_day_is_refused_and_nothing_changes(world):
    world.replace_day(DAY, "mission", [document("k1")])
    with pytest.raises(ValueError, match="k2 is not a mission of 2026-03-04"):
        world.replace_day(DAY, "mission", [document("k2", day="2026-03-05")])
    assert kept(world)["k1"] == document("k1")


def test_the_store_is_still_there_when_it_is_opened_again(tmp_path):
    path = tmp_path / "world.sqlite"
    WorldModel(path).replace_day(DAY, "mission", [document("k1")])
    assert kept(WorldModel(path))["k1"] == document("k1")


def test_stop_words_go_and_the_order_stays():
    words = search_words("What did you FIX in Payments, and what about payments-latency?")
    assert words == ["payments", "latency"]


def test_a_pasted_log_costs_no_more_than_a_long_question():
    assert search_words(" ".join(f"word{n}" for n in range(5000))) == [
        f"word{n}" for n in range(32)
    ]


WRITER = """
import sys
from pathlib import Path
from grace_assets.world.store import Document, WorldModel
path, writer = Path(sys.argv[1]), sys.argv[2]
for day in range(1, 21):
    world = WorldModel(path)
    name = f"2026-03-{day:02}"
    documents = [
        Document(f"{writer}-{day}-{n}", "mission", name, "payments", "Slow", "Latency.", None)
        for n in range(5)
    ]
    shared = Document("shared", "mission", name, "payments", "Slow", "Latency.", None)
    world.replace_day(name, "mission", [*documents, shared])
    world.search("latency")
"""


def test_several_processes_may_open_write_and_search_at_once(tmp_path):
    path = tmp_path / "world.sqlite"
    command = [sys.executable, "-W", "error", "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*command, str(n)], stderr=subprocess.PIPE, text=True) for n in range(4)
    ]
    errors = [writer.communicate(timeout=60)[1] for writer in writers]
    assert errors == [""] * 4
    world = WorldModel(path)
    # Each day holds what its last writer wrote, and the shared document is on one day alone.
    assert len(kept(world)) == 20 * 5 + 1
    assert len(world.search("latency", limit=1000)) == len(kept(world))
