"""Slack takes the brief of ten thousand missions whatever events say, made in bounded time."""

from __future__ import annotations

import json
import random
import time

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from grace_assets.core.brief import Brief
from grace_assets.notify import slack as webhook
from grace_assets.render import html, slack
from tests.notify.strict_slack import refusal
from tests.render.test_render import IMAGES, assert_slack_accepts, leaves
from tests.rows import brief, failed, follow_up, lasting, outcome, problem, reading, restated, said

MISSIONS = 10_000
MEGABYTE = 2**20
HUGE = 5
"""Missions whose narrative has a million characters."""
SECONDS = 5.0
"""For brief and payload together; both take a second here."""
words = st.text(min_size=1, max_size=200)


def large_day(texts: list[str], domains: int, seed: int) -> Brief:
    """Ten thousand missions that say what `texts` say, in so many domains."""
    pick = random.Random(seed)
    names = [f"{pick.choice(texts)[:90]}{n}" for n in range(domains)]
    rows, readings = [], []
    for n in range(MISSIONS):
        text = pick.choice(texts)
        kind = pick.choice((outcome, outcome, failed))
        told = text * (MEGABYTE // len(text)) if n < HUGE else text
        rows.append(kind(f"m{n}", domain_id=names[n % domains], title=text, narrative=told))
        if n % 10 == 0:
            readings.append(reading(f"m{n}", domain_id=names[n % domains], metric=text))
    some = texts * 30
    return brief(
        rows,
        readings,
        [problem(f"p{n}", domain_id=names[0], description=text) for n, text in enumerate(some)],
        [follow_up(f"f{n}", title=text, reason=text) for n, text in enumerate(some)],
        verdicts=[said(f"m{n}", "effective", 0.9) for n in range(500)]
        + [restated(f"m{n}", "worse", 0.0) for n in range(500)],
        holds=[lasting(f"{text} {n}", held_24h=n + 1) for n, text in enumerate(some)],
    )


# Without shrinking: a failure is to be told in bounded time as well.
@settings(max_examples=8, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    st.lists(words, min_size=2, max_size=12),
    st.sampled_from((1, 40, MISSIONS)),
    st.integers(0, 2**32),
)
@example(["<&>" * 66, "&" * 200, "<!channel>" * 20, "*_~`" * 50], MISSIONS, 1)
@example(["\n" * 200, " ", "\u200b", "\u202e\u0301\U0010ffff" * 66, "\x00"], 40, 2)
def test_slack_takes_ten_thousand_missions_with_any_text(texts: list[str], domains: int, seed: int):
    started = time.process_time()
    day = large_day(texts, domains, seed)
    payload = slack.payload(day)
    assert time.process_time() - started < SECONDS
    assert_slack_accepts(payload)
    assert len(json.dumps(payload, ensure_ascii=False)) <= 12_000
    assert all(leaf.strip() for leaf in leaves(payload)), "Slack takes no blank text"
    assert len(html.render(day, IMAGES).encode()) <= html.BUDGET_BYTES
    # As it goes out, and with both notes that a delivery may put on top of it.
    corrected = webhook.payload(payload, "Correction (revision 2)")
    repeated = webhook.as_repeat(corrected, "possible repeat · ref 0a1b")
    for body in (webhook.payload(payload, None), corrected, repeated):
        assert refusal(body) is None
    assert [block["type"] for block in json.loads(repeated)["blocks"][:2]] == ["context"] * 2
