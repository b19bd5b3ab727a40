"""A brief as a Slack message: Block Kit blocks and a plain fallback, within Slack's limits.

Slack refuses what is too long, so the message is built to a budget: what everybody must see
comes first, domains fill the rest, and what is left out is said. Event text is escaped in every
leaf, so that it can neither mention anyone nor hide a link.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from grace_assets.core import wording
from grace_assets.core.brief import Brief
from grace_assets.core.brief_sections import DomainSection, Example
from grace_assets.render.text import HOW_LINK, SAMPLE_BANNER, follow_up_fact

Block = dict[str, Any]

SECTION_LIMIT = 3_000
BUDGET = 12_000
"""Characters of the whole message as JSON; Slack refuses blocks above some 13,200."""
LIST_LIMIT = 1_500
"""Characters of the lists of problems and of follow-ups each, so that domains keep room."""
NOTE_ROOM = 300
"""Kept free for the line that says what was left out."""

_STATE_MARKS = {"bad": "🔴", "mixed": "🟡", "good": "🟢", "unknown": "⚪"}
_TREND_MARKS = {"better": "📈", "worse": "📉", "unchanged": "➖"}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: str) -> str:
    """Text with `&`, `<` and `>` replaced, which is all that Slack asks for."""
    return re.sub("[&<>]", lambda match: _ENTITIES[match.group()], text)


def mrkdwn(text: str) -> Block:
    """A text object; Slack is told to make no links or mentions of bare words of its own."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def payload(brief: Brief, figures_url: str | None = None) -> dict[str, Any]:
    """The body for an incoming webhook: `text` (the fallback) and `blocks`.

    `figures_url` is the page that says how figures are made.
    """
    fallback = _fallback(brief)
    head, tail = list(_head(brief)), list(_tail(brief, figures_url))
    room = BUDGET - NOTE_ROOM - _size({"text": fallback, "blocks": [*head, *tail]})
    body, hidden = _domains(brief.domains, room)
    notes = [wording.counted(hidden, "more domain")] if hidden else []
    notes += [figure.text for figure in brief.left_out]
    if notes:
        body.append(_context(f"Left out here: {'; '.join(notes)}."))
    return {"text": fallback, "blocks": [*head, *body, *tail]}


def _domains(sections: Sequence[DomainSection], room: int) -> tuple[list[Block], int]:
    """Blocks for the domains, and how many found no room.

    A domain is told in full if that leaves room to name all those after it in brief.
    """
    short = [_section(list(_summary(section))) for section in sections]
    needed = sum(map(_size, short))
    blocks: list[Block] = []
    for position, (section, summary) in enumerate(zip(sections, short, strict=True)):
        needed -= _size(summary)
        full = _section([*_summary(section), *_details(section)])
        block = full if _size(full) + needed <= room else summary
        if _size(block) > room:
            return blocks, len(sections) - position
        room -= _size(block)
        blocks.append(block)
    return blocks, 0


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False))


def _section(
    lines: Sequence[str], limit: int = SECTION_LIMIT, noun: str = "line", hidden: int = 0
) -> Block:
    """A section of as many whole lines as fit; the rest is counted in the last one.

    The first line is a title, which `core` keeps short; `hidden` lines were left out before.
    """
    kept, used = [], 0
    for position, line in enumerate(lines):
        used += len(line) + 1
        if used > limit - NOTE_ROOM and position:
            hidden += len(lines) - position
            break
        kept.append(line)
    if hidden:
        kept.append(f"… {wording.counted(hidden, f'more {noun}')}")
    return {"type": "section", "text": mrkdwn("\n".join(kept))}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [mrkdwn(escape(text))]}


def _fallback(brief: Brief) -> str:
    parts = [f"Grace status brief, {brief.day_name}: {brief.headline}"]
    if brief.sample:
        parts.append(SAMPLE_BANNER)
    if brief.auto_created:
        parts.append(f"{brief.auto_created.text}.")
    return escape(" ".join(parts))


def _head(brief: Brief) -> Iterator[Block]:
    so_far = "" if brief.complete else ", so far"
    title = f"Grace status brief: {brief.day_name}{so_far}"
    yield {"type": "header", "text": {"type": "plain_text", "text": title}}
    if brief.sample:
        yield _context(f"🧪 {SAMPLE_BANNER}")
    mark = _STATE_MARKS[brief.state]
    state = wording.STATE_WORDS[brief.state]
    yield _section([f"{mark} *{escape(brief.headline)}* ({state})"])
    yield _section([f"*{f.label}:* {escape(f.text)}" for f in brief.figures])
    if brief.trends:
        lines = (
            f"`{t.blocks}` {escape(t.fact.label)}: {escape(t.fact.text)}" for t in brief.trends
        )
        yield _section([f"*30 days to {brief.trends[0].last}*", *lines])
    if brief.domains:
        yield {"type": "divider"}


def _summary(section: DomainSection) -> Iterator[str]:
    mark, state = _STATE_MARKS[section.state], wording.STATE_WORDS[section.state]
    name = escape(wording.clean(section.domain_id))
    yield f"{mark} *{name}* ({section.severity} severity, {state})"
    yield " · ".join(f"{f.label}: {escape(f.text)}" for f in section.figures)


def _details(section: DomainSection) -> Iterator[str]:
    yield from (_example("❌", example) for example in section.setbacks)
    yield from (_example("✅", example) for example in section.examples)
    for line in section.metrics:
        yield f"{_TREND_MARKS[line.trend]} {escape(line.fact.label)}: {escape(line.fact.text)}"
    for figure in section.left_out:
        yield f"… {escape(figure.text)}"


def _example(mark: str, example: Example) -> str:
    narrative, name = escape(example.narrative), escape(wording.clean(example.mission_id))
    return f"{mark} {narrative} _({name}: {escape(example.fact.text)})_"


def _tail(brief: Brief, figures_url: str | None) -> Iterator[Block]:
    if brief.chapters or brief.problems or brief.follow_ups:
        yield {"type": "divider"}
    for chapter in brief.chapters:
        lines = [f"• {escape(f.label)}: {escape(f.text)}" for f in chapter.figures]
        title = f"*{escape(chapter.title)}*"
        yield _section([title, *lines], LIST_LIMIT, hidden=chapter.left_out)
    if brief.problems:
        problems = (
            f"• {p.severity}, {escape(wording.clean(p.domain_id))}: {escape(p.description)}"
            for p in brief.problems
        )
        yield _section(["*Problems*", *problems], LIST_LIMIT, "problem")
    if brief.follow_ups:
        created = brief.auto_created
        title = f"⚠️ *{created.text}*" if created else "*Follow-ups*"
        lines = (
            f"• {f.state}: {escape(f.title)} ({escape(follow_up_fact(f))})"
            for f in brief.follow_ups
        )
        yield _section([title, *lines], LIST_LIMIT, "follow-up")
    foot = escape(f"{brief.brief_id} · {brief.timezone} · ")
    # The one link, and not of an event's making.
    made = f"<{figures_url}|{HOW_LINK}>" if figures_url else "Every figure comes from a row."
    yield {"type": "context", "elements": [mrkdwn(foot + made)]}
