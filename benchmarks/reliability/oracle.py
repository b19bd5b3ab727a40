"""What a data directory may hold after a work was cut off, and the count of what it may not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.reliability.landing_works import Contents
from benchmarks.reliability.tracing import Job
from benchmarks.reliability.works import WORKS


@dataclass
class Tally:
    """What became of the points of a suite; the lists name what must not be."""

    points: int = 0
    flagged: int = 0
    lost: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    unflagged: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    """Errors that nobody was told of, or not in words."""
    notes: list[str] = field(default_factory=list)
    """What else was seen, and is as it may be."""

    @property
    def problems(self) -> list[str]:
        kinds = ("lost", "torn", "unflagged", "unclear")
        return [f"{kind}: {what}" for kind in kinds for what in getattr(self, kind)]

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.points + other.points,
            self.flagged + other.flagged,
            self.lost + other.lost,
            self.torn + other.torn,
            self.unflagged + other.unflagged,
            self.unclear + other.unclear,
            self.notes + other.notes,
        )

    def __str__(self) -> str:
        unclear = f", {len(self.unclear)} unclear errors" if self.unclear else ""
        return (
            f"{self.points} points, {len(self.lost)} lost, {len(self.torn)} torn, "
            f"{self.flagged} flagged duplicates, {len(self.unflagged)} unflagged{unclear}"
        )


class Undisturbed:
    """What a work leaves where nothing disturbs it: at first, and after each of its steps.

    `folder` is where it is done, again and again: `root` is its data directory, `journal` the
    file where its caller notes, on disk, each step that it was told of.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.root, self.journal = folder / "data", folder / "journal"
        self._work = WORKS[name]
        self._prepared = folder / "prepared"
        with _silence():
            self._work.prepare(self.root)
        shutil.copytree(self.root, self._prepared)
        self._stages = [self._work.contents(self.root)]
        with _silence():
            for _ in self._work.run(self.root):
                self._stages.append(self._work.contents(self.root))

    @property
    def steps(self) -> int:
        return len(self._stages) - 1

    def job(self) -> Job:
        """The work over a fresh copy of what was prepared, with an empty journal."""
        shutil.rmtree(self.root)
        shutil.copytree(self._prepared, self.root)
        self.journal.write_bytes(b"")
        arguments = {"work": self.name, "root": str(self.root), "journal": str(self.journal)}
        return Job("benchmarks.reliability.works:cut_off", arguments)

    def age(self, path: Path) -> None:
        """Make a file of `root` as old as it was when it was prepared, if it was."""
        original = self._prepared / path.relative_to(self.root)
        if original.exists():
            shutil.copystat(original, path)

    def done(self) -> list[str]:
        """The steps noted to their end."""
        return self.journal.read_text(encoding="utf-8").split("\n")[:-1]

    def check(self, root: Path, done: Sequence[str], point: str, tally: Tally) -> None:
        """Look at what is left in `root` once `done` is relied upon; do all again; look again."""
        tally.points += 1
        where = f"{self.name}, {point}"
        self._compare(root, self._stages[len(done) : len(done) + 2], where, tally)
        try:
            with _silence():
                for _ in self._work.run(root):
                    pass
        except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever keeps it from being done)
            tally.lost.append(f"{where}, cannot be done again: {type(error).__name__}: {error}")
            return
        self._compare(root, self._stages[-1:], f"{where}, done again", tally)
        left = [path.name for path in root.rglob("*.tmp")]
        if left:
            tally.torn.append(f"{where}: left behind {left}")

    def _compare(self, root: Path, stages: Sequence[Contents], where: str, tally: Tally) -> None:
        """Each item is as after the last step done or as after the next, and nothing else is."""
        try:
            found = self._work.contents(root)
        except Exception as error:  # noqa: BLE001 (whatever a reader chokes on is torn)
            tally.torn.append(f"{where}: {type(error).__name__}: {error}")
            return
        for key in sorted({*found, *(key for stage in stages for key in stage)}):
            value, allowed = found.get(key), [stage.get(key) for stage in stages]
            if value in allowed:
                continue
            more = isinstance(value, int) and all(value > (count or 0) for count in allowed)
            (tally.unflagged if more else tally.lost).append(f"{where}: {key} is {value}")


@contextmanager
def _silence() -> Iterator[None]:
    """What commands print is of interest only where they were disturbed."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield
