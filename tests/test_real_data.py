"""Real missions, equal to a plain recomputation from their files.

The sets lie beside the checkout where the project is developed, and are not part of it.
"""

import json
from collections import defaultdict
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest

from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.lake.analytics import Analytics
from grace_assets.lake.mission_files import take_file
from grace_assets.lake.tables import Lake
from tests.analytics_in_sql import Recomputed, check_answers, check_comparisons, same
from tests.test_loop import Loop

DATA = Path(__file__).parents[2] / "shared" / "data"
FIRST = "2025-01-01"
SETS = {"github_status": "2026-08-22", "upptime_ebi": "2026-04-27"}
WINDOWS = [
    (30, date(2026, 1, 15)),
    (90, date(2025, 12, 31)),
    (365, date(2026, 4, 27)),
    (7, date(2025, 7, 6)),
    (10, date(2030, 1, 1)),
]

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real data sets are not on this machine"
)


class RealSet(NamedTuple):
    missions: Path
    root: Path


@pytest.fixture(scope="module", params=SETS)
def real(request, tmp_path_factory) -> RealSet:
    """A real set, and the data directory after its backfill."""
    root, files = tmp_path_factory.mktemp(request.param), DATA / request.param
    loop, missions = Loop(root, "2026-09-01T00:00:00+00:00"), files / "missions.jsonl"
    with loop.store.landing() as landing:
        inbox = loop.store.inbox(landing)
        assert not take_file(landing, missions).rejected
        assert not inbox.take_sample_file(files / "kpi_samples.csv")[1]
    loop.run(FIRST, SETS[request.param], **{DELIVER_TAG: "never"})
    return RealSet(missions, root)


def recompute(path: Path) -> dict[tuple[str, str], tuple[int, int, int, float | None]]:
    """(domain, UTC day) → missions, successes, with a time to restore, its mean in seconds."""
    groups = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        mission = json.loads(line)
        times = {
            name: datetime.fromisoformat(mission[name])
            for name in ("detected_at", "started_at", "completed_at")
            if mission.get(name)
        }
        restore = (
            times["completed_at"] - times.get("detected_at", times["started_at"])
        ).total_seconds()
        day = times["completed_at"].date().isoformat()
        groups[mission["domain_id"], day].append((mission["success"], restore))
    result = {}
    for key, missions in groups.items():
        restored = [seconds for success, seconds in missions if success]
        mean = sum(restored) / len(restored) if restored else None
        result[key] = (len(missions), len(restored), len(restored), mean)
    return result


def test_counts_and_time_to_restore_equal_a_plain_recomputation(real):
    rows = duckdb.sql(
        "select domain_id, date::varchar, missions, successes, mttr_count, "
        "mttr_seconds_sum / nullif(mttr_count, 0) "
        f"from '{real.root}/tables/domain_daily/**/*.parquet'"
    ).fetchall()
    found = {(domain, day): tuple(rest) for domain, day, *rest in rows}
    expected = {key: row for key, row in recompute(real.missions).items() if key[1] >= FIRST}
    assert found.keys() == expected.keys()
    for key, (count, successes, restored, mean) in expected.items():
        assert found[key][:3] == (count, successes, restored), key
        assert found[key][3] == (pytest.approx(mean) if restored else None), key


def test_a_backfill_sends_nothing(real):
    sent = duckdb.sql(
        f"select distinct status, reason from '{real.root}/tables/deliveries/**/*.parquet'"
    ).fetchall()
    assert sent == [("suppressed", "backfill")]
    assert not list((real.root / "outbox").glob("slack/*"))


@pytest.mark.parametrize(("period_days", "end"), WINDOWS)
def test_analytics_equal_a_recomputation_in_sql(real, period_days, end):
    check_answers(real.root, period_days, end)
    check_comparisons(real.root, period_days, end)


def test_the_loop_over_all_days_is_counted_as_sql_counts_it(real):
    ours, theirs = Analytics(Lake(real.root)), Recomputed(real.root, 1, date(2026, 9, 1))
    (expected,) = theirs.rows(
        "select count(*) as total_outcomes, count(*) filter (verdict = 'pending') as pending, "
        "count(*) filter (mission_id in (select mission_id from {mission_telemetry} "
        "where pre is not null and post is not null)) as telemetry_backfills "
        "from {mission_outcomes} where verdict != 'pending'"
    )
    found = asdict(ours.outcome_stats())
    same({name: found[name] for name in expected}, expected)
    assert found["backfill_success_rate"] == pytest.approx(
        expected["telemetry_backfills"] / expected["total_outcomes"]
    )
    (briefs,) = theirs.rows(
        "select count(*) as total_briefs, min(date)::varchar as first_date, "
        "max(date)::varchar as last_date, sum(missions)::bigint as missions, "
        "count(*) filter (missions = 0) as days_without_missions from {status_briefs}"
    )
    found = asdict(ours.brief_stats())
    same({name: found[name] for name in briefs}, briefs)
    (sent,) = theirs.rows("select count(*) as suppressed from {deliveries}")
    assert found["deliveries"] == sent
