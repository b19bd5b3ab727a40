"""The one entry point: `defs`, and the function that builds it with other settings."""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)

from grace_assets.assets import analytics, briefs, delivery, missions, telemetry  # noqa: E402
from grace_assets.checks import no_partitions_left_failed  # noqa: E402
from grace_assets.jobs import JOBS  # noqa: E402
from grace_assets.resources import DeliveryResource, StoreResource  # noqa: E402
from grace_assets.schedules import build_schedules  # noqa: E402
from grace_assets.sensors import SENSORS  # noqa: E402
from grace_assets.settings import Settings  # noqa: E402


def build_definitions(settings: Settings, store: StoreResource | None = None) -> dg.Definitions:
    """Everything Dagster knows of; `store` replaces the data directory, as tests do."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules([missions, telemetry, analytics, briefs, delivery]),
        asset_checks=[no_partitions_left_failed],
        jobs=JOBS,
        schedules=build_schedules(settings),
        sensors=SENSORS,
        resources={
            "store": store or StoreResource.from_settings(settings),
            "delivery": DeliveryResource.from_settings(settings),
        },
        # A day's work is seconds; a process a step would cost ten times as much.
        executor=dg.in_process_executor,
    )


defs = build_definitions(Settings.from_env())
