"""The stored samples as a source: files dropped or ingested, under whatever role they carry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from grace_assets.lake.samples import SampleStore

if TYPE_CHECKING:
    import pyarrow as pa


class StoredSamples:
    def __init__(self, root: Path) -> None:
        self._store = SampleStore(root)

    def read(self, first: datetime, last: datetime, domains: Sequence[str] = ()) -> pa.Table:
        return self._store.read(first, last, domains)
