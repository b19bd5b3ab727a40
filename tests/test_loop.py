"""The whole loop on a few days: from events and samples to the brief and its delivery."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pyarrow as pa
import pytest

from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.assets.portions import portions
from grace_assets.assets.samples import reaches
from grace_assets.assets.telemetry import reach
from grace_assets.core.schemas import TABLES
from grace_assets.definitions import build_definitions
from grace_assets.lake.mission_files import take_file
from grace_assets.lake.missions import Missions
from grace_assets.lake.samples import SCHEMA
from grace_assets.partitions import RANGE_END_TAG, RANGE_START_TAG
from grace_assets.resources import StoreResource
from grace_assets.sensors import holds_sensor
from grace_assets.settings import Settings
from tests.conftest import encode, event

FIRST = date(2026, 3, 1)
DAYS = [(FIRST + timedelta(days=n)).isoformat() for n in range(6)]
# As `grace backfill` runs: the events are in the instance.
RUN_CONFIG = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
CHANNELS = ("SLACK_WEBHOOK_URL", "STATUS_BRIEF_RECIPIENTS", "SMTP_HOST", "FOLLOW_UP_WEBHOOK_URL")


class StoreAt(StoreResource):
    """The store, at a moment of the test's choice."""

    moment: str = "2026-03-20T12:00:00+00:00"

    def now(self) -> datetime:
        return datetime.fromisoformat(self.moment)


@contextmanager
def shipped_instance() -> Iterator[dg.DagsterInstance]:
    """As `grace` makes it; the events of a long range take as long as its work in one in memory."""
    with TemporaryDirectory() as home:
        shipped = resources.files("grace_assets").joinpath("dagster_home.yaml").read_text("utf-8")
        config = shipped.replace("{env: DAGSTER_HOME}", home)
        Path(home, "dagster.yaml").write_text(config, encoding="utf-8")
        with dg.DagsterInstance.from_config(home) as instance:
            yield instance


class Loop:
    """A data directory and the means to run its assets."""

    def __init__(
        self,
        root: Path,
        moment: str = "2026-03-20T12:00:00+00:00",
        catalogue: Path | None = None,
        files_url: str | None = None,
    ) -> None:
        self.store = StoreAt(
            data_dir=str(root),
            timezone="UTC",
            moment=moment,
            files_url=files_url,
            catalogue_file=str(catalogue) if catalogue else None,
        )
        self.root = root

    def take(self, *missions: dict) -> None:
        path = self.root / "events.jsonl"
        path.write_bytes(encode(*missions))
        with self.store.landing() as landing:
            assert not take_file(landing, path).rejected

    def take_samples(self, rows: pa.Table) -> None:
        from grace_assets.lake.samples import SampleStore

        SampleStore(self.root).add(rows, lambda touched: None)

    def run(self, *days: str, **tags: str) -> dg.ExecuteInProcessResult:
        job = build_definitions(Settings.from_env({}), self.store).resolve_job_def("brief_job")
        if len(days) == 1:
            with dg.DagsterInstance.ephemeral() as instance:
                result = job.execute_in_process(
                    RUN_CONFIG, instance=instance, partition_key=days[0], tags=tags
                )
        else:
            ends = {RANGE_START_TAG: days[0], RANGE_END_TAG: days[-1]}
            with shipped_instance() as instance:
                result = job.execute_in_process(
                    RUN_CONFIG, instance=instance, tags={**tags, **ends}
                )
        failed = [c.check_name for c in result.get_asset_check_evaluations() if not c.passed]
        assert failed == []
        return result

    def table(self, name: str) -> list[dict]:
        lake = self.store.lake()
        rows = lake.read(name, lake.days(name)).to_pylist()
        return [{k: v for k, v in row.items() if k != "judged_at"} for row in rows]


@pytest.fixture(autouse=True)
def no_channels(monkeypatch):
    for name in CHANNELS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def loop(tmp_path) -> Loop:
    return Loop(tmp_path)


