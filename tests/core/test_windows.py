from datetime import UTC, datetime, timedelta
from statistics import median

import numpy as np
import pyarrow as pa
import pytest

from grace_assets.core import padded, windows
from grace_assets.core.moments import micros
from tests.core.worlds import START, catalogue, missions, samples

MINUTE = timedelta(minutes=1)
COUNTER = "hits: {direction: higher, kind: counter}"


def series(*rows, rules: str = "latency_ms: {direction: lower}", minutes: int = 1):
    return windows.series_of(samples(*rows, minutes=minutes), catalogue(rules))


def test_samples_are_grouped_by_source_domain_and_metric():
    found = series(
        ("b", "shop", "latency_ms", START, [1, 2]),
        ("a", "shop", "latency_ms", START, [3]),
        ("a", "pay", "latency_ms", START, [4, 5, 6]),
    )
    names = zip(found.source, found.domain, found.metric, strict=True)
    assert list(names) == [
        ("a", "pay", "latency_ms"),
        ("a", "shop", "latency_ms"),
        ("b", "shop", "latency_ms"),
    ]
    assert found.bounds.tolist() == [0, 3, 4, 6]
    assert found.values.tolist() == [4, 5, 6, 3, 1, 2]


def test_unsorted_dictionary_encoded_and_non_finite_samples_make_the_same_series():
    table = samples(
        ("a", "pay", "latency_ms", START, [4.0, float("nan"), 6.0]),
        ("a", "shop", "latency_ms", START, [1.0, float("inf")]),
    )
    plain = windows.series_of(table, catalogue())
    shuffled = table.take(pa.array([4, 2, 0, 3, 1]))
    for name in ("source", "domain_id", "metric"):
        at = shuffled.column_names.index(name)
        shuffled = shuffled.set_column(at, name, shuffled[name].dictionary_encode())
    again = windows.series_of(shuffled, catalogue())
    assert plain.values.tolist() == [4, 6, 1]
    assert sorted(zip(again.domain, np.diff(again.bounds), strict=True)) == [
        ("pay", 2),
        ("shop", 1),
    ]
    start = again.bounds[list(again.domain).index("pay")]
    assert again.values[start : start + 2].tolist() == [4, 6]


def test_a_counter_becomes_growth_per_second_and_a_reset_starts_from_zero():
    found = series(("a", "s", "hits", START, [100, 160, 280, 30, 90]), rules=COUNTER)
    assert found.values.tolist() == [1, 2, 0.5, 1]
    assert found.times[0] == micros(START + MINUTE)


def test_a_counter_loses_only_its_own_first_sample():
    rules = COUNTER + "\nlatency_ms: {direction: lower}"
    found = series(
        ("a", "s", "hits", START, [7]),
        ("a", "s", "latency_ms", START, [5, 4]),
        ("b", "s", "hits", START, [60, 120]),
        rules=rules,
    )
    assert found.bounds.tolist() == [0, 0, 2, 3]
    assert found.values.tolist() == [5, 4, 1]


def test_windows_are_half_open():
    found = series(("a", "s", "latency_ms", START, [10, 11, 12, 13]))
    first = micros(START)
    rows = windows.Locator(found)
    at = np.array([first, first + 1, first + 60_000_000, first + 10 * 60_000_000])
    assert rows.first_row(np.zeros(4, int), at).tolist() == [0, 1, 1, 4]


def test_a_time_outside_of_the_samples_never_finds_the_rows_of_another_series():
    found = series(
        ("a", "s", "latency_ms", START - timedelta(days=900), [1, 2]),
        ("b", "s", "latency_ms", START, [3, 4]),
        ("c", "s", "latency_ms", START + timedelta(days=900), [5]),
    )
    first, last = micros(START), micros(START + MINUTE)
    rows = windows.Locator(found)
    which = np.arange(3)
    assert rows.first_row(which, np.full(3, first)).tolist() == [2, 2, 4]
    assert rows.first_row(which, np.full(3, last)).tolist() == [2, 3, 4]


def test_times_far_beyond_the_samples_are_found_among_many_series():
    found = series(*((f"s{n}", "s", "latency_ms", START, [1, 2]) for n in range(100)))
    rows = windows.Locator(found)
    which, long_ago = np.arange(100), micros(datetime(1, 1, 1, tzinfo=UTC))
    assert rows.first_row(which, np.full(100, long_ago)).tolist() == found.bounds[:-1].tolist()
    assert rows.first_row(which, np.full(100, -long_ago)).tolist() == found.bounds[1:].tolist()


