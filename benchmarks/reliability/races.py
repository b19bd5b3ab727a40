"""Eight processes that write the same at once, readers meanwhile; four that send the same brief.

python -m benchmarks.reliability.races table FOLDER WRITER    (one of the writers)
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from benchmarks.reliability.landing_works import DAYS
from benchmarks.reliability.oracle import Tally
from benchmarks.reliability.works import TABLE_ROWS
from grace_assets.lake.blocks import Line
from grace_assets.lake.landing import Landing
from grace_assets.lake.tables import Lake
from tests.conftest import encode, event
from tests.notify.briefs import Post
from tests.notify.strict_slack import strict_slack
from tests.rows import part

WRITERS, ROUNDS, MISSIONS = 8, 25, 200
NOTIFIERS = 4
TABLE, DAY = "mission_verdicts", DAYS[0]
SIZE = TABLE_ROWS[TABLE]("any", [DAY]).num_rows
ROOT = Path(__file__).parents[2]


def write_table(root: Path, writer: str) -> None:
    for number in range(ROUNDS):
        Lake(root).replace(TABLE, [DAY], TABLE_ROWS[TABLE](f"{writer}-{number}", [DAY]))


def write_landing(root: Path, writer: str) -> None:
    """All writers send the same missions, each in an order of its own."""
    total = Counter()
    with closing(Landing(root, ZoneInfo("UTC"))) as landing:
        for number in range(MISSIONS):
            name = f"m-{(number + int(writer) * MISSIONS // WRITERS) % MISSIONS}"
            counts = landing.add(writer, [Line(1, encode(event(name)))], datetime.now(UTC))
            total.update(accepted=counts.accepted, duplicate=counts.duplicate)
    print(total["accepted"], total["duplicate"])


def send_briefs(root: Path, _notifier: str) -> None:
    """One after the other, each with a ledger of its own."""
    for number in range(ROUNDS):
        Post(root / str(number), "slack", os.environ)()


WRITES: dict[str, Callable[[Path, str], None]] = {
    "table": write_table,
    "landing": write_landing,
    "briefs": send_briefs,
}


def on_one_table(root: Path) -> Tally:
    """Whoever reads finds all rows of one writer; the last writer's last rows stay."""
    tally, refused = Tally(), 0
    Lake(root).replace(TABLE, [DAY], TABLE_ROWS[TABLE]("0-0", [DAY]))
    writers = _start("table", root, WRITERS)
    while any(process.poll() is None for process in writers):
        tally.points += 2
        try:
            _whole(_read_ours(root), tally)
        except (OSError, pa.ArrowException) as error:
            tally.torn.append(f"our reader: {error}")
        try:
            _whole(_read_pandas(root), tally)
        except (OSError, pa.ArrowException):
            # It opens a file twice, and says so where that was replaced in between.
            refused += 1
    tally.notes.append(f"pandas refused {refused} of {tally.points // 2} reads of a file replaced")
    tally.lost += [f"writer {n} ended with {p.wait()}" for n, p in enumerate(writers) if p.wait()]
    (word,) = _read_ours(root)
    if not word.endswith(f"-{ROUNDS - 1}"):
        tally.lost.append(f"{word} stayed")
    left = [path.name for path in root.rglob("*.tmp")]
    tally.torn += [f"left behind {name}" for name in left]
    return tally


def _whole(words: Counter[str], tally: Tally) -> None:
    if list(words.values()) != [SIZE]:
        tally.torn.append(f"rows of several writers: {words}")


def _read_ours(root: Path) -> Counter[str]:
    rows = Lake(root).read(TABLE, [DAY], ["reason_codes"])
    return Counter(words[0] for words in rows["reason_codes"].to_pylist())


def _read_pandas(root: Path) -> Counter[str]:
    rows = pd.read_parquet(part(Lake(root), TABLE, DAY), columns=["reason_codes"])
    return Counter(words[0] for words in rows["reason_codes"])


def on_one_landing(root: Path) -> Tally:
    """Each mission is accepted once, and every other time it is a duplicate."""
    tally = Tally(points=WRITERS * MISSIONS)
    writers = _start("landing", root, WRITERS)
    counts = [tuple(map(int, process.communicate()[0].split())) for process in writers]
    accepted, duplicates = map(sum, zip(*counts, strict=True))
    with closing(Landing(root, ZoneInfo("UTC"))) as landing:
        kept = len(landing.missions.events([DAY]))
    if kept != MISSIONS or accepted + duplicates != WRITERS * MISSIONS:
        tally.lost.append(f"{kept} kept, {accepted} accepted, {duplicates} duplicates")
    if accepted > MISSIONS:
        tally.unflagged.append(f"{accepted} accepted")
    return tally


def on_one_brief(root: Path) -> Tally:
    """Each brief arrives once, whoever of the four sends it."""
    tally = Tally(points=NOTIFIERS * ROUNDS)
    for number in range(ROUNDS):
        (root / str(number)).mkdir(parents=True)
    with strict_slack() as slack:
        for process in _start("briefs", root, NOTIFIERS, SLACK_WEBHOOK_URL=slack.url):
            process.communicate()
    rows = [row for n in range(ROUNDS) for row in Post(root / str(n), "slack", {}).ledger.rows()]
    states, arrived = Counter(row["status"] for row in rows), len(slack.messages)
    if states != {"sent": ROUNDS} or arrived < ROUNDS:
        tally.lost.append(f"{arrived} of {ROUNDS} briefs arrived, the ledgers say {states}")
    if arrived > ROUNDS:
        tally.unflagged.append(f"{arrived} of {ROUNDS} briefs arrived")
    return tally


def _start(what: str, root: Path, processes: int, **env: str) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.reliability.races", what, str(root)]
    pipe = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "env": os.environ | env}
    return [subprocess.Popen([*command, str(number)], **pipe) for number in range(processes)]


def sweep(folder: Path) -> Tally:
    on_tables = on_one_table(folder / "table") + on_one_landing(folder / "landing")
    return on_tables + on_one_brief(folder / "briefs")


def main(arguments: Sequence[str]) -> None:
    what, root, writer = arguments
    WRITES[what](Path(root), writer)


if __name__ == "__main__":
    main(sys.argv[1:])
