"""A year in twelve files instead of one a day: what its first reader gains."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from shutil import rmtree

from benchmarks import made
from benchmarks.harness import Result, Scale, compared, interleave, timed
from grace_assets.core.rollups import domain_daily
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.tables import Lake

DOMAINS, DAYS, MISSIONS, ROUNDS = 20, 365, 100_000, 9
END = made.FIRST.date() + timedelta(days=DAYS - 1)
YEAR = [(made.FIRST.date() + timedelta(days=n)).isoformat() for n in range(DAYS)]
TABLE = "domain_daily"


def measure(_: Scale, folder: Path) -> list[Result]:
    lakes = {name: year(folder / name) for name in ("days", "months")}
    for month in sorted({day[:7] for day in YEAR}):
        lakes["months"].compact(TABLE, month)
    if not lakes["months"].read(TABLE, YEAR).equals(lakes["days"].read(TABLE, YEAR)):
        raise RuntimeError("the months read differently from their days")
    sizes = {
        name: sum(path.stat().st_size for path in (folder / name).rglob("*.parquet"))
        for name in lakes
    }
    answers = interleave(
        {n: lambda lake=lake: first_answer(lake) for n, lake in lakes.items()}, ROUNDS
    )
    reads = interleave(
        {n: lambda lake=lake: timed(lambda: lake.read(TABLE, YEAR)) for n, lake in lakes.items()},
        ROUNDS,
    )
    against = "the same in a file a day"
    return [
        compared(
            answers,
            "months",
            "days",
            work="MTTR by day of a year, first answer, nothing cached, compacted months",
            against=against,
            reach=0.5,
        ),
        compared(
            reads,
            "months",
            "days",
            work="all of `domain_daily` of a year, compacted months",
            against=against,
            reach=0.5,
            note=f"{sizes['months']:,} bytes in months, {sizes['days']:,} in days",
        ),
    ]


def first_answer(lake: Lake) -> float:
    """Seconds of a first answer: no process and no cache has read the tables before."""
    rmtree(lake.cache, ignore_errors=True)
    return timed(lambda: Analytics(lake).mttr_trend(DAYS, END))


def year(folder: Path) -> Lake:
    """The daily sums of a year of missions."""
    lake, missions = Lake(folder), made.missions(MISSIONS, DAYS, DOMAINS)
    for number, day in enumerate(YEAR):
        rows = made.outcomes(missions.of_days(number, number + 1), DOMAINS)
        lake.replace(TABLE, [day], domain_daily(rows))
    return lake
