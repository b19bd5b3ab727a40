"""What assets and sensors reach the outside through.

Only places and switches are configured here. Secrets stay in the environment and are read by
`grace_assets.notify` when a message goes out, so Dagster never stores or shows one.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import dagster as dg

from grace_assets.lake.database import state_url
from grace_assets.settings import Settings

if TYPE_CHECKING:
    from grace_assets.ask.answer import Answerer
    from grace_assets.ask.notes import Notes
    from grace_assets.core.catalogue import Catalogue
    from grace_assets.lake.files import Files
    from grace_assets.lake.inbox import Inbox
    from grace_assets.lake.landing import Landing
    from grace_assets.lake.locks import Locks
    from grace_assets.lake.s3_files import S3Files
    from grace_assets.lake.samples import SampleStore
    from grace_assets.lake.source_log import SourceLog
    from grace_assets.lake.tables import Lake
    from grace_assets.notify.followup_outbox import FollowUpOutbox
    from grace_assets.notify.ledger import Ledger
    from grace_assets.world.store import WorldModel


class StoreResource(dg.ConfigurableResource):
    """The data directory: landing, samples, tables, world model, delivery ledger.

    With `files_url` (`s3://bucket/prefix`) tables and samples lie there, with `GRACE_STATE_URL`
    what was received and sent in that database, and the rest here.
    """

    data_dir: str
    timezone: str
    files_url: str | None = None
    catalogue_file: str | None = None
    false_success_limit: float = 0.02
    compact_after_days: int | None = None
    keep_samples_days: int | None = None
    missions_at_once: int = 50_000
    processes: int | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> "StoreResource":
        return cls(
            data_dir=str(settings.data_dir),
            timezone=settings.timezone,
            files_url=settings.files_url,
            catalogue_file=str(settings.catalogue) if settings.catalogue else None,
            false_success_limit=settings.false_success_limit,
            compact_after_days=settings.compact_after_days,
            keep_samples_days=settings.keep_samples_days,
            missions_at_once=settings.missions_at_once,
            processes=settings.processes,
        )

    @property
    def root(self) -> Path:
        return Path(self.data_dir)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def _files(self) -> "Files":
        from grace_assets.lake.local_files import LocalFiles

        return self.bucket() or LocalFiles(self.root)

    def bucket(self) -> "S3Files | None":
        """The bucket, where there is one: inbox and outbox lie there as well."""
        from grace_assets.lake.s3_files import S3Files

        return S3Files(self.files_url) if self.files_url else None

    def _locks(self) -> "Locks":
        from grace_assets.lake.locks import Locks

        return Locks(self.root, state_url())

    def now(self) -> datetime:
        return datetime.now(UTC)

    def today(self) -> date:
        return self.now().astimezone(self.zone).date()

    def bounds(self, day: str) -> tuple[datetime, datetime]:
        """Start and end of a local day in UTC: 23, 24 or 25 hours apart."""
        start = date.fromisoformat(day)
        midnight = datetime.min.time()
        return tuple(
            datetime.combine(d, midnight, self.zone).astimezone(UTC)
            for d in (start, start + timedelta(days=1))
        )

    def lake(self) -> "Lake":
        from grace_assets.lake.tables import Lake

        return Lake(self.root, self._files, self._locks())

    @contextmanager
    def landing(self) -> Iterator["Landing"]:
        from grace_assets.lake.landing import Landing

        landing = Landing(self.root, self.zone, state_url())
        try:
            yield landing
        finally:
            landing.close()

    def inbox(self, landing: "Landing") -> "Inbox":
        from grace_assets.lake.inbox import Inbox

        reach = self.catalogue().settle_and_window_max.total_seconds()
        bucket = self.bucket()
        return Inbox(self.root, self.zone, landing, reach, self.samples(), bucket)

    def samples(self) -> "SampleStore":
        from grace_assets.lake.samples import SampleStore

        return SampleStore(self.root, self._files, self._locks())

    def closed(self, days: Sequence[str]) -> list[str]:
        """Those of `days` that cannot be judged again: samples they were judged by are dropped."""
        from grace_assets.core.windows import REFERENCE_DAYS

        kept_since = self.samples().kept_since()
        if kept_since is None:
            return []
        # A day more on either side, for windows that cross midnight and time zones.
        first_open = date.fromisoformat(kept_since) + timedelta(days=REFERENCE_DAYS + 2)
        return [day for day in days if day < first_open.isoformat()]

    def source_log(self) -> "SourceLog":
        from grace_assets.lake.source_log import SourceLog

        return SourceLog(self.root, state_url())

    def catalogue(self) -> "Catalogue":
        from grace_assets.core.catalogue import SHIPPED, parse_catalogue

        path = Path(self.catalogue_file) if self.catalogue_file else SHIPPED
        return parse_catalogue(path.read_text(encoding="utf-8"), str(path))

    def answerer(self, notes: "Notes") -> "Answerer":
        """Answers from what `notes` reads of the tables, and keeps."""
        from grace_assets.ask.answer import Answerer

        return Answerer(notes.analytics, self.now, self.zone, notes)

    def notes(self) -> "Notes":
        from grace_assets.ask.notes import Notes
        from grace_assets.lake.analytics import Analytics
        from grace_assets.world.semantic import best_search

        return Notes(Analytics(self.lake()), lambda: best_search(self.world()))

    def world(self) -> "WorldModel":
        from grace_assets.world.store import WorldModel

        return WorldModel(self.root / "state" / "world.sqlite")

    def ledger(self) -> "Ledger":
        from grace_assets.notify.ledger import Ledger

        url = environ.get("GRACE_LEDGER_URL") or state_url()
        return Ledger(url or self.root / "state" / "delivery.sqlite")

    def outbox(self) -> "FollowUpOutbox":
        from grace_assets.notify.followup_outbox import FollowUpOutbox

        return FollowUpOutbox(self.root, state_url(), self.bucket())


class DeliveryResource(dg.ConfigurableResource):
    """When briefs go out. Where to, and with which secret, is read from the environment."""

    enabled: bool = True
    send_empty_days: bool = True
    public_url: str | None = None
    dagster_url: str = "http://127.0.0.1:3000"

    @classmethod
    def from_settings(cls, settings: Settings) -> "DeliveryResource":
        return cls(
            enabled=settings.briefs_enabled,
            send_empty_days=settings.send_empty_days,
            public_url=settings.public_url,
            dagster_url=settings.dagster_url,
        )

    def environment(self) -> Mapping[str, str]:
        return environ
