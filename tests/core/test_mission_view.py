"""What a picture of a mission shows is what the judge saw."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from grace_assets.core.catalogue import parse_catalogue
from grace_assets.core.judge import judge
from grace_assets.core.mission_view import mission_views
from grace_assets.core.moments import micros
from grace_assets.core.windows import SECOND
from grace_assets.lake.samples import SCHEMA

RULES = parse_catalogue("latency_ms: {direction: lower, unit: ms}", "x")
START = datetime(2026, 3, 20, 10, tzinfo=UTC)
END = START + timedelta(minutes=20)
STAMP = pa.timestamp("us", tz="UTC")


def mission(mission_id: str = "m", start: datetime = START) -> dict:
    return {
        "date": f"{start:%Y-%m-%d}",
        "mission_id": mission_id,
        "domain_id": "payments",
        "started_at": start,
        "completed_at": start + timedelta(minutes=20),
    }


def table(*rows: dict) -> pa.Table:
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("date", "mission_id", "domain_id")),
            *((name, STAMP) for name in ("started_at", "completed_at")),
        ]
    )
    return pa.Table.from_pylist(list(rows), schema=schema)


def samples(metric: str = "latency_ms", days: int = 16) -> pa.Table:
    first = START - timedelta(days=days - 1)
    rows = [
        {
            "source": "s",
            "domain_id": "payments",
            "metric": metric,
            "timestamp": first + timedelta(minutes=n),
            "value": 300.0 + n % 7,
        }
        for n in range(days * 1440)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def test_the_windows_are_those_of_the_catalogue():
    (view,) = mission_views(table(mission()), samples(), RULES)
    start, end, minute = micros(START), micros(END), 60 * SECOND
    assert view.pre == (start - 30 * minute, start)
    assert view.mission == (start, end)
    assert view.settle == (end, end + 5 * minute)
    assert view.post == (end + 5 * minute, end + 35 * minute)
    spans = [
        view.window_of(t) for t in (start - 1, start, end, end + 5 * minute, end + 35 * minute)
    ]
    assert spans == ["pre", "mission", "settle", "post", ""]


def test_reference_windows_are_those_that_the_judge_uses():
    busy = mission("other", START - timedelta(days=3))
    neighbours = table(busy).drop_columns(["date"])
    (view,) = mission_views(table(mission()), samples(), RULES, neighbours)
    (row,) = judge(
        table(mission()), samples(), RULES, END + timedelta(days=1), neighbours
    ).to_pylist()
    assert view.reference_days == row["n_reference"] == 13
    assert len(view.references) == 2 * 13
    inside = {view.window_of(int(t)) for line in view.references for t in line.times}
    assert inside == {"pre", "post"}


def test_only_what_lies_around_the_mission_is_shown():
    (view,) = mission_views(table(mission()), samples(), RULES)
    shown = (view.line.times[-1] - view.line.times[0]) / (60 * SECOND)
    assert 85 <= shown <= 100


def test_no_samples_are_no_views():
    assert mission_views(table(mission()), SCHEMA.empty_table(), RULES) == []
    elsewhere = samples().filter(pa.array([False] * samples().num_rows))
    assert mission_views(table(mission()), elsewhere, RULES) == []
