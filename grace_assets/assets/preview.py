"""The look of the next brief, without sending it."""

from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.assets.daily import OWNER
from grace_assets.resources import DeliveryResource, StoreResource

if TYPE_CHECKING:
    from pathlib import Path


def write_preview(
    store: StoreResource, delivery: DeliveryResource, day: str | None = None
) -> "tuple[Path, dict[str, list[str]]] | None":
    """The page of a day's brief, of the latest there is where none is named; null without one.

    Returns its file and where each channel would send it.
    """
    from grace_assets.lake.durable import replacing
    from grace_assets.render import preview
    from grace_assets.render.message import brief_message

    lake = store.lake()
    made = [day] if day else lake.days("status_briefs")[-1:]
    rows = lake.read("status_briefs", made).to_pylist()
    if not rows:
        return None
    message = brief_message(rows[0], delivery.public_url)
    goes_to = destinations(store, delivery)
    page = preview.render(message, goes_to).encode()
    path = store.root.absolute() / "preview" / f"{message.date}.html"
    with replacing(path) as file:
        file.write(page)
    return path, goes_to


def destinations(store: StoreResource, delivery: DeliveryResource) -> dict[str, list[str]]:
    """Where each channel leads now; what is wrong with one that is set wrongly."""
    from grace_assets.notify.channels import ChannelError, Channels
    from grace_assets.notify.routes import CHANNELS, route

    channels = Channels.from_env(delivery.environment())
    leads = {}
    for channel in CHANNELS:
        try:
            leads[channel] = list(
                route(channel, channels, store.bucket() or store.root).destinations
            )
        except ChannelError as error:
            leads[channel] = [str(error)]
    return leads


@dg.asset(
    group_name="preview",
    description=(
        "The look of the next brief in every channel, as one page. Materialise it at any time: "
        "it shows the latest brief, of today so far, and sends nothing."
    ),
    kinds={"python", "html"},
    owners=[OWNER],
    tags={"domain": "operations"},
    deps=["status_briefs"],
)
def brief_preview(store: StoreResource, delivery: DeliveryResource) -> dg.MaterializeResult:
    written = write_preview(store, delivery)
    if written is None:
        return dg.MaterializeResult(metadata={"page": "there is no brief yet"})
    path, goes_to = written
    leads = "\n".join(f"- **{name}**: {', '.join(to) or 'nowhere'}" for name, to in goes_to.items())
    return dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.path(path),
            "open": dg.MetadataValue.url(path.as_uri()),
            "would_go_to": dg.MetadataValue.md(leads),
        }
    )
