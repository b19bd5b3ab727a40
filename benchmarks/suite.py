"""`make bench`: each part of the work against a peer or a floor, measured in the same run.

    make bench                          # all groups, sizes that fit a quarter of an hour
    make bench ARGS="ingest reads"      # some groups
    make bench ARGS="--full backfill"   # the sizes that the targets were set for

Without a choice of groups the tables replace those of `docs/benchmarks.md`; `--write` does it for
the chosen ones, and leaves the others as they were measured before.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import arrivals, backfill, http_reads, ingest, months, reads, startup, telemetry
from benchmarks.harness import ROOT, Group, Result, Scale, figure

GROUPS: dict[str, Group] = {
    "startup": startup.measure,
    "ingest": ingest.measure,
    "telemetry": telemetry.measure,
    "reads": reads.measure,
    "months": months.measure,
    "http": http_reads.measure,
    "backfill": backfill.measure,
    "arrivals": arrivals.measure,
}
PAGE = ROOT / "docs" / "benchmarks.md"
PACKAGES = ("dagster", "pyarrow", "numpy", "msgspec", "fastapi", "starlette", "uvicorn", "duckdb")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.suite", description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], metavar="GROUP")
    parser.add_argument("--scale", type=float, default=0.1, help="share of the full sizes (0.1)")
    parser.add_argument(
        "--full", action="store_true", help="the sizes that the targets were set for"
    )
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in any case")
    options = parser.parse_args(arguments)
    scale = Scale(options.scale, options.full)
    write = options.write or not options.groups
    for name in options.groups or GROUPS:
        started = time.monotonic()
        with TemporaryDirectory(prefix=f"grace-bench-{name}-") as folder:
            results = GROUPS[name](scale, Path(folder))
        spent = time.monotonic() - started
        print(f"{name}, {spent:.0f} s\n\n{table(results)}\n", flush=True)
        if write:
            # At once: a later group that fails does not take the figures of an earlier one along.
            before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
            how = command(arguments)
            section = f"`{how}`, {datetime.now(UTC):%Y-%m-%d}, {spent:.0f} s.\n\n{table(results)}"
            PAGE.write_text(page(sections_of(before) | {name: section}), encoding="utf-8")


def command(arguments: Sequence[str]) -> str:
    return " ".join(["make bench", *([f'ARGS="{" ".join(arguments)}"'] if arguments else [])])


def table(results: Sequence[Result]) -> str:
    lines = [
        "| work | against | ours | peer | ratio | reach | kept |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(cells(result))} |" for result in results]
    notes = [f"- {result.work}: {result.note}" for result in results if result.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def cells(result: Result) -> list[str]:
    sign = "≥" if result.at_least else "≤"
    return [
        result.work,
        result.against,
        result.ours,
        result.peer,
        figure(result.measured) + result.unit,
        f"{sign} {figure(result.reach)}{result.unit}",
        "yes" if result.kept else "**no**",
    ]


def sections_of(text: str) -> dict[str, str]:
    """Group → what the page says of it."""
    parts = [part.partition("\n\n") for part in text.split("\n## ")[1:]]
    return {name: section.strip() for name, _, section in parts}


def page(sections: Mapping[str, str]) -> str:
    """The page, its groups in our order and what they miss named above them."""
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for text in sections.values()
        for row in text.splitlines()
        if row.endswith(("| yes |", "| **no** |"))
    ]
    missed = [cells for cells in rows if cells[-1] != "yes"]
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        "# Benchmarks",
        "",
        f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores, "
        f"{platform.system()} {platform.machine()}.",
        "",
        "Each ratio is ours to a peer measured in the same run, turn by turn; the medians of the "
        "rounds. The seconds depend on the machine and on what else it does; the ratios less so.",
        "",
        f"{len(rows) - len(missed)} of {len(rows)} targets are kept. Missed:",
        "",
        *[f"- {work}: {measured}, to be {reach}" for work, _, _, _, measured, reach, _ in missed],
    ]
    for name in GROUPS:
        if name in sections:
            lines += ["", f"## {name}", "", sections[name]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
