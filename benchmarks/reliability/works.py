"""The works that are cut off: each is made of steps, and a step that returned is relied upon.

The contents of a data directory are a flat mapping, read through what readers use; so one rule
judges every work (`oracle`). What depends on the hour is left out of it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from benchmarks.reliability import landing_works as landing
from benchmarks.reliability import maintenance_works as maintenance
from benchmarks.reliability.landing_works import DAYS, NOW, Contents
from grace_assets.core.schemas import TABLES
from grace_assets.lake.tables import Lake
from grace_assets.notify.followup_outbox import FollowUpOutbox
from grace_assets.notify.ledger_rows import LedgerError
from tests.notify.briefs import Post, brief
from tests.rows import part


@dataclass(frozen=True)
class Work:
    """`prepare` fills a data directory, `run` yields after each step whose result may be relied
    upon, `contents` reads all of it; what cannot be read raises."""

    prepare: Callable[[Path], None]
    run: Callable[[Path], Iterator[str]]
    contents: Callable[[Path], Contents]


REFUSALS = (OSError, sqlite3.Error, sa.exc.OperationalError, pa.ArrowException, LedgerError)
"""How our functions say that the disk failed them."""


def cut_off(work: str, root: str, journal: str) -> None:
    """A job for a worker. The journal is the caller's: a line, on disk, for each step done."""
    try:
        for step in WORKS[work].run(Path(root)):
            with Path(journal).open("a", encoding="utf-8") as file:
                file.write(step + "\n")
                file.flush()
                os.fsync(file.fileno())
    except REFUSALS as error:
        sys.exit(f"{type(error).__name__}: {error}")


# -- tables ----------------------------------------------------------------------------------------


def _old_tables(root: Path) -> None:
    root.mkdir()
    for name in TABLE_ROWS:
        Lake(root).replace(name, DAYS[:1], TABLE_ROWS[name]("old", DAYS[:1]))


def _replace_tables(root: Path) -> Iterator[str]:
    for name in TABLE_ROWS:
        Lake(root).replace(name, DAYS, TABLE_ROWS[name]("new", DAYS))
        yield name


def tables(root: Path) -> Contents:
    lake = Lake(root)
    days = [(name, day) for name in TABLE_ROWS for day in lake.days(name)]
    # A folder without a file is a day that was never written.
    there = [(name, day) for name, day in days if part(lake, name, day).exists()]
    return {f"{name} {day}": lake.read(name, [day]) for name, day in there}


def _problems(word: str, days: Sequence[str]) -> pa.Table:
    fixed = {"domain_id": "payments", "type": "recurring_issue", "severity": "medium"}
    return _rows(
        "problems",
        [
            {"date": day, "problem_id": word, **fixed, "description": word, "evidence": []}
            for day in days
        ],
    )


def _rejected(word: str, days: Sequence[str]) -> pa.Table:
    fixed = {"received_at": NOW, "origin": "f", "line": 1, "field": None, "reason": word}
    return _rows("rejected_events", [{"date": day, **fixed, "raw": word} for day in days])


def _verdicts(word: str, days: Sequence[str]) -> pa.Table:
    fixed = {"stage": "first", "judged_at": NOW, "method_version": "1", "verdict": "effective"}
    fixed |= {"effectiveness_score": 1.0, "held": None, "reason_codes": [word]}
    rows = [
        {"date": day, "mission_id": f"{word}-{number}", **fixed}
        for day in days
        for number in range(2_000)
    ]
    return _rows("mission_verdicts", rows)


def _rows(table: str, rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=TABLES[table].with_date())


TABLE_ROWS = {
    "problems": _problems,
    "rejected_events": _rejected,
    "mission_verdicts": _verdicts,
}


# -- what goes out ---------------------------------------------------------------------------------


def _follow_up(name: str) -> dict[str, object]:
    fixed = {"domain_id": "payments", "title": "Look", "type": "failure_remediation"}
    fixed |= {"reason": "It came back.", "priority": "high", "status": "open"}
    return {"follow_up_id": name, **fixed, "opened_on": date(2026, 3, 4)}


def _announce(root: Path) -> Iterator[str]:
    for names in ("ab", "bc"):
        FollowUpOutbox(root).announce([_follow_up(name) for name in names])
        yield names


def announced(root: Path) -> Contents:
    """How often each stands in the file; a last line without an end is nobody's yet."""
    path = root / "outbox" / "missions.jsonl"
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    return dict(Counter(json.loads(line)["follow_up_id"] for line in whole.splitlines()))


def _deliver(root: Path) -> Iterator[str]:
    """Without a webhook the brief is written to a file; the ledger is the same."""
    post = Post(root, "slack", {})
    # As a server has it: while it is open, no other connection's end flushes what a commit did not.
    with closing(sqlite3.connect(post.ledger_file)) as held:
        for revision in (1, 2):
            # Hours that pass, as they do for a sensor.
            (result,) = post(brief(revision), after=timedelta(seconds=time.monotonic()))
            # What was written before is not written again, and an older revision never follows.
            if result.status not in ("written", "suppressed"):
                raise OSError(result.reason)
            held.execute("SELECT count(*) FROM delivery_ledger").fetchone()
            yield f"revision {revision}"


def delivered(root: Path) -> Contents:
    """What the ledger says has arrived, and the file."""
    contents: Contents = {}
    post = Post(root, "slack", {})
    if post.ledger_file.exists():
        rows = post.ledger.rows()
        contents |= {f"revision {r['revision']}": 1 for r in rows if r["status"] == "written"}
    files = sorted((root / "outbox").rglob("*.json"))
    return contents | {path.name: json.loads(path.read_bytes()) for path in files}


def _empty(root: Path) -> None:
    root.mkdir()


WORKS: Mapping[str, Work] = {
    "first-ingest": Work(landing.events_of_first_use, landing.first_use, landing.landed),
    "ingest": Work(landing.files_to_ingest, landing.ingest, landing.landed),
    "inbox": Work(landing.dropped_files, landing.take_inbox, landing.landed),
    "replay": Work(landing.lines_in_quarantine, landing.replay_quarantine, landing.landed),
    "server": Work(_empty, landing.serve, landing.landed),
    "tables": Work(_old_tables, _replace_tables, tables),
    "months": Work(maintenance.days_and_a_month, maintenance.compact, maintenance.compacted),
    "samples": Work(maintenance.samples_of_five_days, maintenance.drop, maintenance.sampled),
    "follow-ups": Work(_empty, _announce, announced),
    "ledger": Work(_empty, _deliver, delivered),
}
