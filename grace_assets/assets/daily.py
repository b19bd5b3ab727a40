"""What every asset shares: one day a partition, many days a run, and a page worth opening.

An asset reads tables, calls plain functions, writes its table and reports. This module holds the
first and the last of these, so that each asset is only its own twenty lines.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from grace_assets.assets.portions import Portion, give_back
from grace_assets.core.schemas import TABLES
from grace_assets.partitions import DAILY

if TYPE_CHECKING:
    import pyarrow as pa

    from grace_assets.lake.tables import Lake

OWNER = "team:reliability"
PREVIEW_CHARACTERS = 800
"""Dagster shows markdown in place below 1,000 characters, and behind a link above; the rest is
for a line in front."""
PREVIEW_ROWS = 100
"""More never fit."""


def daily_asset(
    *,
    group: str,
    description: str,
    kinds: set[str],
    deps: Sequence[str | dg.AssetDep] = (),
    checks: Sequence[dg.AssetCheckSpec] = (),
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An asset of the house: daily, whole ranges in one run, alone in its pool, fully described."""

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        name = function.__name__
        return dg.asset(
            name=name,
            description=description,
            group_name=group,
            kinds=kinds,
            owners=[OWNER],
            tags={"domain": "operations"},
            metadata=_definition_metadata(name),
            partitions_def=DAILY,
            pool=name,
            deps=list(deps),
            check_specs=list(checks),
        )(function)

    return decorate


def earlier(name: str, days: int) -> dg.AssetDep:
    """A dependency on the same day and so many days before.

    Runs of a backfill that is split keep that order; see `definitions`.
    """
    with warnings.catch_warnings():
        # Days before the first partition are beta; without it the first days could not be made.
        warnings.simplefilter("ignore", dg.BetaWarning)
        mapping = dg.TimeWindowPartitionMapping(
            start_offset=-days, allow_nonexistent_upstream_partitions=True
        )
    return dg.AssetDep(name, partition_mapping=mapping)


def _definition_metadata(name: str) -> dict[str, Any]:
    if name not in TABLES:
        return {}
    schema = TABLES[name]
    columns = [
        dg.TableColumn(
            c.name,
            c.type,
            c.description,
            constraints=dg.TableColumnConstraints(nullable=not c.required, unique=c.unique),
        )
        for c in schema.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/table_name": f"tables.{name}",
    }


def check(asset: str, name: str, description: str, *, blocking: bool = False) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name, asset=asset, description=description, blocking=blocking)


def verdict(
    context: dg.AssetExecutionContext, name: str, offenders: Sequence[str], *, warn: bool = False
) -> dg.AssetCheckResult:
    """Passed where nobody offends; otherwise a count and the first few."""
    return dg.AssetCheckResult(
        asset_key=context.asset_key,
        check_name=name,
        passed=not offenders,
        severity=dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR,
        metadata={"offenders": len(offenders), "sample": ", ".join(offenders[:10]) or "none"},
    )


class DailyTable:
    """The asset's table, alone for a run: what is written to it portion by portion.

    A day is replaced as a whole once its last portion is there, and told on its partition's page
    with a preview of the columns `shown`.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, lake: "Lake", shown: Sequence[str]
    ) -> None:
        self._context, self._lake, self._shown = context, lake, shown
        self._table = context.asset_key.path[-1]
        self._day = ExitStack()

    def __enter__(self) -> "DailyTable":
        with ExitStack() as opened:
            opened.enter_context(self._lake.exclusive(self._table, self._context.partition_keys))
            opened.push(self._day)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        # With the error: a day that is not whole then stays as it was.
        self._opened.__exit__(*error)

    def write(
        self,
        portion: Portion,
        rows: "pa.Table",
        figures: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """`figures` by day go with a portion's rows to the days' pages."""
        self._write(portion, rows, figures)
        give_back()

    def _write(
        self,
        portion: Portion,
        rows: "pa.Table",
        figures: Mapping[str, Mapping[str, Any]] | None,
    ) -> None:
        if portion.whole:
            written = self._lake.replace(self._table, portion.days, rows)
            report(self._context, written, previews(rows, self._shown), figures)
            return
        (day,) = portion.days
        if portion.first:
            self._add = self._day.enter_context(self._lake.replacing(self._table, day))
            self._rows, self._head = 0, _head(rows, self._shown)
        self._add(rows)
        self._rows += rows.num_rows
        if portion.last:
            self._day.close()
            text = preview(self._head, self._rows)
            report(self._context, {day: self._rows}, {day: text}, figures)


def days_around(days: Sequence[str], before: int, after: int) -> list[str]:
    """`days` (ascending) with the calendar days up to `before` earlier and `after` later."""
    first = date.fromisoformat(days[0]) - timedelta(days=before)
    last = date.fromisoformat(days[-1]) + timedelta(days=after)
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


def report(
    context: dg.AssetExecutionContext,
    rows: Mapping[str, int],
    previews: Mapping[str, str],
    figures: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Metadata of each day on its own partition; a range run would stamp one set on all."""
    for day, count in rows.items():
        context.add_asset_metadata(
            {
                "dagster/partition_row_count": count,
                "preview": dg.MetadataValue.md(previews.get(day) or "_Nothing on this day._"),
                **((figures or {}).get(day, {})),
            },
            asset_key=context.asset_key,
            partition_key=day,
        )


def previews(rows: "pa.Table", columns: Sequence[str]) -> dict[str, str]:
    """A markdown table a day, of as many rows as the page shows in place."""
    from grace_assets.lake.conform import split_by_day

    return {
        day: preview(_head(part, columns), part.num_rows)
        for day, part in split_by_day(rows).items()
    }


def _head(rows: "pa.Table", columns: Sequence[str]) -> list[dict[str, Any]]:
    return rows.slice(0, PREVIEW_ROWS).select(columns).to_pylist()


def preview(records: Sequence[Mapping[str, Any]], total: int) -> str:
    """Records as markdown within the budget, saying how many more there are."""
    if not records:
        return ""
    header = "| " + " | ".join(records[0]) + " |\n|" + "---|" * len(records[0])
    text, shown = header, 0
    for record in records:
        line = "\n| " + " | ".join(_cell(value) for value in record.values()) + " |"
        if len(text) + len(line) > PREVIEW_CHARACTERS - 40:
            break
        text, shown = text + line, shown + 1
    return text if shown == total else f"{text}\n\n… and {total - shown} more"


def _cell(value: Any) -> str:
    from grace_assets.core.wording import clean
    from grace_assets.render.markdown import escape

    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if hasattr(value, "strftime"):
        return value.strftime("%m-%d %H:%M")
    if isinstance(value, list):
        value = ", ".join(str(v) for v in value)
    # Event text: no cell breaks, no markup, no images that would load from elsewhere.
    return escape(clean(str(value), 60))
