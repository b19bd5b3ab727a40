"""The `grace` command. Each command is thin: it opens the data directory, calls, prints.

Exit codes: 0 done, 1 a run or the disk failed, 2 wrong usage or an unreadable file, 3 some lines
were quarantined.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grace_assets.cli_common import (
    Commands,
    day_option,
    day_or_yesterday,
    open_ledger,
    open_store,
    settings_or_exit,
    show,
    show_json,
)
from grace_assets.cli_serve import ask, dev, mcp, search, serve
from grace_assets.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

    from grace_assets.lake.arrivals import Rejected


RUN_FAILED, USAGE, QUARANTINED = 1, 2, 3


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


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="grace-assets")
def main() -> None:
    """What Grace repaired, as proof, numbers and reports."""


class IngestCommand(click.Command):
    """`--kpis` takes all the files that follow it, as `FILE… [--kpis FILE…]` promises."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread, taking = [], False
        for arg in args:
            if arg == "--kpis":
                taking = True
            elif arg.startswith("-") and arg != "-":
                taking = False
                spread.append(arg)
            else:
                spread += ["--kpis", arg] if taking else [arg]
        return super().parse_args(ctx, spread)


@main.command(cls=IngestCommand)
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

    settings = settings_or_exit()
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


@main.command()
@day_option("--from", "first", required=True, help="First day, YYYY-MM-DD.")
@day_option("--to", "last", required=True, help="Last day, YYYY-MM-DD.")
@click.option("--deliver", is_flag=True, help="Send the briefs of these days, past as they are.")
@click.option(
    "--launch", is_flag=True, help="Ask the webserver at DAGSTER_GRAPHQL_URL, for its workers."
)
def backfill(first: datetime, last: datetime, deliver: bool, launch: bool) -> None:
    """Materialise every asset for the days --from … --to as one Dagster run.

    With --launch the runs are a backfill of Dagster's daemon: one, or one for as many days as
    GRACE_BACKFILL_DAYS_PER_RUN says.
    """
    from grace_assets.assets.delivery import DELIVER_TAG

    settings = settings_or_exit()
    check_range(settings, first.date(), last.date())
    tags = {DELIVER_TAG: "always" if deliver else "never"}
    days = (last - first).days + 1
    if launch:
        click.echo(f"{days} days in backfill {launched(settings, first, last, tags)}")
        return
    result = run(settings, "brief_job", first.date(), last.date(), tags)
    click.echo(f"{days} days in run {result.run_id}")


def launched(settings: Settings, first: datetime, last: datetime, tags: dict[str, str]) -> str:
    from grace_assets.backfills import NotLaunched, launch_backfill
    from grace_assets.launching import client_of

    if not settings.graphql_url:
        raise click.UsageError("--launch: DAGSTER_GRAPHQL_URL names no webserver")
    ends = (first.date().isoformat(), last.date().isoformat())
    try:
        return launch_backfill(client_of(settings.graphql_url), settings, *ends, tags)
    except NotLaunched as error:
        raise click.ClickException(str(error)) from error


def check_range(settings: Settings, first: date, last: date) -> None:
    from grace_assets.partitions import daily_partitions

    if first > last:
        raise click.UsageError(f"--from {first} is after --to {last}")
    partitions = daily_partitions(settings)
    for day in (first, last):
        if not partitions.has_partition_key(day.isoformat()):
            raise click.UsageError(
                f"{day} is no partition: they run from {partitions.get_first_partition_key()} "
                f"(GRACE_START_DATE) to {partitions.get_last_partition_key()}, today"
            )


def run(
    settings: Settings, job: str, first: date, last: date, tags: dict[str, str]
) -> dg.ExecuteInProcessResult:
    """A run; one that fails ends the command."""
    from grace_assets.instance import run_days

    result = run_days(settings, job, first.isoformat(), last.isoformat(), tags)
    if not result.success:
        for event in result.get_step_failure_events():
            click.echo(
                f"{event.step_key}: {event.step_failure_data.error_display_string}", err=True
            )
        click.echo(f"Run {result.run_id} failed; it can be seen in the Dagster UI.", err=True)
        sys.exit(RUN_FAILED)
    return result


