"""What every read has in common: its parameters' types, JSON without NaN, and an ETag.

Whoever names an answer's ETag in If-None-Match is told 304 while it is true.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BeforeValidator, WithJsonSchema
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from grace_assets.api.access import Refusal
from grace_assets.lake.analytics import UnknownDomain

KEPT_SECONDS, KEPT_ANSWERS = 1.0, 256

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _iso_date(value: object) -> date:
    # Pydantic alone would take a number for seconds since 1970.
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("a date is YYYY-MM-DD")
    return date.fromisoformat(value)


Day = Annotated[
    date, BeforeValidator(_iso_date), WithJsonSchema({"type": "string", "format": "date"})
]
Domain = Annotated[
    str | None,
    Query(max_length=100, description="All domains where not given.", examples=["payments"]),
]
Period = Annotated[int, Query(ge=1, le=36_600, description="Dates up to `end_date`.")]
EndDate = Annotated[Day | None, Query(description="Last date; today where not given.")]
FirstDate = Annotated[Day | None, Query(alias="from", description="First date.")]
LastDate = Annotated[Day | None, Query(alias="to", description="Last date.")]


def plain(value: Any) -> Any:
    """As JSON has it: times in RFC 3339, what is no number as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def told(request: Request, made: Callable[..., Any], *args: Any) -> Response:
    """What `made` gives as JSON with its ETag, or 304 where the client has it already."""
    return _sealed(request, *_encoded(made, *args))


def _encoded(made: Callable[..., Any], *args: Any) -> tuple[bytes, str]:
    """The body and its ETag."""
    try:
        content = made(*args)
    except UnknownDomain as error:
        raise Refusal(404, "no mission of such a domain was ever seen") from error
    body = json.dumps(plain(content), ensure_ascii=False, allow_nan=False).encode()
    return body, f'"{sha256(body).hexdigest()[:32]}"'


def _sealed(request: Request, body: bytes, tag: str) -> Response:
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if asked := request.headers.get("if-none-match"):
        known = [part.strip().removeprefix("W/") for part in asked.split(",")]
        if "*" in known or tag in known:
            return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, media_type="application/json")


class Prepared:
    """Answers as they were sent, for as long as `version` stays the same.

    What others than we put into the tables shows when an answer is `KEPT_SECONDS` old.
    """

    def __init__(self, version: Callable[[], Hashable]) -> None:
        self._version = version
        self._kept: OrderedDict[Hashable, tuple[Hashable, float, bytes, str]] = OrderedDict()

    async def told(self, request: Request, made: Callable[..., Any], *args: Any) -> Response:
        """As `told`; only what has to be made anew is made in a thread."""
        # Before making: what changes meanwhile makes the next answer anew.
        key, version = (made, args), self._version()
        kept = self._kept.get(key)
        if kept and kept[0] == version and time.monotonic() < kept[1] + KEPT_SECONDS:
            return _sealed(request, *kept[2:])
        asked = time.monotonic()
        body, tag = await run_in_threadpool(_encoded, made, *args)
        self._kept[key] = (version, asked, body, tag)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT_ANSWERS:
            self._kept.popitem(last=False)
        return _sealed(request, body, tag)
