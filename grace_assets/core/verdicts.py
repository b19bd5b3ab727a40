"""The history of verdicts: what was judged, when, by which method, and what changed since.

A verdict may be restated when late samples or a better judge arrive. What was said before stays
on record, so this module only ever appends.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.holds import last_rows, latest_looks
from grace_assets.core.schemas import TABLES

SCORE_TOLERANCE = 1e-9
"""Scores closer than this are the same score."""

_GIVEN = pa.array(["first", "restated"])


def append_verdicts(history: pa.Table, outcomes: pa.Table) -> pa.Table:
    """Return `history` and after it a row for each mission whose verdict is new or differs.

    Both are tables in memory (`mission_verdicts` and `mission_outcomes`, `date` in front). A
    mission differs from its latest row in verdict, method or score (by more than
    `SCORE_TOLERANCE`). `pending` is not a verdict yet and is not recorded. `history` must hold
    all earlier rows of the missions in `outcomes`; its rows are kept as they are, also those of
    missions that are no longer in `outcomes`.
    """
    schema = TABLES["mission_verdicts"].with_date()
    kept = history.select(schema.names).cast(schema)
    judged = outcomes.filter(pc.not_equal(outcomes["verdict"], "pending"))
    # Rows that only say whether a recovery held give no verdict.
    latest = last_rows(kept.filter(pc.is_in(kept["stage"], _GIVEN)), ["mission_id"])
    before = latest.take(pc.index_in(judged["mission_id"], latest["mission_id"].combine_chunks()))
    is_new = pc.is_null(before["mission_id"])
    changed = pc.or_(is_new, pc.fill_null(_differs(before, judged), False))
    stage = pc.if_else(is_new, "first", "restated")
    made = {
        "stage": stage,
        "held": pa.nulls(judged.num_rows, pa.bool_()),
        "reason_codes": pa.array([[]] * judged.num_rows, pa.list_(pa.string())),
    }
    columns = {name: made[name] if name in made else judged[name] for name in schema.names}
    rows = pa.table([columns[name] for name in schema.names], names=schema.names)
    return pa.concat_tables([kept, rows.filter(changed).cast(schema)])


def append_looks(history: pa.Table, looks: pa.Table) -> pa.Table:
    """Return `history` and after it those `looks` (`holds.look_again`) that say something new.

    A look is new where the mission had none of its stage, or the last one had another verdict
    or another answer to whether the recovery held.
    """
    before = latest_looks(history)
    names = ("mission_id", "stage")

    def key(rows: pa.Table) -> pa.ChunkedArray:
        return pc.binary_join_element_wise(*(rows[name] for name in names), "\x1f")

    known = before.take(pc.index_in(key(looks), key(before).combine_chunks()))
    said = [known[name].to_pylist() for name in ("mission_id", "verdict", "held")]
    says = [looks[name].to_pylist() for name in ("mission_id", "verdict", "held")]
    old, new = zip(*said, strict=True), zip(*says, strict=True)
    differs = [was != now for was, now in zip(old, new, strict=True)]
    return pa.concat_tables([history, looks.filter(pa.array(differs, pa.bool_()))])


def _differs(before: pa.Table, now: pa.Table) -> pa.ChunkedArray:
    old, new = before["effectiveness_score"], now["effectiveness_score"]
    one_unknown = pc.xor(pc.is_null(old), pc.is_null(new))
    moved = pc.fill_null(pc.greater(pc.abs(pc.subtract(old, new)), SCORE_TOLERANCE), False)
    renamed = [pc.not_equal(before[name], now[name]) for name in ("verdict", "method_version")]
    return pc.or_(pc.or_(one_unknown, moved), pc.or_(*renamed))
