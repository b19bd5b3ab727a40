"""JSON health endpoints: what a domain says of itself now.

One URL for all domains answers `{"domains": {"payments": {...}, ...}}`; one with `{domain_id}` in
it is asked once a domain and answers the inner object:
`{"timestamp": "2026-03-01T10:00:00Z", "status": "ok", "metrics": {"latency_ms": 12.5}}`.
`timestamp` may be absent (the time of asking), `status` becomes the metric `operational` (1 or 0)
unless the metrics have one, and metrics are numbers or booleans.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from grace_assets.core.events import EventError, valid_domain
from grace_assets.lake.sample_files import NAME_MAX_LENGTH
from grace_assets.lake.samples import SCHEMA
from grace_assets.sources.http import Endpoint, Exchange, SourceError

SOURCE = "domain_health"
PLACEHOLDER = "{domain_id}"
TOTAL_SECONDS = 30.0
"""For all domains together, also where each is asked alone."""
MAX_DOMAIN_BYTES = 256 * 2**10
# What serves, though not at its best, is operational.
_UP = {"ok", "up", "pass", "healthy", "operational", "warn", "degraded"}
_DOWN = {"down", "fail", "failing", "unhealthy", "critical", "error", "outage"}


@dataclass(frozen=True)
class Trouble:
    """Something of an answer that was not taken; `field` is null for a whole domain."""

    domain_id: str | None
    field: str | None
    reason: str


def read_health(
    url: str, domains: Sequence[str], now: datetime, total_seconds: float = TOTAL_SECONDS
) -> tuple[pa.Table, list[Trouble]]:
    """Samples of all domains that answered, and what was wrong. Never raises for one domain."""
    rows: list[tuple[str, str, datetime, float]] = []
    troubles: list[Trouble] = []
    asked = list(domains) if PLACEHOLDER in url else [None]
    try:
        endpoint = Endpoint.of(url)
    except SourceError as error:
        return _table(rows), [Trouble(None, None, str(error))]
    places = [endpoint.url.replace(PLACEHOLDER, quote(name or "", safe="")) for name in asked]
    with Exchange(endpoint, total_seconds, MAX_DOMAIN_BYTES if asked != [None] else None) as source:
        bodies = source.ask_all(places)
    for domain, body in zip(asked, bodies, strict=True):
        try:
            answer = _object(body)
        except SourceError as error:
            troubles.append(Trouble(domain, None, str(error)))
            continue
        inner = {domain: answer} if domain else answer.get("domains")
        if not isinstance(inner, dict):
            troubles.append(Trouble(None, "domains", "must be an object of domains"))
            continue
        for name, health in inner.items():
            taken, wrong = _readings(name, health, now)
            rows += taken
            troubles += wrong
    return _table(rows), troubles


def _object(body: bytes | SourceError) -> dict[str, Any]:
    if isinstance(body, SourceError):
        raise body
    try:
        # Lenient with NaN and with numbers of any length: each costs its own field alone.
        answer = json.loads(body.decode("utf-8"), parse_int=float)
    except (ValueError, RecursionError) as error:
        raise SourceError("bad_answer", "the answer is not JSON") from error
    if not isinstance(answer, dict):
        raise SourceError("bad_answer", "the answer is not a JSON object")
    return answer


def _readings(
    name: str, health: object, now: datetime
) -> tuple[list[tuple[str, str, datetime, float]], list[Trouble]]:
    try:
        domain = valid_domain(name)
        name.encode()
    except EventError as error:
        return [], [Trouble(_shown(name), None, error.reason)]
    except UnicodeEncodeError:
        return [], [Trouble(_shown(name), None, "is not Unicode")]
    if not isinstance(health, dict):
        return [], [Trouble(domain, None, "must be an object")]
    try:
        at = _time(health.get("timestamp"), now)
    except ValueError as error:
        return [], [Trouble(domain, "timestamp", str(error))]
    rows, troubles = [], []
    for metric, value, reason in _metrics(health):
        if reason:
            troubles.append(Trouble(domain, metric, reason))
        else:
            rows.append((domain, metric, at, value))
    return rows, troubles


def _time(value: object, now: datetime) -> datetime:
    if value is None:
        return now
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError("must be a time with an offset")
    if abs((at - now).total_seconds()) > 86_400:
        raise ValueError("is more than a day away from now")
    return at.astimezone(UTC)


def _metrics(health: dict[str, Any]) -> Iterator[tuple[str, float, str]]:
    """Name, value and, where it cannot be taken, the reason."""
    metrics = health.get("metrics", {})
    if not isinstance(metrics, dict):
        yield "metrics", 0.0, "must be an object of numbers"
        metrics = {}
    for name, value in metrics.items():
        if not (0 < len(name) <= NAME_MAX_LENGTH and name.isprintable()):
            yield _shown(name), 0.0, f"must be 1 to {NAME_MAX_LENGTH} printable characters"
            continue
        number = isinstance(value, int | float) and math.isfinite(value)
        yield name, float(value) if number else 0.0, "" if number else "is not a finite number"
    status = health.get("status")
    if status is None or "operational" in metrics:
        return
    word = status.lower() if isinstance(status, str) else ""
    known = word in _UP or word in _DOWN
    yield "operational", float(word in _UP), "" if known else "is not a known status"


def _shown(name: str) -> str:
    """A name that was refused, fit for a log."""
    return name[:100].encode("utf-8", "backslashreplace").decode()


def _table(rows: list[tuple[str, str, datetime, float]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [[], [], [], []]
    arrays = [pa.repeat(SOURCE, len(rows)), *columns]
    return pa.table(
        [pa.array(a, f.type) for a, f in zip(arrays, SCHEMA, strict=True)], schema=SCHEMA
    )