@main.command()
@day_option("--date", "day", help="The day of the brief; yesterday where not given.")
@click.option(
    "--format", "style", type=click.Choice(["text", "markdown", "html", "json"]), default="text"
)
def brief(day: datetime | None, style: str) -> None:
    """Print the brief of a day."""
    from grace_assets.core.brief import Brief
    from grace_assets.render import markdown, text
    from grace_assets.render.message import brief_message

    settings, store = settings_or_exit(), open_store()
    wanted = day_or_yesterday(store, day)
    rows = store.lake().read("status_briefs", [wanted]).to_pylist()
    if not rows:
        click.echo(
            f"No brief of {wanted} yet: grace backfill --from {wanted} --to {wanted}", err=True
        )
        sys.exit(RUN_FAILED)
    view = Brief.from_json(rows[0]["content"])
    if style == "json":
        show_json(json.loads(view.to_json()))
        return
    renderers = {
        "text": text.render,
        "markdown": markdown.render,
        "html": lambda _: brief_message(rows[0], settings.public_url).content.html_alone(),
    }
    click.echo(renderers[style](view))


@main.command()
@day_option("--date", "day", help="The day of the brief; the latest where not given.")
def preview(day: datetime | None) -> None:
    """Write a page that shows how a brief looks in every channel; sends nothing."""
    from grace_assets.assets.preview import write_preview
    from grace_assets.resources import DeliveryResource

    delivery = DeliveryResource.from_settings(settings_or_exit())
    wanted = day.date().isoformat() if day else None
    written = write_preview(open_store(), delivery, wanted)
    if written is None:
        raise click.ClickException(f"there is no brief{f' of {wanted}' if wanted else ''} yet")
    path, goes_to = written
    click.echo(path)
    for channel, destinations in goes_to.items():
        click.echo(f"{channel:8} {', '.join(destinations) or 'nowhere'}")


@main.command()
@day_option("--date", "day", help="The day of the brief; yesterday where not given.")
@click.option("--retry-rejected", is_flag=True, help="Try again what was definitely refused.")
def deliver(day: datetime | None, retry_rejected: bool) -> None:
    """Deliver what is pending, or was never delivered, of a day's brief."""
    from grace_assets.assets.delivery import DELIVER_TAG, RETRY_REJECTED_TAG

    settings, store = settings_or_exit(), open_store()
    wanted = date.fromisoformat(day_or_yesterday(store, day))
    if wanted >= store.today():
        raise click.UsageError(f"{wanted} is not over")
    if not store.lake().read("status_briefs", [wanted.isoformat()], ["brief_id"]).num_rows:
        raise click.UsageError(
            f"no brief of {wanted}: grace backfill --from {wanted} --to {wanted}"
        )
    tags = {DELIVER_TAG: "always"} | ({RETRY_REJECTED_TAG: "true"} if retry_rejected else {})
    run(settings, "delivery_job", wanted, wanted, tags)
    show_deliveries(open_ledger().rows(wanted.isoformat()))


@main.command()
@day_option("--date", "day", help="Only this day's.")
@click.option("--notices", is_flag=True, help="Notices of failed runs instead of briefs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def deliveries(day: datetime | None, notices: bool, as_json: bool) -> None:
    """Show where briefs went, and why not."""
    rows = open_ledger().rows(day.date().isoformat() if day else None, notices=notices)
    if as_json:
        show_json(rows)
    else:
        show_deliveries(rows)


def show_deliveries(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        why = f" ({row['reason']})" if row["reason"] else ""
        show(
            f"{row['date']} r{row['revision']} {row['channel']:7} {row['destination']}: "
            f"{row['status']}{why}, {row['attempts']} attempts"
        )


@main.group()
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


@main.command()
@day_option("--from", "first", required=True, help="First day, YYYY-MM-DD.")
@day_option("--to", "last", required=True, help="Last day, YYYY-MM-DD.")
@click.option("--format", "style", type=click.Choice(["jsonl", "csv", "parquet"]), default="jsonl")
def export(first: datetime, last: datetime, style: str) -> None:
    """Write the audit trail to standard output: one record a mission."""
    from grace_assets.lake.export import write_trail

    settings = settings_or_exit()
    check_range(settings, first.date(), last.date())
    days = [(first.date() + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    write_trail(open_store().lake().read("mission_outcomes", days), style, sys.stdout.buffer)


@main.command()
@click.option("--days", default=90, show_default=True, help="Length of the story.")
@click.option("--seed", default=7, show_default=True, help="Another seed, another story.")
def demo(days: int, seed: int) -> None:
    """Sample missions through the whole loop, and the last brief."""
    from grace_assets.demo import run_demo

    run_demo(settings_or_exit(), days, seed)


for command in (ask, search, dev, serve, mcp):
    main.add_command(command)
