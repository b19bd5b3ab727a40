"""Files of tables and samples in a folder of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from grace_assets.lake.durable import replacing, sync_folder
from grace_assets.lake.files import Held, Signature


class LocalFiles:
    """Files below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = os.fspath(root)

    def names(self, folder: str) -> list[str]:
        try:
            return os.listdir(f"{self._prefix}/{folder}")  # noqa: PTH208 - names are wanted
        except FileNotFoundError:
            return []

    def sources(self, files: Sequence[str]) -> Iterator[tuple[str, Any]]:
        import pyarrow as pa

        for file in files:
            try:
                # None of Python's: where a thread of Arrow's lets go of one while the process ends,
                # that is aborted ("terminate called without an active exception").
                opened = pa.OSFile(f"{self._prefix}/{file}")
            except FileNotFoundError:
                continue
            with opened:
                yield file, opened

    @contextmanager
    def replacing(self, file: str, held: Held | None = None) -> Iterator[BinaryIO]:
        if held:
            held()
        target = self.root / file
        with replacing(target) as opened:
            yield opened
            if held:
                held()
        # Of the folder of days, which a file replaced below it would leave as it was.
        now = time.time_ns()
        os.utime(target.parent.parent, ns=(now, now))

    def remove(self, files: Sequence[str]) -> None:
        folders = {(self.root / file).parent for file in files}
        for file in files:
            (self.root / file).unlink(missing_ok=True)
        for folder in folders:
            with suppress(OSError):
                # What else lies there is not ours.
                folder.rmdir()
        for above in {folder.parent for folder in folders}:
            sync_folder(above)

    def signatures(self, _: str, files: Sequence[str]) -> list[Signature | None]:
        return [_signature(f"{self._prefix}/{file}") for file in files]

    def size(self, _: str, files: Sequence[str]) -> int:
        there = (self.root / file for file in files)
        return sum(path.stat().st_size for path in there if path.exists())

    def version(self, folder: str) -> int:
        try:
            return os.stat(f"{self._prefix}/{folder}").st_mtime_ns  # noqa: PTH116 - each request
        except FileNotFoundError:
            return 0


def _signature(file: str) -> Signature | None:
    try:
        stat = os.stat(file)  # noqa: PTH116 - hundreds at once: a Path each would cost twice it
    except FileNotFoundError:
        return None
    # The time alone may be the same for two files written within one tick of the clock.
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
