"""Files of missions: their lines in batches, and whole files that are named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from grace_assets.lake.arrivals import Line
from grace_assets.lake.landing import Counts, Landing
from grace_assets.sources import cloudevents

BATCH_BYTES = 2**24
"""Of lines that are taken together; memory holds a few times as much."""


def take_file(landing: Landing, path: Path, origin: str | None = None) -> Counts:
    """All lines of a whole file, the last one too; durable on return."""
    counts = Counts()
    with path.open("rb") as file:
        for batch in batches(file, 1):
            counts += landing.add(origin or str(path), opened(batch), datetime.now(UTC))
    return counts


def batches(file: BinaryIO, first_number: int) -> Iterator[list[Line]]:
    """Lines with their newline, in batches, numbered on from `first_number`."""
    while raws := file.readlines(BATCH_BYTES):
        yield [Line(number, raw) for number, raw in enumerate(raws, start=first_number)]
        first_number += len(raws)


def opened(batch: list[Line]) -> list[Line]:
    """Lines whose CloudEvents are taken out of their envelopes; others, and broken ones, as is."""
    return [_opened(line) if cloudevents.is_envelope(line.raw) else line for line in batch]


def _opened(line: Line) -> Line:
    with suppress(cloudevents.CloudEventError):
        return Line(line.number, cloudevents.unwrap(line.raw))
    return line
