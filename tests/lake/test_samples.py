"""KPI samples: three formats, one identity, the last received wins (CONTRACT section 2)."""

import json
import math
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grace_assets.lake import sample_files, sample_merge
from grace_assets.lake.domains import Domains
from grace_assets.lake.sample_files import SampleFileError, read_file
from grace_assets.lake.samples import SCHEMA, SampleStore

T0 = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)
T1 = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def rows(*values: tuple) -> pa.Table:
    return pa.Table.from_pylist(
        [dict(zip(SCHEMA.names, ("s", "payments", "latency_ms", *v), strict=True)) for v in values],
        schema=SCHEMA,
    )


def add(store, *values):
    heard = []
    counts = store.add(rows(*values), heard.extend)
    return (counts.accepted, counts.duplicate, counts.restated), heard


def whole(path: Path) -> tuple[list[dict], list[sample_files.BadSample]]:
    """The samples of a file, and what was refused."""
    batches = list(read_file(path))
    taken = [row for batch in batches for row in batch.rows.to_pylist()]
    return taken, [bad for batch in batches for bad in batch.rejected]


def test_the_last_received_wins_and_the_same_value_is_a_duplicate(tmp_path):
    store = SampleStore(tmp_path)
    assert add(store, (T0, 1.0), (T1, 2.0))[0] == (2, 0, 0)
    assert add(store, (T0, 1.0), (T1, 3.0), (T1, 3.0))[0] == (0, 2, 1)
    found = store.read(T0, datetime(2026, 3, 3, tzinfo=UTC))
    assert found["value"].to_pylist() == [1.0, 3.0]


def test_only_what_changed_is_announced_before_it_is_written(tmp_path):
    store = SampleStore(tmp_path)
    add(store, (T0, 1.0), (T1, 2.0))
    _, heard = add(store, (T0, 1.0), (T1, 9.0))
    assert [(span.domain_id, span.first, span.last) for span in heard] == [("payments", T1, T1)]
    assert add(store, (T0, 1.0))[1] == []
    assert [*tmp_path.rglob("*.tmp")] == []


def test_reading_is_half_open_and_by_domain(tmp_path):
    store = SampleStore(tmp_path)
    add(store, (T0, 1.0), (T1, 2.0))
    assert store.read(T0, T1)["value"].to_pylist() == [1.0]
    assert store.read(T0, T1, ["search"]).num_rows == 0


def test_what_was_dropped_stays_known_as_dropped_though_more_is_kept_later(tmp_path):
    """Else days would be judged anew by the few samples that came late."""
    store = SampleStore(tmp_path)
    add(store, (T0, 1.0), (T1, 2.0))
    size = (tmp_path / "samples/date=2026-03-01/part-0.parquet").stat().st_size
    assert store.before("2026-03-02") == (["2026-03-01"], size)
    assert store.drop_before("2026-03-02") == (["2026-03-01"], size)
    assert (store.before("2026-03-02"), store.kept_since()) == (([], 0), "2026-03-02")
    add(store, (datetime(2026, 1, 1, tzinfo=UTC), 1.0))
    assert store.drop_before("2026-02-01")[0] == ["2026-01-01"]
    assert store.kept_since() == "2026-03-02"


