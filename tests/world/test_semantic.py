"""Search by meaning: what it finds on a fixed set, and that it follows the documents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.search_recall import engines, recall
from grace_assets.world.semantic import Semantic, best_search
from grace_assets.world.store import WorldModel
from tests.world.search_set import PAIRS
from tests.world.test_store import DAY, document, ids

HELD_OUT = PAIRS[1::2]


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict:
    return engines(tmp_path_factory.mktemp("recall"))


@pytest.mark.parametrize(
    ("engine", "floor"), [("full text", 0.83), ("meaning", 0.91), ("both", 0.93)]
)
def test_the_right_mission_is_among_the_first_five(found, engine, floor):
    assert recall(found[engine], PAIRS) >= floor


def test_both_together_lose_nothing_on_questions_that_were_held_out(found):
    assert recall(found["both"], HELD_OUT) >= recall(found["full text"], HELD_OUT) + 0.1


@pytest.fixture
def world(tmp_path: Path) -> WorldModel:
    return WorldModel(tmp_path / "world.sqlite")


MAIL = {"title": "Mail queue", "text": "I throttled the newsletter."}
DISK = {"title": "Disk full", "text": "I deleted old log segments."}


def test_what_is_written_replaced_or_gone_shows_in_the_next_search(world):
    search = Semantic(world)
    world.replace_day(DAY, "mission", [document("mail", **MAIL), document("disk", **DISK)])
    assert ids(search.search("no space left on the drive"))[0] == "disk"
    world.replace_day(DAY, "mission", [document("mail", **MAIL), document("other", **DISK)])
    assert ids(search.search("no space left on the drive"))[0] == "other"
    world.replace_day(DAY, "mission", [document("mail", **MAIL)])
    assert ids(search.search("no space left on the drive")) == ["mail"]


def test_another_process_finds_the_vectors_that_one_made(world, tmp_path):
    world.replace_day(DAY, "mission", [document("mail", **MAIL)])
    Semantic(world).search("newsletter")
    assert world.without_vector(10) == []
    again = Semantic(WorldModel(tmp_path / "world.sqlite"))
    assert ids(again.search("stuck bulk emails")) == ["mail"]


def test_nothing_is_found_where_nothing_was_written_yet(world):
    search = Semantic(world)
    assert search.search("stuck newsletters") == search.nearest("stuck newsletters") == []


def test_filters_hold_for_meaning_as_for_words(world):
    world.replace_day(DAY, "mission", [document("mail", **MAIL)])
    search = Semantic(world)
    assert search.search("newsletter", domain="search") == []
    assert search.search("newsletter", since="2026-03-05") == []
    assert ids(search.search("newsletter", domain="payments", until=DAY)) == ["mail"]


def test_without_the_extra_words_alone_are_searched(world):
    code = (
        "import sys; sys.modules['wordllama'] = None\n"
        "from grace_assets.world.semantic import best_search\n"
        "print(best_search('world'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "world"
    assert isinstance(best_search(world), Semantic)


def test_the_model_is_loaded_without_a_network(tmp_path):
    code = (
        "import socket\n"
        "def refuse(*_, **__): raise OSError('no network')\n"
        "socket.socket.connect = socket.create_connection = refuse\n"
        "from pathlib import Path\n"
        "from grace_assets.world.semantic import Semantic\n"
        "from grace_assets.world.store import WorldModel\n"
        f"Semantic(WorldModel(Path({str(tmp_path / 'w.sqlite')!r})))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
