"""The page that says how figures are made."""

from __future__ import annotations

from functools import cache
from importlib import resources

from markdown_it import MarkdownIt
from markupsafe import Markup

from grace_assets.render.pages import page


@cache
def figures_page() -> str:
    """`figures.md`, which is ours, as a page."""
    text = resources.files("grace_assets.render").joinpath("figures.md")
    made = MarkdownIt("commonmark").enable("table").render(text.read_text(encoding="utf-8"))
    return page("figures.html.j2", content=Markup(made))
