"""What is read of a Parquet file: rows by day, in the columns that their table has today."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grace_assets.core.schemas import DATE
from grace_assets.lake.domains import COLUMN, EVERY, Domains, bounds

MISSION = "mission_id"


def each_group(
    schema: pa.Schema,
    file: pq.ParquetFile,
    groups: Mapping[str, Sequence[int]],
    domains: Domains,
    missions: pa.Array | None,
) -> Iterator[pa.Table]:
    """The row groups of some days one by one, and of them the rows of some domains or missions."""
    every = domains == EVERY
    by = schema if every or COLUMN in schema.names else schema.append(pa.field(COLUMN, pa.string()))
    for day, its in groups.items():
        for group in its:
            known = None if every else bounds(file, group)
            if known is not None and not domains.meet(*known):
                continue
            wanted = None
            if missions is not None:
                ids = file.read_row_group(group, columns=[MISSION])[MISSION]
                wanted = pc.is_in(ids, missions)
                if not pc.any(wanted).as_py():
                    continue
            rows = by_day(by, file, {day: [group]})[day]
            if wanted is not None:
                rows = rows.filter(wanted)
            yield rows if every else domains.of(rows).select(schema.names)


def by_day(
    schema: pa.Schema, file: pq.ParquetFile, groups: Mapping[str, Sequence[int]]
) -> dict[str, pa.Table]:
    """The rows of each day (`groups`: its row groups in the file), in the columns of `schema`."""
    footer = file.metadata
    sizes = {day: sum(footer.row_group(n).num_rows for n in its) for day, its in groups.items()}
    names = [name for name in schema.names if name != DATE]
    stored = set(file.schema_arrow.names)
    # All at once: a read by itself costs more than the rows of a day.
    wanted = [group for its in groups.values() for group in its]
    part = file.read_row_groups(wanted, columns=[name for name in names if name in stored])
    for place, name in enumerate(names):
        if name not in part.column_names:
            part = part.add_column(place, name, _nothing(schema.field(name), part.num_rows))
    dates = pa.concat_arrays([pa.repeat(pa.scalar(day), size) for day, size in sizes.items()])
    part = part.add_column(0, schema.field(DATE), dates).cast(schema)
    starts = accumulate(sizes.values(), initial=0)
    return {
        day: part.slice(start, size)
        for (day, size), start in zip(sizes.items(), starts, strict=False)
    }


def _nothing(field: pa.Field, size: int) -> pa.Array:
    if pa.types.is_list(field.type) and not field.nullable:
        return pa.array([[]] * size, field.type)
    return pa.nulls(size, field.type)
