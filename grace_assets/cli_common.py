"""What commands share: the settings, the data directory, a day, a run, how a bad disk is told."""

from __future__ import annotations

import errno
import json
import re
import sqlite3
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from grace_assets.core.wording import clean
from grace_assets.lake.database import StateError
from grace_assets.settings import Settings, SettingsError

if TYPE_CHECKING:
    import dagster as dg

    from grace_assets.notify.ledger import Ledger
    from grace_assets.resources import StoreResource

RUN_FAILED, QUARANTINED = 1, 3
DAY = click.DateTime(["%Y-%m-%d"])
# What `json.dumps` leaves as it is, and a terminal or a reader's eye follows.
_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def show(line: str, err: bool = False) -> None:
    """Print a line; nothing that an event or a file's name holds steers the terminal."""
    click.echo(clean(line), err=err)


def show_json(value: Any, indent: int | None = 2) -> None:
    """Print JSON in any script, with whatever would steer the terminal as an escape; times in
    RFC 3339."""
    text = json.dumps(value, default=rfc3339, indent=indent, ensure_ascii=False)
    click.echo(_STEERING.sub(lambda found: f"\\u{ord(found.group()):04x}", text))


def rfc3339(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


class Commands(click.Group):
    """A bad variable and what the disk refuses are told in a sentence, whatever the command."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise click.UsageError(str(error), ctx) from error
        except OSError as error:
            # A reader of our output that went away is click's to handle.
            if error.errno == errno.EPIPE:
                raise
            raise click.ClickException(str(error)) from error
        except sqlite3.Error as error:
            raise click.ClickException(f"{Settings.from_env().data_dir}: {error}") from error
        except StateError as error:
            raise click.ClickException(str(error)) from error


def open_store() -> StoreResource:
    from grace_assets.resources import StoreResource

    return StoreResource.from_settings(Settings.from_env())


def open_ledger() -> Ledger:
    from grace_assets.notify.ledger_rows import LedgerError

    try:
        return open_store().ledger()
    except LedgerError as error:
        raise click.ClickException(str(error)) from error


def day_option(*names: str, required: bool = False, help: str) -> Callable[..., Any]:
    return click.option(*names, type=DAY, required=required, help=help)


def day_or_yesterday(store: StoreResource, day: datetime | None) -> str:
    return (day.date() if day else store.today() - timedelta(days=1)).isoformat()


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
