"""How figures are made: the page that says it, and the API's fields from the same text."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from markdown_it import MarkdownIt
from markupsafe import Markup

from grace_assets.render.pages import page

_ROW = re.compile(r"^\| ((?:`[\w.]+`(?:, )?)+) \| (.+) \|$")


@cache
def field_definitions() -> dict[str, str]:
    """Field of the API, or `Type.field`, → what it means, as `figures.md` defines it."""
    _, fields = _text().split("## Fields of the API")
    rows = (found.groups() for line in fields.splitlines() if (found := _ROW.match(line)))
    return {name: meaning for names, meaning in rows for name in re.findall(r"`([\w.]+)`", names)}


@cache
def figures_page() -> str:
    """`figures.md`, which is ours, as a page."""
    made = MarkdownIt("commonmark").enable("table").render(_text())
    return page("figures.html.j2", content=Markup(made))


def _text() -> str:
    file = resources.files("grace_assets.render").joinpath("figures.md")
    return file.read_text(encoding="utf-8")
