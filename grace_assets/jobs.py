"""What is launched together."""

import dagster as dg

from grace_assets.checks import no_partitions_left_failed

LOOKING = dg.AssetSelection.checks(no_partitions_left_failed)
DELIVERY = dg.AssetSelection.groups("delivery")
PREVIEW = dg.AssetSelection.groups("preview")
MAINTENANCE = dg.AssetSelection.groups("maintenance")

missions_job = dg.define_asset_job(
    "missions_job",
    selection=dg.AssetSelection.all() - DELIVERY - PREVIEW - MAINTENANCE - LOOKING,
    description="A day from its events to its brief. Sends nothing.",
)
brief_job = dg.define_asset_job(
    "brief_job",
    selection=dg.AssetSelection.all() - PREVIEW - MAINTENANCE - LOOKING,
    description="A day from its events to its brief, and the brief to its readers.",
)
holds_job = dg.define_asset_job(
    "holds_job",
    selection=dg.AssetSelection.assets("mission_verdicts", "hold_daily"),
    description="Looks again at the recoveries of a day. A relapse opens its own day anew.",
)
delivery_job = dg.define_asset_job(
    "delivery_job",
    selection=DELIVERY,
    description="The brief of a day to its readers, or once more where an attempt is due.",
)
failed_partitions_job = dg.define_asset_job(
    "failed_partitions_job",
    selection=LOOKING,
    description="Looks for partitions whose latest attempt failed.",
)
maintenance_job = dg.define_asset_job(
    "maintenance_job",
    selection=MAINTENANCE,
    description="Puts old months together and drops old samples, where settings ask for it.",
)
JOBS = [
    missions_job,
    brief_job,
    holds_job,
    delivery_job,
    failed_partitions_job,
    maintenance_job,
]
