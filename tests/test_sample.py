"""The sample story: valid, marked, the same for a seed, and tied to its telemetry."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from grace_assets import sample
from grace_assets.core.events import parse
from grace_assets.lake.sample_merge import KEY

END = date(2026, 3, 31)
UNTIL = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def story() -> sample.Sample:
    return sample.generate(END, days=10, seed=3, until=UNTIL)


def test_every_event_is_valid_marked_and_before_the_end(story, tmp_path):
    missions, _ = sample.write(story, tmp_path)
    events = [parse(line, UNTIL) for line in missions.read_bytes().splitlines()]
    assert len({e.mission_id for e in events}) == len(events) > 150
    assert all(e.mission_id.startswith("sample-") for e in events)
    assert all(e.onset_at is None or e.onset_at <= e.detected_at for e in events)
    assert max(e.completed_at for e in events) <= UNTIL
    shops = {e.domain_id for e in events if e.domain_id.startswith("shop-")}
    assert {e.domain_id for e in events} - shops == {d.name for d in sample.DOMAINS}
    assert len(shops) == 2
    assert {e.success for e in events} == {True, False}


def test_samples_are_sorted_unique_and_reach_back_for_references(story):
    rows = story.samples
    keys = rows.select(KEY)
    assert keys.group_by(KEY).aggregate([]).num_rows == rows.num_rows
    assert rows.equals(rows.sort_by([(name, "ascending") for name in KEY]))
    stamps = rows["timestamp"].to_numpy()
    first = date(2026, 3, 22) - timedelta(days=sample.HISTORY_DAYS)
    assert stamps.min() == np.datetime64(first)
    assert stamps.max() < np.datetime64(UNTIL.replace(tzinfo=None))
    assert np.isfinite(rows["value"].to_numpy()).all()


def test_what_a_trigger_observed_is_what_the_series_shows(story):
    readings = {
        (row["domain_id"], row["metric"], row["timestamp"]): row["value"]
        for row in story.samples.select([*KEY, "value"]).to_pylist()
        if row["metric"] in ("latency_ms", "vendor_score")
    }
    for mission in story.missions:
        trigger, detected = mission["trigger"], datetime.fromisoformat(mission["detected_at"])
        reading = readings[mission["domain_id"], trigger["metric"], detected.replace(second=0)]
        assert trigger["observed"] == round(reading, 1)
        crossed = trigger["observed"] - trigger["threshold"]
        assert crossed > 0 if trigger["metric"] == "latency_ms" else crossed < 0


def test_a_seed_tells_one_story_and_another_seed_another(story):
    again = sample.generate(END, days=10, seed=3, until=UNTIL)
    assert again.missions == story.missions
    assert again.samples.equals(story.samples)
    assert sample.generate(END, days=10, seed=4, until=UNTIL).missions != story.missions


def test_ninety_days_hold_thousands_of_missions_a_bad_week_and_an_empty_day():
    missions = sample.generate(END, days=90, until=UNTIL).missions
    assert 2000 < len(missions) < 4000
    first = date(2026, 1, 1)
    failed, days = set(), set()
    for mission in missions:
        day = (date.fromisoformat(mission["completed_at"][:10]) - first).days
        days.add(day)
        if mission["domain_id"] == "payments" and not mission["success"]:
            failed.add(day)
    assert len(failed & set(sample.BAD_WEEK)) >= 5
    assert sample.EMPTY_DAY not in days


def test_follow_ups_are_carried_out_after_they_were_opened_and_never_in_the_future():
    requests = [
        {
            "follow_up_id": f"fu-{n}",
            "domain_id": "payments",
            "title": "Investigate payments issues",
            "type": "failure_remediation",
            "priority": "high",
            "opened_on": END - timedelta(days=n),
        }
        for n in range(60)
    ]
    missions = sample.follow_up_missions(requests, UNTIL, 7)
    assert 40 < len(missions) < 60
    opened = {r["follow_up_id"]: r["opened_on"] for r in requests}
    for mission in missions:
        assert mission["started_at"][:10] > opened[mission["follow_up_id"]].isoformat()
        assert datetime.fromisoformat(mission["completed_at"]) <= UNTIL
    assert sample.follow_up_missions(requests[:5], UNTIL, 7) == [
        m for m in missions if m["follow_up_id"] in {r["follow_up_id"] for r in requests[:5]}
    ]