def missions() -> list[dict]:
    """Three missions a day of one domain, one of another; one of them fails."""
    found = []
    for number, day in enumerate(DAYS[:5]):
        for hour in (8, 12, 16):
            found.append(
                event(
                    f"pay-{number}-{hour}",
                    started_at=f"{day}T{hour:02}:00:00Z",
                    completed_at=f"{day}T{hour:02}:20:00Z",
                    detected_at=f"{day}T{hour - 1:02}:50:00Z",
                    success=(number, hour) != (2, 12),
                    error="rollback failed" if (number, hour) == (2, 12) else None,
                    severity="high",
                    title="Checkout latency",
                    trigger={"metric": "latency_ms", "observed": 520, "threshold": 500},
                    actions=["scaled workers from 4 to 8"],
                )
            )
        found.append(
            event(
                f"search-{number}",
                domain_id="search",
                started_at=f"{day}T23:30:00Z",
                completed_at=f"{day}T23:58:00Z",
            )
        )
    return found


def samples() -> pa.Table:
    """Two weeks of healthy latency, high before each mission and healthy after it."""
    start = datetime(2026, 2, 14, tzinfo=UTC)
    faults = [
        (datetime.fromisoformat(m["started_at"]), datetime.fromisoformat(m["completed_at"]))
        for m in missions()
        if m["domain_id"] == "payments"
    ]
    rows = []
    for minute in range(0, 21 * 1440, 2):
        at = start + timedelta(minutes=minute)
        high = any(s - timedelta(minutes=40) <= at < e for s, e in faults)
        value = (520.0 if high else 280.0) + (minute * 7919 % 13) - 6
        rows.append(("rag_kpis", "payments", "latency_ms", at, value))
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


@pytest.fixture
def filled(loop) -> Loop:
    loop.take(*missions())
    loop.take_samples(samples())
    return loop


@pytest.fixture
def made(tmp_path, days_made) -> Loop:
    """As `filled`, and run over all days."""
    return Loop(Path(shutil.copytree(days_made, tmp_path / "made")))


def test_one_run_makes_every_table_and_every_day(filled):
    result = filled.run(*DAYS, **{DELIVER_TAG: "never"})
    assert result.success
    for name in TABLES:
        assert filled.store.lake().days(name) == DAYS, name
    outcomes = {row["mission_id"]: row for row in filled.table("mission_outcomes")}
    assert len(outcomes) == 20
    fixed = outcomes["pay-0-8"]
    assert (fixed["verdict"], fixed["time_to_restore_seconds"]) == ("effective", 1800.0)
    assert fixed["effectiveness_score"] > 0.9
    assert "Latency fell from" in fixed["narrative"]
    assert outcomes["pay-2-12"]["time_to_restore_seconds"] is None
    assert outcomes["search-0"]["verdict"] == "insufficient_data"
    # The same trigger calls for the next mission within hours, so no repair held.
    found = {p["type"] for p in filled.table("problems")}
    assert found == {"mission_failures", "recurring_issue", "did_not_hold"}
    assert len(filled.table("status_briefs")) == 6


def test_one_run_makes_what_day_by_day_makes(made, tmp_path_factory):
    other = Loop(tmp_path_factory.mktemp("other"))
    other.take(*missions())
    other.take_samples(samples())
    for day in DAYS:
        other.run(day, **{DELIVER_TAG: "never"})
    for name in TABLES:
        one, many = made.table(name), other.table(name)
        for row in (*one, *many):
            row.pop("received_at", None)
            if name == "mission_events":
                row.pop("origin")
        assert one == many, name


@pytest.mark.parametrize(("missions_at_once", "processes"), [(1, 1), (9, 1), (9, 2)])
def test_how_much_is_worked_on_at_once_changes_nothing(made, missions_at_once, processes):
    whole = {name: made.table(name) for name in TABLES}
    moment = made.store.moment
    made.store = StoreAt(
        data_dir=str(made.root),
        timezone="UTC",
        moment=moment,
        missions_at_once=missions_at_once,
        processes=processes,
    )
    work = list(portions(made.store, DAYS))
    assert [len(portion.days) for portion in work] == {1: [1] * 11, 9: [2, 2, 2]}[missions_at_once]
    assert all(portion.whole for portion in work) == (missions_at_once == 9)
    made.run(*DAYS, **{DELIVER_TAG: "never"})
    for name, rows in whole.items():
        # What was said of a large day stands by domain.
        assert sorted(made.table(name), key=repr) == sorted(rows, key=repr), name


