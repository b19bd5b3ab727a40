"""`make bench`: each part of the work against a peer or a floor, measured in the same run.

    make bench                          # all groups, sizes that fit a quarter of an hour
    make bench ARGS="ingest reads"      # some groups
    make bench ARGS="--full backfill"   # the sizes that the targets were set for

Without a choice of groups the table replaces `docs/benchmarks.md`; `--write` does it for any.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import arrivals, backfill, http_reads, ingest, reads, startup, telemetry
from benchmarks.harness import ROOT, Group, Result, Scale, figure

GROUPS: dict[str, Group] = {
    "startup": startup.measure,
    "ingest": ingest.measure,
    "telemetry": telemetry.measure,
    "reads": reads.measure,
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
    parser.add_argument("--full", action="store_true", help="the full sizes, hours for all")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in any case")
    options = parser.parse_args(arguments)
    scale = Scale(options.scale, options.full)
    sections = []
    for name in options.groups or GROUPS:
        started = time.monotonic()
        with TemporaryDirectory(prefix=f"grace-bench-{name}-") as folder:
            results = GROUPS[name](scale, Path(folder))
        section = f"{name}, {time.monotonic() - started:.0f} s\n\n{table(results)}"
        print(f"{section}\n", flush=True)
        sections.append((name, results))
    if options.write or not options.groups:
        PAGE.write_text(page(sections, arguments), encoding="utf-8")


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


def page(sections: Sequence[tuple[str, Sequence[Result]]], arguments: Sequence[str]) -> str:
    results = [result for _, found in sections for result in found]
    missed = [result for result in results if not result.kept]
    command = " ".join(["make bench", *([f'ARGS="{" ".join(arguments)}"'] if arguments else [])])
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        "# Benchmarks",
        "",
        f"Printed by `{command}` on {datetime.now(UTC):%Y-%m-%d}: Python "
        f"{platform.python_version()}, {versions}; {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}.",
        "",
        "Each ratio is ours to a peer measured in the same run, turn by turn; the medians of the "
        "rounds. The seconds depend on the machine and on what else it does; the ratios less so.",
        "",
        f"{len(results) - len(missed)} of {len(results)} targets are kept. Missed: "
        + ("; ".join(f"{r.work} ({figure(r.measured)}{r.unit})" for r in missed) or "none")
        + ".",
    ]
    for name, found in sections:
        lines += ["", f"## {name}", "", table(found)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
