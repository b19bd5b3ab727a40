"""The preview shows what goes out, and nothing in it comes from elsewhere."""

from html.parser import HTMLParser

import pytest

from grace_assets.core.brief import brief_rows
from grace_assets.render import preview
from grace_assets.render.definitions import figures_page
from grace_assets.render.message import brief_message
from grace_assets.render.preview import mrkdwn
from tests.render.test_render import hostile_day
from tests.rows import eventful_day


def shown(day) -> str:
    row = brief_rows([day], {}, ["x"]).to_pylist()[0]
    message = brief_message(row, "https://grace.example")
    return preview.render(message, {"slack": ["webhook-1"], "email": [], "apprise": []})


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("*bold* and _cursive_", "<b>bold</b> and <i>cursive</i>"),
        ("`▁▂ ▃` 2*3*4 snake_case_name", "<code>▁▂ ▃</code> 2*3*4 snake_case_name"),
        ("&lt;!channel&gt; &amp;", "&lt;!channel&gt; &amp;"),
        ("<https://a.example/x|Words>\nnext", '<a href="https://a.example/x">Words</a><br>next'),
        ('say "no"', "say &quot;no&quot;"),
    ],
)
def test_slacks_markup_is_drawn_as_slack_does(text, made):
    assert str(mrkdwn(text)) == made


def test_it_shows_every_channel_and_where_each_leads():
    page = shown(eventful_day())
    for words in (
        "Nothing was sent",
        "webhook-1",
        "<b>email</b>: nowhere",
        "⚠️ <b>Auto-created 2 follow-up missions</b>",
        "Subject: Grace · 2025-01-03 · 5 missions",
        "GRACE STATUS BRIEF",
    ):
        assert words in page, words


def test_it_needs_nothing_from_elsewhere_whatever_events_hold():
    tags = Tags(shown(hostile_day())).found
    links = {a["href"] for tag, a in tags if tag == "a"}
    assert links == {"https://grace.example/figures"}
    frames = [a["srcdoc"] for tag, a in tags if tag == "iframe"]
    assert len(frames) == 2
    inner = [found for frame in frames for found in Tags(frame).found]
    assert all(a["src"].startswith("data:") for tag, a in inner if tag == "img")
    assert not {"script", "link", "object"} & {tag for tag, _ in (*tags, *inner)}


def test_the_page_of_definitions_names_every_figure_of_a_brief():
    page = figures_page()
    for figure in eventful_day().figures:
        assert figure.label in page or figure.label == "Restated", figure.label
