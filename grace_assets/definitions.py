"""The one entry point: `defs`, and the function that builds it with other settings."""

import gc
import warnings

import dagster as dg

from grace_assets.assets import (
    analytics,
    briefs,
    credit,
    delivery,
    maintenance,
    missions,
    preview,
    samples,
    telemetry,
    verdicts,
    world,
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
    world,
    delivery,
    preview,
    maintenance,
]


def build_definitions(settings: Settings, store: StoreResource | None = None) -> dg.Definitions:
    """Everything Dagster knows of; `store` replaces the data directory, as tests do."""
    return dg.Definitions(
        assets=_assets(settings),
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


def _assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets; a UI backfill is one run, or runs of so many days as the settings say."""
    days = settings.backfill_days_per_run
    with warnings.catch_warnings():
        # backfill_policy is beta; what a year in one run needs.
        warnings.simplefilter("ignore", dg.BetaWarning)
        policy = dg.BackfillPolicy.multi_run(days) if days else dg.BackfillPolicy.single_run()
        assets = dg.load_assets_from_modules(ASSET_MODULES, backfill_policy=policy)
    # One run makes a table's days before the next table's: there the days read beside a table's
    # own need no mention, and a backfill in the UI stays with the days that were asked for.
    return [asset if days else asset.map_asset_specs(_same_day) for asset in assets]


def _same_day(spec: dg.AssetSpec) -> dg.AssetSpec:
    return spec.replace_attributes(deps=[dg.AssetDep(dep.asset_key) for dep in spec.deps])


defs = build_definitions(Settings.from_env())

# What is loaded by now stays: to look through it again and again took a tenth of a small day.
gc.freeze()
