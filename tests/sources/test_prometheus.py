"""Against a real Prometheus: one query for many domains, nothing twice, any name."""

import json
import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from grace_assets.core.catalogue import parse_catalogue
from grace_assets.lake.samples import SampleStore
from grace_assets.lake.source_log import SourceLog
from grace_assets.sources.http import Endpoint, Exchange, SourceError
from grace_assets.sources.prometheus import matcher, query_range
from grace_assets.sources.pull import pull
from tests import prometheus
from tests.conftest import event
from tests.servers import unavailable
from tests.test_loop import Loop

NAMES = ["payments", 'qu"o\\te', "a.b|c*(d)[e]{f}^$+?", "Müller – Edition", "tab le", "店舗"]
# What PromQL strings, regular expressions and UTF-8 make something else of.
AWKWARD = "\\\"'`.+*?()|[]{}^$-&~#,= %\ufffd\ufeff\u2028\u00ad\u0301é店😀\U0010ffffabndxuQE0"
DAY = timedelta(days=1)
START = datetime(2026, 3, 15, 12, tzinfo=UTC)
RULES = """
latency_ms:
  direction: lower
  unit: ms
  promql: 'shop_latency_ms{shop=~"$domains"}'
  promql_label: shop
"""
NODE = """
node_load:
  direction: lower
  promql: 'label_replace(node_load1, "domain_id", "payments", "", "")'
  promql_step_seconds: 1
"""
CATALOGUE = parse_catalogue(RULES, "kpis.yaml")
LIVE = parse_catalogue(NODE, "kpis.yaml")


def series(number: int, fixed_at: datetime):
    """A value a minute for 16 days: bad from an hour before the mission until it is fixed."""
    first = START - 15 * DAY
    for minute in range(16 * 1440):
        at = first + timedelta(minutes=minute)
        bad = START - timedelta(hours=1) <= at < fixed_at
        value = (520 if bad else 280) + (minute * 7919 % 13) - 6 + number
        yield int(at.timestamp()), f"{value}"


def awkward_names() -> list[str]:
    """400 names that hardly differ, the same ones every time."""
    draw = random.Random(20260315)
    made = {"".join(draw.choices(AWKWARD, k=draw.randint(1, 5))) for _ in range(400)}
    return sorted(name for name in made if name.strip())


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    if absent := prometheus.missing():
        unavailable(*absent)
    folder = tmp_path_factory.mktemp("prometheus")
    fixed, never = START + timedelta(minutes=5), START + timedelta(hours=8)
    made = {
        name: list(series(number, fixed if number == 0 else never))
        for number, name in enumerate(NAMES)
    }
    # Values that are no numbers: the first hour of one series.
    made["tab le"][:60] = [(at, ("NaN", "+Inf", "-Inf")[at % 3]) for at, _ in made["tab le"][:60]]
    prometheus.backfill(folder, "shop_latency_ms", "shop", made)
    at = int(START.timestamp())
    prometheus.backfill(folder, "known", "shop", {name: [(at, "1")] for name in awkward_names()})
    with prometheus.server(folder) as address:
        yield address


def asked(url: str, names: list[str], first: datetime, last: datetime, **changes):
    with Exchange(Endpoint.of(url), 20) as exchange:
        return query_range(
            exchange,
            changes.get("template", 'shop_latency_ms{shop=~"$domains"}'),
            "shop",
            names,
            first,
            last,
            60,
            "service_mesh",
            "latency_ms",
        )


def test_one_query_answers_for_all_domains_whatever_their_names_hold(url):
    found = asked(url, NAMES, START, START + timedelta(hours=1))
    counts = found.rows.group_by("domain_id").aggregate([("value", "count")]).to_pylist()
    assert {row["domain_id"]: row["value_count"] for row in counts} == dict.fromkeys(NAMES, 60)
    assert found.complete
    for name in NAMES:
        alone = asked(url, [name], START, START + timedelta(minutes=5)).rows
        assert alone["domain_id"].unique().to_pylist() == [name]
        assert alone["timestamp"][0].as_py() == START
        assert alone.num_rows == 5


def test_a_name_matches_itself_alone(url):
    assert (
        asked(url, ["pay.*", "payment", "qu"], START, START + timedelta(hours=1)).rows.num_rows == 0
    )


def test_a_name_of_any_characters_is_found_and_no_other(url):
    names = awkward_names()
    minute = timedelta(minutes=1)
    some = {"template": 'known{shop=~"$domains"}'}
    for first in range(0, len(names), 50):
        few = names[first : first + 50]
        found = asked(url, few, START, START + minute, **some)
        assert found.rows["domain_id"].to_pylist() == few
    # What the server itself lets through: `asked` would leave out what was not asked for.
    with Exchange(Endpoint.of(url), 60) as exchange:
        for name in names[::8]:
            query = f'known{{shop=~"{matcher([name])}"}}'
            form = {"query": query, "time": f"{START.timestamp()}"}
            answer = json.loads(exchange.ask("/api/v1/query", form))
            assert [one["metric"]["shop"] for one in answer["data"]["result"]] == [name]


