"""A row of `status_briefs` as the message that every channel sends from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grace_assets.core.brief import Brief
from grace_assets.notify.message import Content, Message, content_id
from grace_assets.render import charts, html, short, slack, text

FIGURES_PATH = "/figures"
"""Where `grace serve` says how figures are made."""


def brief_message(row: Mapping[str, Any], public_url: str | None = None) -> Message:
    """`row` is one of `status_briefs` with `date`; `public_url` is where `grace serve` is seen."""
    return Message(
        brief_id=row["brief_id"],
        date=row["date"],
        revision=row["revision"],
        content_hash=row["content_hash"],
        render=lambda: _content(Brief.from_json(row["content"]), public_url),
    )


def _content(brief: Brief, public_url: str | None) -> Content:
    figures_url = f"{public_url}{FIGURES_PATH}" if public_url else None
    images = charts.sparklines(brief.trends)
    return Content(
        slack=slack.payload(brief, figures_url),
        subject=f"Grace · {brief.date} · {brief.headline}",
        text=text.render(brief, figures_url),
        html=html.render(brief, {name: f"cid:{content_id(name)}" for name in images}, figures_url),
        short=short.render(brief, figures_url),
        images=images,
    )
