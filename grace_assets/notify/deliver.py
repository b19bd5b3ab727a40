"""One message to one channel: decide, promise, commit `sending`, send, commit the outcome."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from grace_assets.lake.files import Files
from grace_assets.notify.channels import ChannelError, Channels
from grace_assets.notify.ledger import Ledger
from grace_assets.notify.ledger_rows import Delivery, Entry
from grace_assets.notify.lifecycle import after_cut_off
from grace_assets.notify.message import Message
from grace_assets.notify.routes import Route, route

SUPPRESS = "suppress:"
"""A decision begins with it where nothing is to be sent; the reason follows."""
WITHDRAWING = frozenset({"disabled", "empty_day"})
"""Reasons that also hold for what is already promised; a backfill takes no promise back."""


@dataclass(frozen=True)
class Result:
    """How a message stands with one destination; words as in CONTRACT `deliveries`."""

    destination: str
    status: str
    reason: str | None
    attempts: int
    retry_at: datetime | None

    @classmethod
    def of(cls, row: Delivery) -> Result:
        status, reason = row.status, row.reason
        if status == "sending":
            status, reason = "unknown", "being sent"
        return cls(row.destination, status, reason, row.attempts, row.retry_at)


def deliver(
    channel: str,
    message: Message,
    ledger: Ledger,
    channels: Channels,
    data: Path | Files,
    now: datetime,
    decision: str,
    *,
    retry_rejected: bool = False,
) -> list[Result]:
    """Bring a message to every destination of `channel` that does not have this revision yet.

    `channel` is one of `routes.CHANNELS`; `decision` is `send`, or `suppress:` and a reason;
    `now` is aware. Returns how each destination stands, whatever was done. May be called again at
    any time and from several processes: what was sent is not sent again. Raises `ChannelError`
    for an unusable configuration, before anything is promised.
    """
    way = route(channel, channels, data)
    entries = [
        Entry(
            date=message.date,
            brief_id=message.brief_id,
            revision=message.revision,
            channel=channel,
            destination=destination,
            content_hash=message.content_hash,
            kind=message.kind,
        )
        for destination in way.destinations
    ]
    if not entries:
        return []
    if decision == "send":
        ledger.promise(
            entries,
            lambda entry, correction: way.compose(message, entry, correction, now),
            now,
            retry_rejected=retry_rejected,
        )
        asyncio.run(_send_due(entries, way, ledger, _ticking(now)))
    else:
        reason = decision.removeprefix(SUPPRESS)
        ledger.suppress(entries, reason, withdraw=reason in WITHDRAWING)
    return [Result.of(ledger.get(entry.key)) for entry in entries]


def resume(
    ledger: Ledger, channels: Channels, data: Path | Files, now: datetime
) -> list[tuple[str, Result]]:
    """Another attempt at every notice whose time has come, by channel.

    Briefs are resumed by delivering them again; a notice is only in the ledger. One to a
    destination that is no longer set is withdrawn; a channel that is set wrongly is left alone.
    """
    due: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in ledger.due_notices(now):
        due[entry.channel, entry.brief_id].append(entry)
    results = []
    for (channel, _), entries in due.items():
        try:
            way = route(channel, channels, data)
        except ChannelError:
            continue
        gone = [entry for entry in entries if entry.destination not in way.destinations]
        ledger.suppress(gone, "disabled", withdraw=True)
        wanted = [entry for entry in entries if entry not in gone]
        asyncio.run(_send_due(wanted, way, ledger, _ticking(now)))
        results += [(channel, Result.of(ledger.get(entry.key))) for entry in entries]
    return results


async def _send_due(
    entries: Sequence[Entry], way: Route, ledger: Ledger, clock: Callable[[], datetime]
) -> None:
    if not entries:
        return
    async with way.open(entries[0].brief_id) as sender:
        for entry in entries:
            row = ledger.claim(entry.key, clock(), way.on_unknown, way.spacing)
            if row is None or row.payload is None or row.last_attempt_at is None:
                continue
            await asyncio.sleep(max(0.0, (row.last_attempt_at - clock()).total_seconds()))
            frozen = row.payload
            if row.repeats:
                frozen = way.as_repeat(frozen, f"possible repeat · ref {row.delivery_key[:4]}")
            try:
                outcome = await sender.send(entry.destination, frozen)
            except BaseException:
                # A run that is stopped, say. A process that is killed leaves `sending` behind.
                ledger.finish(row, after_cut_off(way.on_unknown), clock(), way.on_unknown)
                raise
            ledger.finish(row, outcome, clock(), way.on_unknown)


def _ticking(now: datetime) -> Callable[[], datetime]:
    """A clock that reads `now` when made and runs on from there."""
    started = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - started)
