"""What commands share: the settings, the data directory, a day, and how a bad disk is told."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from grace_assets.settings import Settings, SettingsError

if TYPE_CHECKING:
    from grace_assets.resources import StoreResource

DAY = click.DateTime(["%Y-%m-%d"])


class Commands(click.Group):
    """What the disk refuses is told in a sentence, whatever the command."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OSError as error:
            # A reader of our output that went away is click's to handle.
            if error.errno == errno.EPIPE:
                raise
            raise click.ClickException(str(error)) from error
        except sqlite3.Error as error:
            raise click.ClickException(f"{settings_or_exit().data_dir}: {error}") from error


def settings_or_exit() -> Settings:
    try:
        return Settings.from_env()
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def open_store() -> StoreResource:
    from grace_assets.resources import StoreResource

    return StoreResource.from_settings(settings_or_exit())


def day_option(*names: str, required: bool = False, help: str) -> Callable[..., Any]:
    return click.option(*names, type=DAY, required=required, help=help)


def day_or_yesterday(store: StoreResource, day: datetime | None) -> str:
    return (day.date() if day else store.today() - timedelta(days=1)).isoformat()
