"""What breaks in the pipeline itself is told, from a real instance: once, and without secrets."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default as modern

import dagster as dg
import pytest

from grace_assets.failures import run_failure_sensor
from grace_assets.instance import PROCESS_TAG
from grace_assets.notify import slack
from grace_assets.notify.lease import this_process
from grace_assets.notify.ledger import Ledger
from grace_assets.resources import DeliveryResource
from tests.notify.smtp_server import smtp_server
from tests.notify.strict_slack import Answer, strict_slack
from tests.test_loop import StoreAt

DAYS = dg.DailyPartitionsDefinition("2026-03-01")
BROKEN: dict[str, type[Exception]] = {}


def breaks(name: str) -> None:
    if name in BROKEN:
        raise BROKEN[name](f"{name}: password=canary-of-an-error")


@dg.asset(partitions_def=DAYS)
def orders() -> None:
    breaks("orders")


NIGHTLY = dg.define_asset_job("nightly", [orders])


@dg.asset(partitions_def=DAYS, deps=[orders])
def items() -> None:
    breaks("items")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    BROKEN.clear()
    monkeypatch.setattr(slack, "SPACING", timedelta(milliseconds=5))


@pytest.fixture
def instance(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "run_retries: {enabled: true, max_retries: 1, retry_on_asset_or_op_failure: true}\n",
        encoding="utf-8",
    )
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def webhook(monkeypatch):
    with strict_slack() as running:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", running.url)
        yield running


@pytest.fixture
def mailbox(monkeypatch):
    with smtp_server(None, login=False) as running:
        for name, value in {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(running.port),
            "SMTP_TLS": "none",
            "SMTP_FROM_EMAIL": "grace@ops.example",
            "STATUS_BRIEF_RECIPIENTS": "ann@example.org,bob@example.org",
        }.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def tick(tmp_path, instance):
    """A tick of the sensor `minutes` from now, with the cursor of the one before."""
    early = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    cursor = early

    def at(minutes: float = 1, *, new: bool = False, again: bool = False) -> str:
        nonlocal cursor
        cursor = None if new else early if again else cursor
        moment = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
        store = StoreAt(data_dir=str(tmp_path / "data"), timezone="UTC", moment=moment)
        context = dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            resources={"store": store, "delivery": DeliveryResource()},
        )
        result = run_failure_sensor(context)
        cursor = result.cursor
        return result.skip_reason.skip_message

    return at


def fail(instance, broken: dict[str, type[Exception]], retried: bool = False, **options):
    """A run that failed, as the last of its retries unless it says otherwise."""
    BROKEN.clear()
    BROKEN.update(broken)
    tags = options.pop("tags", {}) | {"dagster/max_retries": "1" if retried else "0"}
    return dg.materialize(
        [orders, items], instance=instance, raise_on_error=False, tags=tags, **options
    )


def test_a_failure_is_told_with_assets_partitions_and_a_link(instance, webhook, mailbox, tick):
    run = fail(instance, {"orders": ValueError}, partition_key="2026-03-02")
    assert tick() == "1 failures told in 1 failed runs"
    (message,) = webhook.messages
    assert message["text"] == "🔴 The pipeline failed at orders for 2026-03-02."
    told = str(message["blocks"])
    assert f"<http://127.0.0.1:3000/runs/{run.run_id}|Run {run.run_id[:8]}>" in told
    assert "orders: ValueError" in told
    assert [to for to, _ in mailbox.taken] == ["ann@example.org", "bob@example.org"]
    mail = message_from_bytes(mailbox.taken[0][1], policy=modern)
    assert mail["Subject"] == "Grace · pipeline failed · orders"
    for part in mail.iter_parts():
        assert f"/runs/{run.run_id}" in part.get_content()
        assert "canary" not in part.get_content()
    assert "canary" not in told


def test_the_same_failure_is_told_once_a_day_and_another_one_at_once(instance, webhook, tick):
    for day in ("2026-03-02", "2026-03-03"):
        fail(instance, {"orders": ValueError}, partition_key=day)
    tick()
    (message,) = webhook.messages
    assert "2026-03-02, 2026-03-03" in str(message["blocks"])
    fail(instance, {"orders": ValueError}, partition_key="2026-03-04")
    assert tick() == "1 failures told in 1 failed runs"
    assert len(webhook.messages) == 1
    fail(instance, {"orders": KeyError}, partition_key="2026-03-04")
    fail(instance, {"items": KeyError}, partition_key="2026-03-04")
    tick()
    assert len(webhook.messages) == 3


def test_a_tick_that_broke_off_is_repeated_and_tells_nothing_twice(instance, webhook, tick):
    fail(instance, {"orders": ValueError}, partition_key="2026-03-02")
    tick()
    assert tick(again=True) == "1 failures told in 1 failed runs"
    assert len(webhook.messages) == 1


def test_what_failed_before_anybody_looked_is_history(instance, webhook, tick):
    fail(instance, {"orders": ValueError}, partition_key="2026-03-02")
    assert tick(new=True) == "begins now"
    tick()
    assert webhook.messages == []


def test_a_run_that_will_be_retried_is_told_by_its_last_try(instance, webhook, tick):
    first = fail(instance, {"orders": ValueError}, retried=True, partition_key="2026-03-02")
    assert instance.get_run_by_id(first.run_id).tags["dagster/will_retry"] == "true"
    tick()
    assert webhook.messages == []
    last = fail(instance, {"orders": ValueError}, partition_key="2026-03-02")
    tick()
    (message,) = webhook.messages
    assert last.run_id in str(message["blocks"])
    assert first.run_id not in str(message["blocks"])


def test_a_retry_that_never_came_is_told_after_all(instance, webhook, tick):
    run = fail(instance, {"orders": ValueError}, retried=True, partition_key="2026-03-02")
    tick()
    # As Dagster's daemon does where it could not launch the retry.
    instance.add_run_tags(run.run_id, {"dagster/will_retry": "false"})
    tick()
    assert len(webhook.messages) == 1


def test_a_notice_that_slack_put_off_is_sent_later_and_once(tmp_path, instance, webhook, tick):
    webhook.script = [Answer(429, "rate_limited", {"Retry-After": "300"})]
    fail(instance, {"orders": ValueError}, partition_key="2026-03-02")
    tick()
    assert webhook.messages == []
    later = datetime.now(UTC) + timedelta(hours=1)
    ledger = Ledger(tmp_path / "data/state/delivery.sqlite")
    assert len(ledger.due_notices(later)) == 1
    assert ledger.due(later) == [], "there is no brief to deliver again"
    tick(minutes=30)
    tick(minutes=60)
    assert len(webhook.messages) == 1


def test_a_run_whose_process_was_killed_is_ended_and_told(tmp_path, instance, webhook, tick):
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    with process:
        gone = process.stdout.readline().strip()
        alive = run_of(instance, gone), run_of(instance, this_process())
        tick()
        assert statuses(instance, alive) == ["STARTED", "STARTED"]
        process.kill()
    tick()
    assert statuses(instance, alive) == ["FAILURE", "STARTED"]
    # Once it has been at rest for a moment.
    tick(minutes=2)
    (message,) = webhook.messages
    assert alive[0] in str(message["blocks"])


KILLED = """
import time
from grace_assets.notify.lease import this_process
print(this_process(), flush=True)
time.sleep(60)
"""


def run_of(instance, process: str) -> str:
    run = instance.create_run_for_job(
        dg.Definitions([orders], jobs=[NIGHTLY]).resolve_job_def("nightly"),
        tags={PROCESS_TAG: process, "dagster/max_retries": "0"},
        status=dg.DagsterRunStatus.STARTED,
    )
    return run.run_id


def statuses(instance, run_ids) -> list[str]:
    return [instance.get_run_by_id(run_id).status.value for run_id in run_ids]


def test_without_channels_it_is_written_to_the_outbox(tmp_path, instance, tick):
    week = {
        "dagster/asset_partition_range_start": "2026-03-02",
        "dagster/asset_partition_range_end": "2026-03-08",
    }
    fail(instance, {"items": OSError}, tags=week)
    tick()
    (slack_file,) = (tmp_path / "data/outbox/slack").iterdir()
    (mail,) = (tmp_path / "data/outbox/email").iterdir()
    ledger = Ledger(tmp_path / "data/state/delivery.sqlite")
    assert ledger.rows() == [], "it is no brief"
    told = [(row["channel"], row["status"]) for row in ledger.rows(notices=True)]
    assert told == [("email", "written"), ("slack", "written")]
    assert slack_file.name.startswith("failure-")
    assert "2026-03-02…2026-03-08" in slack_file.read_text(encoding="utf-8")
    assert mail.suffix == ".eml"


def test_a_channel_that_is_set_wrongly_keeps_no_other_silent(instance, webhook, monkeypatch, tick):
    monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("STATUS_BRIEF_RECIPIENTS", "nobody")
    fail(instance, {"orders": ValueError}, partition_key="2026-03-02")
    tick()
    assert len(webhook.messages) == 1


def test_many_runs_make_one_notice_that_counts_what_it_does_not_name(instance, webhook, tick):
    for day in range(1, 9):
        fail(instance, {"orders": ValueError}, partition_key=f"2026-03-0{day}")
    tick()
    (message,) = webhook.messages
    told = str(message["blocks"])
    assert "… 3 more runs" in told
    assert "2026-03-05, 3 more" in told
