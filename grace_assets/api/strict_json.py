"""JSON from strangers: split into events, each held to rules that a lenient parser lets pass.

Refused are NaN and Infinity, numbers too large for a double or 64 bits, repeated keys, lone
surrogates and deep nesting (CONTRACT section 7): each would break a reader further on.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 32
MAX_EVENTS = 10_000
_INT64 = 2**63
_SPACE = " \t\n\r"


class NotJson(ValueError):
    """The body is not UTF-8 or not JSON at all."""


class NotAllowed(ValueError):
    """JSON, but not the kind that is taken; the text says which rule it breaks."""


@dataclass(frozen=True)
class Element:
    """One event of a body, as it came; `broken` is the rule that it breaks."""

    index: int
    raw: bytes
    broken: str | None


def split(body: bytes) -> list[Element]:
    """The events of a body: one object, or an array of up to `MAX_EVENTS`.

    Raises `NotJson`, or `NotAllowed` for too many events or something that is neither.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"not UTF-8 at byte {error.start}") from error
    start = _skip(text, 0)
    if text[start : start + 1] == "[":
        raw = _elements(text, start)
    elif text[start : start + 1] == "{":
        end = _end(text, start)
        if _skip(text, end) != len(text):
            raise NotJson(f"something follows the object at character {end}")
        raw = [text[start:end]]
    else:
        _end(text, start)
        raise NotAllowed("an object or an array of objects is needed")
    return [Element(n, part.encode(), broken_rule(part)) for n, part in enumerate(raw)]


def _elements(text: str, start: int) -> list[str]:
    parts: list[str] = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != "]":
        if len(parts) == MAX_EVENTS:
            raise NotAllowed(f"more than {MAX_EVENTS:,} events in one request")
        end = _end(text, at)
        parts.append(text[at:end])
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
            if text[at : at + 1] == "]":
                raise NotJson("a comma before the end of the array")
        elif text[at : at + 1] != "]":
            raise NotJson(f"a comma is missing at character {at}")
    if _skip(text, at + 1) != len(text):
        raise NotJson(f"something follows the array at character {at + 1}")
    if not parts:
        raise NotAllowed("the array holds no event")
    return parts


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


_LENIENT = json.JSONDecoder(parse_int=len, parse_float=len)


def _end(text: str, start: int) -> int:
    """Where the value that begins at `start` ends."""
    try:
        return _LENIENT.raw_decode(text, start)[1]
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise NotAllowed(f"nested deeper than {MAX_DEPTH}") from error


def broken_rule(text: str) -> str | None:
    """The rule that a JSON value breaks, in words; None where it keeps them all.

    Raises `json.JSONDecodeError` where the text is not JSON.
    """
    try:
        value = json.loads(
            text,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
            object_pairs_hook=_unique,
        )
        _walk(value, 1)
    except NotAllowed as error:
        return str(error)
    except RecursionError:
        return f"nested deeper than {MAX_DEPTH}"
    return None


def _constant(name: str) -> None:
    raise NotAllowed(f"{name} is no number of JSON")


def _integer(text: str) -> int:
    # Compared by length first: turning thousands of digits into a number takes long.
    if len(text) > 20 or not -_INT64 <= int(text) < 2 * _INT64:
        raise NotAllowed("an integer beyond 64 bits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotAllowed("a number too large for a double")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise NotAllowed(f"the key {twice[:100]!r} is there twice")
    return found


def _walk(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise NotAllowed("a lone surrogate")
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise NotAllowed(f"nested deeper than {MAX_DEPTH}")
        if isinstance(value, dict):
            for key in value:
                _walk(key, depth)
            value = value.values()
        for inner in value:
            _walk(inner, depth + 1)