def test_the_three_formats_say_the_same(tmp_path):
    table = rows((T0, 1.5), (T1, 2.0))
    pq.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text(
        "metric,source,domain_id,timestamp,value,extra\n"
        "latency_ms,s,payments,2026-03-01T23:59:00Z,1.5,x\n"
        "latency_ms,s,payments,2026-03-02T01:00:00+01:00,2e0,\n",
        encoding="utf-8",
    )
    (tmp_path / "a.jsonl").write_text(
        '{"source":"s","domain_id":"payments","metric":"latency_ms",'
        '"timestamp":"2026-03-01T23:59:00Z","value":1.5,"extra":1}\n\n'
        '{"source":"s","domain_id":"payments","metric":"latency_ms",'
        '"timestamp":"2026-03-02T00:00:00Z","value":2}\n',
        encoding="utf-8",
    )
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        assert whole(tmp_path / name) == (table.to_pylist(), []), name


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("s,payments,m,2026-03-01T00:00:00,1", "timestamp"),
        ("s,payments,m,soon,1", "timestamp"),
        ("s,payments,m,2026-02-30T00:00:00Z,1", "timestamp"),
        ("s,payments,m,0001-01-01T00:00:00+05:00,1", "timestamp"),
        ("s,payments,m,9999-12-31T23:59:59-05:00,1", "timestamp"),
        ("s,payments,m,2026-03-01T00:00:00Z,nan", "value"),
        ("s,payments,m,2026-03-01T00:00:00Z,inf", "value"),
        ("s,payments,m,2026-03-01T00:00:00Z,1e999", "value"),
        ("s,payments,m,2026-03-01T00:00:00Z,", "value"),
        ("s,a/b,m,2026-03-01T00:00:00Z,1", "domain_id"),
        (",payments,m,2026-03-01T00:00:00Z,1", "source"),
        ("s,payments,,2026-03-01T00:00:00Z,1", "metric"),
        ("s,payments,m,2026-03-01T00:00:00Z", None),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_taken(tmp_path, line, field):
    path = tmp_path / "a.csv"
    good = "s,payments,m,2026-03-01T00:00:00Z,1"
    path.write_text(
        f"source,domain_id,metric,timestamp,value\n{good}\n{line}\n{good}\n", encoding="utf-8"
    )
    taken, rejected = whole(path)
    assert len(taken) == 2
    assert [(bad.line, bad.field) for bad in rejected] == [(3, field)]
    assert rejected[0].raw.decode() == line


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ({"value": "x"}, "value"),
        ({"source": None}, "source"),
        ({"timestamp": "soon"}, "timestamp"),
        ({"metric": ""}, "metric"),
        ("domain_id", "domain_id"),
        ("{broken", None),
        ("[1]", None),
    ],
)
def test_a_bad_line_of_json_is_named_as_well(tmp_path, line, field):
    good = dict(zip(SCHEMA.names, ("s", "payments", "m", "2026-03-01T00:00:00Z", 1), strict=True))
    if isinstance(line, dict):
        line = json.dumps(good | line)
    elif line in good:
        line = json.dumps({name: value for name, value in good.items() if name != line})
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(good)}\n{line}\n", encoding="utf-8")
    taken, rejected = whole(tmp_path / "a.jsonl")
    assert len(taken) == 1
    assert [(bad.line, bad.field) for bad in rejected] == [(2, field)]


def test_times_are_read_as_rfc_3339_has_them_also_beside_a_bad_one(tmp_path):
    texts = ["2026-03-01T23:59:00.123456789Z", "2026-03-02t01:00:00+01:00", "2026-03-02 00:00z"]
    for bad in ([], ["2026-13-01T00:00:00Z"]):
        lines = [f"s,payments,latency_ms,{text},1" for text in [*texts, *bad]]
        (tmp_path / "a.csv").write_text(
            "\n".join(["source,domain_id,metric,timestamp,value", *lines, ""]), encoding="utf-8"
        )
        taken, rejected = whole(tmp_path / "a.csv")
        assert [row["timestamp"] for row in taken] == [T0.replace(microsecond=123456), T1, T1]
        assert [one.line for one in rejected] == [5] * len(bad)


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_may_hold_times_as_text(tmp_path, kind):
    table = rows((T0, 1.5), (T1, 2.0), (T1, 3.0), (T1, 4.0))
    text = ["2026-03-01T23:59:00Z", "2026-03-02T01:00:00+01:00", "2026-03-02T00:00:00", None]
    pq.write_table(
        table.set_column(3, "timestamp", pa.array(text).cast(kind)), tmp_path / "a.parquet"
    )
    taken, rejected = whole(tmp_path / "a.parquet")
    assert taken == table.slice(0, 2).to_pylist()
    assert [(bad.line, bad.field) for bad in rejected] == [(3, "timestamp"), (4, "timestamp")]
    assert b"2026-03-02T00:00:00" in rejected[0].raw