def test_corrections_between_two_portions_of_a_day_show_whole_or_not_at_all(filled, monkeypatch):
    filled.store = StoreAt(
        data_dir=str(filled.root),
        timezone="UTC",
        moment=filled.store.moment,
        missions_at_once=1,
        processes=1,
    )
    known = {m["mission_id"]: m for m in missions()}
    # To a portion that is read already, and to one that is not.
    moved = [known["search-0"] | {"domain_id": "apples"}, known["pay-0-8"] | {"domain_id": "zoo"}]
    read, original = [], Missions.events

    def events(self, *what):
        found = original(self, *what)
        if not read:
            filled.take(*moved)
        read.append(what)
        return found

    def stood() -> list[tuple[str, str]]:
        rows = filled.table("mission_events")
        return sorted((row["mission_id"], row["domain_id"]) for row in rows)

    monkeypatch.setattr(Missions, "events", events)
    filled.run(DAYS[0], **{DELIVER_TAG: "never"})
    before = {
        m["mission_id"]: m["domain_id"] for m in missions() if m["started_at"][:10] == DAYS[0]
    }
    assert stood() == sorted(before.items())
    filled.run(DAYS[0], **{DELIVER_TAG: "never"})
    assert stood() == sorted({**before, "search-0": "apples", "pay-0-8": "zoo"}.items())


def test_everything_twice_is_everything_once(made):
    first = {name: made.table(name) for name in TABLES}
    announced = (made.root / "outbox" / "missions.jsonl").read_bytes()
    documents = (
        len(made.store.world().row_ids(kind="mission")),
        len(made.store.world().row_ids(kind="brief")),
    )
    made.run(*DAYS, **{DELIVER_TAG: "never"})
    made.run(DAYS[2], **{DELIVER_TAG: "never"})
    assert {name: made.table(name) for name in TABLES} == first
    assert (made.root / "outbox" / "missions.jsonl").read_bytes() == announced
    assert documents == (20, 6)
    assert (
        len(made.store.world().row_ids(kind="mission")),
        len(made.store.world().row_ids(kind="brief")),
    ) == (20, 6)


def test_a_correction_that_moves_leaves_its_old_day_everywhere(made):
    moved = event(
        "search-0",
        domain_id="search",
        started_at=f"{DAYS[5]}T10:00:00Z",
        completed_at=f"{DAYS[5]}T10:30:00Z",
    )
    made.take(moved)
    made.run(DAYS[0], **{DELIVER_TAG: "never"})
    made.run(DAYS[5], **{DELIVER_TAG: "never"})
    for name in ("mission_events", "mission_outcomes"):
        days = [r["date"] for r in made.table(name) if r["mission_id"] == "search-0"]
        assert days == [DAYS[5]], name
    rolled = {(r["date"], r["domain_id"]): r["missions"] for r in made.table("domain_daily")}
    assert (DAYS[0], "search") not in rolled
    assert rolled[DAYS[5], "search"] == 1
    assert len(made.store.world().row_ids(kind="mission")) == 20


def test_a_verdict_is_pending_until_its_window_has_closed(tmp_path):
    at = datetime.fromisoformat(f"{DAYS[0]}T08:25:00+00:00")
    loop = Loop(tmp_path, at.isoformat())
    loop.take(missions()[0])
    loop.take_samples(samples())
    loop.run(DAYS[0], **{DELIVER_TAG: "never"})
    (outcome,) = loop.table("mission_outcomes")
    assert (outcome["verdict"], outcome["effectiveness_score"]) == ("pending", None)
    assert loop.table("mission_verdicts") == []
    with loop.store.landing() as landing:
        assert landing.waiting.due("rejudge", at) == {}
        due = landing.waiting.due("rejudge", at + timedelta(hours=6))
    assert list(due) == [DAYS[0]]
    later = Loop(tmp_path, due[DAYS[0]].isoformat())
    later.run(DAYS[0], **{DELIVER_TAG: "never"})
    (outcome,) = later.table("mission_outcomes")
    assert outcome["verdict"] == "effective"
    assert [r["stage"] for r in later.table("mission_verdicts")] == ["first"]
    with later.store.landing() as landing:
        assert landing.waiting.due("rejudge", at + timedelta(days=9)) == {}


