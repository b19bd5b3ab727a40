"""A brief as an HTML page that is also the email: tables, inline styles, no outside resources.

Mail programs drop style sheets (Outlook renders with Word) and Gmail cuts at about 102 KB, so
the layout is tables, the style sheet is inlined, and the page is kept below `BUDGET_BYTES`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from grace_assets.core import wording
from grace_assets.core.brief import Brief
from grace_assets.render import charts
from grace_assets.render.pages import mail
from grace_assets.render.text import HOW, HOW_LINK, SAMPLE_BANNER, follow_up_fact

BUDGET_BYTES = 90_000

TREND_STATES = {"better": "good", "worse": "bad", "unchanged": "unknown"}
TREND_MARKS = {"better": "▲", "worse": "▼", "unchanged": "■"}
CARDS = ("Missions", "Succeeded", "Effective", "Time to restore")
"""Labels of the figures that are shown large."""
_BRACKETED = re.compile(r"(.+?) \(([^()]*)\)")


def render(brief: Brief, images: Mapping[str, str], figures_url: str | None = None) -> str:
    """The complete page; domains at the end are left out, and counted, where it grows too big.

    `images` has the address of each trend line's chart by its kind; `figures_url` the page that
    says how figures are made.
    """
    for shown in range(len(brief.domains), -1, -1):
        made = _page(brief, shown, images, figures_url)
        if len(made.encode()) <= BUDGET_BYTES:
            return made
    return _page(brief, 0, images, figures_url, with_lists=False)


def split_figure(text: str) -> tuple[str, str]:
    """A figure's first statement, and the rest of it: "11 of 12" and "likely rate 65–99 %"."""
    match = _BRACKETED.fullmatch(text)
    if match and ", " not in match[1]:
        return match[1], match[2]
    head, _, rest = text.partition(", ")
    return head, rest


def _page(
    brief: Brief,
    shown: int,
    images: Mapping[str, str],
    figures_url: str | None,
    *,
    with_lists: bool = True,
) -> str:
    cards = [figure for figure in brief.figures if figure.label in CARDS]
    return mail(
        "brief.html.j2",
        brief=brief,
        card_figures=cards,
        row_figures=[figure for figure in brief.figures if figure not in cards],
        domains=brief.domains[:shown],
        cut=len(brief.domains) - shown,
        with_lists=with_lists,
        images=images,
        figures_url=figures_url,
        how=HOW,
        how_link=HOW_LINK,
        sample_banner=SAMPLE_BANNER,
        plot_width=charts.WIDTH,
        plot_height=charts.HEIGHT,
        state_words=wording.STATE_WORDS,
        trend_states=TREND_STATES,
        trend_marks=TREND_MARKS,
        clean=wording.clean,
        counted=wording.counted,
        follow_up_fact=follow_up_fact,
        split_figure=split_figure,
    )
