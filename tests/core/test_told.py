"""Which metrics are told: the columns say what the plain rule says."""

from hypothesis import given
from hypothesis import strategies as st

from grace_assets.core.told import MAX_METRICS, Told, told_metrics
from grace_assets.core.wording import source_rank
from tests.rows import reading, table

STRENGTH = ("worse", "effective", "partial", "no_effect", "inconclusive", "no_sustained_problem")
SHOWN = ("metric", "pre", "post", "verdict", "improvement_percent")
MISSIONS = ["m1", "m2", "m3"]
METRICS = ["latency_ms", "errors", "cpu", "Ärger", "rows"]

readings = st.builds(
    reading,
    mission_id=st.sampled_from([*MISSIONS, "of another portion"]),
    metric=st.sampled_from(METRICS),
    source=st.sampled_from(["rag_kpis", "service_mesh", "b", "a"]),
    pre=st.sampled_from([None, 1.0]),
    post=st.sampled_from([None, 2.0, 3.0]),
    improvement_percent=st.sampled_from([None, -30.0, 0.0, 20.0, 30.0]),
    verdict=st.sampled_from([*STRENGTH, "pending", "not_applicable"]),
    unit=st.sampled_from([None, "ms"]),
)


def plain(rows: list[dict], trigger: str | None) -> Told:
    """Row by row."""
    by_metric = {}
    for row in sorted(rows, key=lambda row: source_rank(row["source"])):
        half = row["pre"] is None or row["post"] is None
        if row["pre"] is None and row["post"] is None:
            continue
        kept = by_metric.get(row["metric"])
        if kept is None or (None in (kept["pre"], kept["post"]) and not half):
            by_metric[row["metric"]] = row
    ordered = sorted(
        by_metric.values(),
        key=lambda row: (
            row["metric"] != trigger,
            STRENGTH.index(row["verdict"]) if row["verdict"] in STRENGTH else len(STRENGTH),
            -abs(row["improvement_percent"] or 0.0),
            row["metric"],
        ),
    )
    shown, hidden = ordered[:MAX_METRICS], ordered[MAX_METRICS:]
    first = next((row for row in rows if row["metric"] == trigger), reading(unit=None))
    measured = any(row["metric"] == trigger for row in rows)
    worse = sum(row["verdict"] == "worse" for row in hidden)
    direction = first["direction"] if measured else None
    return Told(shown, len(hidden), worse, first["unit"], direction)


@given(st.lists(readings, max_size=40), st.lists(st.sampled_from([None, "none", *METRICS])))
def test_the_columns_say_what_the_plain_rule_says(rows, triggers):
    triggers = (triggers + [None] * len(MISSIONS))[: len(MISSIONS)]
    found = list(told_metrics(MISSIONS, triggers, table("mission_telemetry", rows)))
    for mission, trigger, told in zip(MISSIONS, triggers, found, strict=True):
        of_mission = [row for row in rows if row["mission_id"] == mission]
        wanted = plain(of_mission, trigger)
        shown, expected = (
            [{name: row[name] for name in SHOWN} for row in rows]
            for rows in (told.shown, wanted.shown)
        )
        assert shown == expected
        assert (told.hidden, told.hidden_worse) == (wanted.hidden, wanted.hidden_worse)
        assert (told.unit, told.direction) == (wanted.unit, wanted.direction)
