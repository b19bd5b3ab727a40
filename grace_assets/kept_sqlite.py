"""Connections to Dagster's SQLite files that are kept, and how surely they write.

A file of Dagster's is in WAL mode, where SQLite's `synchronous = NORMAL` leaves out the wait for
the disk at each commit: after a power cut the last events may be missing, the file is whole, and
a killed process loses nothing (https://www.sqlite.org/pragma.html#pragma_synchronous). What runs
made lies in tables of their own, so a run whose end is missing is run again.
"""

from sqlalchemy import Engine, create_engine, event

BUSY_SECONDS = 30
"""What a writer waits for another one, as Dagster's own storages do."""


def kept_engine(conn_string: str) -> Engine:
    """An engine for one process: as many connections as threads ask for, each opened once."""
    engine = create_engine(conn_string, connect_args={"timeout": BUSY_SECONDS}, max_overflow=-1)

    @event.listens_for(engine, "connect")
    def relax(connection, _record) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")

    return engine
