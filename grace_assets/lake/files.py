"""Where the files of tables and samples lie: a folder of this machine, or a bucket.

In both a file is replaced whole or not at all, and what is read is one version of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from grace_assets.lake.durable import replace_file, sync_folder

Signature = tuple[object, ...]
"""What differs once a file is replaced."""

S3 = "s3://"
_AT_ONCE = 16
"""Objects that are fetched, and held in memory, together."""


class Files(Protocol):
    """Files by their place below a root, such as `tables/domain_daily/date=2026-03-01/…`."""

    def names(self, folder: str) -> list[str]:
        """What lies in a folder; nothing where there is none."""
        ...

    def sources(self, files: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Those that there are, in order, as `pyarrow.parquet.ParquetFile` opens them."""
        ...

    def replace(self, file: str, write: Callable[[BinaryIO], None]) -> None:
        """Make the file hold what `write` writes; on return it is durable."""
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

    def sources(self, files: Sequence[str]) -> Iterator[tuple[str, BinaryIO]]:
        for file in files:
            try:
                opened = open(f"{self._prefix}/{file}", "rb")  # noqa: PTH123, SIM115
            except FileNotFoundError:
                continue
            with opened:
                yield file, opened

    def replace(self, file: str, write: Callable[[BinaryIO], None]) -> None:
        target = self.root / file
        replace_file(target, write)
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


class S3Files:
    """Objects below `s3://bucket/prefix`, by the extra `s3`; keys and endpoint as AWS's tools.

    A PUT replaces an object whole, and S3 shows it to every reader at once. A reader takes an
    object in one GET: parts fetched one by one could be of two versions.
    """

    def __init__(self, url: str) -> None:
        self._prefix = url.removeprefix(S3).strip("/")

    @cached_property
    def _s3(self) -> Any:
        import s3fs

        # What another process wrote must show: nothing is listed from memory.
        return s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)

    def names(self, folder: str) -> list[str]:
        try:
            found = self._s3.ls(f"{self._prefix}/{folder}", detail=False, refresh=True)
        except FileNotFoundError:
            return []
        return [name.rpartition("/")[2] for name in found]

    def sources(self, files: Sequence[str]) -> Iterator[tuple[str, BytesIO]]:
        # Together, as each takes a round trip.
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            found = self._s3.cat([f"{self._prefix}/{file}" for file in some], on_error="return")
            for file in some:
                content = found[f"{self._prefix}/{file}"]
                if isinstance(content, FileNotFoundError):
                    continue
                if isinstance(content, Exception):
                    # Not passed over: what could not be fetched is not "nothing happened".
                    raise content
                yield file, BytesIO(content)

    def replace(self, file: str, write: Callable[[BinaryIO], None]) -> None:
        content = BytesIO()
        write(content)
        self._s3.pipe_file(f"{self._prefix}/{file}", content.getvalue())

    def remove(self, files: Sequence[str]) -> None:
        if files:
            self._s3.rm([f"{self._prefix}/{file}" for file in files])

    def signatures(self, folder: str, files: Sequence[str]) -> list[Signature | None]:
        below = f"{self._prefix}/{folder}"
        found = self._listed(below) if files else {}
        tags = {name: (info["ETag"], info["size"]) for name, info in found.items()}
        return [tags.get(f"{self._prefix}/{file}") for file in files]

    def size(self, folder: str, files: Sequence[str]) -> int:
        wanted = {f"{self._prefix}/{file}" for file in files}
        found = self._listed(f"{self._prefix}/{folder}") if files else {}
        return sum(info["size"] for name, info in found.items() if name in wanted)

    def version(self, _: str) -> int:
        return 0

    def found(self, folder: str) -> list[tuple[str, str, datetime]]:
        """Every object below a folder: its place, its tag and when it was put there."""
        below = f"{self._prefix}/{folder}"
        return [
            (name.removeprefix(f"{self._prefix}/"), info["ETag"], info["LastModified"])
            for name, info in self._listed(below).items()
        ]

    def _listed(self, below: str) -> dict[str, dict[str, Any]]:
        found = self._s3.find(below, detail=True)
        # Some servers keep a folder that was emptied, and list it.
        return {name: info for name, info in found.items() if info["type"] == "file"}

    def fetch(self, file: str, target: Path) -> None:
        """A copy of an object on this machine."""
        self._s3.get_file(f"{self._prefix}/{file}", str(target))

    def move(self, file: str, target: str, tag: str) -> None:
        """Move an object while it is the one with this `tag`; another one stays where it is."""
        source = f"{self._prefix}/{file}"
        self._s3.copy(source, f"{self._prefix}/{target}")
        if self._s3.info(source, refresh=True)["ETag"] == tag:
            self._s3.rm_file(source)


def open_files(root: Path, url: str | None) -> Files:
    """Where `GRACE_DATA_DIR` says: a bucket's URL, or else the folder `root`."""
    return S3Files(url) if url else LocalFiles(root)