def test_a_mission_from_the_first_day_of_the_calendar_keeps_no_day_from_being_made(filled):
    # An unset time, as Go writes it.
    ends = f"{DAYS[0]}T09:00:00Z"
    filled.take(event("unset", started_at="0001-01-01T00:00:00Z", completed_at=ends))
    filled.store = filled.store.model_copy(update={"timezone": "America/New_York"})
    filled.run(DAYS[0], **{DELIVER_TAG: "never"})
    verdicts = {r["mission_id"]: r["verdict"] for r in filled.table("mission_outcomes")}
    assert verdicts.pop("unset") == "insufficient_data"
    assert verdicts.keys() == {"pay-0-8", "pay-0-12", "pay-0-16", "search-0"}


def test_a_start_that_was_never_set_reads_no_history_of_all_time(filled):
    ends = datetime.fromisoformat(f"{DAYS[0]}T09:00:00Z")
    filled.take(event("unset", started_at="1970-01-01T00:00:00Z", completed_at=ends.isoformat()))
    filled.run(DAYS[0], **{DELIVER_TAG: "never"})
    missions = filled.store.lake().read("mission_events", DAYS[:1])
    begins = [reach(filled.store, missions)[0], reaches(filled.store, missions)["payments"][0]]
    assert min(begins) > ends - timedelta(days=120)
    verdicts = {r["mission_id"]: r["verdict"] for r in filled.table("mission_outcomes")}
    assert verdicts["unset"] == "insufficient_data"


def test_a_follow_up_is_opened_once_and_closed_by_the_mission_that_names_it(made):
    (request,) = [
        json.loads(line)
        for line in (made.root / "outbox/missions.jsonl").read_text("utf-8").splitlines()
    ]
    assert (request["domain_id"], request["title"]) == ("payments", "Investigate payments issues")
    (row,) = made.table("follow_up_missions")
    assert (row["status"], row["follow_up_id"]) == ("open", request["follow_up_id"])
    done = event(
        "fu",
        started_at=f"{DAYS[5]}T10:00:00Z",
        completed_at=f"{DAYS[5]}T11:00:00Z",
        follow_up_id=request["follow_up_id"],
    )
    made.take(done)
    made.run(DAYS[5], **{DELIVER_TAG: "never"})
    (row,) = made.table("follow_up_missions")
    assert (row["status"], row["closed_by_mission_id"]) == ("closed", "fu")
    (mission,) = [r for r in made.table("mission_outcomes") if r["mission_id"] == "fu"]
    assert row["verdict"] == mission["verdict"] == "no_sustained_problem"


def statuses(loop: Loop) -> list[tuple]:
    return sorted(
        (r["date"], r["channel"], r["status"], r["reason"]) for r in loop.table("deliveries")
    )


def test_a_backfill_sends_nothing_and_the_schedule_of_the_day_still_may(tmp_path):
    loop = Loop(tmp_path, f"{DAYS[5]}T09:00:00+00:00")
    loop.take(*missions())
    loop.run(*DAYS[:5], **{DELIVER_TAG: "never"})
    assert {s[2:] for s in statuses(loop)} == {("suppressed", "backfill")}
    assert not list((tmp_path / "outbox").glob("slack/*"))
    loop.run(DAYS[4], **{DELIVER_TAG: "always"})
    sent = [s for s in statuses(loop) if s[2] == "written"]
    assert [(s[0], s[1]) for s in sent] == [(DAYS[4], "email"), (DAYS[4], "slack")]
    files = sorted(p.name for p in (tmp_path / "outbox").glob("*/brief-*"))
    assert files == [f"brief-{DAYS[4]}.eml", f"brief-{DAYS[4]}.json"]
    stamps = [p.stat().st_mtime_ns for p in sorted((tmp_path / "outbox").glob("*/brief-*"))]
    loop.run(DAYS[4], **{DELIVER_TAG: "always"})
    again = [p.stat().st_mtime_ns for p in sorted((tmp_path / "outbox").glob("*/brief-*"))]
    assert again == stamps


