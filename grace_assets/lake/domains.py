"""A range of domains by name: what a day of any size is worked through by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

COLUMN = "domain_id"


@dataclass(frozen=True)
class Domains:
    """Those with first ≤ domain_id < end, compared by bytes; without `end` all that follow."""

    first: str = ""
    end: str | None = None

    def of(self, rows: pa.Table) -> pa.Table:
        """Rows of these domains."""
        import pyarrow.compute as pc

        mask = pc.greater_equal(rows[COLUMN], self.first)
        if self.end is not None:
            mask = pc.and_(mask, pc.less(rows[COLUMN], self.end))
        return rows.filter(mask)

    def meet(self, low: str, high: str) -> bool:
        """Whether any of them lies in low..high."""
        return high >= self.first and (self.end is None or low < self.end)


EVERY = Domains()


def bounds(file: pq.ParquetFile, group: int) -> tuple[str, str] | None:
    """The lowest and the highest domain of a row group; null where its file does not say."""
    columns = file.metadata.row_group(group)
    for n in range(columns.num_columns):
        column = columns.column(n)
        if column.path_in_schema == COLUMN:
            found = column.statistics
            return (found.min, found.max) if found is not None and found.has_min_max else None
    return None
