"""The history of verdicts only grows, and only when something was said anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from grace_assets.core.schemas import TABLES
from grace_assets.core.verdicts import append_verdicts

HISTORY = TABLES["mission_verdicts"].with_date()
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def outcomes(*rows: dict) -> pa.Table:
    schema = TABLES["mission_outcomes"].with_date()
    common = {
        "date": "2026-03-04",
        "mission_id": "m1",
        "judged_at": NOON,
        "method_version": "1",
        "verdict": "effective",
        "effectiveness_score": 0.8,
    }
    return pa.Table.from_pylist(
        [dict.fromkeys(schema.names) | common | row for row in rows], schema=schema
    )


def said(history: pa.Table) -> list[tuple]:
    columns = ("mission_id", "stage", "verdict", "effectiveness_score")
    return [tuple(row[name] for name in columns) for row in history.to_pylist()]


def test_the_first_verdict_is_recorded_once_however_often_it_is_judged():
    history = append_verdicts(HISTORY.empty_table(), outcomes({}))
    assert said(history) == [("m1", "first", "effective", 0.8)]
    later = outcomes({"judged_at": NOON + timedelta(hours=1)})
    assert append_verdicts(history, later).equals(history)


def test_pending_is_not_a_verdict_yet():
    pending = outcomes({"verdict": "pending", "effectiveness_score": None})
    history = append_verdicts(HISTORY.empty_table(), pending)
    assert history.num_rows == 0
    assert said(append_verdicts(history, outcomes({})))[0][1] == "first"


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ({"verdict": "partial"}, 2),
        ({"method_version": "2"}, 2),
        ({"effectiveness_score": 0.7}, 2),
        ({"effectiveness_score": None}, 2),
        ({"effectiveness_score": 0.8 + 1e-12}, 1),
        ({"verdict": "pending"}, 1),
        ({"date": "2026-03-05"}, 1),
    ],
)
def test_what_counts_as_a_restatement(change, rows):
    first = append_verdicts(HISTORY.empty_table(), outcomes({}))
    history = append_verdicts(first, outcomes(change))
    assert history.num_rows == rows
    assert history.slice(0, 1).equals(first)
    assert history.slice(1)["stage"].to_pylist() == ["restated"] * (rows - 1)


def test_a_score_that_becomes_known_is_a_restatement():
    unknown = outcomes({"verdict": "insufficient_data", "effectiveness_score": None})
    history = append_verdicts(HISTORY.empty_table(), unknown)
    assert append_verdicts(history, unknown).equals(history)
    known = append_verdicts(history, outcomes({"verdict": "insufficient_data"}))
    assert said(known)[1] == ("m1", "restated", "insufficient_data", 0.8)


def test_the_comparison_is_with_the_latest_row_wherever_it_stands():
    history = append_verdicts(HISTORY.empty_table(), outcomes({}))
    later = NOON + timedelta(hours=1)
    history = append_verdicts(history, outcomes({"verdict": "worse", "judged_at": later}))
    backwards = history.take([1, 0])
    assert append_verdicts(backwards, outcomes({"verdict": "worse"})).num_rows == 2
    back_again = outcomes({"judged_at": later + timedelta(hours=1)})
    assert said(append_verdicts(backwards, back_again))[2][1:3] == ("restated", "effective")


def test_whether_it_held_is_no_verdict_to_compare_with():
    history = append_verdicts(HISTORY.empty_table(), outcomes({}))
    held = history.to_pylist()[0] | {
        "stage": "hold_24h",
        "judged_at": NOON + timedelta(days=1),
        "effectiveness_score": None,
        "held": True,
    }
    history = pa.concat_tables([history, pa.Table.from_pylist([held], schema=HISTORY)])
    assert append_verdicts(history, outcomes({})).equals(history)


def test_rows_of_missions_that_left_the_day_stay():
    history = append_verdicts(HISTORY.empty_table(), outcomes({}, {"mission_id": "m2"}))
    history = append_verdicts(history, outcomes({"mission_id": "m2"}))
    assert [row[0] for row in said(history)] == ["m1", "m2"]


def test_nothing_to_judge_changes_nothing():
    history = append_verdicts(HISTORY.empty_table(), outcomes())
    assert history.equals(HISTORY.empty_table())