@pytest.mark.parametrize(
    ("day", "sent"),
    [(DAYS[4], True), (DAYS[3], False), (DAYS[5], False)],
    ids=["yesterday", "an older day", "today"],
)
def test_a_run_by_hand_sends_only_the_day_that_closed_last(tmp_path, day, sent):
    loop = Loop(tmp_path, f"{DAYS[5]}T09:00:00+00:00")
    loop.take(*missions())
    loop.run(day)
    assert bool(list((tmp_path / "outbox").glob("slack/*"))) is sent


def test_a_changed_brief_after_delivery_is_a_new_revision_and_goes_out_once(tmp_path):
    loop = Loop(tmp_path, f"{DAYS[5]}T09:00:00+00:00")
    loop.take(*missions())
    loop.run(DAYS[4], **{DELIVER_TAG: "always"})
    late = event("late", started_at=f"{DAYS[4]}T01:00:00Z", completed_at=f"{DAYS[4]}T02:00:00Z")
    loop.take(late)
    for _ in range(2):
        loop.run(DAYS[4], **{DELIVER_TAG: "always"})
    revisions = sorted((r["channel"], r["revision"], r["status"]) for r in loop.table("deliveries"))
    assert revisions == [
        ("email", 1, "written"),
        ("email", 2, "written"),
        ("slack", 1, "written"),
        ("slack", 2, "written"),
    ]


def minutes(domain: str, bad: list[tuple[str, str]], days: int = 30) -> pa.Table:
    """A latency sample every two minutes from 2026-02-14 on, high in the stretches named."""
    start = datetime(2026, 2, 14, tzinfo=UTC)
    spans = [tuple(datetime.fromisoformat(f"{t}+00:00") for t in span) for span in bad]
    rows = []
    for minute in range(0, days * 1440, 2):
        at = start + timedelta(minutes=minute)
        high = any(since <= at < until for since, until in spans)
        value = (520.0 if high else 280.0) + (minute * 7919 % 13) - 6
        rows.append(("rag_kpis", domain, "latency_ms", at, value))
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


FAULT = ("2026-03-01T07:20:00", "2026-03-01T08:20:00")
NEVER = {DELIVER_TAG: "never"}


def stages(loop: Loop) -> list[tuple]:
    return [(r["stage"], r["verdict"], r["held"]) for r in loop.table("mission_verdicts")]


def test_a_relapse_a_day_later_is_found_by_the_sensor_and_told_on_its_own_day(tmp_path):
    back = ("2026-03-02T07:20:00", "2026-03-02T10:00:00")
    soon, later = "2026-03-01T12:00:00+00:00", "2026-03-02T12:00:00+00:00"
    loop = Loop(tmp_path, soon)
    loop.take(missions()[0])
    loop.take_samples(minutes("payments", [FAULT, back]))
    loop.run(DAYS[0], **NEVER)
    assert stages(loop) == [("first", "effective", None)]
    with loop.store.landing() as landing:
        seen, _ = landing.journal.changed_days(0)
        assert landing.waiting.due("hold", loop.store.now()) == {}

    loop = Loop(tmp_path, later)
    tick = holds_sensor(dg.build_sensor_context(resources={"store": loop.store}))
    assert [r.partition_key for r in tick.run_requests] == [DAYS[0]]
    job = build_definitions(Settings.from_env({}), loop.store).resolve_job_def("holds_job")
    assert job.execute_in_process(partition_key=DAYS[0]).success
    assert stages(loop) == [("first", "effective", None), ("hold_24h", "no_effect", False)]
    (counts,) = loop.table("hold_daily")
    assert (counts["held_24h"], counts["relapsed_24h"]) == (0, 1)
    with loop.store.landing() as landing:
        assert list(landing.journal.changed_days(seen)[1]) == [DAYS[1]]
        (due,) = landing.waiting.due("hold", datetime(2026, 4, 1, tzinfo=UTC)).values()
    assert due.isoformat() > "2026-03-08T08:20"
    again = holds_sensor(dg.build_sensor_context(resources={"store": loop.store}))
    assert not again.run_requests

    loop.run(DAYS[1], **NEVER)
    (problem,) = loop.table("problems")
    assert (problem["type"], problem["date"]) == ("did_not_hold", DAYS[1])
    assert problem["description"] == "1 of 1 repair no longer held after 24 h (latency)"
    assert "pay-0-8" in problem["evidence"]