def test_what_is_no_number_is_dropped_and_counted_and_what_ended_is_absent(url):
    first = START - 15 * DAY
    found = asked(url, ["tab le"], first, first + timedelta(hours=2))
    assert (found.rows.num_rows, found.dropped) == (60, 60)
    # Five minutes after its last sample a series is stale.
    late = asked(url, ["payments"], START + DAY, START + DAY + timedelta(hours=1))
    assert late.rows.num_rows <= 5


def test_a_refused_query_says_what_prometheus_says(url):
    with pytest.raises(SourceError, match=r"Prometheus refused the query: .*parse error") as failed:
        asked(url, ["payments"], START, START + timedelta(hours=1), template="sum(")
    assert failed.value.code == "query_refused"


def test_a_second_run_asks_for_nothing_and_a_longer_one_for_the_rest(url, tmp_path):
    reach = (START - 3 * DAY, START + timedelta(hours=2))
    endpoint, now = Endpoint.of(url), START + DAY
    domains = NAMES[:3]
    first = pull(
        SourceLog(tmp_path),
        SampleStore(tmp_path),
        endpoint,
        CATALOGUE,
        dict.fromkeys(domains, reach),
        now,
    )
    assert first.failed == {}
    assert first.samples["latency_ms"] == 3 * 4 * 1440
    again = pull(
        SourceLog(tmp_path),
        SampleStore(tmp_path),
        endpoint,
        CATALOGUE,
        dict.fromkeys(domains, reach),
        now,
    )
    assert (again.queries, again.samples) == (0, {})
    longer = (START - 5 * DAY, reach[1])
    more = pull(
        SourceLog(tmp_path),
        SampleStore(tmp_path),
        endpoint,
        CATALOGUE,
        dict.fromkeys(NAMES[:4], longer),
        now,
    )
    # The new domain lacks six days, the old ones two.
    assert more.queries == 2
    assert more.samples["latency_ms"] == 3 * 2 * 1440 + 6 * 1440
    other = parse_catalogue(RULES.replace("shop_latency_ms{", "2 * shop_latency_ms{"), "k")
    assert (
        pull(
            SourceLog(tmp_path),
            SampleStore(tmp_path),
            endpoint,
            other,
            dict.fromkeys(domains, reach),
            now,
        ).queries
        == 1
    )


def test_an_hour_that_is_not_over_is_asked_again(url, tmp_path):
    reach = {"payments": (START - DAY, START + timedelta(hours=2))}
    early = pull(
        SourceLog(tmp_path),
        SampleStore(tmp_path),
        Endpoint.of(url),
        CATALOGUE,
        reach,
        START + timedelta(minutes=30),
    )
    assert early.samples["latency_ms"] == 1440 + 750
    late = pull(
        SourceLog(tmp_path),
        SampleStore(tmp_path),
        Endpoint.of(url),
        CATALOGUE,
        reach,
        START + timedelta(hours=3),
    )
    assert late.samples["latency_ms"] == 900
    stored = SampleStore(tmp_path).read(START - DAY, START + DAY)
    # From noon to noon and three hours more, each minute once.
    assert stored.num_rows == 1440 + 180


def test_live_samples_of_the_node_exporter_arrive(url, tmp_path):
    for _ in range(40):
        now = datetime.now(UTC)
        reach = {"payments": (now - timedelta(minutes=5), now)}
        pulled = pull(
            SourceLog(tmp_path), SampleStore(tmp_path), Endpoint.of(url), LIVE, reach, now
        )
        if pulled.samples.get("node_load"):
            break
        time.sleep(0.25)
    assert pulled.failed == {}
    assert pulled.samples["node_load"] >= 1


def latencies(loop: Loop) -> dict[str, dict]:
    rows = loop.table("mission_telemetry")
    return {row["mission_id"]: row for row in rows if row["metric"] == "latency_ms"}


def test_a_mission_is_judged_by_what_prometheus_knows(url, tmp_path, monkeypatch):
    catalogue = tmp_path / "kpis.yaml"
    catalogue.write_text(RULES, encoding="utf-8")
    monkeypatch.setenv("PROMETHEUS_URL", url)
    loop = Loop(tmp_path / "data", "2026-03-16T12:00:00+00:00", catalogue)
    times = {"started_at": "2026-03-15T12:00:00Z", "completed_at": "2026-03-15T12:05:00Z"}
    (tmp_path / "data").mkdir(exist_ok=True)
    loop.take(
        event("fixed", domain_id="payments", **times), event("not", domain_id="tab le", **times)
    )
    loop.run("2026-03-15", **{"grace/deliver": "never"})
    found = {
        r["mission_id"]: r for r in loop.table("mission_telemetry") if r["metric"] == "latency_ms"
    }
    assert (found["fixed"]["verdict"], found["not"]["verdict"]) == ("effective", "no_effect")
    assert found["fixed"]["source"] == "service_mesh"
    assert found["fixed"]["n_reference"] == 14
    monkeypatch.setenv("PROMETHEUS_URL", "http://127.0.0.1:9")
    loop.run("2026-03-15", **{"grace/deliver": "never"})
    again = {
        r["mission_id"]: r for r in loop.table("mission_telemetry") if r["metric"] == "latency_ms"
    }
    assert again == found, "what was fetched once is read, not asked for"
