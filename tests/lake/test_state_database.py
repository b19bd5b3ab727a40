"""State that hosts share: a PostgreSQL behind `GRACE_STATE_URL`, instead of files of a machine."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest

from grace_assets.assets.samples import pull_for
from grace_assets.lake.blocks import Line
from grace_assets.lake.database import StateError, open_database
from grace_assets.lake.landing import Landing
from grace_assets.lake.source_log import Failure
from grace_assets.resources import StoreResource
from tests import rows
from tests.conftest import encode, event
from tests.sources.awkward import reply, server

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
def url(postgresql, monkeypatch):
    monkeypatch.setenv("GRACE_STATE_URL", postgresql)
    yield postgresql
    with psycopg.connect(postgresql.replace("+psycopg", ""), autocommit=True) as db:
        for (name,) in db.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'grace%'"
        ).fetchall():
            db.execute(f"DROP SCHEMA {name} CASCADE")
        db.execute("DROP TABLE IF EXISTS delivery_ledger")


def hosts(tmp_path: Path) -> tuple[StoreResource, StoreResource]:
    """Two of them, which share no folder."""
    return tuple(StoreResource(data_dir=str(tmp_path / name), timezone="UTC") for name in "ab")


def test_what_one_host_fetched_from_a_source_no_other_asks_for(url, tmp_path, monkeypatch):
    rules = tmp_path / "kpis.yaml"
    rules.write_text("latency_ms: {direction: lower, promql: 'a{d=~\"$domains\"}'}")
    nothing = b'{"status": "success", "data": {"resultType": "matrix", "result": []}}'
    day, asked = rows.DAY.isoformat(), []
    with server(lambda handler, _: reply(handler, 200, nothing)) as source:
        monkeypatch.setenv("PROMETHEUS_URL", source.url)
        for host in hosts(tmp_path):
            store = host.model_copy(update={"catalogue_file": str(rules)})
            store.lake().replace(
                "mission_events", [day], rows.table("mission_events", [rows.event()])
            )
            asked.append(pull_for(store, [day]).queries)
    assert asked[0] > 0
    assert asked[1] == 0


def test_what_one_host_took_in_another_makes_tables_of(url, tmp_path):
    one, other = hosts(tmp_path)
    follow_up = {
        "follow_up_id": "fu-1",
        "domain_id": "payments",
        "title": "Look",
        "reason": "It broke",
        "priority": "high",
        "opened_on": "2026-03-01",
        "type": "repair",
        "status": "open",
    }
    with one.landing() as landing:
        landing.add("f", [Line(1, encode(event())), Line(2, b"{\x00broken")], NOW)
        landing.waiting.set_due("hold", ["2026-03-01"], {"2026-03-01": NOW})
    one.source_log().replace_failures(["2026-03-01"], [Failure("2026-03-01", "p", "m", "why")])
    assert one.outbox().announce([follow_up]) == 1
    with other.landing() as landing:
        (got,) = landing.missions.events(["2026-03-01"])
        (bad,) = landing.quarantine.lines()
        assert (got.raw, bad.raw) == (encode(event()), b"{\x00broken")
        assert landing.waiting.due("hold", NOW) == {"2026-03-01": NOW}
    assert other.source_log().failures(["2026-03-01"])[0].reason == "why"
    assert other.outbox().announce([follow_up]) == 0, "asked for once, by whichever host"
    assert not list(tmp_path.rglob("*.sqlite"))


def test_what_arrives_while_a_snapshot_is_read_is_not_in_it(url, tmp_path):
    for state in (None, url):
        zone = ZoneInfo("UTC")
        with (
            closing(Landing(tmp_path, zone, state)) as reader,
            closing(Landing(tmp_path, zone, state)) as writer,
        ):
            writer.add("f", [Line(1, encode(event("m-1")))], NOW)
            with reader.snapshot():
                before = reader.missions.events(["2026-03-01"])
                writer.add("f", [Line(2, encode(event("m-2")))], NOW)
                assert reader.missions.events(["2026-03-01"]) == before
            assert [len(before), len(reader.missions.events(["2026-03-01"]))] == [1, 2]
            reader.add("f", [Line(3, encode(event("m-3")))], NOW)
            assert len(writer.missions.events(["2026-03-01"])) == 3


def test_of_hosts_that_take_in_the_same_at_once_one_accepts_each_mission(url, tmp_path):
    lines = [Line(n, encode(event(f"m-{n}"))) for n in range(200)]

    def take(host: int) -> tuple[int, int]:
        with closing(Landing(tmp_path / str(host), ZoneInfo("UTC"), url)) as landing:
            found = [landing.add(f"host-{host}", lines[i : i + 20], NOW) for i in range(0, 200, 20)]
        return sum(c.accepted for c in found), sum(c.duplicate for c in found)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(take, range(8)))
    assert sum(accepted for accepted, _ in told) == 200
    assert sum(duplicate for _, duplicate in told) == 7 * 200


def test_a_transaction_that_fails_leaves_nothing(url, tmp_path):
    with closing(open_database(tmp_path, "page", "CREATE TABLE page (n INTEGER)", url)) as db:
        with pytest.raises(ValueError, match="stop"), db.transaction():
            db.execute("INSERT INTO page VALUES (?)", (1,))
            raise ValueError("stop")
        assert db.execute("SELECT count(*) FROM page").fetchone() == (0,)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql+psycopg://grace:canary@127.0.0.1:1/grace", "refused"),
        ("postgresql+psycopg://grace:can@ary@127.0.0.1:1/grace", "%40"),
        ("canary", "GRACE_STATE_URL"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(url, told, tmp_path):
    with pytest.raises(StateError, match=told) as failure:
        open_database(tmp_path, "landing", "", url)
    assert "canary" not in str(failure.value) and "ary@" not in str(failure.value)
