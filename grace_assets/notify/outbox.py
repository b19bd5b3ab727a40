"""Where a message goes whose channel is not configured: a file, whole or not at all."""

from __future__ import annotations

from grace_assets.lake.files import Files
from grace_assets.notify.outcome import Outcome

OUTBOX = "outbox"
"""The destination's name in the ledger."""


class OutboxSender:
    """Writes one file, as the channel would have sent it; a later revision replaces it."""

    def __init__(self, files: Files, file: str) -> None:
        self._files, self._file = files, file

    async def __aenter__(self) -> OutboxSender:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, _destination: str, frozen: bytes) -> Outcome:
        """A disk that is full or not writable is a reason to try later, not to fail the run."""
        try:
            with self._files.replacing(self._file) as target:
                target.write(frozen)
        except OSError as error:
            return Outcome("pending", f"cannot write to the outbox ({type(error).__name__})")
        return Outcome("written")
