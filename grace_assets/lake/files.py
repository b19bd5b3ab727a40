"""Where the files of tables and samples lie: a folder of this machine, or a bucket.

In both a file is replaced whole or not at all, and what is read is one version of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Protocol

Signature = tuple[object, ...]
"""What differs once a file is replaced."""
Held = Callable[[], None]
"""Raises where the writer no longer holds its lock."""


class Files(Protocol):
    """Files by their place below a root, such as `tables/domain_daily/date=2026-03-01/…`."""

    def names(self, folder: str) -> list[str]:
        """What lies in a folder; nothing where there is none."""
        ...

    def sources(self, files: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Those that there are, in order, as `pyarrow.parquet.ParquetFile` opens them."""
        ...

    def replacing(self, file: str, held: Held | None = None) -> AbstractContextManager[BinaryIO]:
        """A file to write to that becomes `file` at the end of the block, and is durable then.

        `held` is asked before. In a bucket nothing is replaced that another writer put there since.
        """
        ...

    def remove(self, files: Sequence[str]) -> None:
        """Take away files, and the folders that held nothing else; durable on return."""
        ...

    def signatures(self, folder: str, files: Sequence[str]) -> list[Signature | None]:
        """Of files below a folder, null where there is none; one look for all of them."""
        ...

    def size(self, folder: str, files: Sequence[str]) -> int:
        """Bytes of those files below a folder that there are; one look for all of them."""
        ...

    def version(self, folder: str) -> int:
        """Another number after each replacement below a folder; 0 where nobody can tell."""
        ...
