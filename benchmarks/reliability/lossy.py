"""A file system that forgets what was not flushed (FUSE), and where the power is cut in a call.

python -m benchmarks.reliability.lossy FOLDER LEFT CALL   (0: never; it prints its calls in the end)

It begins with the files of FOLDER, all of them flushed, and is mounted over it. A write lives in
memory until an fsync of its file; a name, new or gone, until an fsync of its folder: POSIX promises
nothing beyond. Before the CALL'th call that changes or flushes anything the power goes: the caller
is killed, nothing answers any more, and LEFT is what was flushed. It shares no code with the model
in `disk`, for which it is a witness: here the kernel says what a program does, not strace.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

os.environ["FUSE_LIBRARY_NAME"] = "fuse3"
import mfusepy


@dataclass(eq=False)
class File:
    data: bytearray
    kept: bytes
    changed: float
    shared_memory: bool
    """SQLite's, which it never flushes and makes anew: the kernel writes it when it likes."""


def _file(name: str, content: bytes, changed: float) -> File:
    return File(bytearray(content), content, changed, name.endswith("-shm"))


@dataclass(eq=False)
class Folder:
    names: dict[str, File | Folder] = field(default_factory=dict)
    kept: dict[str, File | Folder] = field(default_factory=dict)


def loaded(folder: Path) -> Folder:
    made = Folder()
    for path in folder.iterdir():
        if path.is_dir():
            made.names[path.name] = loaded(path)
        else:
            changed = path.stat().st_mtime
            made.names[path.name] = _file(path.name, path.read_bytes(), changed)
    made.kept = dict(made.names)
    return made


def save_kept(folder: Folder, place: Path) -> None:
    place.mkdir()
    for name, node in folder.kept.items():
        if isinstance(node, Folder):
            save_kept(node, place / name)
        else:
            (place / name).write_bytes(node.kept)


class Lossy(mfusepy.Operations):
    """What libfuse asks for; `OSError` is what the caller gets."""

    use_ns = True

    def __init__(self, top: Folder, left: Path, cut: int) -> None:
        self._top, self._left, self._cut = top, left, cut
        self._calls: list[str] = []
        self._dead = False
        self._open: dict[int, File] = {}
        self._handles = count(1)

    # -- the power -----------------------------------------------------------------------------

    def init(self, path: str) -> None:
        print("mounted", flush=True)

    def destroy(self, path: str) -> None:
        if not self._dead:
            save_kept(self._top, self._left)
            print(*self._calls, flush=True)

    def _powered(self) -> None:
        if self._dead:
            raise OSError(errno.EIO, "no power")

    def _changes(self, call: str, file: File | None = None) -> None:
        """Before each call that changes or flushes something."""
        self._powered()
        if file is not None and file.shared_memory:
            return
        self._calls.append(call)
        if len(self._calls) == self._cut:
            self._dead = True
            save_kept(self._top, self._left)
            os.kill(mfusepy.fuse_get_context()[2], signal.SIGKILL)
            self._powered()

    # -- names ---------------------------------------------------------------------------------

    def _node(self, path: str) -> File | Folder:
        node: File | Folder = self._top
        for name in path.split("/")[1:]:
            if not name:
                continue
            if not isinstance(node, Folder) or name not in node.names:
                raise OSError(errno.ENOENT, path)
            node = node.names[name]
        return node

    def _place(self, path: str) -> tuple[dict[str, File | Folder], str]:
        folder, _, name = path.rpartition("/")
        node = self._node(folder)
        if not isinstance(node, Folder):
            raise OSError(errno.ENOTDIR, folder)
        return node.names, name

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, int]:
        self._powered()
        node = self._open[fh] if fh else self._node(path)
        if isinstance(node, Folder):
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        at = int(node.changed * 1e9)
        times = {"st_mtime": at, "st_ctime": at, "st_atime": at}
        return {"st_mode": stat.S_IFREG | 0o644, "st_nlink": 1, "st_size": len(node.data), **times}

    def readdir(self, path: str, fh: int) -> Iterator[str]:
        self._powered()
        return iter([".", "..", *self._node(path).names])

    def mkdir(self, path: str, mode: int) -> None:
        self._changes("mkdir")
        names, name = self._place(path)
        names[name] = Folder()

    def unlink(self, path: str) -> None:
        self._changes("unlink")
        names, name = self._place(path)
        del names[name]

    def rmdir(self, path: str) -> None:
        if self._node(path).names:
            raise OSError(errno.ENOTEMPTY, path)
        self.unlink(path)

    def rename(self, old: str, new: str) -> None:
        self._changes("rename")
        names, name = self._place(old)
        target, new_name = self._place(new)
        target[new_name] = names.pop(name)

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        self._changes("fsyncdir")
        folder = self._node(path)
        folder.kept = dict(folder.names)

    # -- files ---------------------------------------------------------------------------------

    def _opened(self, file: File) -> int:
        handle = next(self._handles)
        self._open[handle] = file
        return handle

    def create(self, path: str, mode: int, fi: object = None) -> int:
        self._changes("create")
        names, name = self._place(path)
        names[name] = _file(name, b"", time.time())
        return self._opened(names[name])

    def open(self, path: str, flags: int) -> int:
        self._powered()
        if flags & os.O_TRUNC:
            self.truncate(path, 0)
        return self._opened(self._node(path))

    def release(self, path: str | None, fh: int) -> None:
        del self._open[fh]

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        self._powered()
        return bytes(self._open[fh].data[offset : offset + size])

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        file = self._open[fh]
        self._changes("write", file)
        file.data.extend(bytes(max(0, offset - len(file.data))))
        file.data[offset : offset + len(data)] = data
        file.changed = time.time()
        return len(data)

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> None:
        file = self._open[fh] if fh else self._node(path)
        self._changes("truncate", file)
        del file.data[length:]
        file.data.extend(bytes(length - len(file.data)))
        file.changed = time.time()

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        self._powered()
        self._node(path).changed = times[1] / 1e9 if times else time.time()

    def fsync(self, path: str | None, datasync: int, fh: int) -> None:
        file = self._open[fh]
        self._changes("fsync", file)
        file.kept = bytes(file.data)


def main(arguments: Sequence[str]) -> None:
    folder, left, cut = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    # Nobody else writes to it, so the kernel may keep pages: SQLite maps its shared memory.
    options = {"foreground": True, "nothreads": True, "kernel_cache": True, "hard_remove": True}
    mfusepy.FUSE(Lossy(loaded(folder), left, cut), str(folder), **options)


if __name__ == "__main__":
    main(sys.argv[1:])
