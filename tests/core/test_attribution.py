"""A recovery is credited only where leaving it alone would likely not have done."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from grace_assets.core.attribution import (
    control_rows,
    controlled,
    experience,
    siblings,
    supports,
    with_times,
)
from grace_assets.core.judge import judge
from grace_assets.core.outcomes import summarise
from tests.core.test_placebo import counts
from tests.core.worlds import LATER, START, catalogue, missions, samples

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
RULES = catalogue("latency_ms: {direction: lower, unit: ms}")


def series(domain: str, bad_until: int | None, seed: int) -> tuple:
    """14 healthy days; bad from an hour before the mission to `bad_until` minutes after it."""
    minutes = np.arange(-14 * 1440 - 120, 240)
    values = 280 + np.random.default_rng(seed).normal(0, 8, len(minutes))
    if bad_until is not None:
        values[(minutes >= -60) & (minutes < bad_until)] += 240
    return ("rag_kpis", domain, "latency_ms", START - 14 * DAY - 120 * MINUTE, list(values))


def world(*siblings: int | None) -> pa.Table:
    """The mission's domain, healthy when it ends, beside siblings."""
    others = [series(f"d{i:02}", end, 10 + i) for i, end in enumerate(siblings)]
    return samples(series("shop", 5, 1), *others)


NEVER, HEALED, STILL = None, 5, 200


def attributed(table: pa.Table, *others: dict, placebos: pa.Table | None = None) -> tuple:
    rows = missions({})
    real = missions({}, *({"mission_id": f"o{i}", **o} for i, o in enumerate(others)))
    telemetry = judge(rows, table, RULES, LATER, real)
    recovered = with_times(telemetry, rows)
    names = ["source", "domain_id", "metric"]
    beside = siblings(recovered, table.select(names).group_by(names).aggregate([]))
    controls = control_rows(recovered, beside, table, RULES, LATER, real)
    summary = summarise(rows, telemetry, real, LATER, RULES, controls, placebos)
    assert summary["verdict"].to_pylist() == ["effective"]
    return summary["attribution"][0].as_py(), controls.to_pylist()


@pytest.mark.parametrize(
    ("siblings", "attribution", "controls", "recovered"),
    [
        ([STILL] * 4, "controlled", 4, 0),
        ([STILL] * 9 + [HEALED], "controlled", 10, 1),
        # One in four may do as well by chance: too likely.
        ([STILL] * 3, "coincident", 3, 0),
        # A shared cause went away everywhere.
        ([HEALED] * 8, "coincident", 8, 8),
        # Those that were healthy all along say nothing about how problems end.
        ([NEVER] * 20, "coincident", None, None),
        ([NEVER] * 10 + [STILL] * 3, "coincident", 3, 0),
        ([], "coincident", None, None),
    ],
)
def test_credit_by_siblings_that_were_left_alone(siblings, attribution, controls, recovered):
    found, rows = attributed(world(*siblings))
    assert found == attribution
    if controls is None:
        assert rows == []
    else:
        assert (rows[0]["controls"], rows[0]["controls_recovered"]) == (controls, recovered)
        assert rows[0]["difference"] == pytest.approx(
            rows[0]["restoration"] - rows[0]["control_restoration"]
        )


def test_the_placebo_p_is_the_rank_among_those_left_alone():
    _, (row,) = attributed(world(*[STILL] * 4))
    assert row["placebo_p"] == 1 / 5
    _, (row,) = attributed(world(*[HEALED] * 8))
    assert row["placebo_p"] > 0.2


def test_a_treated_sibling_is_no_control_and_an_overlap_stays_confounded():
    others = [{"domain_id": f"d{i:02}"} for i in range(2)]
    found, rows = attributed(world(*[STILL] * 5), *others)
    assert (found, rows[0]["controls"]) == ("coincident", 3)
    found, _ = attributed(world(*[STILL] * 5), {"started_at": START + MINUTE})
    assert found == "confounded"


def test_a_fleet_is_sampled_not_scanned():
    _, (row,) = attributed(world(*[STILL] * 25))
    assert row["controls"] == 20


def known(n: int, healed: int, domain: str = "shop", day: str = "2026-03-10") -> pa.Table:
    table = counts(("latency_ms", 100, 0))
    for name, value in {"episodes": n, "healed": healed, "domain_id": domain, "date": day}.items():
        at = table.column_names.index(name)
        table = table.set_column(at, table.schema.field(name), [[value]])
    return table


@pytest.mark.parametrize(
    ("placebos", "attribution"),
    [
        (known(20, 4), "supported"),
        (known(20, 5), "coincident"),
        (known(19, 0), "coincident"),
        (known(20, 0, domain="pay"), "coincident"),
        (known(20, 0, day="2026-03-15"), "coincident"),
        (known(20, 0, day="2026-02-14"), "coincident"),
        (known(20, 0, day="2026-02-15"), "supported"),
    ],
)
def test_credit_by_experience_of_what_was_left_alone(placebos, attribution):
    found, _ = attributed(world(), placebos=placebos)
    assert found == attribution


def test_experience_adds_up_over_days():
    both = pa.concat_tables([known(12, 1), known(12, 1, day="2026-03-11")])
    assert supports(experience(both, "2026-03-15"), "shop", "latency_ms")
    assert not supports(experience(both, "2026-03-11"), "shop", "latency_ms")
    assert not supports(experience(both, "2026-03-15"), "shop", "error_rate")


def test_a_difference_that_is_hardly_one_is_no_credit():
    _, rows = attributed(world(*[STILL] * 4))
    table = pa.Table.from_pylist(rows)
    assert controlled(table).to_pylist() == [True]
    small = table.set_column(table.column_names.index("difference"), "difference", [[0.2]])
    assert controlled(small).to_pylist() == [False]
