"""The judge's own error rate is taken where nobody acted, and nowhere else."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from grace_assets.core.placebo import beyond, placebo_daily, placebo_missions, rates
from grace_assets.core.schemas import TABLES
from tests.core.worlds import LATER, ar1, catalogue, missions, samples

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RULES = catalogue("latency_ms: {direction: lower, unit: ms}")
MIDNIGHT = datetime(2026, 3, 15, tzinfo=UTC)
TODAY = [("2026-03-15", MIDNIGHT, MIDNIGHT + DAY)]
NOBODY = missions().slice(0, 0)


def table(values: np.ndarray, domain: str = "shop") -> pa.Table:
    """15 days of minutes before the end of `TODAY`, and two hours after."""
    return samples(("rag_kpis", domain, "latency_ms", MIDNIGHT - 15 * DAY, list(values)))


def series(seed: int = 1, phi: float = 0.5) -> np.ndarray:
    return 280 + 10 * ar1((1, 16 * 1440 + 120), phi, np.random.default_rng(seed))[0]


def counted(values: np.ndarray, real: pa.Table = NOBODY) -> dict:
    placebos = placebo_missions(TODAY, ["shop"], real, RULES)
    (row,) = placebo_daily(placebos, table(values), RULES, LATER, real).to_pylist()
    return row


def test_a_placebo_stands_in_every_hour_of_every_domain():
    found = placebo_missions(TODAY, ["shop", "pay"], NOBODY, RULES)
    assert found.num_rows == 48
    assert found["started_at"][:2].to_pylist() == [MIDNIGHT, MIDNIGHT + HOUR]
    short = [("2026-03-29", MIDNIGHT, MIDNIGHT + 23 * HOUR)]
    assert placebo_missions(short, ["shop"], NOBODY, RULES).num_rows == 23


def test_no_placebo_stands_where_a_mission_or_its_echo_is():
    real = missions({"started_at": MIDNIGHT + 12 * HOUR}, {"domain_id": "pay", "mission_id": "p"})
    found = placebo_missions(TODAY, ["shop"], real, RULES)
    hours = {at.hour for at in found["started_at"].to_pylist()}
    # Twice 35 minutes of windows on each side of the 5 minutes of the mission.
    assert hours == set(range(24)) - {11, 12, 13}


def test_a_quiet_day_gives_no_false_success():
    row = counted(series())
    assert (row["placebos"], row["false_successes"], row["episodes"]) == (24, 0, 0)
    assert row["date"] == "2026-03-15"


def test_a_problem_that_nobody_treated_is_one_episode_however_long():
    values = series()
    start = 15 * 1440
    values[start + 180 : start + 600] += 200
    row = counted(values)
    assert (row["episodes"], row["healed"]) == (1, 0)


def test_a_problem_that_passed_by_itself_is_a_false_success_and_a_healed_episode():
    values = series()
    start = 15 * 1440
    # It begins 40 minutes before the placebo of 06:00, and is gone when that one ends.
    values[start + 320 : start + 366] += 200
    row = counted(values)
    assert (row["false_successes"], row["episodes"], row["healed"]) == (1, 1, 1)


def test_the_days_of_placebos_serve_as_reference_and_those_of_missions_do_not():
    busy = [
        {"mission_id": f"m{n}", "started_at": MIDNIGHT + 6 * HOUR - n * DAY} for n in range(1, 15)
    ]
    real = missions(*busy)
    placebos = placebo_missions(TODAY, ["shop"], NOBODY, RULES)
    free = placebo_daily(placebos, table(series()), RULES, LATER, NOBODY).to_pylist()
    assert free[0]["placebos"] == 24
    some = placebo_daily(placebos, table(series()), RULES, LATER, real).to_pylist()
    assert some[0]["placebos"] == 22


def test_many_days_together_give_what_each_gives_alone():
    days = [
        (f"{(MIDNIGHT + n * DAY):%Y-%m-%d}", MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY)
        for n in range(-11, 1)
    ]
    values = 280 + 10 * ar1((1, 27 * 1440 + 120), 0.5, np.random.default_rng(2))[0]
    values[20 * 1440 - 30 : 20 * 1440 + 200] += 200  # begins before midnight
    rows = samples(("rag_kpis", "shop", "latency_ms", MIDNIGHT - 26 * DAY, list(values)))

    def judged(some: list) -> list[dict]:
        placebos = placebo_missions(some, ["shop"], NOBODY, RULES)
        return placebo_daily(placebos, rows, RULES, LATER, NOBODY).to_pylist()

    together = judged(days)
    assert [row["placebos"] for row in together] == [24] * 12
    assert sum(row["episodes"] for row in together) == 0
    assert together == [row for day in days for row in judged([day])]


def counts(*rows: tuple[str, int, int]) -> pa.Table:
    schema = TABLES["placebo_daily"].with_date()
    zero = {"false_harms": 0, "episodes": 0, "healed": 0}
    return pa.Table.from_pylist(
        [
            zero
            | {
                "date": "2026-03-15",
                "domain_id": f"d{i}",
                "source": "rag_kpis",
                "metric": metric,
                "placebos": n,
                "false_successes": k,
            }
            for i, (metric, n, k) in enumerate(rows)
        ],
        schema=schema,
    )


@pytest.mark.parametrize(
    ("rows", "limit", "named"),
    [
        ([("latency_ms", 100, 2)], 0.02, []),
        ([("latency_ms", 100, 3)], 0.02, ["latency_ms: 3 of 100 (3.0 %)"]),
        ([("latency_ms", 50, 1), ("latency_ms", 50, 2)], 0.02, ["latency_ms: 3 of 100 (3.0 %)"]),
        ([("latency_ms", 49, 9)], 0.02, []),
        ([("latency_ms", 100, 3)], 0.05, []),
        ([("a", 100, 3), ("b", 100, 9)], 0.02, ["b: 9 of 100 (9.0 %)", "a: 3 of 100 (3.0 %)"]),
    ],
)
def test_a_metric_beyond_the_limit_is_named_with_its_rate(rows, limit, named):
    found = beyond(counts(*rows), limit)
    assert [text.split(" would")[0] for text in found] == named


def test_rates_add_up_over_days_and_domains():
    (row,) = rates(counts(("x", 10, 1), ("x", 30, 1)))
    assert (row["placebos"], row["false_successes"], row["rate"]) == (40, 2, 0.05)
