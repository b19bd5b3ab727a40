"""The `grace` command. Each command is thin: it opens the data directory, calls, prints.

Exit codes: 0 done, 1 a run or the disk failed, 2 wrong usage or an unreadable file, 3 some lines
were quarantined.
"""

from __future__ import annotations

import click

from grace_assets.cli_briefs import brief, deliver, deliveries, preview
from grace_assets.cli_common import Commands
from grace_assets.cli_days import backfill, export
from grace_assets.cli_intake import ingest, quarantine
from grace_assets.cli_serve import ask, dev, mcp, search, serve
from grace_assets.settings import Settings


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="grace-assets")
def main() -> None:
    """What Grace repaired, as proof, numbers and reports."""


@main.command()
@click.option("--days", default=90, show_default=True, help="Length of the story.")
@click.option("--seed", default=7, show_default=True, help="Another seed, another story.")
def demo(days: int, seed: int) -> None:
    """Sample missions through the whole loop, and the last brief."""
    from grace_assets.demo import run_demo

    run_demo(Settings.from_env(), days, seed)


for command in (
    *(ingest, quarantine),
    *(backfill, export),
    *(brief, preview, deliver, deliveries),
    *(ask, search, dev, serve, mcp),
):
    main.add_command(command)
