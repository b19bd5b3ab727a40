"""A transaction ends, whatever the disk says, and its connection can be used on."""

import sqlite3

import pytest

from grace_assets.lake.sqlite import transaction


@pytest.fixture
def db(tmp_path):
    db = sqlite3.connect(tmp_path / "file.sqlite", isolation_level=None)
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("CREATE TABLE page (number INTEGER PRIMARY KEY, content BLOB)")
    db.execute("CREATE TABLE word (page REFERENCES page DEFERRABLE INITIALLY DEFERRED)")
    yield db
    db.close()


def pages(db) -> int:
    return db.execute("SELECT count(*) FROM page").fetchone()[0]


def test_a_commit_that_is_refused_is_rolled_back(db):
    with pytest.raises(sqlite3.IntegrityError), transaction(db):
        db.execute("INSERT INTO word VALUES (7)")
    with transaction(db):
        db.execute("INSERT INTO page VALUES (1, NULL)")
    assert pages(db) == 1


def test_a_full_disk_is_the_error_that_is_seen(db):
    db.execute("PRAGMA max_page_count = 20")
    with pytest.raises(sqlite3.OperationalError, match="full"), transaction(db):
        db.execute("INSERT INTO page VALUES (1, zeroblob(1000000))")
    with transaction(db):
        db.execute("INSERT INTO page VALUES (1, NULL)")
    assert pages(db) == 1


def test_what_raises_in_the_middle_leaves_nothing(db):
    with pytest.raises(ValueError, match="stop"), transaction(db):
        db.execute("INSERT INTO page VALUES (1, NULL)")
        raise ValueError("stop")
    assert pages(db) == 0
