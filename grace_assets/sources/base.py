"""What a source of KPI samples is. The roles known by name are `core.wording.SOURCE_ORDER`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class SampleSource(Protocol):
    """Answers with samples; what they are called (`source`) is up to the one who stored them."""

    def read(self, first: datetime, last: datetime, domains: Sequence[str]) -> pa.Table:
        """Samples of `domains` with first ≤ timestamp < last.

        Columns source, domain_id, metric, timestamp (µs, UTC), value; sorted by the first four
        and unique in them.
        """
        ...
