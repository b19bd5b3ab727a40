"""Sample files on their way into the store, where each day is written once for many of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from grace_assets.core.events import day_of
from grace_assets.core.windows import REFERENCE_DAYS
from grace_assets.lake import sample_files
from grace_assets.lake.arrivals import Rejected
from grace_assets.lake.blocks import Line
from grace_assets.lake.landing import Landing
from grace_assets.lake.samples import SampleCounts, SampleStore, Touched

AT_ONCE = sample_files.PARQUET_ROWS
"""Samples that wait in memory to be stored together, about."""


class SampleIntake:
    """Takes samples of files, in the order received; they are durable once `flush` returns."""

    def __init__(
        self, landing: Landing, store: SampleStore, zone: ZoneInfo, reach_seconds: float
    ) -> None:
        self._landing, self._store, self._zone = landing, store, zone
        self._reach = reach_seconds
        self._waiting: list[pa.Table] = []
        self._done: list[Callable[[], object]] = []
        self.counts = SampleCounts()

    def read(self, path: Path, origin: str) -> list[Rejected]:
        """Read a file; returns what is refused of it. Raises `SampleFileError`.

        Of a file that cannot be read to its end the samples before stay.
        """
        now = datetime.now(UTC)
        day, rejected = day_of(now, self._zone), []
        for batch in sample_files.read_file(path):
            refused = [
                Rejected(now, day, origin, bad.line, bad.field, bad.reason, bad.raw, kind="sample")
                for bad in batch.rejected
            ]
            self._landing.reject(refused)
            rejected += refused
            self._add(batch.rows)
        return rejected

    def read_line(self, raw: bytes) -> bool:
        """Read one JSON sample; false where it breaks a rule."""
        batch = sample_files.read_lines([Line(1, raw)])
        self._add(batch.rows)
        return not batch.rejected

    def then(self, do: Callable[[], object]) -> None:
        """Have something done once all that was read is durable."""
        self._done.append(do)

    def flush(self) -> None:
        if self._waiting:
            self._store.add(pa.concat_tables(self._waiting), self._note, self.counts)
        done, self._waiting, self._done = self._done, [], []
        for do in done:
            do()

    def _add(self, rows: pa.Table) -> None:
        if sum(table.num_rows for table in self._waiting) + rows.num_rows > AT_ONCE:
            self.flush()
        self._waiting.append(rows)

    def _note(self, touched: list[Touched]) -> None:
        self._landing.note_samples(
            [(span.domain_id, span.first, span.last) for span in touched],
            self._reach,
            REFERENCE_DAYS * 86_400.0,
        )
