"""Files of tables and samples in a bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from grace_assets.lake.files import Held, Signature

S3 = "s3://"
_AT_ONCE = 16
"""Objects that are fetched, and held in memory, together."""
_TRIES = 50
"""How often an object is changed anew that others change at once."""
_NAME = "grace-put"
"""In an object's metadata: a name of the PUT that made it."""
_CONDITION_FAILED = ("PreconditionFailed", "412", "ConditionalRequestConflict", "NoSuchKey")


class S3Files:
    """Objects below `s3://bucket/prefix`, by the extra `s3`; keys and endpoint as AWS's tools.

    A PUT replaces an object whole, and S3 shows it to every reader at once. A reader takes an
    object in one GET: parts fetched one by one could be of two versions. What the server or the
    way to it refuses is an `OSError`.
    """

    def __init__(self, url: str) -> None:
        self._prefix = url.removeprefix(S3).strip("/")

    @cached_property
    def _s3(self) -> Any:
        import s3fs

        # What another process wrote must show: nothing is listed from memory. And an object of
        # any size is one request: several at once could read parts of two versions.
        return s3fs.S3FileSystem(
            use_listings_cache=False, skip_instance_cache=True, max_concurrency=1
        )

    def _call(self, method: str, *arguments: Any, **how: Any) -> Any:
        """A method of s3fs, which leaves errors of connections as its client has them."""
        from botocore.exceptions import BotoCoreError

        try:
            return getattr(self._s3, method)(*arguments, **how)
        except BotoCoreError as error:
            raise _unusable(error) from error

    def _place(self, file: str) -> str:
        return f"{self._prefix}/{file}"

    def names(self, folder: str) -> list[str]:
        try:
            found = self._call("ls", self._place(folder), detail=False, refresh=True)
        except FileNotFoundError:
            return []
        return [name.rpartition("/")[2] for name in found]

    def sources(self, files: Sequence[str]) -> Iterator[tuple[str, Any]]:
        import pyarrow as pa

        # Together, as each takes a round trip.
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            found = self._call("cat", [self._place(file) for file in some], on_error="return")
            for file in some:
                content = found[self._place(file)]
                if isinstance(content, FileNotFoundError):
                    continue
                if isinstance(content, Exception):
                    # Not passed over: what could not be fetched is not "nothing happened".
                    raise content if isinstance(content, OSError) else _unusable(content)
                yield file, pa.BufferReader(content)

    @contextmanager
    def replacing(self, file: str, held: Held | None = None) -> Iterator[BinaryIO]:
        content = BytesIO()
        yield content
        if held is None:
            self._call("pipe_file", self._place(file), content.getvalue())
            return
        seen = self.tag(file)
        # Asked after the look: what was seen there was there while the lock was held.
        held()
        if not self._put_over(file, seen, content.getvalue()):
            raise OSError(f"{file}: another wrote it, as the lock of this writer was lost")

    def update(self, file: str, change: Callable[[bytes], bytes]) -> None:
        """Make an object hold what `change` makes of its content, also where several do so at once.

        One that is not there is empty.
        """
        for _ in range(_TRIES):
            seen = self.tag(file)
            content = b"".join(source.read() for _, source in self.sources([file]))
            if self._put_over(file, seen, change(content)):
                return
        raise OSError(f"{file}: others write it all the time")

    def remove(self, files: Sequence[str]) -> None:
        if files:
            self._call("rm", [self._place(file) for file in files])

    def signatures(self, folder: str, files: Sequence[str]) -> list[Signature | None]:
        found = self._listed(folder) if files else {}
        tags = {name: (info["ETag"], info["size"]) for name, info in found.items()}
        return [tags.get(self._place(file)) for file in files]

    def size(self, folder: str, files: Sequence[str]) -> int:
        wanted = {self._place(file) for file in files}
        found = self._listed(folder) if files else {}
        return sum(info["size"] for name, info in found.items() if name in wanted)

    def version(self, _: str) -> int:
        return 0

    def found(self, folder: str) -> list[tuple[str, str, datetime]]:
        """Every object below a folder: its place, its tag and when it was put there."""
        return [
            (name.removeprefix(f"{self._prefix}/"), info["ETag"], info["LastModified"])
            for name, info in self._listed(folder).items()
        ]

    def _listed(self, folder: str) -> dict[str, dict[str, Any]]:
        found = self._call("find", self._place(folder), detail=True)
        # Some servers keep a folder that was emptied, and list it.
        return {name: info for name, info in found.items() if info["type"] == "file"}

    def fetch(self, file: str, target: Path, tag: str) -> bool:
        """Copy the object with this `tag` to this machine; false where it is there no more."""
        try:
            self._call("get_file", self._place(file), str(target))
        except FileNotFoundError:
            return False
        # A copy that broke off was gone on with, of whatever was there by then.
        return self.tag(file) == tag

    def move(self, file: str, target: str, tag: str) -> None:
        """Move an object while it is the one with this `tag`; another one stays where it is."""
        self._call("copy", self._place(file), self._place(target))
        # A server that knows no condition has only this look.
        if self.tag(file) != tag:
            return
        try:
            self._request("delete_object", file, IfMatch=tag)
        except OSError as error:
            if not _refused(error):
                raise

    def tag(self, file: str) -> str | None:
        """Differs once an object is replaced; null where there is none."""
        return self._head(file).get("ETag")

    def _request(self, operation: str, file: str, **how: Any) -> dict[str, Any]:
        bucket, key, _ = self._s3.split_path(self._place(file))
        return self._call("call_s3", operation, Bucket=bucket, Key=key, **how)

    def _head(self, file: str) -> dict[str, Any]:
        try:
            return self._request("head_object", file)
        except FileNotFoundError:
            return {}

    def _put_over(self, file: str, seen: str | None, content: bytes) -> bool:
        """One PUT over the object with the tag `seen`, or over none; false where another is there.

        A server that knows no condition puts it there in any case.
        """
        condition = {"IfMatch": seen} if seen else {"IfNoneMatch": "*"}
        name = {_NAME: uuid4().hex}
        try:
            self._request("put_object", file, Body=content, Metadata=name, **condition)
        except OSError as error:
            if not _refused(error):
                raise
            # A PUT whose answer was lost is sent again, and refused for what it did itself.
            return self._head(file).get("Metadata") == name
        return True


def _unusable(error: Exception) -> OSError:
    return OSError(f"the bucket cannot be used: {error}")


def _refused(error: OSError) -> bool:
    """Whether a condition of a request did not hold."""
    answer = getattr(error.__cause__, "response", {})
    return answer.get("Error", {}).get("Code") in _CONDITION_FAILED
