"""What arrived, counted where it arrived and held against the ledger."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default as modern
from pathlib import Path

from tests.notify.smtp_server import Mailbox
from tests.notify.strict_slack import StrictSlack

MARK = "possible repeat"


@dataclass(frozen=True)
class Counted:
    """Messages that arrived, and what the ledger says of them; `problems` must be empty."""

    slack: int
    mail: int
    sent: int
    flagged: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        repeats = sum(problem.startswith("unflagged") for problem in self.problems)
        return (
            f"{self.slack} messages in Slack, {self.mail} mails, {self.sent} sent by the ledger, "
            f"{self.flagged} flagged repeats, {repeats} unflagged, "
            f"{len(self.problems) - repeats} other differences"
        )


def count(ledger: Path, slack: StrictSlack, mail: Mailbox) -> Counted:
    """Hold what the servers took against the ledger's file, once nothing is under way."""
    with closing(sqlite3.connect(ledger)) as db:
        rows = db.execute("SELECT channel, delivery_key, status FROM delivery_ledger").fetchall()
    status = {key: state for _, key, state in rows}
    sent = Counter(channel for channel, _, state in rows if state == "sent")
    posts = Counter(json.dumps(m, sort_keys=True) for m in slack.messages)
    posted = {text: n for text, n in posts.items() if MARK not in text}
    flagged = sum(n for text, n in posts.items() if MARK in text)
    mails = [message_from_bytes(content, policy=modern) for _, content in mail.taken]
    names = [_key(m["Message-ID"]) for m in mails if MARK not in str(m["Subject"])]
    flagged += len(mails) - len(names)
    problems = [f"unflagged: Slack has {n} of {text[:80]}" for text, n in posted.items() if n > 1]
    problems += [f"unflagged: {n} mails {key}" for key, n in Counter(names).items() if n > 1]
    problems += [f"unknown to the ledger: mail {key}" for key in set(names) - set(status)]
    problems += _missing(rows, names)
    if len(posted) != sent["slack"]:
        problems.append(f"Slack has {len(posted)} messages, the ledger sent {sent['slack']}")
    problems += [
        f"{channel} {key} is {state}" for channel, key, state in rows if state == "unknown"
    ]
    return Counted(len(slack.messages), len(mails), sum(sent.values()), flagged, tuple(problems))


def _missing(rows: Iterable[tuple[str, str, str]], names: Iterable[str]) -> list[str]:
    wanted = {key for channel, key, state in rows if channel == "email" and state == "sent"}
    return [f"never arrived: mail {key}" for key in sorted(wanted - set(names))]


def _key(message_id: str) -> str:
    return message_id.removeprefix("<grace.").partition("@")[0]
