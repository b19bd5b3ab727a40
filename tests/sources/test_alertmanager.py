"""A real Alertmanager posts to the real server: firing, then resolved, becomes one mission."""

import json
import shutil
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from grace_assets.api.access import Access
from grace_assets.api.app import build_app
from grace_assets.core.events import parse, valid_domain
from grace_assets.lake.analytics import Analytics
from grace_assets.resources import StoreResource
from grace_assets.sources.alertmanager import DOMAIN_LABELS, WebhookError, read
from grace_assets.sources.domains import as_domain
from tests.prometheus import free_port, running
from tests.servers import unavailable
from tests.serving import serve

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


def alert(**changes) -> dict:
    base = {
        "status": "resolved",
        "labels": {"alertname": "HighLatency", "service": "payments", "severity": "warning"},
        "annotations": {"summary": "p95 above 500 ms", "description": "p95 is 740 ms"},
        "startsAt": "2026-03-15T10:00:00.123456789Z",
        "endsAt": "2026-03-15T10:30:00Z",
        "fingerprint": "abc123",
    }
    return base | changes


def message(*alerts: dict) -> bytes:
    return json.dumps({"version": "4", "status": "resolved", "alerts": list(alerts)}).encode()


def missions(*alerts: dict):
    found = [alert.event for alert in read(message(*alerts))]
    return [parse(raw, NOW) if raw else None for raw in found]


def test_a_resolved_alert_is_the_record_of_an_incident():
    (mission,) = missions(alert())
    assert mission.domain_id == "payments"
    assert mission.onset_at == mission.detected_at == mission.started_at
    assert mission.completed_at - mission.started_at > timedelta(minutes=29)
    assert (mission.title, mission.severity, mission.success) == (
        "p95 above 500 ms",
        "medium",
        True,
    )
    assert mission.trigger.description == "p95 is 740 ms"


def test_labels_and_annotations_may_say_more():
    labels = {"domain_id": "a/b", "service": "x", "metric": "latency_ms", "severity": "page"}
    notes = {"value": "740", "threshold": "500", "actions": "restarted pods; scaled out"}
    (mission,) = missions(alert(labels=labels, annotations=notes))
    assert (mission.domain_id, mission.severity) == ("a-b", "critical")
    trigger = mission.trigger
    assert (trigger.metric, trigger.observed, trigger.threshold) == ("latency_ms", 740, 500)
    assert mission.actions == ["restarted pods", "scaled out"]


def test_firing_alerts_wait_and_a_bad_one_keeps_none_from_being_taken():
    found = list(
        read(message(alert(status="firing"), {"status": "resolved"}, alert(fingerprint="other")))
    )
    assert [bool(a.event) for a in found] == [False, False, True]
    assert [a.reason is not None for a in found] == [False, True, False]
    for body in (b"[]", b"{}", b'{"version": "3", "alerts": []}', b"\xff"):
        with pytest.raises(WebhookError):
            list(read(body))


