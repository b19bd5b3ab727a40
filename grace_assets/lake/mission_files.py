"""Files of missions: their lines in batches, and whole files that are named."""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import chain, count, cycle
from math import inf
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

import msgspec

from grace_assets.core.moments import LocalDates
from grace_assets.lake.arrivals import Judged, judge
from grace_assets.lake.blocks import Line
from grace_assets.lake.landing import Counts, Landing
from grace_assets.sources import cloudevents

BATCH_BYTES = 2**23
"""Of lines that are taken together; memory holds a few times as much."""
_BUFFER_BYTES = 2**18
"""Read at once: few calls, and still small enough for a processor's cache."""
_READERS = 2
"""Processes that judge lines ahead: to judge takes a little longer than to store."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Judged)


def take_file(
    landing: Landing, path: Path, origin: str | None = None, *, ahead: bool = False
) -> Counts:
    """All lines of a whole file, the last one too; durable on return.

    With `ahead` other processes judge lines of a long file while those before are stored. They
    are forked, so the caller has no threads then.
    """
    # A pipe has no size, and only one can read it.
    size = path.stat().st_size if path.is_file() else inf
    judged = partial(_judged, origin or str(path), landing.date_of)
    counts = Counts()
    if ahead and BATCH_BYTES < size < inf:
        for batch in _ahead(judged, path, size):
            counts += landing.store(batch)
        return counts
    with _open(path) as file:
        for batch in judged(batches(file, size, 1)):
            counts += landing.store(batch)
    return counts


def _open(path: Path) -> BinaryIO:
    return path.open("rb", buffering=_BUFFER_BYTES)


def batches(file: BinaryIO, size: float, first_number: int) -> Iterator[list[Line]]:
    """The lines that begin in the next `size` bytes, numbered on from `first_number`."""
    while size > 0 and (raws := file.readlines(min(size, BATCH_BYTES))):
        yield [*map(Line, count(first_number), raws)]
        first_number += len(raws)
        size -= sum(map(len, raws))


def _judged(origin: str, date_of: LocalDates, batches: Iterable[list[Line]]) -> Iterator[Judged]:
    for lines in batches:
        yield judge(origin, lines, datetime.now(UTC), date_of, cloudevents.opened)


def _ahead(
    judged: Callable[[Iterable[list[Line]]], Iterator[Judged]], path: Path, size: int
) -> Iterator[Judged]:
    """All batches in order, made by readers in turn while the caller works on those before."""
    # A fork starts at once; nothing is imported again.
    fork = multiprocessing.get_context("fork")
    results, marks = ([fork.Pipe(duplex=False) for _ in range(_READERS)] for _ in range(2))
    ends = {*chain(*results, *marks)}
    marks[0][1].send((0, 1))
    readers = []
    for turn, (ours, its) in enumerate(results):
        before, after = marks[turn][0], marks[(turn + 1) % _READERS][1]
        # Whoever has an end of a pipe by chance keeps others waiting for what never comes.
        foreign = ends - {before, after, its}
        some = judged(_in_turn(path, size, before, after))
        process = fork.Process(target=_send, args=(some, its, foreign), daemon=True)
        process.start()
        readers.append((ours, process))
    for end in ends - {ours for ours, _ in readers}:
        end.close()
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
            yield _DECODER.decode(batch)
    finally:
        for ours, _ in readers:
            ours.close()
        for _, process in readers:
            process.join()


def _in_turn(path: Path, size: int, before: Connection, after: Connection) -> Iterator[list[Line]]:
    """The batches of one reader.

    Each hears from the one before where its batch begins and with which number, and tells the one
    after, so that every line is read once.
    """
    with _open(path) as file:
        while True:
            offset, number = before.recv()
            file.seek(offset)
            batch = next(batches(file, size - offset, number), None)
            if batch is None:
                return
            # Of one that is gone the process that they read for has to tell.
            with suppress(BrokenPipeError):
                after.send((file.tell(), number + len(batch)))
            yield batch


def _send(judged: Iterator[Judged], its: Connection, foreign: Iterable[Connection]) -> None:
    """What a reader does. It ends where nobody listens, or the one before it ended."""
    for end in foreign:
        end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nothing here is a cycle, and looking for some takes a tenth of the time.
    gc.disable()
    with suppress(BrokenPipeError, EOFError):
        try:
            for batch in judged:
                # A third of what to pickle it takes.
                its.send(_ENCODER.encode(batch))
            its.send(None)
        except OSError as error:
            its.send(error)
