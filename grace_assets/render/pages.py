"""Templates filled in as pages for a browser, or as mails."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from css_inline import CSSInliner
from jinja2 import Environment, PackageLoader, StrictUndefined


def page(template: str, **values: Any) -> str:
    """The template with its values escaped."""
    return _environment().get_template(template).render(values)


def mail(template: str, **values: Any) -> str:
    """The same with `email-inline.css` moved into the elements, which is all that Gmail and
    Outlook keep of it."""
    return _inliner().inline(page(template, **values))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("grace_assets.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _inliner() -> CSSInliner:
    style = resources.files("grace_assets.render").joinpath("templates/email-inline.css")
    return CSSInliner(
        extra_css=style.read_text(encoding="utf-8"),
        keep_style_tags=True,
        minify_css=True,
        load_remote_stylesheets=False,
    )
