"""The inbox in a bucket: objects that were dropped below `inbox/`, taken whole.

An object appears whole, so nothing is read on from where it stopped. It is copied to `archive/`
once what it holds is durable, and then taken away, unless another one came under its name
meanwhile: that one is taken next. After a crash in between it is taken again, as duplicates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from grace_assets.lake.s3_files import S3Files

AnyPath = TypeVar("AnyPath", bound=PurePath)
MISSIONS, SAMPLES = (".jsonl",), (".jsonl", ".csv", ".parquet")


@dataclass(frozen=True)
class Dropped:
    """An object of the inbox, and a copy of it on this machine while it is being taken."""

    file: str
    local: Path
    _tag: str
    _bucket: S3Files

    @property
    def name(self) -> str:
        return PurePosixPath(self.file).name

    @property
    def holds_samples(self) -> bool:
        return self.file.startswith("inbox/kpis/")

    def archive(self) -> None:
        """Take it out of the inbox, now that what it holds is durable."""
        target = PurePosixPath("archive", self.file)
        if self._bucket.tag(str(target)) not in (None, self._tag):
            target = stamped(target)
        self._bucket.move(self.file, str(target), self._tag)


def dropped(bucket: S3Files) -> Iterator[Dropped]:
    """Each object that is there now, oldest first; its copy stays until the next is asked for."""
    waiting = [
        (modified, file, tag)
        for file, tag, modified in bucket.found("inbox")
        if _wanted(PurePosixPath(file))
    ]
    for _, file, tag in sorted(waiting):
        with TemporaryDirectory(prefix="grace-inbox-") as folder:
            local = Path(folder) / PurePosixPath(file).name
            # Otherwise another host took it, or there is another one, which the next look takes.
            if bucket.fetch(file, local, tag):
                yield Dropped(file, local, tag, bucket)


def stamped(path: AnyPath) -> AnyPath:
    """A name beside another one that is taken."""
    return path.with_stem(f"{path.stem}.{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")


def _wanted(file: PurePosixPath) -> bool:
    suffixes = {"inbox": MISSIONS, "inbox/kpis": SAMPLES}.get(str(file.parent), ())
    return file.suffix in suffixes and not file.name.startswith(".")
