"""What every read has in common: its parameters' types, JSON without NaN, and an ETag.

Whoever names an answer's ETag in If-None-Match is told 304 while it is true.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BeforeValidator, WithJsonSchema
from starlette.responses import Response

from grace_assets.api.access import Refusal
from grace_assets.lake.analytics import UnknownDomain

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


def answer(request: Request, content: Any) -> Response:
    """`content` as JSON with its ETag, or 304 where the client has it already."""
    body = json.dumps(plain(content), ensure_ascii=False, allow_nan=False).encode()
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    known = [part.strip() for part in request.headers.get("if-none-match", "").split(",")]
    if "*" in known or tag in (part.removeprefix("W/") for part in known):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, media_type="application/json")


def told(request: Request, made: Callable[..., Any], *args: Any) -> Response:
    """What `made` gives, as an answer."""
    try:
        return answer(request, made(*args))
    except UnknownDomain as error:
        raise Refusal(404, "no mission of such a domain was ever seen") from error