def test_more_series_and_time_than_an_integer_holds_is_refused_in_words():
    found = series(
        *((f"s{n}", "s", "latency_ms", datetime(2, 1, 1, tzinfo=UTC), [1]) for n in range(60)),
        ("late", "s", "latency_ms", datetime(9000, 1, 1, tzinfo=UTC), [1]),
    )
    with pytest.raises(ValueError, match="judge fewer days"):
        windows.Locator(found)


def test_every_mission_meets_every_series_of_its_domain_and_no_other():
    ours = windows.missions_of(
        missions(
            {"mission_id": "a", "domain_id": "shop"},
            {"mission_id": "b", "domain_id": "pay"},
            {"mission_id": "c", "domain_id": "shop"},
            {"mission_id": "d", "domain_id": "nothing"},
        )
    )
    found = series(
        ("x", "pay", "latency_ms", START, [1]),
        ("x", "shop", "latency_ms", START, [1]),
        ("x", "shop", "other", START, [1]),
        ("x", "unknown", "latency_ms", START, [1]),
    )
    pairs = windows.pair(ours, found, catalogue("latency_ms: {direction: lower}"))
    names = {
        (ours.ids[int(m)].as_py(), found.domain[s], found.metric[s])
        for m, s in zip(pairs.mission, pairs.series, strict=True)
    }
    assert len(pairs) == 5
    assert names == {
        ("b", "pay", "latency_ms"),
        ("a", "shop", "latency_ms"),
        ("c", "shop", "latency_ms"),
        ("a", "shop", "other"),
        ("c", "shop", "other"),
    }


def test_medians_of_windows_of_unequal_length_are_those_of_the_standard_library():
    rng = np.random.default_rng(3)
    values = rng.normal(size=4000)
    first = rng.integers(0, 3000, 300)
    count = rng.choice([0, 1, 2, 3, 7, 8, 9, 30, 31, 700], 300)
    found = padded.medians(values, first, count)
    for low, size, value in zip(first, count, found, strict=True):
        if size == 0:
            assert np.isnan(value)
        else:
            assert value == median(values[low : low + size])


def overlaps(low: int, high: int, *busy: tuple[str, int, int], domain: str = "shop") -> int:
    table = pa.table(
        {
            "mission_id": [str(i) for i in range(len(busy))],
            "domain_id": [domain for domain, _, _ in busy],
            "started_at": [START + MINUTE * start for _, start, _ in busy],
            "completed_at": [START + MINUTE * end for _, _, end in busy],
        }
    )
    asked = [micros(START + MINUTE * m) for m in (low, high)]
    return windows.overlapping(
        np.array([domain], object),
        np.array(asked[:1]),
        np.array(asked[1:]),
        windows.missions_of(table),
    )[0]


@pytest.mark.parametrize(
    ("busy", "count"),
    [
        ([("shop", 0, 10)], 0),
        ([("shop", 0, 11)], 1),
        ([("shop", 20, 30)], 0),
        ([("shop", 19, 30)], 1),
        ([("shop", 12, 14)], 1),
        ([("shop", 0, 90)], 1),
        ([("shop", 10, 10)], 1),
        ([("shop", 20, 20)], 0),
        ([("pay", 0, 90)], 0),
        ([("pay", 0, 90), ("shop", 0, 15), ("shop", 11, 12), ("shop", 40, 41)], 2),
    ],
)
def test_missions_that_touch_ten_to_twenty_are_counted(busy, count):
    assert overlaps(10, 20, *busy) == count


def test_clocks_that_were_never_set_hide_no_overlap_in_any_domain():
    long_ago = (datetime(1, 1, 1, tzinfo=UTC) - START) // MINUTE
    names = [f"domain {n}" for n in range(200)]
    busy = [mission for name in names for mission in ((name, long_ago, 15), (name, 12, 14))]
    assert [overlaps(10, 20, *busy, domain=name) for name in names] == [2] * 200


def test_a_neighbour_that_is_one_of_the_missions_counts_once():
    table = missions({"mission_id": "a"}, {"mission_id": "b"})
    known = windows.with_neighbours(windows.missions_of(table.slice(0, 1)), table)
    assert known.ids.to_pylist() == ["a", "b"]
