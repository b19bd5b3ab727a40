"""A brief as an HTML page that is also the email: tables, inline styles, no outside resources.

Mail programs strip style sheets (Outlook renders with Word) and Gmail cuts at about 102 KB, so
the layout is tables with inline styles and the page is kept below `BUDGET_BYTES`.
"""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from grace_assets.core import wording
from grace_assets.core.brief import Brief
from grace_assets.render.text import HOW, SAMPLE_BANNER, follow_up_fact

BUDGET_BYTES = 90_000

COLOURS = {
    "bad": ("#b42318", "#fef3f2"),
    "mixed": ("#b54708", "#fffaeb"),
    "good": ("#067647", "#ecfdf3"),
    "unknown": ("#475467", "#f2f4f7"),
}
"""State to (text and border, background): contrast of at least 4.5 : 1 on each other."""
TREND_STATES = {"better": "good", "worse": "bad", "unchanged": "unknown"}
TREND_MARKS = {"better": "▲", "worse": "▼", "unchanged": "■"}


def render(brief: Brief) -> str:
    """The complete page; domains at the end are left out, and counted, where it grows too big."""
    for shown in range(len(brief.domains), -1, -1):
        page = _page(brief, shown)
        if len(page.encode()) <= BUDGET_BYTES:
            return page
    return _page(brief, 0, with_lists=False)


def _page(brief: Brief, shown: int, *, with_lists: bool = True) -> str:
    return _template().render(
        brief=brief,
        domains=brief.domains[:shown],
        cut=len(brief.domains) - shown,
        with_lists=with_lists,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("grace_assets.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "how": HOW,
        "sample_banner": SAMPLE_BANNER,
        "colours": COLOURS,
        "state_words": wording.STATE_WORDS,
        "trend_states": TREND_STATES,
        "trend_marks": TREND_MARKS,
        "clean": wording.clean,
        "counted": wording.counted,
        "follow_up_fact": follow_up_fact,
    }
    return environment.get_template("brief.html.j2")
