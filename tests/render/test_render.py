"""Every channel says the same, escapes what events bring, and keeps its limits."""

import html.parser
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from slack_sdk.models.blocks import Block

from grace_assets.core.brief import Brief
from grace_assets.render import html as html_page
from grace_assets.render import markdown, slack, text
from tests.rows import (
    brief,
    eventful_day,
    failed,
    follow_up,
    lasting,
    outcome,
    problem,
    reading,
    restated,
    said,
)

IMAGES = {kind: f"cid:{kind}@grace" for kind in ("missions", "mttr", "effectiveness")}
RENDERERS = {
    "text": text.render,
    "markdown": markdown.render,
    "html": lambda day: html_page.render(day, IMAGES),
    "slack": lambda day: json.dumps(slack.payload(day), ensure_ascii=False),
}
HOSTILE = (
    "<!channel> <@U1> <https://evil.example|ok> &amp; <script>alert(1)</script> "
    "![x](https://evil.example/x.png) [a](javascript:b) | a | *b* `c` \n# head https://evil.example"
)


def hostile_day(words: str = HOSTILE) -> Brief:
    return brief(
        [
            outcome("m<1>", domain_id=words[:100], narrative=words, title=words),
            failed("m2", domain_id=words[:100], narrative=words, title=words),
        ],
        [reading("m<1>", domain_id=words[:100], metric=words)],
        [problem(description=words, domain_id=words[:100])],
        [follow_up(title=words, reason=words, domain_id=words[:100])],
        verdicts=[said("m<1>", "effective", 0.9), restated("m<1>", "no_effect", 0.1)],
        holds=[lasting(words, held_24h=3)],
    )


def huge_day() -> Brief:
    rows = [
        failed(f"m{i}", domain_id=f"{i % 40} " + "<&>" * 30, narrative='<&>\\"' * 200_000)
        for i in range(20)
    ]
    rows += [outcome(f"n{i}", domain_id=f"{i % 40} " + "<&>" * 30) for i in range(9_980)]
    long = '<&>"\\ ' * 300
    return brief(
        rows,
        problems=[problem(f"p{i}", description=long) for i in range(300)],
        follow_ups=[follow_up(f"f{i}", title=long, reason=long) for i in range(300)],
        verdicts=[said(f"n{i}", "effective", 0.9) for i in range(900)]
        + [restated(f"n{i}", "worse", 0.0) for i in range(900)],
        holds=[lasting(f"{long} {i}", held_24h=i) for i in range(40)],
    )


DAYS = {"eventful": eventful_day, "empty": brief, "hostile": hostile_day, "huge": huge_day}


@pytest.mark.parametrize("channel", RENDERERS)
def test_every_channel_tells_the_headline_the_figures_and_what_did_not_work(channel):
    day = eventful_day()
    rendered = " ".join(RENDERERS[channel](day).split())
    for words in (
        "5 missions: 1 failed and 1 got worse; 1 effective.",
        "4 of 5",
        "likely rate 38–96 %",
        "1 failed, 1 got worse",
        "86 % worse (n = 1)",
        "effective, effectiveness 0.98 (0.93–1.00), 12 min from detection",
        "mission failed, too few readings",
        "Auto-created 2 follow-up missions",
        "Investigate payments issues",
        "Friday 3 January 2025",
        "Europe/Berlin",
        "Müller – Edition",
        "Sample data",
        "29 on the day; 15.2 on average over 30 days (n = 28 days)",
        "was effective (0.95), now worse (0.00)",
        "11 of 12 still healthy after a day (65–99 %), 5 of 5 still healthy after a week",
    ):
        assert words in rendered, words


@pytest.mark.parametrize("channel", RENDERERS)
def test_an_empty_day_renders_and_is_not_called_good(channel):
    rendered = RENDERERS[channel](brief())
    assert "No missions were completed." in rendered
    assert "not known yet" in rendered or channel == "text"
    assert "Sample data" not in rendered


@pytest.mark.parametrize("channel", RENDERERS)
def test_a_day_that_still_runs_is_marked(channel):
    assert "so far" in RENDERERS[channel](brief([outcome()], complete=False))


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS)
def test_text_keeps_to_eighty_columns_and_holds_no_control_characters(day):
    rendered = text.render(day())
    assert max(map(len, rendered.splitlines())) <= 80
    assert not [c for c in rendered if ord(c) < 32 and c != "\n"]


