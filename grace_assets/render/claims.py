"""Every channel's rendering of a brief read again: a number that no row supports is found.

A renderer has no numbers of its own; this is what holds it to that.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from grace_assets.core.brief import Brief
from grace_assets.core.claims import unsupported_in_brief
from grace_assets.render import html, markdown, short, slack, text

_SPOKEN = ("text", "alt_text")
"""Keys of a Slack payload whose strings people read."""
_MARKS = re.compile(r"[*_~`]")


def unsupported_in_channels(brief: Brief) -> dict[str, list[str]]:
    """Channel → the numbers in its text that the brief's figures do not support."""
    pieces = [piece for figure in brief.figures for piece in html.split_figure(figure.text)]
    page = html.render(brief, {line.kind: "" for line in brief.trends})
    blocks = _MARKS.sub("", entities.unescape(" ".join(_strings(slack.payload(brief)))))
    return {
        "text": unsupported_in_brief(brief, text.render(brief)),
        "markdown": unsupported_in_brief(brief, markdown.render(brief).replace("\\", "")),
        "slack": unsupported_in_brief(brief, blocks),
        "short": unsupported_in_brief(brief, short.render(brief)),
        "email": unsupported_in_brief(brief, _words(page), pieces),
    }


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _SPOKEN and isinstance(inner, str):
                yield inner
            else:
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _words(page: str) -> str:
    reader = _Reader()
    reader.feed(page)
    return " ".join(reader.parts)


class _Reader(HTMLParser):
    """What a page says: its text and the alternatives of its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("head", "style")
        self.parts += [value for name, value in attrs if name == "alt" and value]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("head", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)
