"""A message as its readers will see it, on one page that holds everything and sends nothing.

The Slack part imitates Slack: it shows the blocks that go out, drawn by the rules of `mrkdwn`.
"""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup

from grace_assets.notify.message import Message
from grace_assets.render.pages import page

_LINK = re.compile(r"<(https?://[^|>]+)\|([^>]+)>")
_STYLES = (
    (re.compile(r"`([^`\n]+)`"), r"<code>\1</code>"),
    (re.compile(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])"), r"<b>\1</b>"),
    (re.compile(r"(?<![\w_])_([^_\n]+)_(?![\w_])"), r"<i>\1</i>"),
)


def render(message: Message, goes_to: dict[str, list[str]]) -> str:
    """A complete page; `goes_to` has the destinations of each channel, none of them a secret."""
    return page(
        "preview.html.j2",
        message=message,
        content=message.content,
        email=message.content.html_alone(),
        blocks=[_block(block) for block in message.content.slack.get("blocks", [])],
        goes_to=goes_to,
    )


def mrkdwn(text: str) -> Markup:
    """Slack's markup as HTML. `&`, `<` and `>` of the text are entities already, as Slack asks."""
    made = _LINK.sub(r'<a href="\1">\2</a>', text.replace('"', "&quot;"))
    for pattern, tag in _STYLES:
        made = pattern.sub(tag, made)
    return Markup(made.replace("\n", "<br>"))


def _block(block: dict[str, Any]) -> dict[str, Any]:
    kind = block["type"]
    if kind == "context":
        return {"type": kind, "texts": [_text(element) for element in block["elements"]]}
    return {"type": kind, "texts": [_text(block["text"])] if "text" in block else []}


def _text(leaf: dict[str, str]) -> Markup | str:
    return mrkdwn(leaf["text"]) if leaf["type"] == "mrkdwn" else leaf["text"]
