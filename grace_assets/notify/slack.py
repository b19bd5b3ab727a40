"""Posting to a Slack incoming webhook, and reading its answers.

Success is 200 with the body `ok`. What certainly did not arrive is tried again; what certainly
was refused is not; what may have arrived is said to be unknown, for Slack has no idempotency key.
No text made here holds the URL, which is a secret; httpx's own errors and log lines do, so the
former are replaced and the latter dropped.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from grace_assets.notify.channels import Slack
from grace_assets.notify.outcome import Outcome
from grace_assets.notify.retry_after import requested_wait
from grace_assets.notify.tls import verifying_context
from grace_assets.notify.unlogged import unlogged

SPACING = timedelta(seconds=1)
"""Slack takes one message a second from a webhook."""
CONNECT_SECONDS = 5.0
ATTEMPT_SECONDS = 30.0
"""For one request from its first byte to the last of its answer."""
TRIES = 3
FIRST_PAUSE = timedelta(seconds=0.5)
"""After a failed connection; doubled each time."""
WAIT_IN_PLACE = timedelta(seconds=5)
"""Slack's usual Retry-After is a second: that is waited for, longer ones are left to a sensor."""
DEFAULT_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=10)
ANSWER_BYTES = 1024
BLOCK_LIMIT = 50

TRY_LATER = frozenset({408, 425, 429})
"""Refused unread."""
BLOCK_REFUSALS = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "too_many_attachments"}
)
"""The text alone may still be taken."""
REFUSALS = BLOCK_REFUSALS | {
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
    "user_not_found",
}
"""Words that Slack answers with; any other body could be anything, and is not repeated."""


def payload(body: dict[str, Any], correction: str | None) -> bytes:
    """The webhook's body for a rendered message (`text`, `blocks`); a correction says so."""
    return _encode(_noted(body, correction) if correction else body)


def as_repeat(frozen: bytes, note: str) -> bytes:
    """The same message, visibly marked."""
    return _encode(_noted(json.loads(frozen), note))


def _noted(body: dict[str, Any], note: str) -> dict[str, Any]:
    context = {"type": "context", "elements": [{"type": "plain_text", "text": note}]}
    blocks = [context, *body.get("blocks", [])]
    # The note is worth more than the last block, where there are as many as Slack takes.
    return {**body, "text": f"{note} · {body['text']}", "blocks": blocks[:BLOCK_LIMIT]}


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


class SlackSender:
    """One webhook, for as long as the `async with` lasts."""

    def __init__(self, slack: Slack, attempt_seconds: float = ATTEMPT_SECONDS) -> None:
        self._url = slack.webhook_url
        self._attempt_seconds = attempt_seconds
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(attempt_seconds, connect=CONNECT_SECONDS),
            verify=verifying_context(),
            trust_env=False,
            follow_redirects=False,
        )

    async def __aenter__(self) -> SlackSender:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(self, _destination: str, frozen: bytes) -> Outcome:
        """Post a message; its text alone, once, where its blocks are refused."""
        with unlogged(self._url):
            outcome = await self._persist(frozen)
            if outcome.status == "rejected" and outcome.reason in BLOCK_REFUSALS:
                await asyncio.sleep(SPACING.total_seconds())
                plain = await self._persist(_encode({"text": json.loads(frozen)["text"]}))
                if plain.status == "sent":
                    return Outcome("sent", f"as text only: {outcome.reason}")
                return plain
        return outcome

    async def _persist(self, body: bytes) -> Outcome:
        """Post; again, after a short wait, where it certainly did not arrive."""
        for number in range(1, TRIES + 1):
            outcome = await self._post(body)
            pause = outcome.retry_in or FIRST_PAUSE * 2 ** (number - 1)
            if outcome.status != "pending" or pause > WAIT_IN_PLACE or number == TRIES:
                break
            await asyncio.sleep(pause.total_seconds())
        return outcome

    async def _post(self, body: bytes) -> Outcome:
        headers = {"Content-Type": "application/json; charset=utf-8", "Accept-Encoding": "identity"}
        try:
            async with (
                asyncio.timeout(self._attempt_seconds),
                self._client.stream("POST", self._url, content=body, headers=headers) as response,
            ):
                return judge(response, await _beginning(response))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Outcome("pending", "connection failed")
        except (TimeoutError, httpx.TimeoutException):
            return Outcome("unknown", "no answer in time")
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, ValueError):
            return Outcome("rejected", "SLACK_WEBHOOK_URL cannot be used")
        except httpx.HTTPError as error:
            return Outcome("unknown", f"connection lost ({type(error).__name__})")


async def _beginning(response: httpx.Response) -> str:
    """As much of the answer as any real one has."""
    content = b""
    async for chunk in response.aiter_raw(ANSWER_BYTES):
        content += chunk
        if len(content) >= ANSWER_BYTES:
            break
    return content[:ANSWER_BYTES].decode("utf-8", "replace")


def judge(response: httpx.Response, body: str) -> Outcome:
    """What an answer means."""
    code, word = response.status_code, body.strip()
    if code == 200 and word == "ok":
        return Outcome("sent")
    if code in TRY_LATER:
        asked = requested_wait(response.headers.get("Retry-After"), datetime.now(UTC))
        wait = DEFAULT_WAIT if asked is None else min(asked, LONGEST_WAIT)
        return Outcome("pending", f"asked to wait (HTTP {code})", wait)
    if 300 <= code < 500:
        return Outcome("rejected", word if word in REFUSALS else f"HTTP {code}")
    return Outcome("unknown", f"ambiguous answer (HTTP {code})")
