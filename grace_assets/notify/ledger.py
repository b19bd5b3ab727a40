"""The delivery ledger: what was promised, tried and known about every message.

One row per (kind, date, channel, destination, revision), in SQLite (WAL, `synchronous=FULL`) or
PostgreSQL with the same schema. The order is: promise, commit `sending` with a lease, send,
commit the outcome. A `sending` row whose holder is gone was cut off in the middle and becomes
`unknown`. Nothing here is derived from Dagster's event log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from grace_assets.notify.lease import certainly_gone, this_process
from grace_assets.notify.ledger_rows import BRIEF, Delivery, Entry, deliveries, open_engine
from grace_assets.notify.lifecycle import (
    LEASE,
    OWED,
    REACHED,
    after_cut_off,
    has_come,
    may_repeat,
    may_start,
    next_attempt,
)
from grace_assets.notify.outcome import LONGEST_WAIT, Outcome

LONGEST_QUEUE = timedelta(minutes=1)
"""How far ahead of now an attempt may be planned at a destination that spaces them."""
_c = deliveries.c
_COLUMNS = (
    *("date", "delivery_key", "brief_id", "revision", "channel", "destination", "content_hash"),
    *("status", "reason", "attempts", "first_attempt_at", "last_attempt_at", "retry_at"),
)


class Ledger:
    """`where` is the path of a SQLite file or an SQLAlchemy URL.

    Safe to use from several threads, processes and (on PostgreSQL) hosts at once. `holder` names
    this process in leases.
    """

    def __init__(self, where: Path | str, holder: str | None = None) -> None:
        self._engine = open_engine(where)
        self._holder = holder or this_process()

    def suppress(self, entries: Sequence[Entry], reason: str, *, withdraw: bool) -> None:
        """Note why nothing is sent; what was tried stays as it is.

        `withdraw` also takes back what was promised and is certainly not delivered.
        """
        changeable = ("suppressed", "pending") if withdraw else ("suppressed",)
        with self._engine.begin() as connection:
            for entry in entries:
                row = _get(connection, entry.key)
                if row is None or row.status in changeable:
                    _put(connection, entry, row, "suppressed", reason)

    def promise(
        self,
        entries: Sequence[Entry],
        compose: Callable[[Entry, bool], bytes],
        now: datetime,
        *,
        retry_rejected: bool = False,
    ) -> None:
        """Owe each entry to its destination, unless it is there, under way or refused.

        The entries are one revision to all destinations of a channel. `compose(entry,
        correction)` makes the bytes that are frozen; `correction` says that an earlier revision
        may have reached this destination. What is still owed of earlier revisions, or to
        destinations no longer wanted, is withdrawn: on return no earlier promise is open.
        """
        open_states = ("suppressed", "rejected") if retry_rejected else ("suppressed",)
        with self._engine.begin() as connection:
            for entry in entries:
                row = _get(connection, entry.key)
                if row is not None and row.status not in open_states:
                    continue
                latest = _latest(connection, entry)
                if latest is not None and latest.revision > entry.revision:
                    _put(connection, entry, row, "suppressed", "superseded")
                elif latest is not None and latest.content_hash == entry.content_hash:
                    _put(connection, entry, row, "suppressed", "unchanged")
                else:
                    payload = compose(entry, latest is not None)
                    promised = {"payload": payload, "promised_at": now, "retry_at": now}
                    _put(connection, entry, row, "pending", None, **promised)
            self._withdraw_others(connection, entries, now)

    def _withdraw_others(
        self, connection: sa.Connection, entries: Sequence[Entry], now: datetime
    ) -> None:
        first, wanted = entries[0], {entry.destination for entry in entries}
        query = sa.select(deliveries).where(
            *_same(first, "kind", "date", "channel"),
            _c.status.in_(("pending", "unknown", "sending")),
            _c.delivery_key.not_in([entry.key for entry in entries]),
            _c.revision <= first.revision,
        )
        for row in _all(connection, query):
            if row.status == "pending":
                reason = "superseded" if row.destination in wanted else "disabled"
                _set(connection, row, status="suppressed", reason=reason, retry_at=None)
            elif row.status == "unknown":
                _set(connection, row, retry_at=None)
            elif _cut_off(row, now):
                _enter(connection, row, after_cut_off("hold"), now, "hold")

    def claim(
        self,
        key: str,
        now: datetime,
        on_unknown: str,
        spacing: timedelta = timedelta(0),
    ) -> Delivery | None:
        """Commit `sending` and return the row, if an attempt may be made now; else null.

        The attempt belongs to `last_attempt_at`, which lies ahead of `now` where an earlier one
        at this destination is closer than `spacing`: wait for it. A marked repeat has
        `repeats` > 0. Pass the row to `finish`.
        """
        with self._engine.begin() as connection:
            row = _get(connection, key)
            if row is not None and _cut_off(row, now):
                _enter(connection, row, after_cut_off(on_unknown), now, on_unknown)
                row = _get(connection, key)
            if row is None or not may_start(row, now, on_unknown):
                if row is not None and row.status == "unknown" and not may_repeat(row, on_unknown):
                    _set(connection, row, retry_at=None)
                return None
            at = max(now, _latest_attempt(connection, row, now) + spacing) if spacing else now
            _set(
                connection,
                row,
                status="sending",
                reason=None,
                attempts=row.attempts + 1,
                repeats=row.repeats + (row.status == "unknown"),
                first_attempt_at=row.first_attempt_at or at,
                last_attempt_at=at,
                retry_at=None,
                lease_owner=self._holder,
                lease_until=at + LEASE,
            )
            return _get(connection, key)

    def finish(self, claimed: Delivery, outcome: Outcome, now: datetime, on_unknown: str) -> None:
        """Commit what became of an attempt, unless another has been made since.

        An attempt that everybody thought cut off may still say how it ended.
        """
        with self._engine.begin() as connection:
            row = _get(connection, claimed.delivery_key)
            if row and row.attempts == claimed.attempts and row.status in ("sending", "unknown"):
                _enter(connection, row, outcome, now, on_unknown)

    def get(self, key: str) -> Delivery:
        """Raises `KeyError` for a key that nobody entered."""
        with self._engine.begin() as connection:
            row = _get(connection, key)
        if row is None:
            raise KeyError(key)
        return row

    def rows(self, date: str | None = None, *, notices: bool = False) -> list[dict[str, Any]]:
        """The columns of CONTRACT `deliveries` with `date`, oldest first.

        With `notices` those of messages that are no briefs, instead. A row in `sending` reads as
        `unknown`: nobody else can know better.
        """
        names = ("date", "revision", "channel", "destination")
        query = sa.select(*(_c[name] for name in _COLUMNS)).order_by(*(_c[n] for n in names))
        query = query.where(_c.kind != BRIEF if notices else _c.kind == BRIEF)
        if date is not None:
            query = query.where(_c.date == date)
        with self._engine.begin() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        for row in rows:
            if row["status"] == "sending":
                row |= {"status": "unknown", "reason": "being sent"}
        return rows

    def last_delivered(self, date: str) -> tuple[int, str] | None:
        """Revision and content hash of the latest revision that readers have or are owed."""
        query = (
            sa.select(_c.revision, _c.content_hash)
            .where(_c.kind == BRIEF, _c.date == date, _c.status.in_(OWED))
            .order_by(_c.revision.desc())
            .limit(1)
        )
        with self._engine.begin() as connection:
            row = connection.execute(query).first()
        return (row.revision, row.content_hash) if row else None

    def due(self, now: datetime) -> list[str]:
        """Dates with something to do: an attempt whose time has come, or one that was cut off."""
        return sorted({row.date for row in self._due(_c.kind == BRIEF, now)})

    def due_notices(self, now: datetime) -> list[Entry]:
        """The same for messages that are no briefs, one by one, the oldest first."""
        rows = self._due(_c.kind != BRIEF, now)
        names = [field.name for field in fields(Entry)]
        rows.sort(key=lambda row: (row.promised_at or now, row.delivery_key))
        return [Entry(**{name: getattr(row, name) for name in names}) for row in rows]

    def _due(self, of_kind: sa.ColumnElement[bool], now: datetime) -> list[Delivery]:
        waiting = sa.and_(_c.status.in_(("pending", "unknown")), _c.retry_at.is_not(None))
        query = sa.select(deliveries).where(of_kind, sa.or_(waiting, _c.status == "sending"))
        with self._engine.begin() as connection:
            rows = _all(connection, query)
        return [row for row in rows if _is_due(row, now)]


def _get(connection: sa.Connection, key: str) -> Delivery | None:
    return next(iter(_all(connection, sa.select(deliveries).where(_c.delivery_key == key))), None)


def _all(connection: sa.Connection, query: sa.Select) -> list[Delivery]:
    return [Delivery.of(row) for row in connection.execute(query).mappings()]


def _same(entry: Entry | Delivery, *names: str) -> list[sa.ColumnElement[bool]]:
    return [_c[name] == getattr(entry, name) for name in names]


def _latest(connection: sa.Connection, entry: Entry) -> Delivery | None:
    """The latest other revision that has, or may have, reached this destination."""
    query = (
        sa.select(deliveries)
        .where(
            *_same(entry, "kind", "date", "channel", "destination"),
            _c.status.in_(REACHED),
            _c.revision != entry.revision,
        )
        .order_by(_c.revision.desc())
        .limit(1)
    )
    return next(iter(_all(connection, query)), None)


def _latest_attempt(connection: sa.Connection, row: Delivery, now: datetime) -> datetime:
    latest = sa.func.max(_c.last_attempt_at, type_=_c.last_attempt_at.type)
    query = sa.select(latest).where(
        *_same(row, "channel", "destination"),
        # A clock that was wrong is not waited for.
        _c.last_attempt_at <= now + LONGEST_QUEUE,
    )
    return connection.scalar(query) or now - LEASE


def _put(
    connection: sa.Connection,
    entry: Entry,
    row: Delivery | None,
    status: str,
    reason: str | None,
    **values: Any,
) -> None:
    """Enter what is decided about an entry; what was tried before stays on record."""
    cleared = {"payload": None, "promised_at": None, "retry_at": None, "repeats": 0}
    decided = {
        "brief_id": entry.brief_id,
        "content_hash": entry.content_hash,
        "status": status,
        "reason": reason,
        **cleared,
        **values,
    }
    if row is not None:
        _set(connection, row, **decided)
        return
    names = ("date", "revision", "channel", "destination", "kind")
    identity = {name: getattr(entry, name) for name in names}
    connection.execute(deliveries.insert().values(delivery_key=entry.key, **identity, **decided))


def _set(connection: sa.Connection, row: Delivery, **values: Any) -> None:
    query = deliveries.update().where(_c.delivery_key == row.delivery_key)
    connection.execute(query.values(**values))


def _enter(
    connection: sa.Connection, row: Delivery, outcome: Outcome, now: datetime, on_unknown: str
) -> None:
    settled = next_attempt(row, outcome, now, on_unknown)
    kept = {} if settled.status not in ("sent", "written") else {"payload": None}
    _set(
        connection,
        row,
        status=settled.status,
        reason=settled.reason,
        retry_at=None if settled.retry_in is None else now + settled.retry_in,
        lease_owner=None,
        lease_until=None,
        **kept,
    )


def _is_due(row: Delivery, now: datetime) -> bool:
    if row.status == "sending":
        return _cut_off(row, now)
    return row.retry_at is not None and has_come(row.retry_at, now, LONGEST_WAIT)


def _cut_off(row: Delivery, now: datetime) -> bool:
    """Whether an attempt is under way by name only."""
    if row.status != "sending" or row.lease_until is None or row.lease_owner is None:
        return False
    ended = has_come(row.lease_until, now, LEASE + LONGEST_QUEUE)
    return ended or certainly_gone(row.lease_owner)
