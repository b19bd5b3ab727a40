"""A brief to deliver, and a way to deliver it, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grace_assets.notify.channels import Channels
from grace_assets.notify.deliver import Result, deliver
from grace_assets.notify.ledger import Ledger
from grace_assets.notify.message import Content, Message

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def brief(revision: int = 1, content_hash: str | None = None, **fields: Any) -> Message:
    """A brief of two missions; `fields` are some of `Message`'s and `Content`'s."""
    content: dict[str, Any] = {
        "slack": {
            "text": "Grace · 2 missions",
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "2 missions"}}],
        },
        "subject": "Grace · 2026-03-01 · 2 missions",
        "text": "2 missions\n.a line that begins with a dot\n",
        "html": "<p>2 missions</p>",
        "short": "2 missions",
    }
    content |= {name: fields.pop(name) for name in (*content, "images") if name in fields}
    values = {"brief_id": "brief-2026-03-01", "date": "2026-03-01", **fields}
    return Message(
        revision=revision,
        content_hash=content_hash or f"hash-{revision}",
        render=lambda: Content(**content),
        **values,
    )


@dataclass
class Post:
    """A ledger and an environment; every call delivers as a run of its own would."""

    folder: Path
    channel: str
    env: Mapping[str, str]

    @property
    def ledger_file(self) -> Path:
        return self.folder / "delivery.sqlite"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.ledger_file)

    def __call__(
        self,
        message: Message | None = None,
        *,
        after: timedelta = timedelta(0),
        decision: str = "send",
        retry_rejected: bool = False,
    ) -> list[Result]:
        return deliver(
            self.channel,
            message or brief(),
            self.ledger,
            Channels.from_env(self.env),
            self.folder,
            NOW + after,
            decision,
            retry_rejected=retry_rejected,
        )