@pytest.mark.parametrize("words", [HOSTILE, "www.evil.example a@b.example", "1. x\n- y\n> z\n---"])
def test_markdown_from_events_brings_no_link_image_table_or_html(words):
    page = MarkdownIt("commonmark", {"html": True}).enable("table")
    day = hostile_day(words)
    rendered = page.render(markdown.render(day))
    plain = page.render(markdown.render(hostile_day("words")))
    for tag in ("<a", "<img", "<script", "<code", "<table", "<em", "<h1", "<h2", "<hr", "<li"):
        assert rendered.count(tag) == plain.count(tag), tag
    assert "www.evil" not in markdown.render(day)
    assert "https://" not in markdown.render(day)


class Page(html.parser.HTMLParser):
    """Tags that do not close, and every resource that would be fetched."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.fetched: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href", "background")]
        if tag not in ("meta", "br", "img", "hr", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS)
def test_html_is_well_formed_fetches_nothing_runs_nothing_and_stays_small(day):
    rendered = html_page.render(day(), IMAGES)
    page = Page(rendered)
    assert page.open == []
    assert set(page.fetched) <= set(IMAGES.values())
    assert not page.tags & {"script", "a", "iframe", "form"}
    assert len(rendered.encode()) <= html_page.BUDGET_BYTES


def test_html_that_leaves_domains_out_says_how_many():
    assert "more domains left out to keep this mail readable" in html_page.render(
        huge_day(), IMAGES
    )


def leaves(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() if key != "type" for text in leaves(item)]
    if isinstance(value, list):
        return [text for item in value for text in leaves(item)]
    return [value] if isinstance(value, str) else []


def assert_slack_accepts(payload: dict) -> None:
    blocks = [Block.parse(block) for block in payload["blocks"]]
    for block in blocks:
        block.validate_json()
    assert len(blocks) <= 50
    assert len(json.dumps(payload, ensure_ascii=False)) <= slack.BUDGET
    # Otherwise Slack makes links of addresses and mentions of names that stand in plain text.
    shown = json.dumps(payload)
    assert shown.count('"type": "mrkdwn"') == shown.count('"verbatim": true')
    texts = leaves(payload)
    assert all(texts)
    for leaf in texts:
        rest = leaf
        for entity in ("&amp;", "&lt;", "&gt;"):
            rest = rest.replace(entity, "")
        assert not set("<>&") & set(rest)


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS)
def test_slack_messages_keep_every_limit_and_escape_every_leaf(day):
    assert_slack_accepts(slack.payload(day()))


def test_slack_escapes_the_text_that_notifications_show():
    message = slack.payload(replace(eventful_day(), headline="<!channel> & co"))
    assert "&lt;!channel&gt; &amp; co" in message["text"]


@settings(max_examples=40)
@given(st.text(min_size=1, max_size=300), st.integers(1, 12))
def test_slack_accepts_whatever_events_hold(words, domains):
    rows = [
        failed(f"m{i}", domain_id=f"{i}{words[:90]}", narrative=words * 9, title=words)
        for i in range(domains)
    ]
    day = brief(rows, [], [problem(description=words)], [follow_up(title=words, reason=words)])
    assert_slack_accepts(slack.payload(day))


def test_slack_counts_the_lines_that_a_section_has_no_room_for():
    day = brief([outcome("&" * 200, domain_id="&" * 100, narrative="&" * 470)])
    assert any("… 1 more line" in leaf for leaf in leaves(slack.payload(day)))
    assert_slack_accepts(slack.payload(day))


def test_slack_counts_every_line_of_a_list_that_was_cut_twice():
    kinds = [lasting(f"{'&' * 55} {i:02}", held_24h=i) for i in range(1, 40)]
    message = slack.payload(brief([outcome()], holds=kinds))
    (told,) = [leaf for leaf in leaves(message) if leaf.startswith("*What held")]
    shown = told.count("still healthy after a day")
    assert 0 < shown < 8
    assert told.endswith(f"… {39 - shown} more lines")


def test_slack_says_what_it_left_out_and_names_every_domain_before_telling_one_in_full():
    rows = [failed(f"m{i}", domain_id=f"area-{i:02d}", narrative="words " * 90) for i in range(20)]
    sections = json.dumps(slack.payload(brief(rows)), ensure_ascii=False)
    assert [i for i in range(20) if f"area-{i:02d}" not in sections] == []
    assert "words words" in sections
    notes = json.dumps(slack.payload(huge_day()), ensure_ascii=False)
    assert "Left out here: " in notes
    assert "more problems" in notes


def test_slack_marks_direction_in_pictures_and_words_and_counts_new_follow_ups():
    message = slack.payload(eventful_day())
    rendered = "\n".join(leaves(message))
    assert "📉 latency p95: 86 % worse" in rendered
    assert "📈 latency: 33 % better" in rendered
    assert "⚠️ *Auto-created 2 follow-up missions*" in rendered
    assert "Auto-created 2 follow-up missions" in message["text"]
