"""Announces follow-up missions to the outside: a line each in a file, and a webhook if wanted.

A follow-up must be asked for once, however often a run is repeated or killed. A ledger (flushed at
every commit) decides what was announced; the file is brought up to it afterwards, and
the next call completes what a crash left undone. The webhook is at least once: after a crash
between request and record it is called again with the same `Idempotency-Key`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import httpx

from grace_assets.lake.database import Database, open_database
from grace_assets.lake.durable import make_folder, sync_folder
from grace_assets.lake.s3_files import S3Files
from grace_assets.notify.lifecycle import FEWEST_ATTEMPTS
from grace_assets.notify.tls import verifying_context
from grace_assets.notify.unlogged import unlogged

CLAIM = timedelta(minutes=5)
"""How long a process keeps a request to itself; longer than any request takes."""
POST_SECONDS = 10.0
"""For one request, from its connection to the last header of its answer."""
GIVE_UP = timedelta(days=7)
"""A webhook that has failed for so long is not asked again about this follow-up."""

FILE = "outbox/missions.jsonl"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS follow_ups (
    id INTEGER PRIMARY KEY,
    follow_up_id TEXT NOT NULL UNIQUE,
    domain_id TEXT NOT NULL,
    opened_on TEXT NOT NULL,
    line TEXT NOT NULL,
    written INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT 'pending',
    reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    first_attempt_at TEXT,
    claimed_until TEXT
)
"""


@dataclass(frozen=True)
class PostResult:
    """What became of one follow-up at the webhook: `posted`, `pending` or `rejected`, and why."""

    status: str
    reason: str | None = None


@dataclass(frozen=True)
class PostReport:
    """The follow-ups that a call tried, by id."""

    results: Mapping[str, PostResult]

    def count(self, status: str) -> int:
        return sum(result.status == status for result in self.results.values())

    def __str__(self) -> str:
        counts = (f"{self.count(status)} {status}" for status in ("posted", "pending", "rejected"))
        reasons = dict.fromkeys(result.reason for result in self.results.values() if result.reason)
        return ", ".join(counts) + (f" ({', '.join(reasons)})" if reasons else "")


class FollowUpOutbox:
    """The outbox under `data_dir`; safe to use from several threads and processes at once.

    Lines go to `outbox/missions.jsonl`, in `bucket` where there is one; the ledger is
    `state/follow_ups.sqlite`, or a PostgreSQL.
    A consumer may take lines away: what was written once is not written again.
    """

    def __init__(
        self, data_dir: Path, url: str | None = None, bucket: S3Files | None = None
    ) -> None:
        self._file, self._bucket = data_dir / FILE, bucket
        self._connect = partial(open_database, data_dir, "follow_ups", _SCHEMA, url)
        make_folder(self._file.parent)

    def announce(self, follow_ups: Iterable[Mapping[str, object]]) -> int:
        """Announce rows of `follow_up_missions` not announced before; returns how many were new.

        Closed ones are passed over: nobody should carry out again what is done.
        Also completes what an earlier call left undone, so an empty list is worth a call. Raises
        `OSError` where the file cannot be written; the ledger then keeps the lines for the next.
        """
        requests = (_request(row) for row in follow_ups if row["status"] != "closed")
        with closing(self._connect()) as db:
            with db.transaction():
                new = sum(_record(db, request) for request in requests)
            # The write lock is held over the file, so one process at a time appends to it.
            with db.transaction():
                self._write_missing(db)
        return new

    def issued(self) -> dict[str, tuple[str, date]]:
        """Everything announced so far: id → (domain, opened on)."""
        with closing(self._connect()) as db:
            rows = db.execute("SELECT follow_up_id, domain_id, opened_on FROM follow_ups")
            return {id_: (domain, date.fromisoformat(day)) for id_, domain, day in rows}

    def post_pending(
        self, url: str, now: datetime, transport: httpx.AsyncBaseTransport | None = None
    ) -> PostReport:
        """POST each pending follow-up to `url`, once a call; returns what became of each.

        2xx is `posted`; 4xx other than 408 and 429 is `rejected`; anything else stays `pending`
        for the next call, until `GIVE_UP` after the first attempt. Where the receiver cannot be
        reached or asks to slow down, the rest of the call is spared. Network failures do not
        raise, and no text names the URL, which may hold a secret. `now` is aware.
        """
        return PostReport(asyncio.run(self._post_pending(url, now.astimezone(UTC), transport)))

    async def _post_pending(
        self, url: str, now: datetime, transport: httpx.AsyncBaseTransport | None
    ) -> dict[str, PostResult]:
        results: dict[str, PostResult] = {}
        client = httpx.AsyncClient(
            timeout=POST_SECONDS,
            verify=verifying_context(),
            trust_env=False,
            follow_redirects=False,
            transport=transport,
        )
        with closing(self._connect()) as db:
            pending = db.execute(
                "SELECT follow_up_id, line FROM follow_ups WHERE status = 'pending' ORDER BY id"
            ).fetchall()
            async with client:
                for id_, line in pending:
                    if not _claim(db, id_, now):
                        continue
                    result, go_on = await _post(url, client, id_, line)
                    results[id_] = _settle(db, id_, result, now)
                    if not go_on:
                        break
        return results

    def _write_missing(self, db: Database) -> None:
        missing = dict(
            db.execute("SELECT follow_up_id, line FROM follow_ups WHERE written = 0 ORDER BY id")
        )
        if not missing:
            return
        if self._bucket:
            self._append_object(missing)
        else:
            with self._file.open("a+b") as file:
                _append(file, missing)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self._file.parent)
        marks = ((id_,) for id_ in missing)
        db.executemany("UPDATE follow_ups SET written = 1 WHERE follow_up_id = ?", marks)

    def _append_object(self, missing: Mapping[str, str]) -> None:
        """The object with the lines that it lacks, in one PUT: objects cannot grow."""

        def appended(content: bytes) -> bytes:
            file = BytesIO(content)
            _append(file, missing)
            return file.getvalue()

        # A consumer may take lines away meanwhile.
        self._bucket.update(FILE, appended)