def test_a_sample_of_the_second_year_and_of_the_last_but_one_is_stored(tmp_path):
    store = SampleStore(tmp_path)
    far = [datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC)]
    samples = [(moment, 1.0) for moment in far]
    pq.write_table(rows(*samples), tmp_path / "a.parquet")
    assert whole(tmp_path / "a.parquet") == (rows(*samples).to_pylist(), [])
    add(store, *samples)
    assert [p.parent.name for p in sorted((tmp_path / "samples").glob("*/*.parquet"))] == [
        "date=0002-01-01",
        "date=9998-12-31",
    ]


def test_a_file_that_is_no_sample_file_says_why(tmp_path):
    (tmp_path / "a.csv").write_text("source,value\ns,1\n", encoding="utf-8")
    naive = rows((T0, 1.0)).set_column(
        3, "timestamp", pa.array([T0.replace(tzinfo=None)], pa.timestamp("us"))
    )
    pq.write_table(naive, tmp_path / "b.parquet")
    for name, reason in (
        ("a.csv", "no column domain_id, metric, timestamp"),
        ("b.parquet", "time zone"),
        ("c.xlsx", ".parquet, .csv or .jsonl"),
    ):
        with pytest.raises(SampleFileError, match=f"{name}: .*{reason}"):
            list(read_file(tmp_path / name))


def broken_parquet(path: Path) -> None:
    """A file that is sound at both ends, and whose first page is not."""
    pq.write_table(rows((T0, 1.0)), path)
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(byte ^ 0x5A for byte in content[4:60])
    path.write_bytes(content)


def test_a_file_that_arrow_cannot_read_stops_nobody_and_says_why(tmp_path):
    names = ",".join(SCHEMA.names)
    (tmp_path / "twice.csv").write_text(f"{names},value\ns,payments,m,2026-03-01T00:00:00Z,1,2\n")
    twice = rows((T0, 1.0)).append_column("value", pa.array([2.0]))
    pq.write_table(twice, tmp_path / "twice.parquet")
    nested = rows((T0, 1.0)).set_column(2, "metric", pa.array([{"name": "m"}]))
    pq.write_table(nested, tmp_path / "nested.parquet")
    broken_parquet(tmp_path / "broken.parquet")
    for name, reason in (
        ("twice.csv", "column value twice"),
        ("twice.parquet", "column value twice"),
        ("nested.parquet", "cast from struct"),
        ("broken.parquet", "page header"),
    ):
        with pytest.raises(SampleFileError, match=f"(?s){name}: .*{reason}"):
            list(read_file(tmp_path / name))


def test_a_column_that_is_none_of_ours_may_stand_there_twice(tmp_path):
    path = tmp_path / "a.csv"
    line = "s,payments,m,2026-03-01T00:00:00Z,{},x,y"
    lines = [",".join([*SCHEMA.names, "note", "note"]), line.format(1), line.format("soon")]
    path.write_text("\n".join(lines))
    taken, rejected = whole(path)
    assert [row["value"] for row in taken] == [1.0]
    assert [bad.raw.decode() for bad in rejected] == [lines[2]]


def test_a_line_nested_beyond_reason_is_rejected_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    good = '{"source":"s","domain_id":"payments","metric":"m","timestamp":"2026-03-01T00:00:00Z",'
    deep = "[" * 100_000 + "]" * 100_000
    path.write_text(f'{good}"value":1}}\n{good}"value":2,"more":{deep}}}\n{good}"value":3}}\n')
    taken, rejected = whole(path)
    assert [row["value"] for row in taken] == [1.0, 3.0]
    assert [bad.line for bad in rejected] == [2]


