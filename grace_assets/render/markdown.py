"""A brief as markdown (CommonMark with tables), for Dagster's UI, the world model and files.

Event text is escaped, so that it can bring no link, image, table or HTML of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from grace_assets.core import wording
from grace_assets.core.brief import Brief
from grace_assets.core.brief_sections import DomainSection, Example
from grace_assets.render.text import HOW, SAMPLE_BANNER, follow_up_fact

# Also `:` and `@`, and the dot after www: GitHub's dialect makes links of bare addresses.
_SPECIAL = re.compile(r"[\\`*_\[\]<>&|~#!$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
# What begins a list or a rule where a line or list item begins.
_LEADING = re.compile(r"^(\d*)([-+.)=])")
_STATE_MARKS = {"bad": "🔴", "mixed": "🟡", "good": "🟢", "unknown": "⚪"}
_TREND_MARKS = {"better": "📈", "worse": "📉", "unchanged": "➖"}


def escape(text: str) -> str:
    """Event text as plain words of a markdown line."""
    return _LEADING.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", wording.clean(text)))


def render(brief: Brief) -> str:
    """The brief as markdown that ends with a newline."""
    return "\n".join(_lines(brief)) + "\n"


def _lines(brief: Brief) -> Iterator[str]:
    so_far = "" if brief.complete else ", so far"
    yield f"# Status brief: {brief.day_name}{so_far}"
    yield ""
    if brief.sample:
        yield f"> **{SAMPLE_BANNER}**"
        yield ""
    yield f"**{brief.headline}** Times are {escape(brief.timezone)}."
    yield ""
    yield f"| {_STATE_MARKS[brief.state]} {wording.STATE_WORDS[brief.state]} | |"
    yield "|---|---|"
    for figure in brief.figures:
        yield f"| {figure.label} | {figure.text} |"
    if brief.trends:
        yield from ("", f"30 days to {brief.trends[0].last}:", "")
    for line in brief.trends:
        yield f"- {line.fact.label} `{line.blocks}` {line.fact.text}"
    for section in brief.domains:
        yield from _domain(section)
    for chapter in brief.chapters:
        yield from ("", f"## {chapter.title}", "")
        for figure in chapter.figures:
            yield f"- **{escape(figure.label)}**: {figure.text}"
        if chapter.more:
            yield f"- {chapter.more}"
    yield from _problems(brief)
    yield from _follow_ups(brief)
    if brief.left_out:
        yield ""
        yield f"Left out here: {'; '.join(f.text for f in brief.left_out)}."
    yield ""
    yield f"*{HOW}*"


def _domain(section: DomainSection) -> Iterator[str]:
    state = f"{_STATE_MARKS[section.state]} {wording.STATE_WORDS[section.state]}"
    yield ""
    yield f"## {escape(section.domain_id)}"
    yield ""
    yield f"{state}, {section.severity} severity"
    yield ""
    for figure in section.figures:
        yield f"- {figure.label}: {figure.text}"
    for title, examples in (
        ("Did not work", section.setbacks),
        ("Worked best", section.examples),
    ):
        if examples:
            yield from ("", f"**{title}**", "")
        yield from map(_example, examples)
    if section.metrics:
        yield from ("", "**Metrics**", "")
    for line in section.metrics:
        yield f"- {_TREND_MARKS[line.trend]} {escape(line.fact.label)}: {line.fact.text}"
    for figure in section.left_out:
        yield f"- … {figure.text}"


def _example(example: Example) -> str:
    return f"- {escape(example.narrative)} ({escape(example.mission_id)}: {example.fact.text})"


def _problems(brief: Brief) -> Iterator[str]:
    if brief.problems:
        yield from ("", "## Problems", "")
    for problem in brief.problems:
        domain, description = escape(problem.domain_id), escape(problem.description)
        yield f"- **{problem.severity}**, {domain}: {description}"


def _follow_ups(brief: Brief) -> Iterator[str]:
    if brief.follow_ups:
        yield from ("", "## Follow-ups", "")
    if brief.auto_created:
        yield from (f"⚠️ {brief.auto_created.text}", "")
    for line in brief.follow_ups:
        fact = escape(follow_up_fact(line))
        yield f"- **{line.state}**: {escape(line.title)} ({fact}). {escape(line.reason)}"
