"""Commands for a range of days: make its tables, write out its audit trail."""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta

import click

from grace_assets.cli_common import day_option, open_store, run
from grace_assets.settings import Settings


@click.command()
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

    settings = Settings.from_env()
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


@click.command()
@day_option("--from", "first", required=True, help="First day, YYYY-MM-DD.")
@day_option("--to", "last", required=True, help="Last day, YYYY-MM-DD.")
@click.option("--format", "style", type=click.Choice(["jsonl", "csv", "parquet"]), default="jsonl")
def export(first: datetime, last: datetime, style: str) -> None:
    """Write the audit trail to standard output: one record a mission."""
    from grace_assets.lake.export import write_trail

    settings = Settings.from_env()
    check_range(settings, first.date(), last.date())
    days = [(first.date() + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    lake = open_store().lake()
    parts = (part for day in days for part in lake.scan("mission_outcomes", [day]))
    write_trail(parts, style, sys.stdout.buffer)


def check_range(settings: Settings, first: date, last: date) -> None:
    from grace_assets.partitions import daily_partitions

    if first > last:
        raise click.UsageError(f"--from {first} is after --to {last}")
    partitions = daily_partitions(settings)
    if partitions.get_first_partition_key() is None:
        raise click.UsageError(f"GRACE_START_DATE: {settings.start_date} is in the future")
    for day in (first, last):
        if not partitions.has_partition_key(day.isoformat()):
            raise click.UsageError(
                f"{day} is no partition: they run from {partitions.get_first_partition_key()} "
                f"(GRACE_START_DATE) to {partitions.get_last_partition_key()}, today"
            )
