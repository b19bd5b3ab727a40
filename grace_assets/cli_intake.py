"""Commands that take in what Grace reports: files, and lines that waited in quarantine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grace_assets.cli_common import QUARANTINED, open_store, show, show_json
from grace_assets.settings import Settings

if TYPE_CHECKING:
    from grace_assets.lake.arrivals import Rejected


class InputFile(click.Path):
    """A file that is there, under a name that can be noted."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        try:
            str(path).encode()
        except UnicodeEncodeError:
            self.fail(f"{click.format_filename(path)}: its name is no UTF-8, rename it", param, ctx)
        return path


INPUT_FILE = InputFile(exists=True, dir_okay=False, readable=True, path_type=Path)


class IngestCommand(click.Command):
    """`--kpis` takes all the files that follow it, as `FILE… [--kpis FILE…]` promises."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread, taking = [], False
        for arg in args:
            if arg == "--kpis":
                taking = True
            elif arg.startswith("-") and arg != "-":
                taking = arg.startswith("--kpis=")
                spread.append(arg)
            else:
                spread += ["--kpis", arg] if taking else [arg]
        return super().parse_args(ctx, spread)


@click.command(cls=IngestCommand)
@click.argument("files", nargs=-1, type=INPUT_FILE, metavar="FILE...")
@click.option("--kpis", multiple=True, type=INPUT_FILE, metavar="FILE...", help="KPI samples.")
def ingest(files: tuple[Path, ...], kpis: tuple[Path, ...]) -> None:
    """Take mission events (JSONL) and KPI samples (Parquet, CSV, JSONL).

    On exit 0 or 3 everything that was accepted is on disk. The sensor, or `grace backfill`,
    makes the tables from it.
    """
    if not files and not kpis:
        raise click.UsageError("name at least one file")
    rejected = [*_take_missions(files), *_take_samples(kpis)]
    for line in rejected[:20]:
        show(f"{line.origin}:{line.line}: {line.field or 'line'}: {line.reason}", err=True)
    if rejected:
        click.echo(f"{len(rejected)} lines in quarantine: grace quarantine list", err=True)
        sys.exit(QUARANTINED)


def _take_missions(files: tuple[Path, ...]) -> Iterator[Rejected]:
    # Not by way of the store: to import Dagster takes longer than a hundred thousand missions.
    from grace_assets.lake.database import state_url
    from grace_assets.lake.landing import Landing
    from grace_assets.lake.mission_files import take_file

    settings = Settings.from_env()
    with closing(Landing(settings.data_dir, settings.zone, state_url())) as landing:
        for path in files:
            counts = take_file(landing, path, ahead=True)
            show(
                f"{path}: {counts.accepted} accepted, {counts.duplicate} duplicate, "
                f"{counts.corrected} corrected, {len(counts.rejected)} rejected"
            )
            yield from counts.rejected


def _take_samples(files: tuple[Path, ...]) -> Iterator[Rejected]:
    if not files:
        return
    from grace_assets.lake.sample_files import SampleFileError

    store = open_store()
    with store.landing() as landing:
        inbox = store.inbox(landing)
        for path in files:
            try:
                samples, bad = inbox.take_sample_file(path)
            except SampleFileError as error:
                raise click.UsageError(str(error)) from error
            show(
                f"{path}: {samples.accepted} accepted, {samples.duplicate} duplicate, "
                f"{samples.restated} corrected, {len(bad)} rejected (KPI samples)"
            )
            yield from bad


@click.group()
def quarantine() -> None:
    """Lines that broke a rule."""


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON lines with the raw text.")
def quarantine_list(as_json: bool) -> None:
    """Show what waits in quarantine, oldest first."""
    with open_store().landing() as landing:
        for r in landing.quarantine.lines(waiting_only=True):
            raw = r.raw.decode("utf-8", "backslashreplace")
            if as_json:
                record = {
                    "received_at": r.received_at,
                    "origin": r.origin,
                    "line": r.line,
                    "field": r.field,
                    "reason": r.reason,
                    "raw": raw,
                }
                show_json(record, indent=None)
            else:
                show(f"{r.origin}:{r.line}: {r.field or 'line'}: {r.reason}")


@quarantine.command("replay")
def quarantine_replay() -> None:
    """Send what waits through the same validation again; exit 3 if some still waits."""
    from grace_assets.lake.replay import replay

    store = open_store()
    with store.landing() as landing:
        counts, waiting = replay(landing, store.inbox(landing))
    click.echo(
        f"{counts.accepted} accepted, {counts.duplicate} duplicate, "
        f"{counts.corrected} corrected, {len(waiting)} rejected"
    )
    if waiting:
        sys.exit(QUARANTINED)
