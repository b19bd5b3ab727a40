"""Files of missions: their lines in batches, and whole files that are named."""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from itertools import cycle
from math import inf
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

from grace_assets.core.moments import LocalDates
from grace_assets.lake.arrivals import Judged, judge
from grace_assets.lake.blocks import Line
from grace_assets.lake.landing import Counts, Landing
from grace_assets.sources import cloudevents

BATCH_BYTES = 2**23
"""Of lines that are taken together; memory holds a few times as much."""
_READERS = 2
"""Processes that judge lines ahead: to judge takes a little longer than to store."""


def take_file(
    landing: Landing, path: Path, origin: str | None = None, *, ahead: bool = False
) -> Counts:
    """All lines of a whole file, the last one too; durable on return.

    With `ahead` other processes judge lines of a long file while those before are stored. They
    are forked, so the caller has no threads then.
    """
    # A pipe has no size, and only one can read it.
    size = path.stat().st_size if path.is_file() else inf
    judged = partial(_judged, path, size, origin or str(path), landing.date_of)
    counts = Counts()
    for batch in _ahead(judged, path) if ahead and BATCH_BYTES < size < inf else judged(0, 1):
        counts += landing.store(batch)
    return counts


def batches(file: BinaryIO, size: float, first_number: int) -> Iterator[list[Line]]:
    """The lines that begin in the next `size` bytes, numbered on from `first_number`."""
    for chunk in _chunks(file, size):
        batch = _numbered(chunk, first_number)
        yield batch
        first_number += len(batch)


def _chunks(file: BinaryIO, size: float) -> Iterator[bytes]:
    while size > 0 and (chunk := file.read(min(size, BATCH_BYTES)) + file.readline()):
        yield chunk
        size -= len(chunk)


def _numbered(chunk: bytes, first_number: int) -> list[Line]:
    return [Line(number, raw) for number, raw in enumerate(BytesIO(chunk), start=first_number)]


Readers = Callable[[int, int], Iterator[Judged]]
"""The batches of a file that are a reader's: which reader it is, counted from 0, of how many."""


def _judged(
    path: Path, size: float, origin: str, date_of: LocalDates, turn: int, readers: int
) -> Iterator[Judged]:
    # `size` is said once: in a file that grows each reader must find the same batches.
    number = 1
    with path.open("rb") as file:
        for index, chunk in enumerate(_chunks(file, size)):
            if index % readers == turn:
                lines = _numbered(chunk, number)
                yield judge(origin, lines, datetime.now(UTC), date_of, cloudevents.opened)
            number += chunk.count(b"\n")


def _ahead(judged: Readers, path: Path) -> Iterator[Judged]:
    """All batches in order, made by readers in turn while the caller works on those before."""
    # A fork starts at once; nothing is imported again.
    fork = multiprocessing.get_context("fork")
    readers = []
    for turn in range(_READERS):
        ours, its = fork.Pipe(duplex=False)
        process = fork.Process(target=_send, args=(judged(turn, _READERS), ours, its), daemon=True)
        process.start()
        its.close()
        readers.append((ours, process))
    try:
        for ours, process in cycle(readers):
            try:
                batch = ours.recv()
            except EOFError:
                process.join()
                raise OSError(f"{path}: its reader ended with {process.exitcode}") from None
            if isinstance(batch, OSError):
                raise batch
            if batch is None:
                return
            yield batch
    finally:
        for ours, _ in readers:
            ours.close()
        for _, process in readers:
            process.join()


def _send(judged: Iterator[Judged], ours: Connection, its: Connection) -> None:
    """What a reader does. It ends where nobody listens any more."""
    # Our copy of the other end would be a listener.
    ours.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nothing here is a cycle, and looking for some takes a tenth of the time.
    gc.disable()
    with suppress(BrokenPipeError):
        try:
            for batch in judged:
                its.send(batch)
            its.send(None)
        except OSError as error:
            its.send(error)
