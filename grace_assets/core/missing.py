"""Rows of telemetry for what could not be measured because a source failed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.catalogue import Catalogue
from grace_assets.core.judge import METHOD_VERSION
from grace_assets.core.schemas import DATE, TABLES

_SCHEMA = TABLES["mission_telemetry"].with_date()
REASON = "source_failed"


def with_failures(
    rows: pa.Table,
    missions: pa.Table,
    failed: Iterable[tuple[str, str, str, str]],
    catalogue: Catalogue,
) -> pa.Table:
    """`rows` of telemetry, and what sources owe: failures are (date, source, metric, reason).

    A mission of that day without a row of this source and metric gets one, `insufficient_data`
    with the codes `source_failed` and the reason; one that has too little data gets the codes.
    """
    owed: dict[str, dict[tuple[str, str], str]] = {}
    for day, source, metric, reason in failed:
        owed.setdefault(day, {})[source, metric] = reason
    if not owed:
        return rows
    table = rows.to_pylist()
    have = {(row["mission_id"], row["source"], row["metric"]): row for row in table}
    for mission in missions.select([DATE, "mission_id", "domain_id"]).to_pylist():
        for (source, metric), reason in owed.get(mission[DATE], {}).items():
            row = have.get((mission["mission_id"], source, metric))
            if row is None:
                table.append(_empty(mission, source, metric, reason, catalogue))
            elif row["verdict"] == "insufficient_data":
                row["reason_codes"] = [*row["reason_codes"], REASON, reason]
    made = pa.Table.from_pylist(table, schema=_SCHEMA)
    place = pc.index_in(made["mission_id"], missions["mission_id"].combine_chunks()).to_numpy()
    names = [np.array(made[name].to_pylist(), str) for name in ("source", "metric")]
    return made.take(pa.array(np.lexsort((*names, place))))


def _empty(
    mission: dict, source: str, metric: str, reason: str, catalogue: Catalogue
) -> dict[str, object]:
    rule = catalogue.rule(metric)
    return dict.fromkeys(_SCHEMA.names) | {
        **mission,
        "source": source,
        "metric": metric,
        "unit": rule.unit if rule else None,
        "direction": rule.direction if rule else None,
        "n_pre": 0,
        "n_post": 0,
        "n_reference": 0,
        "verdict": "insufficient_data",
        "reason_codes": [REASON, reason],
        "method_version": METHOD_VERSION,
    }
