"""Alertmanager's webhook: an alert that resolved becomes a mission.

An alert tells when the trouble was noticed and when it was over, not who ended it or when that
began. So the mission is the record of the incident: it begins and was noticed when the alert
began, and the judge looks for its problem within it (`onset_at`). Credit is another question.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from grace_assets.core.events import Time
from grace_assets.sources.domains import as_domain

DOMAIN_LABELS = ("domain_id", "service", "job", "alertname")
"""The first of these labels that an alert has names its domain."""
SEVERITIES = {
    "critical": "critical",
    "page": "critical",
    "error": "high",
    "high": "high",
    "warning": "medium",
    "medium": "medium",
    "info": "low",
    "low": "low",
}
_OPEN = datetime(1, 1, 1, tzinfo=UTC)


class _Alert(msgspec.Struct):
    status: str
    labels: dict[str, str]
    startsAt: Time
    endsAt: Time | None = None
    annotations: dict[str, str] = {}
    fingerprint: str = ""


class _Message(msgspec.Struct):
    alerts: list[msgspec.Raw]
    version: str = ""


_MESSAGE, _ALERT = msgspec.json.Decoder(_Message), msgspec.json.Decoder(_Alert)


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class WebhookError(ValueError):
    """The body is not a message of Alertmanager."""


@dataclass(frozen=True)
class Read:
    """One alert of a message: the mission event it makes, nothing yet, or why it cannot."""

    index: int
    raw: bytes
    event: bytes | None = None
    reason: str | None = None


def read(body: bytes, domain_labels: Sequence[str] = DOMAIN_LABELS) -> Iterator[Read]:
    """The alerts of a message, in order; raises `WebhookError` for another body."""
    try:
        message = _MESSAGE.decode(body)
    except _UNREADABLE as error:
        raise WebhookError(f"not a message of Alertmanager: {error}") from error
    if message.version not in ("", "4"):
        raise WebhookError(f"version {message.version[:20]!r} of the webhook is not 4")
    for index, raw in enumerate(message.alerts):
        try:
            alert = _ALERT.decode(raw)
            if alert.status != "resolved" or alert.endsAt is None or alert.endsAt <= _OPEN:
                yield Read(index, bytes(raw))
                continue
            event = json.dumps(mission(alert, domain_labels), ensure_ascii=False).encode()
        except _UNREADABLE as error:
            yield Read(index, bytes(raw), reason=str(error))
        except OverflowError:
            yield Read(index, bytes(raw), reason="a time outside the years 1 to 9999")
        else:
            yield Read(index, bytes(raw), event)


def mission(alert: _Alert, domain_labels: Sequence[str]) -> dict[str, Any]:
    """The mission event of a resolved alert."""
    labels, notes = alert.labels, alert.annotations
    named = next((labels[name] for name in domain_labels if labels.get(name)), "unknown")
    start = alert.startsAt.astimezone(UTC).isoformat()
    # The same alert of the same start is the same mission, however often it is reported.
    identity = alert.fingerprint or json.dumps(labels, sort_keys=True)
    key = hashlib.sha256(f"{identity}\x1f{start}".encode()).hexdigest()[:24]
    metric = labels.get("metric")
    trigger = {
        "metric": metric,
        "observed": _number(notes.get("value")),
        "threshold": _number(notes.get("threshold")),
        "description": notes.get("description") or notes.get("summary") or labels.get("alertname"),
    }
    actions = notes.get("actions", "")
    return {
        "mission_id": f"alert-{key}",
        "domain_id": as_domain(named),
        "started_at": start,
        "detected_at": start,
        "onset_at": start,
        "completed_at": max(alert.endsAt, alert.startsAt).astimezone(UTC).isoformat(),
        "success": True,
        "title": notes.get("summary") or labels.get("alertname"),
        "mission_type": labels.get("mission_type") or "alert_recovery",
        "severity": SEVERITIES.get(labels.get("severity", "").lower(), "unknown"),
        "trigger": {name: value for name, value in trigger.items() if value is not None},
        "actions": [part.strip() for part in actions.split(";") if part.strip()],
        "labels": labels,
    }


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
