"""The bench takes turns, compares within a round, and says which targets are missed."""

import sys

import pytest

from benchmarks import harness, suite
from benchmarks.harness import Result, Scale, compared, figure, interleave, run, seconds


def line(**changes) -> Result:
    fields = dict(work="reading", against="a scan", ours="1 s", peer="2 s", measured=0.5, reach=1.0)
    return Result(**fields | changes)


def test_tasks_take_turns_and_the_first_round_is_thrown_away():
    order, figures = [], iter([9.0, 9.0, 1.0, 2.0, 2.0, 8.0, 3.0, 3.0])

    def task(name):
        def measured() -> float:
            order.append(name)
            return next(figures)

        return measured

    found = interleave({"ours": task("ours"), "peer": task("peer")}, 3)
    assert order == ["ours", "peer"] * 4
    assert found == {"ours": [1.0, 2.0, 3.0], "peer": [2.0, 8.0, 3.0]}
    result = compared(found, "ours", "peer", work="w", against="a", reach=0.5)
    # The median of 1/2, 2/8 and 3/3: not the ratio of the medians, 2/3.
    assert (result.measured, result.kept) == (0.5, True)


def test_a_target_is_kept_from_its_own_side():
    assert line(measured=1.0).kept and not line(measured=1.01).kept
    assert line(measured=1.0, at_least=True).kept and not line(measured=0.9, at_least=True).kept


def test_the_page_names_what_is_missed():
    kept, missed = line(), line(work="writing", measured=1 / 40, reach=0.8, at_least=True)
    page = suite.page({"reads": suite.table([kept, missed])})
    assert "1 of 2 targets are kept. Missed:\n\n- writing: 1/40, to be ≥ 0.8\n" in page
    assert "| reading | a scan | 1 s | 2 s | 0.5 | ≤ 1 | yes |" in page
    assert "| writing | a scan | 1 s | 2 s | 1/40 | ≥ 0.8 | **no** |" in page


def test_a_group_measured_anew_leaves_the_others_on_the_page():
    first = suite.page({"reads": "as before", "ingest": "old"})
    found = suite.sections_of(first)
    assert found == {"reads": "as before", "ingest": "old"}
    again = suite.sections_of(suite.page(found | {"ingest": "new", "http": "first"}))
    assert list(again.items()) == [("ingest", "new"), ("reads", "as before"), ("http", "first")]


def test_figures_are_short():
    assert [figure(v) for v in (1.149, 0.5, 1 / 1200)] == ["1.15", "0.5", "1/1,200"]
    assert [figure(v) for v in (107.3, 1234.5)] == ["107", "1,234"]
    assert [seconds(v) for v in (2.5, 0.0123, 4e-6, 1759.4)] == [
        "2.5 s",
        "12.3 ms",
        "4 µs",
        "1,759 s",
    ]


def test_a_part_of_the_sizes_is_measured_unless_all_are_asked_for():
    assert Scale(0.1, full=False).of(1000) == 100
    assert Scale(0.1, full=True).of(1000) == 1000


def test_a_process_that_fails_stops_the_row(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    with pytest.raises(RuntimeError, match="ended with 3: broken"):
        run([sys.executable, "-c", "import sys; sys.stderr.write('broken'); sys.exit(3)"])


def test_the_peak_of_a_process_is_its_own():
    large = b"x" * (300 << 20)
    peak = run([sys.executable, "-c", "b'x' * (50 << 20)"]).peak_mib
    assert 50 < peak < 150 < len(large) >> 20


def test_a_process_sees_none_of_the_settings_around_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GRACE_API_TOKEN", "secret")
    env = harness.clean_env(tmp_path)
    assert "GRACE_API_TOKEN" not in env
    assert env["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert (tmp_path / "dagster" / "dagster.yaml").is_file()


def test_the_peak_of_a_process_counts_those_it_starts():
    child = "import time; held = b'x' * (80 << 20); time.sleep(1)"
    starts = f"subprocess.run([sys.executable, '-c', {child!r}])"
    both = f"import subprocess, sys; held = b'x' * (80 << 20); {starts}"
    assert 160 < run([sys.executable, "-c", both]).peak_mib < 300
