"""Every channel's rendering of a brief read again: a number that no row supports is found.

A renderer has no numbers of its own; this is what holds it to that.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from typing import Any

from grace_assets.core.brief import Brief
from grace_assets.core.claims import unsupported_in_brief
from grace_assets.render import html, markdown, short, slack, text

_SPOKEN = ("text", "alt_text")
"""Keys of a Slack payload whose strings people read."""
_MARKS = re.compile(r"[*_~`]")
_LEFT_OUT = re.compile(
    r"\b[\d,]+ more (?:lines?|domains?|problems?|follow-ups?|metrics?|missions?)\b"
)
"""What a channel had no room for, which it alone can count."""


def unsupported_in_channels(brief: Brief) -> dict[str, list[str]]:
    """Channel → the numbers in its text that the brief's figures do not support."""
    pieces = [piece for figure in brief.figures for piece in html.split_figure(figure.text)]
    page = html.render(brief, {line.kind: "" for line in brief.trends})
    blocks = _unmarked(entities.unescape(" ".join(_strings(slack.payload(brief)))))

    def found(said: str, shown: Callable[[str], str] = str, also: Iterable[str] = ()) -> list[str]:
        return unsupported_in_brief(brief, said, [*_LEFT_OUT.findall(said), *also], shown)

    return {
        "text": found(text.render(brief)),
        "markdown": found(markdown.render(brief).replace("\\", "")),
        "slack": found(blocks, _unmarked),
        "short": found(short.render(brief), short.plain),
        "email": found(_words(page), also=pieces),
    }


def _unmarked(said: str) -> str:
    return _MARKS.sub("", said)


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