def test_a_file_of_many_batches_is_read_whole_and_its_lines_keep_their_numbers(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sample_files, "PARQUET_ROWS", 7)
    monkeypatch.setattr(sample_files, "JSON_LINES", 7)
    monkeypatch.setattr(sample_files, "CSV_BYTES", 300)
    table = rows(*((T1 + n * MINUTE, math.nan if n == 17 else float(n)) for n in range(40)))
    pq.write_table(table, tmp_path / "a.parquet")
    records = [row | {"timestamp": row["timestamp"].isoformat()} for row in table.to_pylist()]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records))
    # A column that is none of ours looks like numbers at first.
    lines = [
        ",".join([*(str(row[name]) for name in SCHEMA.names), "1" if n < 20 else "note"])
        for n, row in enumerate(records)
    ]
    lines[30:30] = ["ragged", "ragged"]
    (tmp_path / "a.csv").write_text("\n".join([",".join([*SCHEMA.names, "more"]), *lines]))
    bad = {"a.parquet": [18], "a.jsonl": [18], "a.csv": [19, 32, 33]}
    for name, numbers in bad.items():
        batches = list(read_file(tmp_path / name))
        assert len(batches) > 1
        values = [value for batch in batches for value in batch.rows["value"].to_pylist()]
        assert values == [float(n) for n in range(40) if n != 17], name
        assert sorted(bad.line for batch in batches for bad in batch.rejected) == numbers, name


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_arrival_makes_the_same_file_whatever_its_row_groups(
    tmp_path, monkeypatch, seed
):
    """The rule itself beside it: of one identity the last received wins."""
    monkeypatch.setattr(sample_merge, "GROUP_ROWS", 20)
    pick, store, expected = random.Random(seed), SampleStore(tmp_path), {}
    for _ in range(12):
        arrived = [
            (f"s{pick.randrange(2)}", f"d{pick.randrange(9)}", "m", pick.randrange(60))
            for _ in range(pick.choice((1, 30, 150)))
        ]
        records, counts = [], Counter()
        for key in arrived:
            value = float(pick.randrange(3))
            was = expected.get(key)
            kind = "accepted" if was is None else "duplicate" if was == value else "restated"
            counts[kind] += 1
            expected[key] = value
            names = dict(zip(("source", "domain_id", "metric"), key[:3], strict=True))
            records.append(names | {"timestamp": T1 + key[3] * MINUTE, "value": value})
        told = []
        added = store.add(pa.Table.from_pylist(records, SCHEMA), told.extend)
        assert Counter({k: v for k, v in vars(added).items() if v}) == counts
        changed = counts["accepted"] + counts["restated"]
        assert bool(told) == bool(changed)
    rows_read = store.read(T1, T1 + timedelta(days=1))
    found = [
        (row["source"], row["domain_id"], row["metric"], row["timestamp"], row["value"])
        for row in rows_read.to_pylist()
    ]
    assert found == [
        (*key[:3], T1 + key[3] * MINUTE, value) for key, value in sorted(expected.items())
    ]
    some = store.read(T1, T1 + timedelta(days=1), ["d2", "d7"])
    assert some.num_rows == sum(row[1] in ("d2", "d7") for row in found)
    ranged = store.read(T1, T1 + timedelta(days=1), domains=Domains("d2", "d5"))
    assert ranged.num_rows == sum("d2" <= row[1] < "d5" for row in found)
    series = {tuple(row.values()) for row in store.series(T1, T1 + timedelta(days=1)).to_pylist()}
    assert series == {key[:3] for key in expected}
    (file,) = tmp_path.glob("samples/date=*/part-0.parquet")
    groups = pq.ParquetFile(file).metadata
    sizes = [groups.row_group(n).num_rows for n in range(groups.num_row_groups)]
    assert len(sizes) > 3
    assert max(sizes) <= 40