def test_corrected_samples_restate_the_verdict_and_keep_what_was_said(tmp_path):
    loop = Loop(tmp_path)
    loop.take(missions()[0])
    loop.take_samples(minutes("payments", [FAULT]))
    loop.run(DAYS[0], **NEVER)
    before = loop.table("mission_verdicts")
    assert before[0]["verdict"] == "effective"
    # It had not recovered after all: the samples after the mission are corrected.
    loop.take_samples(minutes("payments", [(FAULT[0], "2026-03-01T11:00:00")]))
    loop.run(DAYS[0], **NEVER)
    after = loop.table("mission_verdicts")
    assert after[: len(before)] == before
    assert (after[-1]["stage"], after[-1]["verdict"]) == ("restated", "no_effect")
    (brief,) = loop.table("status_briefs")
    assert "Restated" in brief["markdown"]
    assert "was effective" in brief["markdown"]


def test_siblings_that_were_left_alone_credit_the_mission(tmp_path):
    loop = Loop(tmp_path)
    loop.take(missions()[0])
    loop.take_samples(minutes("payments", [FAULT]))
    for n in range(4):
        loop.take_samples(minutes(f"shop-{n}", [(FAULT[0], "2026-03-02T01:00:00")]))
    loop.run(DAYS[0], **NEVER)
    (outcome,) = loop.table("mission_outcomes")
    assert (outcome["verdict"], outcome["attribution"]) == ("effective", "controlled")
    assert "I restored the payments domain" in outcome["narrative"]
    (controls,) = loop.table("mission_controls")
    assert (controls["controls"], controls["controls_recovered"]) == (4, 0)


def test_the_check_fails_when_the_judge_would_call_untouched_hours_a_success(tmp_path):
    loop = Loop(tmp_path)
    # A metric that breaks and mends itself twice a day, just before a placebo ends.
    bad = [
        (f"2026-03-{day:02}T{hour:02}:20:00", f"2026-03-{day:02}T{hour + 1:02}:08:00")
        for day in range(1, 6)
        for hour in (3, 15)
    ]
    loop.take_samples(minutes("payments", bad))
    job = build_definitions(Settings.from_env({}), loop.store).resolve_job_def("missions_job")
    ends = {RANGE_START_TAG: DAYS[0], RANGE_END_TAG: DAYS[4]}
    result = job.execute_in_process(tags=ends)
    checks = {c.check_name: c for c in result.get_asset_check_evaluations()}
    failed = checks["false_success_rate_within_limit"]
    assert not failed.passed
    assert re.match(r"latency_ms: \d+ of 120 \(\d\.\d %\)", failed.metadata["sample"].value)
    assert result.success


def test_the_last_day_of_a_run_shows_its_charts_in_dagster(loop):
    loop.take(*missions())
    result = loop.run(*DAYS, **{DELIVER_TAG: "never"})
    shown = {
        event.partition: event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("status_briefs")
    }
    assert [day for day, metadata in shown.items() if "charts" in metadata] == [DAYS[-1]]
    charts = shown[DAYS[-1]]["charts"].value
    assert charts.count("data:image/png;base64,") >= 2
    assert "Missions a day" in charts
