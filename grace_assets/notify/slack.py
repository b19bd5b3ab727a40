"""Posting to a Slack incoming webhook, and reading its answers.

Success is 200 with the body `ok`. What certainly did not arrive is tried again; what certainly
was refused is not; what may have arrived is said to be unknown, for Slack has no idempotency key.
No text made here holds the URL, which is a secret; httpx's own errors and log lines do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from grace_assets.notify.channels import Slack
from grace_assets.notify.outcome import Outcome, later

TIMEOUT_SECONDS = 10.0
CONNECT_ATTEMPTS = 3
LONGEST_WAIT = timedelta(minutes=10)
WAIT_IN_PLACE = timedelta(seconds=5)
"""Slack's usual Retry-After is a second: that is waited for, longer ones are left to a sensor."""
BLOCK_REFUSALS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
KNOWN_REFUSALS = BLOCK_REFUSALS | {
    "action_prohibited",
    "channel_is_archived",
    "channel_not_found",
    "invalid_payload",
    "invalid_token",
    "no_active_hooks",
    "no_service",
    "no_team",
    "no_text",
    "posting_to_general_channel_denied",
    "team_disabled",
    "too_many_attachments",
    "user_not_found",
}
"""Words that Slack answers with; any other body could be anything, and is not repeated."""


def post(
    slack: Slack, payload: dict[str, Any], sleep: Callable[[float], None] = time.sleep
) -> Outcome:
    """Post a message (`text`, `blocks`); a text-only one where its blocks are refused."""
    # httpx logs every request with its full URL at INFO.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    limits = httpx.Timeout(TIMEOUT_SECONDS)
    with httpx.Client(timeout=limits, trust_env=False, follow_redirects=False) as client:
        outcome = _attempt(client, slack, payload, sleep)
        if outcome.status == "rejected" and outcome.reason in BLOCK_REFUSALS:
            refused = outcome.reason
            outcome = _attempt(client, slack, {"text": payload["text"]}, sleep)
            if outcome.status == "sent":
                return Outcome("sent", f"as text only: {refused}")
    return outcome


def _attempt(
    client: httpx.Client, slack: Slack, payload: dict[str, Any], sleep: Callable[[float], None]
) -> Outcome:
    for attempt in range(1, CONNECT_ATTEMPTS + 1):
        outcome, wait = _once(client, slack, payload)
        if wait is None or attempt == CONNECT_ATTEMPTS:
            break
        sleep(wait.total_seconds())
    return outcome


def _once(
    client: httpx.Client, slack: Slack, payload: dict[str, Any]
) -> tuple[Outcome, timedelta | None]:
    """The outcome, and how long to wait in place before another try (null for none)."""
    try:
        response = client.post(slack.webhook_url, json=payload)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return later("connection failed"), timedelta(seconds=0.5)
    except httpx.InvalidURL:
        return Outcome("rejected", "invalid webhook URL"), None
    except httpx.HTTPError as error:
        return Outcome("unknown", f"no answer ({type(error).__name__})"), None
    word = response.text.strip()[:60]
    if response.status_code == 200 and word == "ok":
        return Outcome("sent"), None
    if response.status_code == 429:
        wait = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        return later("rate limited", wait), wait if wait <= WAIT_IN_PLACE else None
    if 400 <= response.status_code < 500:
        known = word if word in KNOWN_REFUSALS else f"HTTP {response.status_code}"
        return Outcome("rejected", known), None
    return Outcome("unknown", f"ambiguous answer (HTTP {response.status_code})"), None


def retry_after(header: str | None, now: datetime) -> timedelta:
    """`Retry-After` in seconds or as an HTTP date; a second where absent or unreadable.

    Never longer than `LONGEST_WAIT`.
    """
    wait = timedelta(seconds=1)
    if header is not None:
        try:
            wait = timedelta(seconds=min(float(header), LONGEST_WAIT.total_seconds()))
        except (ValueError, OverflowError):
            with suppress(ValueError, TypeError):
                wait = parsedate_to_datetime(header) - now
    return min(max(wait, timedelta(0)), LONGEST_WAIT)
