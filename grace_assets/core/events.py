"""What a valid mission event is: decoding, validation, identity and the day it belongs to.

The format is CONTRACT section 1. Nothing here touches a file or a clock; the time of receipt is
passed in, because "not more than 24 h in the future" is judged against it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from grace_assets.core.moments import micros
from grace_assets.core.schemas import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

FUTURE_LIMIT = timedelta(hours=24)
DOMAIN_MAX_LENGTH = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ERROR_PATH = re.compile(r" - at `\$\.?([^`]*)`$")
_MISSING_FIELD = re.compile(r"missing required field `([^`]+)`")

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class EventError(ValueError):
    """An event breaks a rule. `field` is null where the whole line is at fault."""

    def __init__(self, field: str | None, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class Trigger(msgspec.Struct, frozen=True, gc=False):
    metric: str | None = None
    observed: float | None = None
    threshold: float | None = None
    description: str | None = None


class MissionEvent(msgspec.Struct, kw_only=True, gc=False):
    """One mission as CONTRACT section 1 has it; times in UTC after `parse`."""

    mission_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    domain_id: str
    started_at: Time
    completed_at: Time
    success: bool
    onset_at: Time | None = None
    detected_at: Time | None = None
    title: str | None = None
    error: str | None = None
    mission_type: str | None = None
    severity: Literal["low", "medium", "high", "critical", "unknown"] | None = None
    trigger: Trigger | None = None
    actions: list[str] | None = None
    metrics: dict[str, float] | None = None
    follow_up_id: str | None = None


class Cause(msgspec.Struct, frozen=True, gc=False):
    """What an event was called for by."""

    trigger: Trigger | None = None
    follow_up_id: str | None = None


_DECODER = msgspec.json.Decoder(MissionEvent)
_CAUSE_DECODER = msgspec.json.Decoder(Cause)


def parse(raw: bytes, received_at: datetime) -> MissionEvent:
    """Decode and validate one event; defaults filled in, times in UTC, `domain_id` in NFC.

    Two events are equal exactly where they say the same: neither key order, nor the offset a time
    is written in, nor an unknown field makes a difference. Raises `EventError` with the field and
    the rule that an event breaks.
    """
    try:
        event = _DECODER.decode(raw)
    except msgspec.ValidationError as error:
        raise _from_msgspec(str(error)) from error
    except msgspec.DecodeError as error:
        raise EventError(None, f"not a JSON object: {error}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise EventError(None, "not valid UTF-8 JSON") from error
    event.domain_id = valid_domain(event.domain_id)
    # Most ids are plain, and told to be so in a fraction of what the search takes.
    if not event.mission_id.isprintable() and _CONTROL.search(event.mission_id):
        raise EventError("mission_id", "holds a control character")
    _check_times(event, received_at)
    if not event.detected_at:
        event.detected_at = event.started_at
    if not event.mission_type:
        event.mission_type = "unspecified"
    if not event.severity:
        event.severity = "unknown"
    return event


def cause_of(raw: bytes) -> Cause:
    """Of an accepted event only this, in a fraction of the time."""
    return _CAUSE_DECODER.decode(raw)


@lru_cache(maxsize=4096)
def valid_domain(value: str) -> str:
    """The domain in NFC; `EventError` where it is not a name that CONTRACT section 1 allows."""
    if not value.isascii():
        value = unicodedata.normalize("NFC", value)
    if not 1 <= len(value) <= DOMAIN_MAX_LENGTH:
        raise EventError("domain_id", f"must be 1 to {DOMAIN_MAX_LENGTH} characters")
    if _CONTROL.search(value):
        raise EventError("domain_id", "holds a control character")
    if "/" in value or "\\" in value:
        raise EventError("domain_id", "holds a slash or backslash")
    if value in (".", ".."):
        raise EventError("domain_id", "must not be '.' or '..'")
    return value


def _check_times(event: MissionEvent, received_at: datetime) -> None:
    started, completed, detected = event.started_at, event.completed_at, event.detected_at
    if not started.tzinfo is completed.tzinfo is (detected or started).tzinfo is UTC:
        event.started_at = started = _in_utc("started_at", started)
        event.completed_at = completed = _in_utc("completed_at", completed)
        event.detected_at = detected = detected and _in_utc("detected_at", detected)
    if started > completed:
        raise EventError("completed_at", "is before started_at")
    if completed > received_at and completed - received_at > FUTURE_LIMIT:
        raise EventError("completed_at", "is more than 24 h in the future")
    if detected and detected > started:
        raise EventError("detected_at", "is after started_at")
    if event.onset_at:
        event.onset_at = _in_utc("onset_at", event.onset_at)
        if event.onset_at > (detected or started):
            raise EventError("onset_at", "is after detected_at")


def _in_utc(name: str, value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise EventError(name, "is outside the years 1 to 9999") from error


def _from_msgspec(message: str) -> EventError:
    path = _ERROR_PATH.search(message)
    missing = _MISSING_FIELD.search(message)
    field = path.group(1) if path else ""
    if missing:
        field = f"{field}.{missing.group(1)}" if field else missing.group(1)
        return EventError(field, "is missing")
    return EventError(field or None, _ERROR_PATH.sub("", message))


def record_id(mission_id: str) -> str:
    """Stable identity for stores that want no free text: 32 hex characters."""
    return blake2b(mission_id.encode(), digest_size=16).hexdigest()


def day_of(completed_at: datetime, zone: tzinfo) -> str:
    """The partition: the local date of `completed_at`."""
    return completed_at.astimezone(zone).date().isoformat()


@dataclass(frozen=True)
class Accepted:
    """An accepted event as the landing holds it."""

    day: str
    raw: bytes
    received_at: datetime
    revision: int
    origin: str


def to_table(rows: Sequence[Accepted]) -> pa.Table:
    """The `mission_events` rows (with `date`) of accepted events, in the order given."""
    import pyarrow as pa

    schema = TABLES["mission_events"].with_date()
    events = [parse(row.raw, row.received_at) for row in rows]
    columns = {
        "date": [row.day for row in rows],
        "received_at": [row.received_at for row in rows],
        "revision": [row.revision for row in rows],
        "origin": [row.origin for row in rows],
        "record_id": [record_id(event.mission_id) for event in events],
        "trigger": [msgspec.to_builtins(e.trigger) if e.trigger else None for e in events],
        "actions": [event.actions or [] for event in events],
        "metrics": [list((event.metrics or {}).items()) for event in events],
    }
    for name in schema.names:
        if name not in columns:
            columns[name] = [getattr(event, name) for event in events]
    return pa.table([_array(columns[f.name], f.type) for f in schema], schema=schema)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        # Three times as fast as what Arrow makes of the datetimes.
        return pa.array([None if v is None else micros(v) for v in values], "int64").cast(kind)
    return pa.array(values, kind)
