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
from starlette.types import Scope

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


def told(request: Request, made: Callable[..., Any], *args: Any) -> Response:
    """What `made` gives as JSON with its ETag, or 304 where the client has it already."""
    answer = encoded(made, *args)
    return unchanged(request.scope, answer) or answer


def encoded(made: Callable[..., Any], *args: Any) -> Response:
    """What `made` gives as JSON with its ETag."""
    try:
        content = made(*args)
    except UnknownDomain as error:
        raise Refusal(404, "no mission of such a domain was ever seen") from error
    body = json.dumps(plain(content), ensure_ascii=False, allow_nan=False).encode()
    headers = {"etag": f'"{sha256(body).hexdigest()[:32]}"', "cache-control": "private, no-cache"}
    return Response(body, 200, headers, media_type="application/json")


def unchanged(scope: Scope, answer: Response) -> Response | None:
    """304 instead of `answer` for a client that has it already; else null."""
    asked = next((value for name, value in scope["headers"] if name == b"if-none-match"), b"")
    if not asked:
        return None
    known = [part.strip().removeprefix("W/") for part in asked.decode("latin-1").split(",")]
    if "*" not in known and answer.headers["etag"] not in known:
        return None
    headers = {name: answer.headers[name] for name in ("etag", "cache-control")}
    return Response(status_code=304, headers=headers)
