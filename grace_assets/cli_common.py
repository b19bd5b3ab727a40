"""What every command begins with: the settings, the data directory, a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from grace_assets.settings import Settings, SettingsError

if TYPE_CHECKING:
    from grace_assets.resources import StoreResource

DAY = click.DateTime(["%Y-%m-%d"])


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
