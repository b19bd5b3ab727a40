"""`make mutants`: bugs are put into a copy of the package, one at a time, and must be caught.

A test that cannot fail proves nothing. Each bug names the test or the suite that is there for it;
that passes on the copy without the bug first, so that it fails for the bug and nothing else.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.mutations import MUTATIONS, QUIETLY, Mutation

ROOT = Path(__file__).parents[1]
COPIED = ("grace_assets", "tests", "benchmarks")
SECONDS = 300
"""A bug that makes its test wait for ever is caught as well."""


@dataclass(frozen=True)
class Copy:
    """The project in a folder of its own; its Python is the one that runs here."""

    folder: Path

    def fill(self) -> None:
        for name in COPIED:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self.folder / name, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", self.folder)

    def mutate(self, mutation: Mutation) -> None:
        """Raises `ValueError` where the code is no longer what the bug was made for."""
        path = self.folder / "grace_assets" / mutation.module
        code = path.read_text(encoding="utf-8")
        for old, new in mutation.changes:
            if code.count(old) != 1:
                raise ValueError(f"{mutation.name}: {mutation.module} holds no single {old!r}")
            code = code.replace(old, new)
        path.write_text(code, encoding="utf-8")

    def mend(self, mutation: Mutation) -> None:
        name = Path("grace_assets", mutation.module)
        shutil.copy(ROOT / name, self.folder / name)

    def passes(self, check: Sequence[str]) -> bool:
        """Whether a check passes; the folder it runs in comes first on Python's path."""
        command = [sys.executable, "-B", "-m", *check]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            done = subprocess.run(command, cwd=self.folder, timeout=SECONDS, check=False, **quiet)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def _named(check: Sequence[str]) -> str:
    return " ".join(word for word in check[1:] if word not in QUIETLY)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only bugs whose name holds one of these words")
    words = parser.parse_args(arguments).words
    chosen = [m for m in MUTATIONS if not words or any(word in m.name for word in words)]
    caught = 0
    with TemporaryDirectory(prefix="grace-mutants-") as folder:
        copy = Copy(Path(folder))
        copy.fill()
        sound: dict[tuple[str, ...], bool] = {}
        for mutation in chosen:
            started = time.monotonic()
            checks = [check for check in (mutation.check, mutation.witness) if check]
            for check in checks:
                if check not in sound:
                    sound[check] = copy.passes(check)
            copy.mutate(mutation)
            missed = [check for check in checks if copy.passes(check) or not sound[check]]
            copy.mend(mutation)
            seconds = time.monotonic() - started
            result = "NOT caught" if missed else "caught"
            caught += not missed
            named = "; ".join(map(_named, missed or checks))
            why = "" if all(map(sound.get, checks)) else ", it fails without the bug"
            print(f"{result}: {mutation.name} ({named}{why}, {seconds:.0f} s)", flush=True)
    print(f"{caught} of {len(chosen)} caught")
    return int(caught < len(chosen))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
