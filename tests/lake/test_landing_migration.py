"""A data directory that is in use goes on: its landing had a row for each event."""

from contextlib import ExitStack, closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import psycopg
import pytest

from grace_assets.core.moments import micros
from grace_assets.lake.blocks import Line
from grace_assets.lake.database import open_database
from grace_assets.lake.landing import Landing
from tests.conftest import encode, event

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
BEFORE = """
CREATE TABLE IF NOT EXISTS event (
  seq INTEGER PRIMARY KEY, mission_id TEXT NOT NULL, revision INTEGER NOT NULL,
  received_at INTEGER NOT NULL, origin TEXT NOT NULL, raw BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS mission (
  mission_id TEXT PRIMARY KEY, day TEXT NOT NULL, domain_id TEXT NOT NULL,
  started_at INTEGER NOT NULL, completed_at INTEGER NOT NULL,
  revision INTEGER NOT NULL, content_hash BLOB NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mission_by_day_domain ON mission (day, domain_id);
CREATE INDEX IF NOT EXISTS mission_by_domain ON mission (domain_id, completed_at);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    with ExitStack() as stack:
        url = None
        if request.param == "postgresql":
            url = request.getfixturevalue("postgresql")
            db = stack.enter_context(psycopg.connect(url.replace("+psycopg", ""), autocommit=True))
            stack.callback(db.execute, "DROP SCHEMA IF EXISTS grace_landing CASCADE")
        yield url


def test_events_of_an_earlier_version_are_all_there_and_known(tmp_path, url):
    many = [encode(event(f"m{n}", title="x" * 500)) for n in range(300)]
    first, second = encode(event("m0", title="first")), encode(event("m1", title="first"))
    start, end = (datetime(2026, 3, 1, 10, minute, tzinfo=UTC) for minute in (0, 10))
    with closing(open_database(tmp_path, "landing", BEFORE, url)) as db, db.transaction():
        events = [
            (f"m{n}", revision, "a:b.jsonl:1" if revision == 2 else f"a:b.jsonl:{n + 7}", raw)
            for revision, raws in ((1, [first, second, *many[2:]]), (2, many[:2]))
            for n, raw in enumerate(raws)
        ]
        for seq, (name, revision, origin, raw) in enumerate(events, start=5):
            received = micros(NOW) + revision
            row = (seq, name, revision, received, origin, raw)
            db.execute("INSERT INTO event VALUES (?,?,?,?,?,?)", row)
            times = micros(start), micros(end)
            if (revision == 2) == (name in ("m0", "m1")):
                row = (name, "2026-03-01", "payments", *times, revision, b"hash", seq)
                db.execute("INSERT INTO mission VALUES (?,?,?,?,?,?,?,?)", row)

    for _ in range(2):
        with closing(Landing(tmp_path, ZoneInfo("UTC"), url)) as landing:
            found = landing.missions.events(["2026-03-01"])
            assert sorted(row.raw for row in found) == sorted(many)
            by_raw = {row.raw: row for row in found}
            assert (by_raw[many[0]].revision, by_raw[many[0]].origin) == (2, "a:b.jsonl:1")
            assert (by_raw[many[9]].revision, by_raw[many[9]].origin) == (1, "a:b.jsonl:16")
            assert micros(by_raw[many[9]].received_at) == micros(NOW) + 1
            assert landing.missions.revisions("m0") == [first, many[0]]
            assert landing.missions.revisions("m9") == [many[9]]
    # A process of the earlier version looks in once more.
    with closing(open_database(tmp_path, "landing", BEFORE, url)):
        pass
    with closing(Landing(tmp_path, ZoneInfo("UTC"), url)) as landing:
        counts = landing.add("again", [Line(n, raw) for n, raw in enumerate(many, 1)], NOW)
        assert (counts.accepted, counts.duplicate, counts.corrected) == (0, 300, 0)
