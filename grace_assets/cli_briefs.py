"""Commands that show the brief of a day, deliver it, and tell where it went."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from typing import Any

import click

from grace_assets.cli_common import (
    RUN_FAILED,
    day_option,
    day_or_yesterday,
    open_ledger,
    open_store,
    run,
    show,
    show_json,
)
from grace_assets.settings import Settings


@click.command()
@day_option("--date", "day", help="The day of the brief; yesterday where not given.")
@click.option(
    "--format", "style", type=click.Choice(["text", "markdown", "html", "json"]), default="text"
)
def brief(day: datetime | None, style: str) -> None:
    """Print the brief of a day."""
    from grace_assets.core.brief import Brief
    from grace_assets.render import markdown, text
    from grace_assets.render.message import brief_message

    settings, store = Settings.from_env(), open_store()
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


@click.command()
@day_option("--date", "day", help="The day of the brief; the latest where not given.")
def preview(day: datetime | None) -> None:
    """Write a page that shows how a brief looks in every channel; sends nothing."""
    from grace_assets.assets.preview import write_preview
    from grace_assets.resources import DeliveryResource

    delivery = DeliveryResource.from_settings(Settings.from_env())
    wanted = day.date().isoformat() if day else None
    written = write_preview(open_store(), delivery, wanted)
    if written is None:
        raise click.ClickException(f"there is no brief{f' of {wanted}' if wanted else ''} yet")
    path, goes_to = written
    click.echo(path)
    for channel, destinations in goes_to.items():
        click.echo(f"{channel:8} {', '.join(destinations) or 'nowhere'}")


@click.command()
@day_option("--date", "day", help="The day of the brief; yesterday where not given.")
@click.option("--retry-rejected", is_flag=True, help="Try again what was definitely refused.")
def deliver(day: datetime | None, retry_rejected: bool) -> None:
    """Deliver what is pending, or was never delivered, of a day's brief."""
    from grace_assets.assets.delivery import DELIVER_TAG, RETRY_REJECTED_TAG

    settings, store = Settings.from_env(), open_store()
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


@click.command()
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
