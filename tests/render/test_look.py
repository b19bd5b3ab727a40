"""Mails as a real browser shows them: on a desk and a phone, light and dark."""

import pytest

from grace_assets.core.brief import brief_rows
from grace_assets.render.failure import Failure, message
from grace_assets.render.message import brief_message
from tests.chromium import looked_at
from tests.render.test_render import hostile_day
from tests.rows import START, brief, eventful_day, outcome


def brief_mail(day) -> str:
    row = brief_rows([day], {}, ["x"]).to_pylist()[0]
    return brief_message(row, "https://grace.example").content.html_alone()


def failure_mail() -> str:
    names = ("mission_outcomes", "a_name_that_is_long_enough_to_be_wider_than_any_phone" * 3)
    failure = Failure(
        names, ("mission_outcomes: ValueError",), (), ("run-1",), "job", START, "http://d"
    )
    return message(failure, "2025-01-03").content.html


MAILS = {
    "eventful": lambda: brief_mail(eventful_day()),
    "hostile": lambda: brief_mail(hostile_day("W" * 90)),
    "good": lambda: brief_mail(brief([outcome()])),
    "failure": failure_mail,
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("mail", MAILS.values(), ids=MAILS)
def test_nothing_is_cut_and_everything_can_be_read(mail, dark, tmp_path):
    found = looked_at(mail(), (616, 360), dark=dark, folder=tmp_path)
    assert len(found) == 2
    for look in found:
        assert look["wide"] <= 0
        assert look["contrast"] >= 4.5, look["faintest"]
        assert look["sheet"] == ("rgb(27, 30, 34)" if dark else "rgb(255, 255, 255)")


def test_charts_are_shown_with_their_words_and_fill_a_phone(tmp_path):
    desk, phone = looked_at(MAILS["eventful"](), (616, 360), dark=False, folder=tmp_path)
    assert [name.partition(",")[0] for name, _, _ in desk["images"]] == [
        "Missions a day",
        "Mean time to restore",
        "Mean effectiveness",
    ]
    for (_, drawn, shown), (_, _, on_phone) in zip(desk["images"], phone["images"], strict=True):
        assert drawn >= 2 * shown
        assert on_phone > 1.1 * shown
