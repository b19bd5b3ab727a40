"""What a step prints, into Dagster's files and on to where it went before.

Dagster starts four processes a step for that: a `tail` for each stream and a Python that watches
it. Here a thread does, and shows all before the step ends.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copyfileobj
from threading import Event, Thread
from typing import IO, Self

from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.local_compute_log_manager import (
    IO_TYPE_EXTENSION,
    LocalComputeLogManager,
)
from dagster._serdes import ConfigurableClassData

_SECONDS = 0.2
"""How long what is printed may wait to be shown."""


class MirroredComputeLogManager(LocalComputeLogManager):
    """`LocalComputeLogManager` without processes of its own; named in `dagster.yaml`."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: dict[str, str]
    ) -> Self:
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        def path(kind: ComputeIOType) -> Path:
            return Path(self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind]))

        out, err = path(ComputeIOType.STDOUT), path(ComputeIOType.STDERR)
        with _mirrored(sys.stdout, out), _mirrored(sys.stderr, err):
            yield CapturedLogContext(log_key)
        Path(self.complete_artifact_path(log_key)).touch()


@contextmanager
def _mirrored(stream: IO[str], path: Path) -> Iterator[None]:
    """Lead a stream into a file, and what comes to stand there on to where it led before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        before = os.dup(stream.fileno())
    except (OSError, ValueError):  # no file behind it, as where a test stands in for it
        yield
        return
    done = Event()
    with path.open("rb") as written, os.fdopen(before, "wb", buffering=0) as shown:
        written.seek(0, os.SEEK_END)

        def show() -> None:
            with suppress(OSError):  # nobody looks any more; the file has it all
                while not done.wait(_SECONDS):
                    copyfileobj(written, shown)
                copyfileobj(written, shown)

        mirror = Thread(target=show, name=f"mirror {path.name}", daemon=True)
        mirror.start()
        try:
            with redirect_to_file(stream, str(path)):
                yield
        finally:
            done.set()
            mirror.join()
