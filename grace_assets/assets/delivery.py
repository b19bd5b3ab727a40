"""Where each brief went. Whether to send is decided here; how, in `grace_assets.notify`."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.assets.daily import daily_asset, preview, previews, report
from grace_assets.resources import DeliveryResource, StoreResource

if TYPE_CHECKING:
    from grace_assets.notify.message import Message

DELIVER_TAG = "grace/deliver"
"""Run tag: `always` sends the brief of any closed day of the run, `never` none. Without it a run
of one day sends if that is the day that closed last; an older day, or a range, is a backfill."""
RETRY_REJECTED_TAG = "grace/retry_rejected"


def policy(context: dg.AssetExecutionContext, delivery: DeliveryResource, today: date) -> str:
    """`send`, or `suppress:` and the reason as CONTRACT `deliveries` names it."""
    tag = context.run.tags.get(DELIVER_TAG)
    yesterday = (today - timedelta(days=1)).isoformat()
    if tag == "never" or (tag is None and list(context.partition_keys) != [yesterday]):
        return "suppress:backfill"
    if tag is None and not delivery.enabled:
        return "suppress:disabled"
    return "send"


def deliver_channel(
    context: dg.AssetExecutionContext,
    store: StoreResource,
    delivery: DeliveryResource,
    channel: str,
) -> dg.MaterializeResult:
    """Hand the closed days of a run to one channel."""
    from grace_assets.notify.channels import Channels
    from grace_assets.notify.deliver import deliver

    channels = Channels.from_env(delivery.environment())
    ledger = store.ledger()
    counts, notes = {}, {}
    for day, message, missions in messages(store, context.partition_keys, delivery.public_url):
        decision = policy(context, delivery, store.today())
        if decision == "send" and not missions and not delivery.send_empty_days:
            decision = "suppress:empty_day"
        results = deliver(
            channel,
            message,
            ledger,
            channels,
            store.bucket() or store.root,
            store.now(),
            decision,
            retry_rejected=RETRY_REJECTED_TAG in context.run.tags,
        )
        counts[day] = len(results)
        notes[day] = preview(
            [{"to": r.destination, "status": r.status, "why": r.reason} for r in results],
            len(results),
        )
    report(context, {day: counts.get(day, 0) for day in context.partition_keys}, notes)
    return dg.MaterializeResult()


def messages(
    store: StoreResource, days: list[str], public_url: str | None
) -> Iterator[tuple[str, "Message", int]]:
    """The briefs of closed days, rendered; a day that is not over has nothing to send yet."""
    from grace_assets.render.message import brief_message

    today = store.today().isoformat()
    for row in store.lake().read("status_briefs", days).to_pylist():
        if row["date"] < today:
            yield row["date"], brief_message(row, public_url), row["missions"]


@daily_asset(
    group="delivery",
    description="The brief to Slack, once; into the outbox where no webhook is set.",
    kinds={"python", "slack"},
    deps=["status_briefs"],
)
def slack_delivery(
    context: dg.AssetExecutionContext, store: StoreResource, delivery: DeliveryResource
) -> dg.MaterializeResult:
    return deliver_channel(context, store, delivery, "slack")


@daily_asset(
    group="delivery",
    description="The brief to each recipient, once; into the outbox where no server is set.",
    kinds={"python", "email"},
    deps=["status_briefs"],
)
def email_delivery(
    context: dg.AssetExecutionContext, store: StoreResource, delivery: DeliveryResource
) -> dg.MaterializeResult:
    return deliver_channel(context, store, delivery, "email")


@daily_asset(
    group="delivery",
    description="The brief, in short, to each Apprise URL, once; nothing where none is set.",
    kinds={"python"},
    deps=["status_briefs"],
)
def apprise_delivery(
    context: dg.AssetExecutionContext, store: StoreResource, delivery: DeliveryResource
) -> dg.MaterializeResult:
    return deliver_channel(context, store, delivery, "apprise")


@daily_asset(
    group="delivery",
    description="Readable copy of the delivery ledger: where each brief went, and why not.",
    kinds={"python", "parquet"},
    deps=["slack_delivery", "email_delivery", "apprise_delivery"],
)
def deliveries(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    import pyarrow as pa

    from grace_assets.core.schemas import TABLES

    lake, ledger = store.lake(), store.ledger()
    with lake.exclusive("deliveries", context.partition_keys):
        records = [row for day in context.partition_keys for row in ledger.rows(day)]
        rows = pa.Table.from_pylist(records, schema=TABLES["deliveries"].with_date())
        written = lake.replace("deliveries", context.partition_keys, rows)
    report(context, written, previews(rows, ["channel", "destination", "status", "reason"]))
    return dg.MaterializeResult()
