"""The brief for a pager or a chat: the headline first, short, and nobody is called by an event."""

from hypothesis import given, settings
from hypothesis import strategies as st

from grace_assets.render import short
from tests.render.test_render import HOSTILE, hostile_day, huge_day
from tests.rows import brief, eventful_day, problem


def test_it_begins_with_the_headline_and_tells_every_domain():
    lines = short.render(eventful_day(), "https://grace.example/figures").splitlines()
    assert lines[0] == "🔴 5 missions: 1 failed and 1 got worse; 1 effective."
    assert lines[1] == "Sample data: made up for the demonstration."
    for words in ("payments: effective", "Müller – Edition", "Auto-created 2 follow-up missions"):
        assert any(words in line for line in lines), words
    assert lines[-1] == "How these figures are made: https://grace.example/figures"


def test_what_does_not_fit_is_counted():
    rendered = short.render(huge_day())
    assert len(rendered) <= short.LIMIT
    assert rendered.splitlines()[-1].endswith(" more lines")


@settings(max_examples=50)
@given(st.text(min_size=1, max_size=200))
def test_no_event_calls_anybody_or_makes_a_link(words):
    for text in (words, f"@everyone {words} https://e.example <!here>"):
        rendered = short.render(hostile_day(text))
        assert not set("@<>`") & set(rendered)
        assert "://" not in rendered
        assert len(rendered) <= short.LIMIT


def test_a_problem_is_told_by_its_words():
    rendered = short.render(brief(problems=[problem(description=HOSTILE)]))
    assert "＠U1" in rendered
