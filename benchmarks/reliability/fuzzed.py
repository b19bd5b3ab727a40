"""What must hold of any bytes and of any text; readers that are not ours look at the result."""

from __future__ import annotations

import csv
import html
import io
import json
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default as modern
from html.parser import HTMLParser

import msgspec
import pyarrow as pa
from markdown_it import MarkdownIt

from grace_assets.api.strict_json import NotAllowed, NotJson, split
from grace_assets.core import wording
from grace_assets.core.events import EventError, MissionEvent, parse
from grace_assets.core.schemas import TABLES
from grace_assets.lake.export import write_trail
from grace_assets.notify import email
from grace_assets.render import markdown, slack
from grace_assets.render.failure import Failure, message
from tests.lake.test_export import STARTS_A_FORMULA
from tests.notify.strict_slack import LIVE, refusal
from tests.rows import outcome

RECEIVED = datetime(2026, 3, 5, tzinfo=UTC)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
SAID = frozenset({"text", "softbreak", "text_special"})
"""Tokens of a line that are words and nothing else."""


def line(raw: bytes) -> None:
    """A mission that says what its JSON says, or an error that names a rule; nothing else."""
    try:
        event = parse(raw, RECEIVED)
    except EventError as error:
        assert error.reason
    else:
        _means_its_json(event, raw)
    try:
        elements = split(raw)
    except (NotJson, NotAllowed) as error:
        assert str(error)
    else:
        for element in elements:
            assert element.broken or json.loads(element.raw) is not None


def _means_its_json(event: MissionEvent, raw: bytes) -> None:
    # Text of fields that nobody asked for is not looked at, nor has it to be UTF-8.
    said = json.loads(raw.decode("utf-8", "replace"))
    assert event.mission_id == said["mission_id"]
    assert event.success is said["success"]
    assert event.started_at <= event.completed_at
    assert parse(msgspec.json.encode(event), RECEIVED) == event


def text(words: str) -> None:
    """Text of an event stays text wherever it is shown."""
    _in_slack(words)
    _in_markdown(words)
    _in_a_notice(words)
    _in_csv(words)
    _in_a_header(words)


def _in_slack(words: str) -> None:
    escaped = slack.escape(words)
    assert not LIVE.search(escaped), escaped
    assert html.unescape(escaped) == words


def _in_markdown(words: str) -> None:
    wanted = wording.clean(words)
    for begin in ("", "- ", "# ", "> "):
        tokens = MARKDOWN.parse(f"{begin}a {markdown.escape(words)}")
        inline = [child for token in tokens for child in token.children or ()]
        assert {token.type for token in inline} <= SAID, inline
        assert "".join(token.content for token in inline).split() == f"a {wanted}".split()


class _Text(HTMLParser):
    """The words of a page, and its tags with the names of their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(f"{tag} {[name for name, _ in attrs]}")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _in_a_notice(words: str) -> None:
    """The page has no tag more than one of plain words has, and Slack takes the message."""
    plain, odd = (message(_failure(error), "2026-03-05").render() for error in ("plain", words))
    tags, found = _read(plain.html).tags, _read(odd.html)
    assert found.tags == tags
    assert " ".join(wording.clean(words, 120).split()) in " ".join("".join(found.words).split())
    assert refusal(json.dumps(odd.slack).encode()) is None


def _failure(error: str) -> Failure:
    return Failure(
        steps=("orders",),
        errors=(error or "none",),
        partitions=("2026-03-05",),
        run_ids=("0123456789",),
        job="missions_job",
        at=RECEIVED,
        url="http://127.0.0.1:3000",
    )


def _read(page: str) -> _Text:
    reader = _Text()
    reader.feed(page)
    reader.close()
    return reader


def _in_csv(words: str) -> None:
    row = outcome("m", domain_id=words, narrative=words)
    schema = TABLES["mission_outcomes"].with_date()
    table = pa.Table.from_pylist([{name: row.get(name) for name in schema.names}], schema)
    file = io.BytesIO()
    write_trail([table], "csv", file)
    (found,) = csv.DictReader(io.StringIO(file.getvalue().decode(), newline=""))
    for name in ("domain_id", "narrative"):
        assert not found[name].startswith(STARTS_A_FORMULA)
        assert found[name].removeprefix("'") == words.removeprefix("'")


def _in_a_header(words: str) -> None:
    composed = email.compose(
        sender="grace@ops.example",
        recipients=["ann@example.org"],
        subject=words,
        text="t",
        html="<p>t</p>",
        delivery_key="k",
        date=RECEIVED,
    )
    mail = message_from_bytes(composed, policy=modern)
    assert mail.keys().count("Subject") == 1
    assert mail.get_content_type() == "multipart/alternative"
    # Python's own folding may put a blank where it breaks a long word.
    assert "".join(str(mail["Subject"]).split()) == "".join(email.header_text(words).split())