def _append(file: BinaryIO, missing: Mapping[str, str]) -> None:
    present = _complete_lines(file)
    lines = [line for id_, line in missing.items() if id_ not in present]
    file.seek(0, os.SEEK_END)
    file.write("".join(line + "\n" for line in lines).encode())


def _request(follow_up: Mapping[str, object]) -> dict[str, str]:
    """The mission request that a row of `follow_up_missions` stands for."""
    names = ("follow_up_id", "domain_id", "title", "reason", "priority", "opened_on")
    return {name: str(follow_up[name]) for name in names} | {"mission_type": str(follow_up["type"])}


def _record(db: Database, request: Mapping[str, str]) -> bool:
    """Enter a request in the ledger; False if it was there."""
    line = json.dumps(request, ensure_ascii=False, sort_keys=True)
    values = (request["follow_up_id"], request["domain_id"], request["opened_on"], line)
    cursor = db.execute(
        "INSERT INTO follow_ups (follow_up_id, domain_id, opened_on, line) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (follow_up_id) DO NOTHING",
        values,
    )
    return cursor.rowcount == 1


def _complete_lines(file) -> set[str]:
    """Make the file end with a whole line, and return the follow-up ids of its lines."""
    file.seek(0)
    content = file.read()
    body, newline, tail = content.rpartition(b"\n")
    ids = {_id_of(line) for line in body.splitlines()}
    if tail and _id_of(tail) is None:
        # Torn by a crash in the middle of a write: the ledger still has it.
        file.truncate(len(body) + len(newline))
    elif tail:
        ids.add(_id_of(tail))
        file.write(b"\n")
    return {id_ for id_ in ids if id_}


def _id_of(line: bytes) -> str | None:
    try:
        request = json.loads(line)
    except ValueError:
        return None
    return request.get("follow_up_id") if isinstance(request, dict) else None


def _claim(db: Database, id_: str, now: datetime) -> bool:
    """Reserve a pending follow-up, so that no other process posts it meanwhile."""
    until = (now + CLAIM).isoformat()
    cursor = db.execute(
        "UPDATE follow_ups SET claimed_until = ?, attempts = attempts + 1, "
        "first_attempt_at = coalesce(first_attempt_at, ?) "
        # A claim that reaches further was made by a clock that was wrong.
        "WHERE follow_up_id = ? AND status = 'pending' "
        "AND (claimed_until IS NULL OR claimed_until <= ? OR claimed_until > ?)",
        (until, now.isoformat(), id_, now.isoformat(), until),
    )
    return cursor.rowcount == 1


async def _post(
    url: str, client: httpx.AsyncClient, id_: str, line: str
) -> tuple[PostResult, bool]:
    """Post one line; the flag says whether it makes sense to go on with the next."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": id_}
    try:
        # The status says it all: no body is read, which might unpack to gigabytes.
        with unlogged(url):
            async with (
                asyncio.timeout(POST_SECONDS),
                client.stream("POST", url, content=line.encode(), headers=headers) as response,
            ):
                status = response.status_code
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
        # The kind alone: the message may quote the URL.
        return PostResult("pending", type(error).__name__), False
    if 200 <= status < 300:
        return PostResult("posted"), True
    if 400 <= status < 500 and status not in (408, 429):
        return PostResult("rejected", f"HTTP status {status}"), True
    return PostResult("pending", f"HTTP status {status}"), False


def _settle(db: Database, id_: str, result: PostResult, now: datetime) -> PostResult:
    """Record what became of a request, and release it."""
    first, attempts = db.execute(
        "SELECT first_attempt_at, attempts FROM follow_ups WHERE follow_up_id = ?", (id_,)
    ).fetchone()
    waited = now - datetime.fromisoformat(first)
    if result.status == "pending" and waited >= GIVE_UP and attempts >= FEWEST_ATTEMPTS:
        result = PostResult("rejected", f"gave up after {GIVE_UP.days} days: {result.reason}")
    db.execute(
        "UPDATE follow_ups SET status = ?, reason = ?, claimed_until = NULL WHERE follow_up_id = ?",
        (result.status, result.reason, id_),
    )
    return result
