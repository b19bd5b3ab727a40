"""The delivery ledger: what was promised, tried and known about every message.

One row per (kind, date, channel, destination, revision), in SQLite (WAL, `synchronous=FULL`) or
PostgreSQL with the same schema. The order is: decide, commit `sending` with a lease, send,
commit the outcome. A `sending` row whose lease has run out was cut off in the middle: it may
have arrived, and becomes `unknown`. Nothing here is derived from Dagster's event log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlalchemy as sa

KIND = "brief"
LEASE = timedelta(minutes=15)
"""Longer than the longest wait for an answer (ten minutes after a mail's final dot)."""

_metadata = sa.MetaData()
_deliveries = sa.Table(
    "deliveries",
    _metadata,
    sa.Column("delivery_key", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("date", sa.String(10), nullable=False, index=True),
    sa.Column("brief_id", sa.String(64), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("channel", sa.String(20), nullable=False),
    sa.Column("destination", sa.String(320), nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("reason", sa.String(200)),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("payload", sa.LargeBinary),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("first_attempt_at", sa.BigInteger),
    sa.Column("last_attempt_at", sa.BigInteger),
    sa.Column("retry_at", sa.BigInteger),
    sa.Column("lease_until", sa.BigInteger),
)
_COLUMNS = [
    "date",
    "delivery_key",
    "brief_id",
    "revision",
    "channel",
    "destination",
    "content_hash",
    "status",
    "reason",
    "attempts",
    "first_attempt_at",
    "last_attempt_at",
    "retry_at",
]
_TIMES = ("created_at", "first_attempt_at", "last_attempt_at", "retry_at", "lease_until")
DELIVERED = ("sent", "written", "unknown", "pending", "rejected", "sending")
"""States in which readers have, or may have, or are owed, a revision."""


@dataclass(frozen=True)
class Delivery:
    """A row: one revision of one brief to one destination. Times are UTC."""

    delivery_key: str
    date: str
    brief_id: str
    revision: int
    channel: str
    destination: str
    content_hash: str
    status: str
    reason: str | None
    attempts: int
    payload: bytes | None
    created_at: datetime
    first_attempt_at: datetime | None
    last_attempt_at: datetime | None
    retry_at: datetime | None
    lease_until: datetime | None


def delivery_key(date: str, channel: str, destination: str, revision: int) -> str:
    """The logical identity: what the message says plays no part in it."""
    parts = (KIND, date, channel, destination, str(revision))
    return sha256("\x1f".join(parts).encode()).hexdigest()[:32]


class Ledger:
    """`where` is the path of a SQLite file or an SQLAlchemy URL."""

    def __init__(self, where: Path | str) -> None:
        if isinstance(where, Path):
            where.parent.mkdir(parents=True, exist_ok=True)
            where = f"sqlite:///{where}"
        # No pool: a ledger is opened for seconds, and leaves no connection behind.
        self._engine = sa.create_engine(where, poolclass=sa.pool.NullPool)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _configure_sqlite)
            sa.event.listen(self._engine, "begin", _begin_immediate)
        with self._engine.begin() as connection:
            _metadata.create_all(connection)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            yield connection

    def open(
        self,
        *,
        date: str,
        brief_id: str,
        revision: int,
        channel: str,
        destination: str,
        content_hash: str,
        payload: bytes,
        now: datetime,
    ) -> Delivery:
        """The row of this logical key, made with the frozen payload where there is none."""
        key = delivery_key(date, channel, destination, revision)
        with self._transaction() as connection:
            found = self._get(connection, key)
            if found is None:
                connection.execute(
                    _deliveries.insert().values(
                        delivery_key=key,
                        kind=KIND,
                        date=date,
                        brief_id=brief_id,
                        revision=revision,
                        channel=channel,
                        destination=destination,
                        content_hash=content_hash,
                        status="suppressed",
                        reason="backfill",
                        attempts=0,
                        payload=payload,
                        created_at=_micros(now),
                    )
                )
                found = self._get(connection, key)
            elif found.status == "suppressed" and found.content_hash != content_hash:
                # Nobody was promised this revision yet: it may still change.
                self._update(connection, key, content_hash=content_hash, payload=payload)
                found = self._get(connection, key)
        assert found is not None
        return found

    def suppress(self, key: str, reason: str) -> None:
        """Note why nothing is sent; only where nothing was promised or tried."""
        with self._transaction() as connection:
            row = self._get(connection, key)
            if row and row.status == "suppressed":
                self._update(connection, key, reason=reason)

    def claim(
        self, key: str, now: datetime, *, retry_rejected: bool, resend_unknown: bool
    ) -> Delivery | None:
        """Commit `sending` and return the row as it was before, if it is this caller's to send.

        Null where it was sent, was refused, is not due yet, or somebody else is at it.
        """
        with self._transaction() as connection:
            row = self._get(connection, key, lock=True)
            if row is None:
                return None
            if row.status == "sending" and row.lease_until and row.lease_until <= now:
                reason = "cut off while sending; it may have arrived"
                self._update(connection, key, status="unknown", reason=reason, lease_until=None)
                row = self._get(connection, key)
                assert row is not None
            free = (
                row.status == "suppressed"
                or (row.status == "pending" and (row.retry_at is None or row.retry_at <= now))
                or (row.status == "rejected" and retry_rejected)
                or (row.status == "unknown" and resend_unknown and row.attempts < 2)
            )
            if not free:
                return None
            self._update(
                connection,
                key,
                status="sending",
                reason=None,
                attempts=row.attempts + 1,
                first_attempt_at=_micros(row.first_attempt_at or now),
                last_attempt_at=_micros(now),
                retry_at=None,
                lease_until=_micros(now + LEASE),
            )
            return row

    def finish(
        self, key: str, status: str, reason: str | None = None, retry_at: datetime | None = None
    ) -> None:
        """Commit what became of an attempt."""
        with self._transaction() as connection:
            self._update(
                connection,
                key,
                status=status,
                reason=reason,
                retry_at=_micros(retry_at) if retry_at else None,
                lease_until=None,
            )

    def get(self, key: str) -> Delivery:
        with self._transaction() as connection:
            row = self._get(connection, key)
        if row is None:
            raise KeyError(key)
        return row

    def rows(self, date: str | None = None) -> list[dict[str, Any]]:
        """The columns of CONTRACT `deliveries` with `date`, oldest first.

        A row in `sending` reads as `unknown`: whoever reads it cannot know better.
        """
        query = sa.select(_deliveries).order_by(
            *(_deliveries.c[name] for name in ("date", "revision", "channel", "destination"))
        )
        if date is not None:
            query = query.where(_deliveries.c.date == date)
        with self._transaction() as connection:
            found = [_delivery(row) for row in connection.execute(query).mappings()]
        rows = [{name: getattr(row, name) for name in _COLUMNS} for row in found]
        for row in rows:
            if row["status"] == "sending":
                row |= {"status": "unknown", "reason": "being sent"}
        return rows

    def last_delivered(self, date: str) -> tuple[int, str] | None:
        """Revision and content hash of the latest revision that readers have or are owed."""
        query = (
            sa.select(_deliveries.c.revision, _deliveries.c.content_hash)
            .where(_deliveries.c.date == date, _deliveries.c.status.in_(DELIVERED))
            .order_by(_deliveries.c.revision.desc())
            .limit(1)
        )
        with self._transaction() as connection:
            row = connection.execute(query).first()
        return (row.revision, row.content_hash) if row else None

    def due(self, now: datetime) -> list[str]:
        """Dates with an attempt that is due: a retry, or a lease that has run out."""
        c = _deliveries.c
        query = sa.select(c.date).distinct().order_by(c.date)
        retry = sa.and_(c.status == "pending", c.retry_at <= _micros(now))
        cut_off = sa.and_(c.status == "sending", c.lease_until <= _micros(now))
        with self._transaction() as connection:
            return list(connection.scalars(query.where(sa.or_(retry, cut_off))))

    def _get(self, connection: sa.Connection, key: str, *, lock: bool = False) -> Delivery | None:
        query = sa.select(_deliveries).where(_deliveries.c.delivery_key == key)
        row = connection.execute(query.with_for_update() if lock else query).mappings().first()
        return _delivery(row) if row else None

    def _update(self, connection: sa.Connection, key: str, **values: Any) -> None:
        connection.execute(
            _deliveries.update().where(_deliveries.c.delivery_key == key).values(**values)
        )


def _delivery(row: sa.RowMapping) -> Delivery:
    values = {name: value for name, value in row.items() if name != "kind"}
    return Delivery(**values | {name: _moment(values[name]) for name in _TIMES})


def _micros(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def _moment(value: int | None) -> datetime | None:
    if value is None:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are begun by us (below), not by the driver at the first write.
    connection.isolation_level = None
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
