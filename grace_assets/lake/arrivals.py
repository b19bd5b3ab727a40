"""Lines of an input before they are stored, judged one by one.

Nothing here needs the landing, so that another process can judge the lines that come next while
those before are stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from grace_assets.core.events import EventError, parse
from grace_assets.core.moments import LocalDates, micros
from grace_assets.lake.blocks import Line, pack


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
class Arrivals:
    """Valid lines in the order received, kept by column: a tuple for each would take a tenth of
    the time to judge them, and as long again in the process that stores them."""

    mission_ids: list[str] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    domain_ids: list[str] = field(default_factory=list)
    started_at: list[int] = field(default_factory=list)
    completed_at: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.mission_ids)

    def __iter__(self) -> Iterator[Arrival]:
        return self.placed_from(0)

    def placed_from(self, first: int) -> Iterator[Arrival]:
        """The lines, where their blocks are counted from `first`."""
        return zip(
            self.mission_ids,
            self.days,
            self.domain_ids,
            self.started_at,
            self.completed_at,
            [first + block for block in self.blocks],
            self.places,
            strict=True,
        )


@dataclass
class Judged:
    """Lines of one input, and the blocks that hold those that are valid."""

    origin: str
    received_at: datetime
    arrivals: Arrivals = field(default_factory=Arrivals)
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
    arrivals, valid, groups = judged.arrivals, [], defaultdict(list)
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
        arrivals.mission_ids.append(event.mission_id)
        arrivals.days.append(day)
        arrivals.domain_ids.append(domain_id)
        arrivals.started_at.append(micros(event.started_at))
        arrivals.completed_at.append(completed_at)
    # What is read together lies together, in whatever order it came.
    order = [index for key in sorted(groups) for index in groups[key]]
    arrivals.blocks, arrivals.places = [0] * len(valid), [0] * len(valid)
    packed = 0
    for number, (block, size) in enumerate(pack(valid[index] for index in order)):
        judged.blocks.append(block)
        for place, index in enumerate(order[packed : packed + size]):
            arrivals.blocks[index], arrivals.places[index] = number, place
        packed += size
    return judged


def _refused(
    judged: Judged, line: Line, error: EventError | OverflowError, date_of: LocalDates
) -> Rejected:
    if isinstance(error, OverflowError):
        error = EventError("completed_at", "is outside the years 1 to 9999")
    day = date_of(micros(judged.received_at))
    what = line.number, error.field, error.reason, line.raw
    return Rejected(judged.received_at, day, judged.origin, *what)
