"""What the environment says, read in one place and never at import.

Secrets (webhook URL, SMTP password, token) are not among them: those are read where they are
used, so that they cannot end up in a configuration that Dagster stores or shows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


class SettingsError(ValueError):
    """An environment variable has a value that cannot be used; the message names it."""


@dataclass(frozen=True)
class Settings:
    data_dir: Path
    files_url: str | None
    timezone: str
    start_date: date
    catalogue: Path | None
    briefs_enabled: bool
    brief_cron: str
    send_empty_days: bool
    false_success_limit: float
    health_polled: bool
    dagster_runs: bool
    public_url: str | None
    dagster_url: str
    graphql_url: str | None
    backfill_days_per_run: int | None
    compact_after_days: int | None
    keep_samples_days: int | None
    missions_at_once: int
    processes: int | None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def dagster_home(self) -> Path:
        """Dagster's home unless `DAGSTER_HOME` says otherwise; absolute, as Dagster requires."""
        return (self.data_dir / "dagster").absolute()

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        where = env.get("GRACE_DATA_DIR") or "data"
        bucket = _bucket(where)
        return cls(
            data_dir=Path((env.get("GRACE_STATE_DIR") or "data") if bucket else where),
            files_url=bucket,
            timezone=_timezone(env.get("GRACE_TIMEZONE") or "UTC"),
            start_date=_date("GRACE_START_DATE", env.get("GRACE_START_DATE") or "2025-01-01"),
            catalogue=_file(env, "GRACE_KPI_CATALOG"),
            briefs_enabled=_boolean(env, "ENABLE_AUTO_STATUS_BRIEFS", default=True),
            brief_cron=env.get("STATUS_BRIEF_CRON") or "0 8 * * *",
            send_empty_days=_choice(env, "STATUS_BRIEF_EMPTY_DAYS", ("send", "skip")) == "send",
            false_success_limit=_share(env, "GRACE_FALSE_SUCCESS_LIMIT", 0.02),
            # Whether, not where: the URL may hold a password.
            health_polled=bool(env.get("DOMAIN_HEALTH_URL")),
            dagster_runs=_boolean(env, "GRACE_DAGSTER_RUNS", default=False),
            public_url=_base_url(env, "GRACE_PUBLIC_URL"),
            dagster_url=_base_url(env, "DAGSTER_UI_URL") or "http://127.0.0.1:3000",
            graphql_url=_base_url(env, "DAGSTER_GRAPHQL_URL"),
            backfill_days_per_run=_count(env, "GRACE_BACKFILL_DAYS_PER_RUN"),
            compact_after_days=_count(env, "GRACE_COMPACT_AFTER_DAYS"),
            keep_samples_days=_count(env, "GRACE_KEEP_SAMPLES_DAYS", least=30),
            missions_at_once=_count(env, "GRACE_MISSIONS_AT_ONCE") or 50_000,
            processes=_count(env, "GRACE_PROCESSES"),
        )


def _bucket(where: str) -> str | None:
    """`s3://bucket[/prefix]`; null for a folder."""
    if "://" not in where:
        return None
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w./-]*)?", where, re.ASCII):
        # Not quoted: whoever puts keys there has a secret in it.
        raise SettingsError("GRACE_DATA_DIR: is neither a folder nor s3://bucket/prefix")
    return where.rstrip("/")


def _file(env: Mapping[str, str], variable: str) -> Path | None:
    value = env.get(variable)
    if not value:
        return None
    if not Path(value).is_file():
        raise SettingsError(f"{variable}: {value!r} is no file")
    return Path(value)


def _base_url(env: Mapping[str, str], variable: str) -> str | None:
    """An address that may stand in messages; null where not set."""
    value = env.get(variable, "").strip().rstrip("/")
    if not value:
        return None
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    except ValueError:
        usable = False
    if not usable or any(c in value for c in "<>|\"' "):
        # Not quoted: whoever puts a password there has a secret in it.
        raise SettingsError(f"{variable}: is not an http(s) URL without a user")
    return value


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(f"GRACE_TIMEZONE: {name!r} is not an IANA time zone") from error
    return name


def _date(variable: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise SettingsError(f"{variable}: {value!r} is not a date like 2025-01-31") from error


def _boolean(env: Mapping[str, str], variable: str, *, default: bool) -> bool:
    value = env.get(variable, "").strip().lower()
    if not value:
        return default
    if value in ("true", "1", "yes", "on"):
        return True
    if value in ("false", "0", "no", "off"):
        return False
    raise SettingsError(f"{variable}: {value!r} is neither true nor false")


def _choice(env: Mapping[str, str], variable: str, choices: tuple[str, ...]) -> str:
    """The value, or the first choice where it is not set."""
    value = env.get(variable) or choices[0]
    if value not in choices:
        raise SettingsError(f"{variable}: {value!r} is not one of {', '.join(choices)}")
    return value


def _count(env: Mapping[str, str], variable: str, least: int = 1) -> int | None:
    value = env.get(variable)
    if not value:
        return None
    if not value.isascii() or not value.isdigit() or not least <= int(value) < 100_000:
        raise SettingsError(f"{variable}: {value!r} is not a whole number above {least - 1}")
    return int(value)


def _share(env: Mapping[str, str], variable: str, default: float) -> float:
    value = env.get(variable)
    if not value:
        return default
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise SettingsError(f"{variable}: {value!r} is not a number from 0 to 1")
    return share