def test_the_same_alert_of_the_same_start_is_the_same_mission():
    (first,) = missions(alert())
    (again,) = missions(alert(endsAt="2026-03-15T10:31:00Z"))
    (next_time,) = missions(alert(startsAt="2026-03-15T10:10:00Z"))
    assert first.mission_id == again.mission_id != next_time.mission_id


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b\\c", "a-b-c"),
        ("a\x00\n\x9f", "a---"),
        ("..", "unknown"),
        (" ", "unknown"),
        ("x" * 200, "x" * 100),
        ("\u0958" * 100, "\u0915\u093c" * 50),
    ],
)
def test_a_label_becomes_a_domain_whatever_it_holds(name, expected):
    assert as_domain(name) == expected == valid_domain(expected)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"startsAt": "2026-03-15T10:00:00"}, "timezone"),
        ({"endsAt": "2026-03-15T10:30:00"}, "timezone"),
        ({"startsAt": "0001-01-01T00:00:00+23:00"}, "years"),
        ({"endsAt": "9999-12-31T23:59:59-23:00"}, "years"),
        ({"labels": {"service": 7}}, "labels"),
        ({"startsAt": None}, "startsAt"),
    ],
)
def test_an_alert_that_cannot_be_read_is_kept_with_its_reason(serving, changes, reason):
    store, port = serving
    headers = {"content-type": "application/json", "authorization": "Bearer the-token"}
    body = message(alert(**changes), alert())
    url = f"http://127.0.0.1:{port}/api/missions/alertmanager"
    answer = httpx.post(url, content=body, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    (rejected,) = answer.json()["rejected"]
    assert (rejected["index"], reason in rejected["reason"]) == (0, True)
    with store.landing() as landing:
        assert [json.loads(r.raw) for r in landing.quarantine.lines()] == [alert(**changes)]


@pytest.mark.parametrize(
    ("labels", "order", "expected"),
    [
        ({"service": "s", "job": "j"}, ["job", "service"], "j"),
        ({"job": "j", "alertname": "a"}, DOMAIN_LABELS, "j"),
        ({"service": "", "alertname": "a"}, DOMAIN_LABELS, "a"),
        ({}, DOMAIN_LABELS, "unknown"),
    ],
)
def test_the_first_label_in_order_names_the_domain(labels, order, expected):
    (found,) = read(message(alert(labels=labels)), order)
    assert parse(found.event, NOW).domain_id == expected


@pytest.fixture
def serving(tmp_path):
    store = StoreResource(data_dir=str(tmp_path / "data"), timezone="UTC")
    access = Access.from_env({"GRACE_API_TOKEN": "the-token"})
    app = build_app(store.landing, Analytics(store.lake()), store.zone, access, today=store.today)
    with serve(app) as client:
        yield store, client.base_url.port


def landed(store) -> list:
    """The missions of today and, around midnight, of its neighbours."""
    now = datetime.now(UTC)
    with store.landing() as landing:
        return landing.missions.events([f"{now + timedelta(days=d):%Y-%m-%d}" for d in (-1, 0, 1)])


def value(lines: list[str], name: str) -> float:
    """The sum of a counter of Prometheus' text format."""
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name}{{"))


def test_a_real_alertmanager_reports_a_mission_exactly_once(serving, tmp_path):
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        unavailable("prometheus-alertmanager")
    store, port = serving
    config = tmp_path / "am.yml"
    config.write_text(
        # Two routes to one receiver: each of them reports the resolved alert.
        "route:\n"
        "  {receiver: grace, group_wait: 100ms, group_interval: 300ms, repeat_interval: 1s,\n"
        "   routes: [{receiver: grace, continue: true, group_by: [service]},\n"
        "            {receiver: grace, group_by: [alertname]}]}\n"
        "receivers:\n"
        "  - name: grace\n"
        "    webhook_configs:\n"
        f"      - url: http://127.0.0.1:{port}/api/missions/alertmanager\n"
        "        http_config: {authorization: {credentials: the-token}}\n",
        encoding="utf-8",
    )
    listen = f"127.0.0.1:{free_port()}"
    command = [
        program,
        f"--config.file={config}",
        f"--storage.path={tmp_path / 'am'}",
        f"--web.listen-address={listen}",
        "--cluster.listen-address=",
    ]
    began = datetime.now(UTC) - timedelta(minutes=20)
    labels = {"alertname": "HighLatency", "service": "payments", "severity": "critical"}
    firing = {"labels": labels, "startsAt": began.isoformat()}
    with running(command, f"http://{listen}/-/ready", tmp_path):
        alerts = f"http://{listen}/api/v2/alerts"
        assert httpx.post(alerts, json=[firing], trust_env=False).status_code == 200
        time.sleep(1.0)
        with store.landing() as landing:
            assert landing.missions.domains(began) == [], "a firing alert is no mission yet"
        over = {**firing, "endsAt": datetime.now(UTC).isoformat()}
        assert httpx.post(alerts, json=[over], trust_env=False).status_code == 200
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and not landed(store):
            time.sleep(0.1)
        time.sleep(1.5)
        metrics = httpx.get(f"http://{listen}/metrics", trust_env=False).text
    sent = [line for line in metrics.splitlines() if 'integration="webhook"' in line]
    assert value(sent, "alertmanager_notifications_total") >= 4
    assert value(sent, "alertmanager_notifications_failed_total") == 0
    with store.landing() as landing:
        assert landing.quarantine.lines() == []
    (event,) = landed(store)
    mission = parse(event.raw, datetime.now(UTC))
    assert (mission.domain_id, mission.severity) == ("payments", "critical")
    assert abs((mission.started_at - began).total_seconds()) < 0.01
