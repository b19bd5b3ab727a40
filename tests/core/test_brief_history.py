"""A brief says what was restated since, and how many recoveries lasted, with their uncertainty."""

import msgspec
import pytest

from grace_assets.core.brief import Brief
from tests.rows import brief, lasting, outcome, restated, said


def told(*rows: dict, missions: tuple[str, ...] = ("m1", "m2")) -> list[tuple[str, str]]:
    day = brief([outcome(name, title="Slow") for name in missions], verdicts=list(rows))
    return [(f.label, f.text) for chapter in day.chapters for f in chapter.figures]


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (("effective", 0.95), ("no_effect", 0.02), "was effective (0.95), now no effect (0.02)"),
        (
            ("insufficient_data", None),
            ("effective", 0.9),
            "was too few readings, now effective (0.90)",
        ),
        (("effective", 0.95), ("effective", 0.9), "was effective (0.95), now effective (0.90)"),
        (("effective", 0.95), ("effective", None), "was effective (0.95), now effective"),
        (("effective", 0.95), ("effective", 0.951), None),
        (("effective", 0.95), ("effective", 0.95), None),
    ],
)
def test_a_restated_verdict_is_told_with_what_it_was(first, last, text):
    found = told(said("m1", *first), restated("m1", *last))
    expected = [("m1 “Slow”, 2025-01-05 00:00 UTC", text)] if text else []
    assert found == expected


def test_what_changed_back_or_was_only_looked_at_again_is_not_told():
    later = restated("m1", "effective", 0.95)
    later["judged_at"] = later["judged_at"].replace(year=2026)
    rows = (said("m1", "effective", 0.95), restated("m1", "worse", 0.0))
    assert told(*rows, later) == []
    looked = said("m1", "no_effect", 0.0, stage="hold_24h", held=False)
    assert told(rows[0], looked) == []
    assert told(*rows, missions=("m2",)) == []


def test_bad_news_comes_first_and_the_rest_is_counted():
    names = [f"m{i:02}" for i in range(12)]
    rows = [said(name, "no_effect", 0.1) for name in names]
    rows += [restated(name, "worse" if name == "m07" else "effective", 0.9) for name in names]
    (chapter,) = brief([outcome(name) for name in names], verdicts=rows).chapters
    assert chapter.title == "Restated"
    assert chapter.figures[0].label.startswith("m07")
    assert (len(chapter.figures), chapter.more) == (8, "… 4 more")


def test_the_figures_of_the_day_count_what_was_restated_and_only_then():
    given = [said(name, "effective", 0.9) for name in ("m1", "m2")]

    def counted(*later: dict) -> list[str]:
        day = brief([outcome("m1"), outcome("m2")], verdicts=[*given, *later])
        return [figure.text for figure in day.figures if figure.label == "Restated"]

    assert counted() == []
    assert counted(restated("m1", "worse", 0.0)) == ["1 mission"]
    both = [restated(name, "worse", 0.0) for name in ("m1", "m2")]
    assert counted(*both) == ["2 missions"]


def test_hold_rates_come_per_mission_type_with_their_interval():
    rows = [
        lasting(held_24h=6, held_7d=5),
        lasting(held_24h=5, relapsed_24h=1),
        lasting("failover", held_24h=2),
        lasting("other"),
    ]
    (chapter,) = brief([outcome()], holds=rows).chapters
    assert chapter.title == "What held (missions of the 28 days to 2025-01-03)"
    assert [(f.label, f.text) for f in chapter.figures] == [
        (
            "Error remediation",
            "11 of 12 still healthy after a day (65–99 %), "
            "5 of 5 still healthy after a week (57–100 %)",
        ),
        ("Failover", "2 of 2 still healthy after a day (34–100 %)"),
    ]
    assert chapter.figures[0].source == "hold_daily?from=2024-12-07&to=2025-01-03"


def test_without_anything_known_there_is_no_chapter_and_old_briefs_still_open():
    assert brief([outcome()], holds=[lasting()]).chapters == ()
    day = brief([outcome()], holds=[lasting(held_24h=1)])
    assert Brief.from_json(day.to_json()) == day
    old = msgspec.json.decode(day.to_json())
    del old["chapters"]
    assert Brief.from_json(msgspec.json.encode(old).decode()).chapters == ()
