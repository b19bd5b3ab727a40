"""A brief for the terminal: plain text, 80 columns, no colour codes.

Says everything in words; also the text part of the email.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from grace_assets.core import wording
from grace_assets.core.brief import Brief
from grace_assets.core.brief_figures import Figure
from grace_assets.core.brief_history import Chapter
from grace_assets.core.brief_lines import FollowUpLine
from grace_assets.core.brief_sections import DomainSection, Example
from grace_assets.core.brief_trend import TrendLine

WIDTH = 80
SAMPLE_BANNER = "Sample data: made up for the demonstration."
HOW = (
    "Verdicts compare each metric before and after a mission with its healthy level; "
    "“restored” is completion minus detection. Every figure comes from a row."
)
HOW_LINK = "How these figures are made"
_FOLLOW_UP_HEADINGS = {"created": "Created", "closed": "Closed", "open": "Still open"}


def render(brief: Brief, figures_url: str | None = None) -> str:
    """The brief as text that ends with a newline; `figures_url` says how figures are made."""
    lines = [line.rstrip() for line in _lines(brief)]
    if figures_url:
        lines.append(f"{HOW_LINK}: {figures_url}")
    return "\n".join(lines) + "\n"


def follow_up_fact(line: FollowUpLine) -> str:
    """What became of a follow-up, in a few words."""
    if line.state == "closed":
        verdict = wording.VERDICT_WORDS.get(line.verdict or "", "verdict not known")
        return f"closed by {wording.clean(line.closed_by_mission_id, 80)}: {verdict}"
    return f"{line.priority} priority, opened {line.opened_on}"


def _lines(brief: Brief) -> Iterator[str]:
    yield "=" * WIDTH
    yield "GRACE STATUS BRIEF"
    so_far = "" if brief.complete else ", so far"
    yield f"{brief.day_name}{so_far} ({brief.timezone})"
    if brief.sample:
        yield SAMPLE_BANNER
    yield "=" * WIDTH
    yield from _wrap(brief.headline)
    yield ""
    yield from _figures(brief.figures)
    yield from _trends(brief.trends)
    for section in brief.domains:
        yield from _domain(section)
    for chapter in brief.chapters:
        yield from _chapter(chapter)
    yield from _problems(brief)
    yield from _follow_ups(brief)
    if brief.left_out:
        yield ""
        yield from _wrap(f"Left out here: {'; '.join(f.text for f in brief.left_out)}.")
    yield ""
    yield "-" * WIDTH
    yield from _wrap(HOW)


def _wrap(text: str, first: str = "", rest: str | None = None) -> list[str]:
    indent = " " * len(first) if rest is None else rest
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    )


def _figures(figures: Iterable[Figure], indent: str = "") -> Iterator[str]:
    for figure in figures:
        yield from _wrap(figure.text, f"{indent}{figure.label:<17} ")


def _trends(lines: Sequence[TrendLine]) -> Iterator[str]:
    if lines:
        yield from _heading(f"30 days to {lines[0].last}")
    for line in lines:
        yield f"{line.fact.label:<21} {line.blocks}"
        yield from _wrap(line.fact.text, "  ")


def _heading(title: str, note: str = "") -> Iterator[str]:
    yield ""
    yield from _wrap(f"{title}  [{note}]" if note else title)
    yield "-" * WIDTH


def _domain(section: DomainSection) -> Iterator[str]:
    note = f"{section.severity} severity, {wording.STATE_WORDS[section.state]}"
    yield from _heading(wording.clean(section.domain_id), note)
    yield from _figures(section.figures)
    for title, mark, examples in (
        ("Did not work:", "!", section.setbacks),
        ("Worked best:", "+", section.examples),
    ):
        if examples:
            yield title
        for example in examples:
            yield from _example(example, mark)
    if section.metrics:
        yield "Metrics:"
    for line in section.metrics:
        yield from _wrap(f"{line.fact.label}: {line.fact.text}", "  ~ ")
    for figure in section.left_out:
        yield from _wrap(f"… {figure.text}", "  ")


def _example(example: Example, mark: str) -> Iterator[str]:
    yield from _wrap(example.narrative, f"  {mark} ")
    yield from _wrap(f"({wording.clean(example.mission_id)}: {example.fact.text})", "    ")


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield from _heading(chapter.title)
    for figure in chapter.figures:
        yield from _wrap(f"{figure.label}: {figure.text}", "  * ")
    if chapter.more:
        yield f"  {chapter.more}"


def _problems(brief: Brief) -> Iterator[str]:
    if brief.problems:
        yield from _heading("Problems")
    for problem in brief.problems:
        domain = wording.clean(problem.domain_id)
        yield from _wrap(f"{problem.severity}, {domain}: {problem.description}", "  ! ")


def _follow_ups(brief: Brief) -> Iterator[str]:
    if brief.follow_ups:
        yield from _heading("Follow-ups", brief.auto_created.text if brief.auto_created else "")
    for state, title in _FOLLOW_UP_HEADINGS.items():
        lines = [line for line in brief.follow_ups if line.state == state]
        if lines:
            yield f"{title}:"
        for line in lines:
            yield from _wrap(f"{line.title} ({follow_up_fact(line)})", "  > ")
            yield from _wrap(line.reason, "    ")
