"""What is to be said, worded for every kind of channel before anybody decides who gets it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from grace_assets.notify.ledger_rows import BRIEF


@dataclass(frozen=True)
class Content:
    """A rendered message.

    `slack` is the webhook's body (`text`, `blocks`), `short` is for channels that show little
    and plainly, `images` are PNGs, which the HTML knows by the `content_id` of their names.
    """

    slack: dict[str, Any]
    subject: str
    text: str
    html: str
    short: str
    images: Mapping[str, bytes] = field(default_factory=dict)

    def html_alone(self) -> str:
        """The HTML with its images in it, for a browser."""
        page = self.html
        for name, png in self.images.items():
            address = "data:image/png;base64," + base64.b64encode(png).decode()
            page = page.replace(f'"cid:{content_id(name)}"', f'"{address}"')
        return page


@dataclass(frozen=True)
class Message:
    """A revision of a brief, or a notice (then `kind` is not `BRIEF`).

    Rendered when somebody is to get it: most days of a backfill go to nobody.
    """

    brief_id: str
    date: str
    revision: int
    content_hash: str
    render: Callable[[], Content] = field(repr=False, compare=False)
    kind: str = BRIEF

    @cached_property
    def content(self) -> Content:
        return self.render()

    @property
    def correction(self) -> str:
        """The words in front of a revision that follows one which readers have."""
        return f"Correction (revision {self.revision})"


def content_id(name: str) -> str:
    """How a part of a mail is named by another (RFC 2392), without its brackets."""
    return f"{name}@grace"
