"""Answering from the daily sums: beside scanning what they were made of."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from shutil import rmtree
from statistics import fmean

import duckdb

from benchmarks import made
from benchmarks.harness import Name, Result, Scale, compared, figure, interleave, ratio, timed
from grace_assets.core.rollups import domain_daily, kpi_daily
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.tables import Lake
from tests.rows import part

DOMAINS, DAYS = 20, 365
MISSIONS = 1_000_000
HOW = {
    "served": "as a server answers that read them before",
    "started": "first answer of a process, months cached",
}
END = made.FIRST.date() + timedelta(days=DAYS - 1)
DOMAIN = "domain-007"
ROUNDS = 5


def measure(scale: Scale, folder: Path) -> list[Result]:
    lake = tables(MISSIONS, folder / "one")
    count = scale.of(10 * MISSIONS)
    more = lake if count == MISSIONS else tables(count, folder / "more")
    return [*scan(lake, folder), *queries(more, count)]


def scan(lake: Lake, folder: Path) -> list[Result]:
    """MTTR of one domain over 90 days, and the same from the events as they came."""
    events, kept = folder / "missions.jsonl", Analytics(lake)
    made.write_events(events, made.missions(MISSIONS, DAYS, DOMAINS), DOMAINS)
    figures = interleave(
        {
            "served": lambda: timed(lambda: kept.mttr_trend(90, END, DOMAIN)),
            "started": lambda: timed(lambda: Analytics(lake).mttr_trend(90, END, DOMAIN)),
            "opened": lambda: uncached(lake, lambda ask: ask.mttr_trend(90, END, DOMAIN)),
            "lines": lambda: timed(lambda: mttr_of_lines(events)),
        },
        3,
    )
    work = f"MTTR of a domain, 90 days of {MISSIONS:,} missions in a year"
    return [
        compared(
            figures,
            ours,
            "lines",
            work=f"{work}, {how}",
            against="a scan of the events, `json.loads` a line",
            reach=1 / 1000,
            note=opened(figures, "opened", "lines") if ours == "started" else "",
        )
        for ours, how in HOW.items()
    ]


def mttr_of_lines(events: Path) -> dict[str, float]:
    """The same figures without tables: day → mean time to restore."""
    first = (END - timedelta(days=89)).isoformat()
    times = defaultdict(list)
    with events.open("rb") as file:
        for line in file:
            event = json.loads(line)
            day = event["completed_at"][:10]
            if event["domain_id"] == DOMAIN and event["success"] and day >= first:
                end, begin = event["completed_at"], event["detected_at"]
                spent = datetime.fromisoformat(end) - datetime.fromisoformat(begin)
                times[day].append(spent.total_seconds())
    return {day: fmean(values) for day, values in times.items()}


def queries(lake: Lake, count: int) -> list[Result]:
    """The four questions of the API, their times added up."""
    asked = {
        "domain trends": lambda ask: ask.domain_trends(30, END),
        "missions per domain": lambda ask: ask.missions_per_domain(30, END),
        "MTTR": lambda ask: ask.mttr_trend(90, END),
        "effectiveness": lambda ask: ask.effectiveness_trend(30, END),
    }
    kept, tasks = Analytics(lake), {}
    for name, ask in asked.items():
        tasks[name, "served"] = lambda ask=ask: timed(lambda: ask(kept))
        tasks[name, "started"] = lambda ask=ask: timed(lambda: ask(Analytics(lake)))
        tasks[name, "opened"] = lambda ask=ask: uncached(lake, ask)
        tasks[name, "rows"] = lambda name=name: timed(lambda: in_sql(lake, name))
    figures = interleave(tasks, ROUNDS)
    totals = {
        side: [sum(turn) for turn in zip(*(figures[name, side] for name in asked), strict=True)]
        for side in (*HOW, "opened", "rows")
    }
    return [
        compared(
            totals,
            ours,
            "rows",
            work=f"the four analytics questions, {count:,} missions in a year, {how}",
            against="DuckDB on the files of the window of `mission_outcomes`",
            reach=1 / 7,
            note=", ".join(
                f"{name} {figure(ratio(figures, (name, ours), (name, 'rows')))}" for name in asked
            )
            + (f"; {opened(totals, 'opened', 'rows')}" if ours == "started" else ""),
        )
        for ours, how in HOW.items()
    ]


def uncached(lake: Lake, ask: Callable[[Analytics], object]) -> float:
    """Seconds of an answer that opens every day's file, and caches what it read.

    What was cached is put back: an answer caches its own window, and others have longer ones.
    """
    aside = lake.cache.with_name("aside")
    lake.cache.rename(aside)
    spent = timed(lambda: ask(Analytics(lake)))
    rmtree(lake.cache)
    aside.rename(lake.cache)
    return spent


def opened(figures: Mapping[Name, Sequence[float]], ours: Name, peer: Name) -> str:
    of_peer = figure(ratio(figures, ours, peer))
    return f"{of_peer} where nothing is cached, every file opened and the cache made"


TOTALS = """
    select domain_id, count(*), count(*) filter (success), avg(duration_seconds),
    count(effectiveness_score), avg(effectiveness_score), avg(time_to_restore_seconds),
    quantile_cont(time_to_restore_seconds, [0.5, 0.9]), histogram(verdict)
    from {rows} group by 1
"""
CHANGES = """
    select domain_id, e.key, avg(e.value)
    from (select domain_id, unnest(map_entries(metrics_delta)) as e from {rows}) group by all
"""
SQL = {
    "domain trends": (30, (TOTALS, CHANGES)),
    "missions per domain": (30, ("select domain_id, date, count(*) from {rows} group by all",)),
    "MTTR": (90, ("select date, avg(time_to_restore_seconds) from {rows} group by 1",)),
    "effectiveness": (30, ("select date, avg(effectiveness_score) from {rows} group by 1",)),
}


def in_sql(lake: Lake, name: str) -> list[list[tuple]]:
    days, statements = SQL[name]
    window = [(END - timedelta(days=n)).isoformat() for n in range(days)]
    files = [str(part(lake, "mission_outcomes", day)) for day in window]
    rows = f"read_parquet({files}, hive_partitioning = true)"
    return [duckdb.sql(statement.format(rows=rows)).fetchall() for statement in statements]


def tables(count: int, folder: Path) -> Lake:
    """A year of outcomes, and their sums by the functions of the assets."""
    lake, missions = Lake(folder), made.missions(count, DAYS, DOMAINS)
    for day in range(DAYS):
        rows = made.outcomes(missions.of_days(day, day + 1), DOMAINS)
        sums = {
            "mission_outcomes": rows,
            "domain_daily": domain_daily(rows),
            "kpi_daily": kpi_daily(made.telemetry(rows)),
        }
        for table, its_rows in sums.items():
            lake.replace(table, [(made.FIRST.date() + timedelta(days=day)).isoformat()], its_rows)
    return lake
