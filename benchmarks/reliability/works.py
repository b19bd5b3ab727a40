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
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from grace_assets.cli import main as grace
from grace_assets.core.events import to_table
from grace_assets.core.schemas import TABLES
from grace_assets.lake.inbox import Inbox
from grace_assets.lake.landing import Landing, Line
from grace_assets.lake.quarantine import replay
from grace_assets.lake.samples import SampleStore
from grace_assets.lake.tables import Lake
from grace_assets.notify.followup_outbox import FollowUpOutbox
from tests.conftest import encode, event
from tests.notify.briefs import Post, brief

Contents = dict[str, object]
UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
DAYS = ("2026-03-01", "2026-03-02")
SAMPLES = b"source,domain_id,metric,timestamp,value\n" + b"".join(
    b"domain_health,payments,latency_ms,2026-03-0%d:00Z,%d\n" % (day, 280 + day) for day in (1, 2)
).replace(b":00Z", b"T10:00:00Z")
MOVED = {"started_at": "2026-03-02T10:00:00Z", "completed_at": "2026-03-02T10:30:00Z"}


@dataclass(frozen=True)
class Work:
    """`prepare` fills a data directory, `run` yields after each step whose result may be relied
    upon, `contents` reads all of it; what cannot be read raises."""

    prepare: Callable[[Path], None]
    run: Callable[[Path], Iterator[str]]
    contents: Callable[[Path], Contents]


REFUSALS = (OSError, sqlite3.Error, sa.exc.OperationalError, pa.ArrowException)
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


# -- the landing ---------------------------------------------------------------------------------


def _grace_ingest(root: Path, *arguments: Path | str) -> None:
    os.environ["GRACE_DATA_DIR"] = str(root)
    try:
        grace(["ingest", *map(str, arguments)])
    except SystemExit as end:
        # 3: taken, and some lines lie in quarantine.
        if end.code not in (0, 3):
            raise


def _events_of_first_use(root: Path) -> None:
    root.mkdir()
    (root / "first.jsonl").write_bytes(encode(event("a"), event("b"), event("c", **MOVED)))


def _first_use(root: Path) -> Iterator[str]:
    _grace_ingest(root, root / "first.jsonl")
    yield "first.jsonl"


def _files_to_ingest(root: Path) -> None:
    _events_of_first_use(root)
    for _ in _first_use(root):
        pass
    late = datetime.now(UTC) + timedelta(days=30)
    known = [event("a", **MOVED), event("b", title="corrected"), event("c", **MOVED)]
    lines = [*known, event("d"), event("late", completed_at=late.isoformat())]
    (root / "second.jsonl").write_bytes(encode(*lines) + b"{broken\n")
    (root / "samples.csv").write_bytes(SAMPLES + b"domain_health,payments,latency_ms,never,1\n")


def _ingest(root: Path) -> Iterator[str]:
    _grace_ingest(root, root / "second.jsonl")
    yield "second.jsonl"
    _grace_ingest(root, "--kpis", root / "samples.csv")
    yield "samples.csv"


def _dropped_files(root: Path) -> None:
    _events_of_first_use(root)
    with closing(Landing(root, UTC_ZONE)) as landing:
        inbox = Inbox(root, UTC_ZONE, landing, reach_seconds=2100).folder
    for path, content in {
        inbox / "quiet.jsonl": encode(event("a"), event("b")) + b"{broken\n",
        inbox / "growing.jsonl": encode(event("c"), event("d", **MOVED)) + b'{"mission_id": "e',
        inbox / "kpis" / "samples.csv": SAMPLES,
    }.items():
        path.write_bytes(content)
        # Long quiet, or never while this takes.
        changed = 0 if path.name != "growing.jsonl" else time.time() + 86_400
        os.utime(path, (changed, changed))


def _take_inbox(root: Path) -> Iterator[str]:
    with closing(Landing(root, UTC_ZONE)) as landing:
        Inbox(root, UTC_ZONE, landing, reach_seconds=2100).take(datetime.now(UTC))
        yield "taken"


def _lines_in_quarantine(root: Path) -> None:
    """Two that pass by now: they were ahead of time when they came."""
    root.mkdir()
    with closing(Landing(root, UTC_ZONE)) as landing:
        events = encode(event("a"), event("b", **MOVED)) + b"{broken\n"
        landing.add("early", _numbered(events), NOW - timedelta(days=30))


def _replay(root: Path) -> Iterator[str]:
    with closing(Landing(root, UTC_ZONE)) as landing:
        replay(landing, Inbox(root, UTC_ZONE, landing, reach_seconds=2100))
        yield "replayed"


def _serve(root: Path) -> Iterator[str]:
    """A server keeps its landing open, and its clients try again where it failed."""
    with closing(Landing(root, UTC_ZONE)) as landing:
        for number, batch in enumerate(([event("a")], [event("b"), event("c", **MOVED)])):
            lines = _numbered(encode(*batch))
            try:
                landing.add("http", lines, NOW)
            except sqlite3.OperationalError:
                landing.add("http", lines, NOW)
            yield f"batch {number}"


def _numbered(content: bytes) -> list[Line]:
    return [Line(number, raw) for number, raw in enumerate(content.splitlines(), start=1)]


def landed(root: Path) -> Contents:
    """Missions as their table shows them, the trail, the quarantine, the days noted, samples."""
    contents: Contents = {}
    if (root / "state" / "landing.sqlite").exists():
        with closing(Landing(root, UTC_ZONE)) as landing:
            for row in to_table(landing.events(DAYS)).drop_columns(["received_at"]).to_pylist():
                contents[f"mission {row['mission_id']}"] = row
            contents |= {f"rejected {line.raw!r}": 1 for line in landing.rejected()}
            contents |= {f"noted {day}": 1 for day in landing.changed_days(0)[1] if day in DAYS}
        with closing(sqlite3.connect(root / "state" / "landing.sqlite")) as db:
            contents |= Counter(f"trail {m} {raw!r}" for m, raw in db.execute(TRAIL))
    first, last = (datetime.fromisoformat(f"{day}T00:00Z") for day in ("2026-03-01", "2026-03-03"))
    for sample in SampleStore(root).read(first, last).to_pylist():
        contents[f"sample {sample['timestamp']}"] = sample["value"]
    return contents


TRAIL = "SELECT mission_id, raw FROM event"


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
    there = [(name, day) for name, day in days if lake.path(name, day).exists()]
    return {f"{name} {day}": lake.read(name, [day]).to_pylist() for name, day in there}


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
    "first-ingest": Work(_events_of_first_use, _first_use, landed),
    "ingest": Work(_files_to_ingest, _ingest, landed),
    "inbox": Work(_dropped_files, _take_inbox, landed),
    "replay": Work(_lines_in_quarantine, _replay, landed),
    "server": Work(_empty, _serve, landed),
    "tables": Work(_old_tables, _replace_tables, tables),
    "follow-ups": Work(_empty, _announce, announced),
    "ledger": Work(_empty, _deliver, delivered),
}
