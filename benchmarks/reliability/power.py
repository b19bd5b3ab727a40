"""Power loss at each flush of a work: its system calls, replayed on a disk that forgets.

One traced run tells every byte that was written and every flush; so each moment at which the power
may fail is looked at without failing it, several times over: with only what was flushed, with the
names but not the bytes, with the bytes but not the names, with half of the last write. No kernel
module, no privileges, and the programs are the real ones.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.disk import IMAGES, Disk, File, Folder
from benchmarks.reliability.oracle import Tally, Undisturbed
from benchmarks.reliability.part import ALL, Part
from benchmarks.reliability.tracing import Worker

_OPTIONS = ("-y", "-xx", "-s", "100000000", "-e")
_CALLS = (
    "trace=openat,close,read,write,pwrite64,lseek,ftruncate,rename,unlink,mkdir,rmdir,fsync,"
    "fdatasync,writev,pwritev,pwritev2,truncate,renameat,renameat2,unlinkat,mkdirat,link,linkat,dup,"
    "copy_file_range,sendfile,fallocate"
)
_UNFINISHED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2})*)>")


@dataclass(frozen=True)
class Call:
    name: str
    arguments: str
    result: int

    @property
    def texts(self) -> list[bytes]:
        return [_bytes(text) for text in _TEXT.findall(self.arguments)]

    @property
    def descriptor(self) -> tuple[int, str]:
        """The first argument's number and path."""
        number, path = _DESCRIPTOR.match(self.arguments).groups()
        return int(number), _bytes(path).decode("utf-8", "replace")

    @property
    def last(self) -> int:
        return int(self.arguments.rpartition(", ")[2])


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def calls_of(log: Path) -> Iterator[Call]:
    """The calls of a log that succeeded, those cut in two by another thread made whole."""
    begun: dict[str, str] = {}
    for line in log.read_text(encoding="ascii").splitlines():
        if found := _UNFINISHED.match(line):
            begun[found[1]] = line.removesuffix(" <unfinished ...>")
            continue
        if found := _RESUMED.match(line):
            line = begun.pop(found[1]) + found[2]
        if (found := _LINE.match(line)) and int(found[3]) >= 0:
            yield Call(found[1], found[2], int(found[3]))


@dataclass
class _Open:
    node: File | Folder
    offset: int
    append: bool


class Replay:
    """What the calls of a run do to a disk, and which steps its caller noted meanwhile."""

    def __init__(self, root: Path, journal: Path) -> None:
        self.disk = Disk(root)
        self.noted = b""
        self._root, self._journal = str(root), str(journal)
        self._open: dict[int, _Open] = {}

    def do(self, call: Call) -> None:
        """Raises `NotImplementedError` for a call that no work makes so far."""
        step = getattr(self, f"_{call.name}", None)
        if step is not None:
            step(call)
        elif any(self.disk.holds(text.decode("utf-8", "replace")) for text in self._paths(call)):
            raise NotImplementedError(call.name)

    def _paths(self, call: Call) -> list[bytes]:
        described = re.findall(r"<((?:\\x[0-9a-f]{2})*)>", call.arguments)
        return [*call.texts, *map(_bytes, described)]

    def _openat(self, call: Call) -> None:
        path = call.texts[0].decode("utf-8", "replace")
        self._open.pop(call.result, None)
        if not self.disk.holds(path) and path != self._root:
            return
        flags = call.arguments
        node = self.disk.open(path, create="O_CREAT" in flags, truncate="O_TRUNC" in flags)
        self._open[call.result] = _Open(node, 0, "O_APPEND" in flags)

    def _close(self, call: Call) -> None:
        self._open.pop(call.descriptor[0], None)

    def _read(self, call: Call) -> None:
        if there := self._open.get(call.descriptor[0]):
            there.offset += call.result

    def _lseek(self, call: Call) -> None:
        if there := self._open.get(call.descriptor[0]):
            there.offset = call.result

    def _write(self, call: Call) -> None:
        number, path = call.descriptor
        content = call.texts[0][: call.result]
        if path == self._journal:
            self.noted += content
        elif there := self._open.get(number):
            if there.append:
                there.offset = len(there.node.data)
            there.node.write(there.offset, content)
            there.offset += len(content)

    def _pwrite64(self, call: Call) -> None:
        if there := self._open.get(call.descriptor[0]):
            there.node.write(call.last, call.texts[0][: call.result])

    def _ftruncate(self, call: Call) -> None:
        if there := self._open.get(call.descriptor[0]):
            there.node.truncate(call.last)

    def _fsync(self, call: Call) -> None:
        if there := self._open.get(call.descriptor[0]):
            there.node.flush()

    _fdatasync = _fsync

    def _rename(self, call: Call) -> None:
        old, new = (text.decode("utf-8", "replace") for text in call.texts)
        if self.disk.holds(old):
            self.disk.create(new, self.disk.remove(old))

    def _unlink(self, call: Call) -> None:
        path = call.texts[0].decode("utf-8", "replace")
        if self.disk.holds(path):
            self.disk.remove(path)

    _rmdir = _unlink

    def _mkdir(self, call: Call) -> None:
        path = call.texts[0].decode("utf-8", "replace")
        if self.disk.holds(path):
            self.disk.create(path, Folder())


def sweep(name: str, work: Worker, folder: Path, part: Part = ALL) -> Tally:
    """Look at every image that a power loss at a flush, a name or a step told may leave."""
    tally, undisturbed = Tally(), Undisturbed(name, folder)
    work.warm_up(undisturbed.job())
    job, log = undisturbed.job(), folder / "strace.log"
    replay = Replay(undisturbed.root, undisturbed.journal)
    ended = work.run(job, ["-o", str(log), *_OPTIONS, _CALLS])
    if ended.code or ended.signal:
        raise RuntimeError(f"{name}: {ended}")
    for left in part.among(list(_left(replay, calls_of(log)))):
        shutil.rmtree(undisturbed.root)
        undisturbed.root.mkdir()
        for path, content in left.files.items():
            place = undisturbed.root / path
            if content is None:
                place.mkdir()
            else:
                place.write_bytes(content)
                undisturbed.age(place)
        undisturbed.check(undisturbed.root, left.done, left.point, tally)
    return tally


@dataclass(frozen=True)
class _Left:
    """What a power loss at a point may leave, and the steps that were told before."""

    point: str
    done: list[str]
    files: dict[str, bytes | None]


def _left(replay: Replay, calls: Iterable[Call]) -> Iterator[_Left]:
    """Each image once."""
    seen: set[int] = set()
    for number, call in enumerate(calls):
        if call.name in ("read", "lseek", "close", "pwrite64"):
            replay.do(call)
            continue
        # Before it, with all that is not flushed, and after it.
        for moment in ("before", "after"):
            if moment == "after":
                replay.do(call)
            done = replay.noted.decode().split("\n")[:-1]
            for names, kept in IMAGES:
                files = replay.disk.image(names=names, kept=kept)
                key = hash((len(done), frozenset(files.items())))
                if key not in seen:
                    seen.add(key)
                    kind = f"{kept} bytes, {'all' if names else 'flushed'} names"
                    yield _Left(f"{moment} {call.name} {number}, {kind}", done, files)
