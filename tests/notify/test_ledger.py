"""The ledger: one row a delivery, one holder a row, and what may follow on what."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from grace_assets.core.schemas import TABLES
from grace_assets.notify.lease import certainly_gone, this_process
from grace_assets.notify.ledger import Ledger
from grace_assets.notify.ledger_rows import Delivery, Entry, metadata
from grace_assets.notify.lifecycle import (
    CUT_OFF,
    HOLD,
    LEASE,
    REPEAT_AFTER,
    REPLACE,
    RESEND_MARKED,
)
from grace_assets.notify.outcome import Outcome, retry_delay
from grace_assets.resources import StoreResource
from tests.notify.briefs import NOW

MINUTE = timedelta(minutes=1)
ENTRY = Entry("2026-03-01", "brief-2026-03-01", 1, "email", "ann@example.org", "hash-1")
ELSEWHERE = "another-host/boot/pid:[1]/42/1000"
"""A holder of whom nothing can be known here."""


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    if request.param == "sqlite":
        yield tmp_path / "state" / "delivery.sqlite"
        return
    url = request.getfixturevalue("postgresql")
    yield url
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    metadata.drop_all(engine)


@pytest.fixture
def ledger(where: Path | str) -> Ledger:
    return Ledger(where)


def promise(ledger: Ledger, *entries: Entry, now: datetime = NOW, **options: bool) -> list[bool]:
    """Promise; returns which of the messages composed were corrections."""
    corrections = []

    def compose(entry: Entry, correction: bool) -> bytes:
        corrections.append(correction)
        return entry.content_hash.encode()

    ledger.promise(entries or [ENTRY], compose, now, **options)
    return corrections


def attempt(
    ledger: Ledger,
    outcome: Outcome,
    entry: Entry = ENTRY,
    now: datetime = NOW,
    on_unknown: str = RESEND_MARKED,
) -> Delivery:
    claimed = ledger.claim(entry.key, now, on_unknown)
    assert claimed is not None
    ledger.finish(claimed, outcome, now, on_unknown)
    return ledger.get(entry.key)


@pytest.mark.parametrize(
    ("field", "value", "same"),
    [
        ("date", "2026-03-02", False),
        ("channel", "slack", False),
        ("destination", "bob@example.org", False),
        ("revision", 2, False),
        ("kind", "failure", False),
        ("content_hash", "hash-2", True),
        ("brief_id", "other", True),
    ],
)
def test_the_key_is_what_goes_where_and_not_what_it_says(field: str, value: object, same: bool):
    assert (replace(ENTRY, **{field: value}).key == ENTRY.key) is same
    assert len(ENTRY.key) == 32


def test_the_rows_are_the_columns_of_the_deliveries_table(ledger: Ledger):
    promise(ledger)
    attempt(ledger, Outcome("sent"))
    table = pa.Table.from_pylist(ledger.rows(), schema=TABLES["deliveries"].with_date())
    assert list(ledger.rows()[0]) == table.schema.names
    table.validate(full=True)
    assert ledger.rows("2026-03-02") == []
    assert ledger.rows("2026-03-01") == ledger.rows()


def test_what_is_under_way_reads_as_unknown_and_is_nobody_elses(ledger: Ledger):
    promise(ledger)
    assert ledger.claim(ENTRY.key, NOW, RESEND_MARKED)
    assert ledger.claim(ENTRY.key, NOW, RESEND_MARKED) is None
    [row] = ledger.rows()
    assert (row["status"], row["reason"]) == ("unknown", "being sent")
    assert ledger.due(NOW + MINUTE) == []


@pytest.mark.parametrize(
    ("outcome", "on_unknown", "status", "wait"),
    [
        (Outcome("sent"), RESEND_MARKED, "sent", None),
        (Outcome("written"), REPLACE, "written", None),
        (Outcome("rejected", "no_service"), RESEND_MARKED, "rejected", None),
        (Outcome("pending", "x"), RESEND_MARKED, "pending", MINUTE),
        (Outcome("pending", "x", timedelta(seconds=5)), RESEND_MARKED, "pending", MINUTE),
        (Outcome("pending", "x", 7 * MINUTE), RESEND_MARKED, "pending", 7 * MINUTE),
        (Outcome("unknown", "x"), RESEND_MARKED, "unknown", REPEAT_AFTER),
        (Outcome("unknown", "x"), HOLD, "unknown", None),
    ],
)
def test_what_follows_on_an_outcome(
    ledger: Ledger, outcome: Outcome, on_unknown: str, status: str, wait: timedelta | None
):
    promise(ledger)
    row = attempt(ledger, outcome, on_unknown=on_unknown)
    assert (row.status, row.reason, row.attempts) == (status, outcome.reason, 1)
    assert row.retry_at == (None if wait is None else NOW + wait)
    assert (row.lease_owner, row.lease_until) == (None, None)
    assert (row.payload is None) is (status in ("sent", "written"))
    if wait is None:
        assert ledger.claim(ENTRY.key, NOW + timedelta(days=9), on_unknown) is None
    else:
        assert ledger.claim(ENTRY.key, NOW + wait - timedelta(seconds=1), on_unknown) is None
        assert ledger.due(NOW + wait) == ["2026-03-01"]
        again = ledger.claim(ENTRY.key, NOW + wait, on_unknown)
        assert again is not None
        assert (again.attempts, again.repeats) == (2, int(status == "unknown"))
        assert again.first_attempt_at == NOW


def test_waits_double_up_to_an_hour():
    waits = [retry_delay(attempts) / MINUTE for attempts in (1, 2, 3, 4, 5, 6, 7, 8, 1000)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(
    ("on_unknown", "status", "repeats"),
    [(RESEND_MARKED, "sending", 1), (HOLD, "unknown", 0), (REPLACE, "sending", 0)],
)
def test_an_attempt_whose_lease_has_run_out_may_have_arrived(
    where: Path | str, on_unknown: str, status: str, repeats: int
):
    promise(Ledger(where))
    assert Ledger(where, ELSEWHERE).claim(ENTRY.key, NOW, on_unknown)
    ledger = Ledger(where)
    assert ledger.claim(ENTRY.key, NOW + LEASE - MINUTE, on_unknown) is None
    assert ledger.due(NOW + LEASE) == ["2026-03-01"]
    claimed = ledger.claim(ENTRY.key, NOW + LEASE, on_unknown)
    assert (claimed is not None) is (status == "sending")
    row = ledger.get(ENTRY.key)
    assert (row.status, row.repeats) == (status, repeats)
    assert on_unknown != HOLD or row.reason == CUT_OFF


def test_a_lease_or_a_wait_that_no_right_clock_gives_is_over(where: Path | str):
    there, here = Ledger(where, ELSEWHERE), Ledger(where)
    wrong = NOW + timedelta(days=400)
    promise(there, ENTRY, now=wrong)
    there.claim(ENTRY.key, wrong, RESEND_MARKED)
    assert here.due(NOW) == [ENTRY.date]
    repeat = here.claim(ENTRY.key, NOW, RESEND_MARKED)
    assert repeat and repeat.repeats == 1
    here.finish(repeat, Outcome("pending", "asked to wait"), wrong, RESEND_MARKED)
    assert here.due(NOW) == [ENTRY.date]
    assert here.claim(ENTRY.key, NOW, RESEND_MARKED)


def test_whoever_was_thought_cut_off_may_still_say_how_it_ended(where: Path | str):
    slow, other = Ledger(where, ELSEWHERE), Ledger(where)
    promise(slow)
    claimed = slow.claim(ENTRY.key, NOW, HOLD)
    assert other.claim(ENTRY.key, NOW + LEASE, HOLD) is None
    assert other.get(ENTRY.key).status == "unknown"
    slow.finish(claimed, Outcome("sent"), NOW + LEASE, HOLD)
    assert other.get(ENTRY.key).status == "sent"


def test_but_not_about_somebody_elses_attempt(where: Path | str):
    slow, other = Ledger(where, ELSEWHERE), Ledger(where)
    promise(slow)
    claimed = slow.claim(ENTRY.key, NOW, RESEND_MARKED)
    assert other.claim(ENTRY.key, NOW + LEASE, RESEND_MARKED).repeats == 1
    slow.finish(claimed, Outcome("rejected", "late"), NOW + LEASE, RESEND_MARKED)
    assert other.get(ENTRY.key).status == "sending"


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("sent", True),
        ("written", True),
        ("unknown", True),
        ("pending", True),
        ("rejected", True),
        ("suppressed", False),
    ],
)
def test_a_revision_counts_once_readers_have_it_or_are_owed_it(
    ledger: Ledger, status: str, counts: bool
):
    assert ledger.last_delivered("2026-03-01") is None
    if status == "suppressed":
        ledger.suppress([ENTRY], "backfill", withdraw=False)
    else:
        promise(ledger)
        attempt(ledger, Outcome(status))
    assert ledger.last_delivered("2026-03-01") == ((1, "hash-1") if counts else None)
    assert ledger.last_delivered("2026-03-02") is None


def test_the_latest_revision_is_the_one_that_counts(ledger: Ledger):
    for revision in (1, 3, 2):
        entry = replace(ENTRY, revision=revision, content_hash=f"hash-{revision}")
        promise(ledger, replace(entry, destination=f"{revision}@example.org"))
    assert ledger.last_delivered("2026-03-01") == (3, "hash-3")


def test_only_what_readers_may_have_seen_is_corrected(ledger: Ledger):
    second = replace(ENTRY, revision=2, content_hash="hash-2")
    third = replace(ENTRY, revision=3, content_hash="hash-3")
    assert promise(ledger) == [False]
    assert promise(ledger, second) == [False], "the first was never sent"
    assert ledger.get(ENTRY.key).reason == "superseded"
    attempt(ledger, Outcome("sent"), second)
    assert promise(ledger, third) == [True]


def test_content_that_came_back_is_not_sent_where_it_was_never_replaced(ledger: Ledger):
    promise(ledger)
    attempt(ledger, Outcome("sent"))
    again = replace(ENTRY, revision=3)
    assert promise(ledger, again) == []
    row = ledger.get(again.key)
    assert (row.status, row.reason, row.payload) == ("suppressed", "unchanged", None)


def test_an_old_revision_never_follows_a_newer_one(ledger: Ledger):
    newer = replace(ENTRY, revision=2, content_hash="hash-2")
    promise(ledger, newer)
    attempt(ledger, Outcome("sent"), newer)
    assert promise(ledger) == []
    assert ledger.get(ENTRY.key).reason == "superseded"
    assert ledger.claim(ENTRY.key, NOW, RESEND_MARKED) is None


def test_the_frozen_message_stays_until_it_was_refused(ledger: Ledger):
    promise(ledger)
    attempt(ledger, Outcome("pending", "busy"))
    redone = replace(ENTRY, content_hash="rendered anew")
    assert promise(ledger, redone, retry_rejected=True) == []
    assert ledger.get(ENTRY.key).payload == b"hash-1"
    attempt(ledger, Outcome("rejected", "invalid_blocks"), now=NOW + MINUTE)
    assert promise(ledger, redone) == []
    assert promise(ledger, redone, retry_rejected=True) == [False]
    row = ledger.get(ENTRY.key)
    assert (row.payload, row.status, row.attempts) == (b"rendered anew", "pending", 2)


def test_a_process_is_gone_once_it_has_ended_and_nobody_can_tell_from_elsewhere():
    code = "from grace_assets.notify.lease import this_process; print(this_process())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    place, pid, started = this_process().rsplit("/", 2)
    assert certainly_gone(done.stdout.strip())
    assert not certainly_gone(this_process())
    assert certainly_gone(f"{place}/{pid}/{int(started) - 1}"), "its number was given to us"
    assert not certainly_gone(f"{place}/{pid}/?")
    assert not certainly_gone(ELSEWHERE)


CLAIMER = f"""
import datetime, sys
from pathlib import Path
from grace_assets.notify.ledger import Ledger
from grace_assets.notify.ledger_rows import Entry
where = sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1])
entry, now = {ENTRY!r}, {NOW!r}
print("ready", flush=True)
sys.stdin.readline()
ledger = Ledger(where)
ledger.promise([entry], lambda entry, correction: b"{ENTRY.content_hash}", now)
print(ledger.claim(entry.key, now, "hold") is not None, flush=True)
sys.stdin.readline()
"""


def test_of_processes_that_start_together_one_gets_the_row(where: Path | str):
    command = [sys.executable, "-W", "error", "-c", CLAIMER, str(where)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    running = [subprocess.Popen(command, text=True, **pipes) for _ in range(5)]
    # All are there before the first begins, and none ends before the last has its answer.
    assert [process.stdout.readline() for process in running] == ["ready\n"] * 5
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.stdout.readline().strip() for process in running]
    assert [process.communicate(timeout=60)[1] for process in running] == [""] * 5
    assert sorted(told) == ["False"] * 4 + ["True"]


def test_sqlite_flushes_every_commit(tmp_path: Path):
    ledger = Ledger(tmp_path / "delivery.sqlite")
    with ledger._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2, "FULL"


def test_a_url_in_the_environment_moves_the_ledger_to_a_server(tmp_path, monkeypatch, postgresql):
    store = StoreResource(data_dir=str(tmp_path), timezone="UTC")
    monkeypatch.setenv("GRACE_LEDGER_URL", postgresql)
    promise(store.ledger())
    try:
        assert not (tmp_path / "state" / "delivery.sqlite").exists()
        assert [row["status"] for row in store.ledger().rows(ENTRY.date)] == ["pending"]
    finally:
        metadata.drop_all(sa.create_engine(postgresql, poolclass=sa.pool.NullPool))
    monkeypatch.delenv("GRACE_LEDGER_URL")
    assert store.ledger().rows(ENTRY.date) == []
    assert (tmp_path / "state" / "delivery.sqlite").exists()
