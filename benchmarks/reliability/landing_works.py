"""The works that write the landing, and what readers see of it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from grace_assets.cli import main as grace
from grace_assets.core.events import to_table
from grace_assets.lake.blocks import Line
from grace_assets.lake.inbox import Inbox
from grace_assets.lake.landing import Landing
from grace_assets.lake.replay import replay
from grace_assets.lake.samples import SampleStore
from tests.conftest import encode, event

Contents = dict[str, object]
UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
DAYS = ("2026-03-01", "2026-03-02")
SAMPLES = b"source,domain_id,metric,timestamp,value\n" + b"".join(
    b"domain_health,payments,latency_ms,2026-03-0%dT10:00:00Z,%d\n" % (day, 280 + day)
    for day in (1, 2)
)
HEADER, FIRST_SAMPLE, *_ = SAMPLES.splitlines(keepends=True)
CORRECTED = HEADER + FIRST_SAMPLE.replace(b",281", b",300") + b"domain_health,payments,ms,never,1\n"
MOVED = {"started_at": "2026-03-02T10:00:00Z", "completed_at": "2026-03-02T10:30:00Z"}


def _grace_ingest(root: Path, *arguments: Path | str) -> None:
    os.environ["GRACE_DATA_DIR"] = str(root)
    try:
        grace(["ingest", *map(str, arguments)])
    except SystemExit as end:
        # 3: taken, and some lines lie in quarantine.
        if end.code not in (0, 3):
            raise


def events_of_first_use(root: Path) -> None:
    root.mkdir()
    (root / "first.jsonl").write_bytes(encode(event("a"), event("b"), event("c", **MOVED)))


def first_use(root: Path) -> Iterator[str]:
    _grace_ingest(root, root / "first.jsonl")
    yield "first.jsonl"


def files_to_ingest(root: Path) -> None:
    events_of_first_use(root)
    for _ in first_use(root):
        pass
    late = datetime.now(UTC) + timedelta(days=30)
    known = [event("a", **MOVED), event("b", title="corrected"), event("c", **MOVED)]
    lines = [*known, event("d"), event("late", completed_at=late.isoformat())]
    (root / "second.jsonl").write_bytes(encode(*lines) + b"{broken\n")
    (root / "samples.csv").write_bytes(SAMPLES + b"domain_health,payments,latency_ms,never,1\n")


def ingest(root: Path) -> Iterator[str]:
    _grace_ingest(root, root / "second.jsonl")
    yield "second.jsonl"
    _grace_ingest(root, "--kpis", root / "samples.csv")
    yield "samples.csv"


def dropped_files(root: Path) -> None:
    events_of_first_use(root)
    with closing(Landing(root, UTC_ZONE)) as landing:
        inbox = Inbox(root, UTC_ZONE, landing, reach_seconds=2100).folder
    for path, content in {
        inbox / "quiet.jsonl": encode(event("a"), event("b")) + b"{broken\n",
        inbox / "growing.jsonl": encode(event("c"), event("d", **MOVED)) + b'{"mission_id": "e',
        inbox / "kpis" / "samples.csv": SAMPLES,
        inbox / "kpis" / "samples_later.csv": CORRECTED,
    }.items():
        path.write_bytes(content)
        # Long quiet, or never while this takes.
        changed = 0 if path.name != "growing.jsonl" else time.time() + 86_400
        os.utime(path, (changed, changed))


def take_inbox(root: Path) -> Iterator[str]:
    with closing(Landing(root, UTC_ZONE)) as landing:
        Inbox(root, UTC_ZONE, landing, reach_seconds=2100).take(datetime.now(UTC))
        yield "taken"


def lines_in_quarantine(root: Path) -> None:
    """Two that pass by now: they were ahead of time when they came."""
    root.mkdir()
    with closing(Landing(root, UTC_ZONE)) as landing:
        events = encode(event("a"), event("b", **MOVED)) + b"{broken\n"
        landing.add("early", _numbered(events), NOW - timedelta(days=30))


def replay_quarantine(root: Path) -> Iterator[str]:
    with closing(Landing(root, UTC_ZONE)) as landing:
        replay(landing, Inbox(root, UTC_ZONE, landing, reach_seconds=2100))
        yield "replayed"


def serve(root: Path) -> Iterator[str]:
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
            for row in (
                to_table(landing.missions.events(DAYS)).drop_columns(["received_at"]).to_pylist()
            ):
                name = row["mission_id"]
                contents[f"mission {name}"] = row
                contents |= Counter(
                    f"trail {name} {raw!r}" for raw in landing.missions.revisions(name)
                )
            contents |= {f"rejected {line.raw!r}": 1 for line in landing.quarantine.lines()}
            contents |= {
                f"noted {day}": 1 for day in landing.journal.changed_days(0)[1] if day in DAYS
            }
    first, last = (datetime.fromisoformat(f"{day}T00:00Z") for day in ("2026-03-01", "2026-03-03"))
    for sample in SampleStore(root).read(first, last).to_pylist():
        contents[f"sample {sample['timestamp']}"] = sample["value"]
    return contents
