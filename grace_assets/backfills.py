"""Backfills that a Dagster webserver is asked for: its queue, and the workers behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from grace_assets.definitions import build_definitions

if TYPE_CHECKING:
    from dagster_graphql import DagsterGraphQLClient

    from grace_assets.settings import Settings

_LAUNCH = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
    ... on UnauthorizedError { message }
  }
}
"""


class NotLaunched(RuntimeError):
    """The webserver took no backfill; the message says why."""


def launch_backfill(
    client: DagsterGraphQLClient,
    settings: Settings,
    first: str,
    last: str,
    tags: Mapping[str, str],
) -> str:
    """Ask for the days first … last of every daily asset, and for no other days; returns its id.

    The days are named asset by asset: named once, those that read other days would add theirs.
    """
    import requests
    from dagster_graphql import DagsterGraphQLClientError
    from gql.transport.exceptions import TransportError

    days = {"range": {"start": first, "end": last}}
    params = {
        "partitionsByAssets": [
            {"assetKey": {"path": path}, "partitions": days} for path in daily_assets(settings)
        ],
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }
    try:
        answer = client._execute(_LAUNCH, {"params": params})["launchPartitionBackfill"]
    except (DagsterGraphQLClientError, TransportError, requests.RequestException) as error:
        raise NotLaunched("Dagster's webserver took no backfill; its log says why") from error
    if answer["__typename"] != "LaunchBackfillSuccess":
        raise NotLaunched(answer.get("message") or answer["__typename"])
    return answer["backfillId"]


def daily_assets(settings: Settings) -> list[Sequence[str]]:
    """The paths of the assets that have a partition a day."""
    graph = build_definitions(settings).resolve_asset_graph()
    keys = (key for key in graph.materializable_asset_keys if graph.get(key).is_partitioned)
    return sorted(list(key.path) for key in keys)
