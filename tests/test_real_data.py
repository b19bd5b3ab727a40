"""Real missions, equal to a plain recomputation from their files.

The sets lie beside the checkout where the project is developed, and are not part of it.
"""

import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from grace_assets.assets.delivery import DELIVER_TAG
from tests.test_loop import Loop

DATA = Path(__file__).parents[2] / "shared" / "data"


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


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not on this machine")
@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("github_status", "2025-01-01", "2026-08-22"),
        ("upptime_ebi", "2025-01-01", "2026-04-27"),
    ],
)
def test_counts_and_time_to_restore_equal_a_plain_recomputation(tmp_path, name, first, last):
    loop, missions = Loop(tmp_path, "2026-09-01T00:00:00+00:00"), DATA / name / "missions.jsonl"
    with loop.store.landing() as landing:
        inbox = loop.store.inbox(landing)
        assert not inbox.take_file(missions).rejected
        assert not inbox.take_sample_file(DATA / name / "kpi_samples.csv")[1]
    loop.run(first, last, **{DELIVER_TAG: "never"})
    rows = duckdb.sql(
        "select domain_id, date::varchar, missions, successes, mttr_count, "
        "mttr_seconds_sum / nullif(mttr_count, 0) "
        f"from '{tmp_path}/tables/domain_daily/**/*.parquet'"
    ).fetchall()
    found = {(domain, day): tuple(rest) for domain, day, *rest in rows}
    expected = {key: row for key, row in recompute(missions).items() if key[1] >= first}
    assert found.keys() == expected.keys()
    for key, (count, successes, restored, mean) in expected.items():
        assert found[key][:3] == (count, successes, restored), key
        assert found[key][3] == (pytest.approx(mean) if restored else None), key
    sent = duckdb.sql(
        f"select distinct status, reason from '{tmp_path}/tables/deliveries/**/*.parquet'"
    ).fetchall()
    assert sent == [("suppressed", "backfill")]
    assert not list((tmp_path / "outbox").glob("slack/*"))
