"""A brief for channels that show little, and plainly: a pager, a chat, a text message.

The most important lines come first, for a channel may cut; event text is kept from calling
anyone (`@everyone`) and from making links.
"""

from __future__ import annotations

from collections.abc import Iterator

from grace_assets.core import wording
from grace_assets.core.brief import Brief
from grace_assets.render.text import HOW_LINK, SAMPLE_BANNER

LIMIT = 1_800
"""Characters: Discord takes 2,000, and a mark or a title may come in front."""
NOTE_ROOM = 40
_STATE_MARKS = {"bad": "🔴", "mixed": "🟡", "good": "🟢", "unknown": "⚪"}
_LOOKALIKES = str.maketrans({"@": "＠", "<": "‹", ">": "›", "`": "'"})


def plain(text: str) -> str:
    """Event text in which no chat finds a mention or a link."""
    return wording.clean(text).translate(_LOOKALIKES).replace("://", ":⁄⁄")


def render(brief: Brief, figures_url: str | None = None) -> str:
    """Lines of at most `LIMIT` characters together; what is left out is counted."""
    lines = list(_lines(brief))
    last = f"{HOW_LINK}: {figures_url}" if figures_url else ""
    room = LIMIT - NOTE_ROOM - len(last)
    kept: list[str] = []
    for position, line in enumerate(lines):
        if sum(map(len, kept)) + len(kept) + len(line) > room:
            kept.append(f"… {wording.counted(len(lines) - position, 'more line')}")
            break
        kept.append(line)
    return "\n".join([*kept, last] if last else kept)


def _lines(brief: Brief) -> Iterator[str]:
    yield f"{_STATE_MARKS[brief.state]} {plain(brief.headline)}"
    if brief.sample:
        yield SAMPLE_BANNER
    for figure in brief.figures:
        yield f"{figure.label}: {figure.text}"
    if brief.auto_created:
        yield f"⚠️ {brief.auto_created.text}"
    for section in brief.domains:
        worked = next(f.text for f in section.figures if f.label == "Effective")
        bad = next(f.text for f in section.figures if f.label == "Did not work")
        yield (
            f"{_STATE_MARKS[section.state]} {plain(section.domain_id)}: effective {worked}; "
            f"did not work: {bad}"
        )
    for problem in brief.problems:
        yield f"{problem.severity}: {plain(problem.domain_id)}, {plain(problem.description)}"
    for line in brief.follow_ups:
        yield f"Follow-up {line.state}: {plain(line.title)}"
    for figure in brief.left_out:
        yield f"Left out here: {figure.text}."
