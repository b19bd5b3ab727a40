"""The audit trail: raw lines as they came, kept compressed in blocks.

A block holds the lines of one day and domain, as far as they came together: an event takes a
twentieth of its bytes, storing it a fraction of the time, and whoever reads a day reads few blocks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import zstandard

from grace_assets.core.moments import micros, moment
from grace_assets.lake.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS block (
  seq INTEGER PRIMARY KEY, received_at INTEGER NOT NULL, origin TEXT NOT NULL, raw BLOB NOT NULL);
"""
BLOCK_BYTES = 65_536
"""Of lines in a block: whoever wants one of them reads them all."""
Place = tuple[int, int]
"""Which line of which block: the block's `seq`, and a number counted from 0."""


class Line(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One raw line (or array element) of an input, numbered from 1."""

    # Lines wait by the ten thousand: the garbage collector would look through them again and
    # again, and find nothing, for as long as taking them in takes.
    number: int
    raw: bytes


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A line as its block has it; `origin` is where it came from and its number there."""

    raw: bytes
    received_at: datetime
    origin: str


_LINES = msgspec.msgpack.Decoder(list[Line])


def pack(lines: Iterable[Line]) -> Iterator[tuple[bytes, int]]:
    """Blocks of lines in their order, and how many lines each holds."""
    compress = zstandard.ZstdCompressor(level=1).compress
    filled, size = [], 0
    for line in lines:
        filled.append(line)
        size += len(line.raw)
        if size >= BLOCK_BYTES:
            yield compress(msgspec.msgpack.encode(filled)), len(filled)
            filled, size = [], 0
    if filled:
        yield compress(msgspec.msgpack.encode(filled)), len(filled)


def unpack(block: bytes) -> list[Line]:
    return _LINES.decode(zstandard.decompress(block))


class Blocks:
    """The table of blocks; what writes is within a transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, origin: str, received_at: datetime, blocks: Sequence[bytes]) -> int:
        """Store blocks; the `seq` of the first, from which the others count on."""
        first = self._db.execute("SELECT coalesce(max(seq), 0) + 1 FROM block").fetchone()[0]
        received = micros(received_at)
        self._db.executemany(
            "INSERT INTO block VALUES (?,?,?,?)",
            [(seq, received, origin, raw) for seq, raw in enumerate(blocks, start=first)],
        )
        return first

    def remove(self, seqs: Iterable[int]) -> None:
        self._db.executemany("DELETE FROM block WHERE seq = ?", [(seq,) for seq in seqs])

    def read(self, places: Iterable[Place]) -> Iterator[tuple[Place, Stored]]:
        """Each place with what lies there, in any order; a block is read once."""
        wanted = defaultdict(list)
        for block, place in places:
            wanted[block].append(place)
        rows = among(
            self._db, "SELECT seq, received_at, origin, raw FROM block WHERE seq", sorted(wanted)
        )
        for seq, received_at, origin, raw in rows:
            lines, received = unpack(raw), moment(received_at)
            for place in wanted[seq]:
                line = lines[place]
                yield (seq, place), Stored(line.raw, received, f"{origin}:{line.number}")


def among(db: Database, select: str, values: Sequence[str] | Sequence[int]) -> Iterator[Any]:
    """The rows of a statement that ends before ` IN (…)`."""
    for start in range(0, len(values), 500):
        some = values[start : start + 500]
        yield from db.execute(f"{select} IN ({','.join('?' * len(some))})", some)
