"""CloudEvents 1.0 that carry a mission event: structured, batched, or a line of a file.

Written here because the event's `data` must reach the landing as the bytes that came, which an
SDK that decodes and encodes again does not keep.
"""

from __future__ import annotations

import base64
import re
from contextlib import suppress

import msgspec

TYPE = "grace.mission.completed"
STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"


class CloudEventError(ValueError):
    """Not a CloudEvent that can be taken: the attribute and the rule it breaks."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class _Envelope(msgspec.Struct):
    specversion: str = ""
    id: str = ""
    source: str = ""
    type: str = ""
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str | None = None


_DECODER = msgspec.json.Decoder(_Envelope)
_REQUIRED = ("specversion", "id", "source", "type")
_ATTRIBUTE = re.compile(r" - at `\$\.(\w+)`$")


def unwrap(raw: bytes) -> bytes:
    """The mission event inside a structured CloudEvent; raises `CloudEventError`."""
    try:
        event = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        at = _ATTRIBUTE.search(str(error))
        field = at.group(1) if at else "specversion"
        raise CloudEventError(field, f"not a CloudEvent: {error}") from error
    for name in _REQUIRED:
        if not getattr(event, name):
            raise CloudEventError(name, "is missing or empty")
    if event.specversion != "1.0":
        raise CloudEventError("specversion", f"{event.specversion[:20]!r} is not 1.0")
    if event.type != TYPE:
        raise CloudEventError("type", f"{event.type[:100]!r} is not {TYPE}")
    content = (event.datacontenttype or "application/json").partition(";")[0].strip().lower()
    if content != "application/json" and not content.endswith("+json"):
        raise CloudEventError("datacontenttype", "must be JSON")
    data = bytes(event.data)
    if data and event.data_base64 is not None:
        raise CloudEventError("data_base64", "stands beside data")
    if event.data_base64 is not None:
        try:
            return base64.b64decode(event.data_base64, validate=True)
        except ValueError as error:
            raise CloudEventError("data_base64", "is not base64") from error
    if data in (b"", b"null"):
        raise CloudEventError("data", "is missing")
    return data


def opened(raw: bytes) -> bytes:
    """The mission event in a line that is a CloudEvent; other and broken lines as they are."""
    if b'"specversion"' in raw and b'"mission_id"' not in raw.partition(b'"data"')[0]:
        with suppress(CloudEventError):
            return unwrap(raw)
    return raw
