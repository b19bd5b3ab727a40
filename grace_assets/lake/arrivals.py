"""Lines of an input before they are stored, judged one by one.

Nothing here needs the landing, so that another process can judge the lines that come next while
those before are stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from grace_assets.core.events import EventError, parse
from grace_assets.core.moments import LocalDates, micros
from grace_assets.lake.blocks import Line, Place, pack


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


def judge(
    origin: str,
    lines: Sequence[Line],
    received_at: datetime,
    date_of: LocalDates,
    opened: Callable[[bytes], bytes] = bytes,
) -> Judged:
    """What is valid and what is not; blank lines are passed over.

    Lines that are no events are looked at once more as what `opened` makes of them.
    """
    judged = Judged(origin, received_at)
    valid, events, groups = [], [], defaultdict(list)
    for line in lines:
        raw = line.raw
        if not raw or raw.isspace():
            continue
        try:
            try:
                event = parse(raw, received_at)
            except EventError:
                line = Line(line.number, opened(raw))
                event = parse(line.raw, received_at)
            completed_at = micros(event.completed_at)
            day = date_of(completed_at)
        except (EventError, OverflowError) as error:
            judged.rejected.append(_refused(judged, line, error, date_of))
            continue
        domain_id = event.domain_id
        groups[day, domain_id].append(len(valid))
        valid.append(line)
        events.append((event.mission_id, day, domain_id, micros(event.started_at), completed_at))
    # What is read together lies together, in whatever order it came.
    order = [index for key in sorted(groups) for index in groups[key]]
    places: list[Place] = [(0, 0)] * len(valid)
    packed = iter(order)
    for number, (block, size) in enumerate(pack(valid[index] for index in order)):
        judged.blocks.append(block)
        for place in range(size):
            places[next(packed)] = number, place
    judged.arrivals = [event + place for event, place in zip(events, places, strict=True)]
    return judged


def _refused(
    judged: Judged, line: Line, error: EventError | OverflowError, date_of: LocalDates
) -> Rejected:
    if isinstance(error, OverflowError):
        error = EventError("completed_at", "is outside the years 1 to 9999")
    day = date_of(micros(judged.received_at))
    what = line.number, error.field, error.reason, line.raw
    return Rejected(judged.received_at, day, judged.origin, *what)
