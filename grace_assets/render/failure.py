"""A failure of the pipeline itself as a message: what broke, for which days, where to look.

Never the text of an error: that may hold a password or a token of the user's. It stands in the
run, which the message links to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from grace_assets.core import wording
from grace_assets.notify.message import Content, Message
from grace_assets.render import short, slack
from grace_assets.render.pages import mail

KIND = "failure"
MAX_NAMED = 5
WHY = (
    "Said once a day for the same assets and errors, after retries are spent. "
    "The error itself stands only in the run: it may hold secrets."
)


@dataclass(frozen=True)
class Failure:
    """Runs that failed alike. `steps` are the assets (or ops) that failed, `errors` the steps
    and classes of the first error of each run, `partitions` spans as printed; `url` is where
    Dagster's UI is seen."""

    steps: tuple[str, ...]
    errors: tuple[str, ...]
    partitions: tuple[str, ...]
    run_ids: tuple[str, ...]
    job: str
    at: datetime
    url: str

    @property
    def identity(self) -> str:
        """What makes two failures of a day the same."""
        words = "\x1f".join((*self.steps, "", *self.errors))
        return hashlib.sha256(words.encode()).hexdigest()[:12]

    @property
    def what(self) -> str:
        names = [wording.clean(name, 80) for name in self.steps] or [wording.clean(self.job, 80)]
        return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"

    @property
    def headline(self) -> str:
        when = f" for {_first(self.partitions)}" if self.partitions else ""
        return f"The pipeline failed at {self.what}{when}."

    def facts(self) -> Iterator[tuple[str, str]]:
        """What there is to know, labelled."""
        if self.steps:
            yield "Failing assets", _first(self.steps)
        if self.partitions:
            yield "Partitions", _first(self.partitions)
        if self.errors:
            yield "Error", _first(self.errors)
        if not self.job.startswith("__"):  # Dagster's own, for assets picked by hand
            yield "Job", wording.clean(self.job, 80)
        yield "Failed at", f"{self.at:%Y-%m-%d %H:%M} UTC"

    def links(self) -> Iterator[tuple[str, str]]:
        """Runs as (name, address), at most `MAX_NAMED`."""
        for run_id in self.run_ids[:MAX_NAMED]:
            yield f"Run {run_id[:8]}", f"{self.url}/runs/{run_id}"

    @property
    def more_runs(self) -> str:
        hidden = len(self.run_ids) - MAX_NAMED
        return f"… {wording.counted(hidden, 'more run')}" if hidden > 0 else ""


def _first(names: Sequence[str]) -> str:
    shown = [wording.clean(name, 120) for name in names[:MAX_NAMED]]
    hidden = len(names) - MAX_NAMED
    return ", ".join([*shown, *([f"{hidden:,} more"] if hidden > 0 else [])])


def message(failure: Failure, day: str) -> Message:
    """The notice of a failure on `day`; the same failure of the same day is the same message."""
    identity = failure.identity
    lines = [f"{label}: {text}" for label, text in failure.facts()]
    links = [f"{name}: {address}" for name, address in failure.links()]
    plain = [short.plain(line) for line in lines]
    text = "\n".join(filter(None, (failure.headline, "", *lines, *links, failure.more_runs, WHY)))
    return Message(
        kind=f"{KIND}-{identity}",
        brief_id=f"{KIND}-{day}-{identity}",
        date=day,
        revision=1,
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
        render=lambda: Content(
            slack=_slack(failure),
            subject=f"Grace · pipeline failed · {failure.what}",
            text=text + "\n",
            html=mail("failure.html.j2", failure=failure, why=WHY),
            short="\n".join([f"🔴 {short.plain(failure.headline)}", *plain, *links]),
        ),
    )


def _slack(failure: Failure) -> dict:
    escape = slack.escape
    facts = [f"*{label}:* {escape(text)}" for label, text in failure.facts()]
    links = [f"<{address}|{name}>" for name, address in failure.links()]
    more = [failure.more_runs] if failure.more_runs else []
    return {
        "text": escape(f"🔴 {failure.headline}"),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "Pipeline failure"}},
            _section(f"🔴 *{escape(failure.headline)}*"),
            _section("\n".join(facts)),
            _section(" · ".join([*links, *more])),
            {"type": "context", "elements": [slack.mrkdwn(WHY)]},
        ],
    }


def _section(text: str) -> dict:
    return {"type": "section", "text": slack.mrkdwn(text)}
