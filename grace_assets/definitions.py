"""The one entry point: `defs`, and the function that builds it with other settings."""

import dagster as dg

from grace_assets.assets import (
    analytics,
    briefs,
    credit,
    delivery,
    missions,
    preview,
    samples,
    telemetry,
    verdicts,
)
from grace_assets.checks import no_partitions_left_failed
from grace_assets.failures import run_failure_sensor
from grace_assets.jobs import JOBS
from grace_assets.resources import DeliveryResource, StoreResource
from grace_assets.run_history import build_run_history_sensors
from grace_assets.schedules import build_schedules
from grace_assets.sensors import SENSORS, build_source_sensors
from grace_assets.settings import Settings

ASSET_MODULES = [
    missions,
    samples,
    telemetry,
    credit,
    verdicts,
    analytics,
    briefs,
    delivery,
    preview,
]


def build_definitions(settings: Settings, store: StoreResource | None = None) -> dg.Definitions:
    """Everything Dagster knows of; `store` replaces the data directory, as tests do."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules(ASSET_MODULES),
        asset_checks=[no_partitions_left_failed],
        jobs=JOBS,
        schedules=build_schedules(settings),
        sensors=[
            *SENSORS,
            *build_source_sensors(settings),
            *build_run_history_sensors(settings),
            run_failure_sensor,
        ],
        resources={
            "store": store or StoreResource.from_settings(settings),
            "delivery": DeliveryResource.from_settings(settings),
        },
        # A day's work is seconds; a process a step would cost ten times as much.
        executor=dg.in_process_executor,
    )


defs = build_definitions(Settings.from_env())
