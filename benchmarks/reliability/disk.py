"""A model of a disk that loses what was not flushed.

A file has what was written and what was flushed of it; a folder has its names and those flushed.
POSIX promises nothing beyond: flushing a file does not flush its name. What a real file system
keeps on top is up to it, so a power loss has several images.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal

Kept = Literal["flushed", "torn", "all"]
IMAGES: tuple[tuple[bool, Kept], ...] = (
    (False, "flushed"),
    (True, "flushed"),
    (False, "all"),
    (True, "torn"),
    (True, "all"),
)
"""Whether names that were not flushed are kept, and which bytes."""


@dataclass(eq=False)
class File:
    data: bytearray = field(default_factory=bytearray)
    flushed: bytes = b""
    since: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes since then as (offset, bytes), truncations as (size, null)."""

    def write(self, offset: int, content: bytes) -> None:
        _apply(self.data, offset, content)
        self.since.append((offset, content))

    def truncate(self, size: int) -> None:
        _apply(self.data, size, None)
        self.since.append((size, None))

    def flush(self) -> None:
        self.flushed, self.since = bytes(self.data), []

    def image(self, kept: Kept) -> bytes:
        if kept != "torn" or not self.since:
            return self.flushed if kept == "flushed" else bytes(self.data)
        *whole, (offset, last) = self.since
        data = bytearray(self.flushed)
        for change in whole:
            _apply(data, *change)
        if last is not None:
            _apply(data, offset, last[: len(last) // 2])
        return bytes(data)


def _apply(data: bytearray, offset: int, content: bytes | None) -> None:
    if content is None:
        del data[offset:]
    data.extend(bytes(max(0, offset - len(data))))
    if content is not None:
        data[offset : offset + len(content)] = content


@dataclass(eq=False)
class Folder:
    names: dict[str, File | Folder] = field(default_factory=dict)
    flushed: dict[str, File | Folder] = field(default_factory=dict)

    def flush(self) -> None:
        self.flushed = dict(self.names)


class Disk:
    """The files under `root`, of which everything that is there now is flushed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = _loaded(root)

    def holds(self, path: str) -> bool:
        return PurePath(path).is_relative_to(self._root) and path != str(self._root)

    def node(self, path: str) -> File | Folder:
        found: File | Folder = self._top
        for name in PurePath(path).relative_to(self._root).parts:
            found = found.names[name]
        return found

    def create(self, path: str, node: File | Folder) -> None:
        folder, name = self._place(path)
        folder.names[name] = node

    def open(self, path: str, *, create: bool, truncate: bool) -> File | Folder:
        folder, name = self._place(path) if path != str(self._root) else (None, "")
        if folder is not None and create and name not in folder.names:
            self.create(path, File())
        node = self.node(path)
        if truncate and isinstance(node, File) and node.data:
            node.truncate(0)
        return node

    def remove(self, path: str) -> File | Folder:
        folder, name = self._place(path)
        return folder.names.pop(name)

    def image(self, *, names: bool, kept: Kept) -> dict[str, bytes | None]:
        """What is there after the power came back: bytes of files, null for folders."""
        found: dict[str, bytes | None] = {}

        def walk(folder: Folder, prefix: str) -> None:
            for name, node in (folder.names if names else folder.flushed).items():
                if isinstance(node, Folder):
                    found[prefix + name] = None
                    walk(node, f"{prefix}{name}/")
                # SQLite's index of its log is shared memory, and made anew from the log.
                elif not name.endswith("-shm"):
                    found[prefix + name] = node.image(kept)

        walk(self._top, "")
        return found

    def _place(self, path: str) -> tuple[Folder, str]:
        folder = self.node(str(PurePath(path).parent))
        assert isinstance(folder, Folder)
        return folder, PurePath(path).name


def _loaded(folder: Path) -> Folder:
    made = Folder()
    for path in folder.iterdir():
        if path.is_dir():
            made.names[path.name] = _loaded(path)
        else:
            content = path.read_bytes()
            made.names[path.name] = File(bytearray(content), content)
    made.flush()
    return made
