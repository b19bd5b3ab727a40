"""No channel says a number that the brief does not hold."""

import dataclasses

import pytest

from grace_assets.render import html, short, slack, text
from grace_assets.render.claims import unsupported_in_channels
from tests.render.test_large_days import large_day
from tests.rows import brief, eventful_day, failed, follow_up, problem

CHANNELS = {"text", "markdown", "slack", "short", "email"}


HOSTILE = "77 *99* <b>12</b>`3` \u202e5 <img src=//e.example/4.png> & _6_ [7](http://8)"


def hostile_day():
    """Event text with numbers and with every sign that a channel escapes or drops."""
    return brief(
        [failed("m 1", domain_id=HOSTILE, title=HOSTILE, error=HOSTILE, narrative=HOSTILE)],
        problems=[problem(domain_id=HOSTILE, description=HOSTILE)],
        follow_ups=[follow_up(domain_id=HOSTILE, title=HOSTILE, reason=HOSTILE)],
    )


@pytest.mark.parametrize(
    "day",
    [eventful_day(), brief(), hostile_day(), large_day(["cart down 7"], 300, 1)],
    ids=["eventful", "empty", "hostile", "large"],
)
def test_every_channel_says_only_what_rows_support(day):
    assert unsupported_in_channels(day) == {channel: [] for channel in CHANNELS}


@pytest.mark.parametrize(
    ("renderer", "channel"), [(text, "text"), (short, "short"), (html, "email")]
)
def test_a_number_that_a_renderer_makes_up_is_found(monkeypatch, renderer, channel):
    honest = renderer.render
    monkeypatch.setattr(
        renderer, "render", lambda *args: honest(*args).replace("Succeeded", "Succeeded 4711")
    )
    assert set(unsupported_in_channels(eventful_day())[channel]) == {"4711"}


def test_a_number_in_a_slack_block_is_found(monkeypatch):
    honest = slack.payload

    def boasting(day):
        payload = honest(day)
        payload["blocks"].append({"type": "section", "text": {"type": "mrkdwn", "text": "*99 %*"}})
        return payload

    monkeypatch.setattr(slack, "payload", boasting)
    assert unsupported_in_channels(eventful_day())["slack"] == ["99 %"]


def test_a_figure_whose_values_differ_from_its_words_is_found_in_every_channel():
    day = eventful_day()
    wrong = dataclasses.replace(day.figures[0], text="77 missions")
    found = unsupported_in_channels(dataclasses.replace(day, figures=(wrong, *day.figures[1:])))
    assert all("77" in numbers for numbers in found.values())
