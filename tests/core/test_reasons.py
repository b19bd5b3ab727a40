"""Reason codes in words."""

from pathlib import Path

from grace_assets.core.reasons import REASONS, reason

CORE = Path(__file__).parents[2] / "grace_assets" / "core"


def test_each_sentence_is_of_a_code_that_the_core_gives():
    others = (path for path in CORE.glob("*.py") if path.name != "reasons.py")
    text = "".join(path.read_text(encoding="utf-8") for path in others)
    assert [code for code in REASONS if f'"{code}"' not in text] == []


def test_a_relapse_names_its_metric_and_an_unknown_code_is_shown_as_it_is():
    assert reason("relapsed:latency_ms") == "latency showed the problem again"
    assert reason("made_up") == "made up"
