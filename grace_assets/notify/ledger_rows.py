"""The ledger's table, on SQLite and PostgreSQL alike, and its rows as Python values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from grace_assets.lake.database import BUSY_SECONDS, StateError, sound_url
from grace_assets.lake.durable import make_folder
from grace_assets.lake.sqlite import use_wal

BRIEF = "brief"
"""The kind of message that a status brief is."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WRITER_LOCK = 7_423_911
"""Any number, as long as everybody uses the same one."""


class Moment(sa.TypeDecorator[datetime]):
    """A time as microseconds since 1970, exact and comparable in every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: sa.Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, _dialect: sa.Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = sa.MetaData()
deliveries = sa.Table(
    "delivery_ledger",
    metadata,
    sa.Column("delivery_key", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("date", sa.String(10), nullable=False, index=True),
    sa.Column("brief_id", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("channel", sa.String(20), nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("status", sa.String(20), nullable=False, index=True),
    sa.Column("reason", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("repeats", sa.Integer, nullable=False, default=0),
    sa.Column("promised_at", Moment),
    sa.Column("first_attempt_at", Moment),
    sa.Column("last_attempt_at", Moment),
    sa.Column("retry_at", Moment),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", Moment),
    # Frozen when a send is decided, so that a repeat is the same message; gone when it arrived.
    sa.Column("payload", sa.LargeBinary),
)


@dataclass(frozen=True)
class Entry:
    """The logical identity of a delivery, and what it would carry."""

    date: str
    brief_id: str
    revision: int
    channel: str
    destination: str
    content_hash: str
    kind: str = BRIEF

    @property
    def key(self) -> str:
        """What is said plays no part in it: the same revision goes to a destination once."""
        parts = (self.kind, self.date, self.channel, self.destination, str(self.revision))
        return sha256("\x1f".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Delivery:
    """A row of the ledger. Times are UTC.

    `repeats` counts the attempts marked as repeats, `promised_at` is when sending was decided.
    """

    delivery_key: str
    kind: str
    date: str
    brief_id: str
    revision: int
    channel: str
    destination: str
    content_hash: str
    status: str
    reason: str | None
    attempts: int
    repeats: int
    promised_at: datetime | None
    first_attempt_at: datetime | None
    last_attempt_at: datetime | None
    retry_at: datetime | None
    lease_owner: str | None
    lease_until: datetime | None
    payload: bytes | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Delivery:
        return cls(**row)


class LedgerError(ValueError):
    """The ledger cannot be used; the message holds no password."""


def open_engine(where: Path | str) -> sa.Engine:
    """An engine with the table in place; `where` is a SQLite file or an SQLAlchemy URL.

    Raises `LedgerError` for what is no such URL, and where nothing answers there.
    """
    if isinstance(where, Path):
        make_folder(where.parent)
        url = sa.URL.create("sqlite", database=str(where))
    else:
        try:
            url = sound_url("GRACE_LEDGER_URL", where)
        except StateError as error:
            raise LedgerError(str(error)) from None
    # No pool: a ledger is used for moments, and leaves no connection behind.
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin_immediate)
    else:
        sa.event.listen(engine, "begin", _take_writer_lock)
    try:
        with engine.begin() as connection:
            metadata.create_all(connection)
    except sa.exc.DBAPIError as error:
        # SQLAlchemy's own text adds a statement and a link; the driver's says what is the matter.
        why = str(error.orig).partition("\n")[0]
        raise LedgerError(f"the delivery ledger cannot be opened: {why}") from error
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are begun by us (below), not by the driver at the first write.
    connection.isolation_level = None
    for pragma in (f"busy_timeout={BUSY_SECONDS * 1000:.0f}", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        use_wal(connection)


def _begin_immediate(connection: sa.Connection) -> None:
    # Taking the write lock at once lets the busy timeout work; upgrading a read lock would fail.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _take_writer_lock(connection: sa.Connection) -> None:
    # PostgreSQL's way to the same: one transaction of the ledger at a time, on all hosts.
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")
