"""A range of days through every table: beside a bare script, day by day, and ten times as much."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from benchmarks import made
from benchmarks.harness import Ran, Result, Scale, clean_env, run, script, seconds

DOMAINS, STEP_SECONDS = 20, 300
YEAR, SAMPLED = 365, 5
"""Of the single days so many are run, evenly spread; the time of all is extrapolated."""
GROWTH_DAYS = 31
CATALOGUE = """
"*":
  direction: lower
  settle_seconds: {settle}
  window_seconds: {window}
"""


@dataclass(frozen=True)
class Range:
    """A data directory with the missions of some days taken in and their samples in the store."""

    data: Path
    events: Path
    days: int

    def env(self, **more: str) -> dict[str, str]:
        return clean_env(self.data, GRACE_KPI_CATALOG=str(self.data / "kpis.yaml"), **more)

    def backfill(self, first: int = 0, last: int | None = None, **more: str) -> Ran:
        """All assets of the days first … last (all), one run, by the shipped command.

        `more` are environment variables.
        """
        dates = [
            (made.FIRST.date() + timedelta(days=day)).isoformat()
            for day in (first, self.days - 1 if last is None else last)
        ]
        grace = script("grace")
        return run([grace, "backfill", "--from", dates[0], "--to", dates[1]], self.env(**more))


def measure(scale: Scale, folder: Path) -> list[Result]:
    count = scale.of(1_000_000)
    return [*year(count, folder / "year"), *growth(scale.of(20_000), folder / "growth")]


def prepare(folder: Path, count: int, days: int) -> Range:
    data, events = folder / "data", folder / "missions.jsonl"
    data.mkdir(parents=True)
    missions = made.missions(count, days, DOMAINS)
    made.write_events(events, missions, DOMAINS)
    made.write_samples(data, missions, days, DOMAINS, STEP_SECONDS)
    rules = CATALOGUE.format(settle=made.SETTLE_SECONDS, window=made.WINDOW_SECONDS)
    (data / "kpis.yaml").write_text(rules, encoding="utf-8")
    prepared = Range(data, events, days)
    run([script("grace"), "ingest", events], prepared.env())
    return prepared


def year(count: int, folder: Path) -> list[Result]:
    """One run over a year; a DuckDB script on its files; some of its days one by one."""
    made_of = prepare(folder, count, YEAR)
    bare, by_day = duckdb_days(made_of), duckdb_days(made_of, "--by-day")
    whole = made_of.backfill()
    # A document that is there already would not be indexed again.
    for index in (made_of.data / "state").glob("world.sqlite*"):
        index.unlink()
    step = YEAR // SAMPLED
    singles = [made_of.backfill(day, day).seconds for day in range(step // 2, YEAR, step)]
    all_singles = sum(singles) / len(singles) * YEAR
    work = f"backfill of {YEAR} days, {count:,} missions, 5 metrics, all tables, one run"
    return [
        Result(
            work=work,
            against="a DuckDB script: medians by range join and daily sums only",
            ours=seconds(whole.seconds),
            peer=seconds(bare.seconds),
            measured=whole.seconds / bare.seconds,
            reach=1.0,
            note=f"one round; ours {whole.peak_mib:,.0f} MiB at peak, DuckDB {bare.peak_mib:,.0f}; "
            "a script that joins by day as well, and so misses windows across midnight, takes "
            f"{seconds(by_day.seconds)}: ours is {whole.seconds / by_day.seconds:,.1f} times that",
        ),
        Result(
            work="the same backfill",
            against=f"{YEAR} single-day runs of `grace backfill`",
            ours=seconds(whole.seconds),
            peer=seconds(all_singles),
            measured=whole.seconds / all_singles,
            reach=0.1,
            note=f"the single days are extrapolated from {len(singles)} of them",
        ),
    ]


def duckdb_days(made_of: Range, *how: str) -> Ran:
    out = made_of.data.parent / "duckdb"
    command = [sys.executable, "-m", "benchmarks.duckdb_days"]
    ran = run([*command, made_of.events, made_of.data / "samples", out, *how])
    shutil.rmtree(out)
    return ran


def growth(count: int, folder: Path) -> list[Result]:
    """Ten times the missions, and four times the days."""
    one = prepare(folder / "one", count, GROWTH_DAYS)
    ten = prepare(folder / "ten", count * 10, GROWTH_DAYS)
    long = prepare(folder / "long", count * 4, GROWTH_DAYS * 4)
    small, large = one.backfill(), ten.backfill()
    # A month alone that has days before and after it to judge by, as most have. In one process:
    # so few missions as a month has are worked in no more.
    middle = GROWTH_DAYS * 2, GROWTH_DAYS * 3 - 1
    month = long.backfill(*middle, GRACE_PROCESSES="1")
    whole, shared = long.backfill(GRACE_PROCESSES="1"), long.backfill()
    return [
        Result(
            work=f"backfill of {GROWTH_DAYS} days, {count * 10:,} missions",
            against=f"the same with {count:,}",
            ours=seconds(large.seconds),
            peer=seconds(small.seconds),
            measured=large.seconds / small.seconds,
            reach=10.5,
        ),
        Result(
            work=f"peak memory of a backfill of {GROWTH_DAYS * 4} days",
            against=f"of {GROWTH_DAYS} in their middle alone",
            ours=f"{whole.peak_mib:,.0f} MiB",
            peer=f"{month.peak_mib:,.0f} MiB",
            measured=whole.peak_mib / month.peak_mib,
            reach=1.1,
            note="`GRACE_MISSIONS_AT_ONCE` bounds it; with `GRACE_PROCESSES=1`, without it all "
            f"processes together have {shared.peak_mib:,.0f} MiB",
        ),
    ]
