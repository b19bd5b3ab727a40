"""Lines of an input before they are stored: judged one by one, and packed into blocks.

A block holds the raw bytes of lines, compressed together: an event takes a twentieth of its bytes,
and storing it a fraction of the time. Nothing here needs the landing, so that another process can
judge the lines that come next while those before are stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

import msgspec
import zstandard

from grace_assets.core.events import EventError, day_of, parse
from grace_assets.core.moments import LocalDates, micros

BLOCK_BYTES = 65_536
"""Of lines in a block: whoever wants one of them reads them all."""


class Line(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One raw line (or array element) of an input, numbered from 1."""

    # Lines wait by the ten thousand: the garbage collector would look through them again and
    # again, and find nothing, for as long as taking them in takes.
    number: int
    raw: bytes


@dataclass(frozen=True)
class Rejected:
    received_at: datetime
    day: str
    origin: str
    line: int
    field: str | None
    reason: str
    raw: bytes
    seq: int = 0
    kind: str = "event"


Arrival = tuple[str, str, str, int, int, int, int]
"""A valid line: mission_id, day, domain_id, started_at, completed_at (in microseconds), and which
line of which block it is, both counted from 0."""


@dataclass
class Judged:
    """Lines of one input; `arrivals` in the order received, and the blocks that hold them."""

    origin: str
    received_at: datetime
    arrivals: list[Arrival] = field(default_factory=list)
    blocks: list[bytes] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def judge(origin: str, lines: Sequence[Line], received_at: datetime, zone: tzinfo) -> Judged:
    """What is valid and what is not; blank lines are passed over."""
    judged = Judged(origin, received_at)
    valid, events, groups = [], [], defaultdict(list)
    date_of = LocalDates(zone)
    for line in lines:
        raw = line.raw
        if not raw or raw.isspace():
            continue
        try:
            event = parse(raw, received_at)
            completed_at = micros(event.completed_at)
            day = _day(date_of, completed_at)
        except EventError as error:
            today = day_of(received_at, zone)
            where = (received_at, today, origin, line.number)
            judged.rejected.append(Rejected(*where, error.field, error.reason, raw))
        else:
            groups[day, event.domain_id].append(len(valid))
            valid.append(line)
            events.append(
                (event.mission_id, day, event.domain_id, micros(event.started_at), completed_at)
            )
    # What is read together lies together, in whatever order it came.
    order = [index for key in sorted(groups) for index in groups[key]]
    places, judged.blocks = _packed(valid, order)
    judged.arrivals = [event + place for event, place in zip(events, places, strict=True)]
    return judged


def _day(date_of: LocalDates, completed_at: int) -> str:
    try:
        return date_of(completed_at)
    except OverflowError as error:
        raise EventError("completed_at", "is outside the years 1 to 9999") from error


def _packed(
    lines: Sequence[Line], order: Sequence[int]
) -> tuple[list[tuple[int, int]], list[bytes]]:
    """Where each line lies, and the blocks, filled in that order."""
    places: list[tuple[int, int]] = [(0, 0)] * len(lines)
    blocks, filled, size = [], [], 0
    for index in order:
        places[index] = len(blocks), len(filled)
        filled.append(lines[index])
        size += len(lines[index].raw)
        if size >= BLOCK_BYTES:
            blocks.append(pack(filled))
            filled, size = [], 0
    if filled:
        blocks.append(pack(filled))
    return places, blocks


_LINES = msgspec.msgpack.Decoder(list[Line])


def pack(lines: Sequence[Line]) -> bytes:
    return zstandard.compress(msgspec.msgpack.encode(lines), 1)


def unpack(block: bytes) -> list[Line]:
    return _LINES.decode(zstandard.decompress(block))
