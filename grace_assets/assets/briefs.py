"""Follow-ups for what keeps breaking, and the brief of the day."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import reduce
from itertools import chain
from os import environ
from typing import TYPE_CHECKING

import dagster as dg

from grace_assets.assets.daily import (
    check,
    daily_asset,
    days_around,
    earlier,
    previews,
    report,
    verdict,
)
from grace_assets.assets.portions import CHUNK_DAYS
from grace_assets.core.look_back import EVER, HOLD_DAYS, TREND_DAYS
from grace_assets.resources import StoreResource

if TYPE_CHECKING:
    import pyarrow as pa

    from grace_assets.core.brief import Brief
    from grace_assets.core.brief_trend import TrendLine
    from grace_assets.lake.tables import Lake

POST_WITHIN_DAYS = 2
"""A follow-up older than this was found by a backfill: it is recorded, and nobody is sent out."""


def follow_up_history(store: StoreResource) -> tuple["pa.Table", "pa.Table", dict]:
    """All problems, all missions that carried out a follow-up, and what was announced."""
    import pyarrow as pa

    from grace_assets.core.followups import completed_follow_ups

    lake = store.lake()
    columns = ["mission_id", "follow_up_id", "completed_at", "verdict"]
    days = lake.days("mission_outcomes")
    completed = [
        completed_follow_ups(outcomes) for outcomes in lake.scan("mission_outcomes", days, columns)
    ]
    none = completed_follow_ups(lake.read("mission_outcomes", [], columns))
    problems = lake.read("problems", lake.days("problems"))
    return problems, pa.concat_tables([none, *completed]), store.outbox().issued()


@daily_asset(
    group="briefs",
    description=(
        "Missions that Grace asks for, one open one per domain and episode, by the day they "
        "were opened. A later day may add evidence to them or close them."
    ),
    kinds={"python", "parquet"},
    deps=[earlier("problems", EVER), earlier("mission_outcomes", EVER)],
)
def follow_up_missions(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    import pyarrow.compute as pc

    from grace_assets.core.followups import ROWS_AT_ONCE, fold_follow_ups

    lake, outbox = store.lake(), store.outbox()
    with lake.exclusive("follow_up_missions"):
        rows = fold_follow_ups(*follow_up_history(store))
        stored = lake.days("follow_up_missions")
        days = sorted({*context.partition_keys, *stored, *rows["date"].unique().to_pylist()})
        before = lake.read("follow_up_missions", stored)
        # Evidence and closings reach back to the day of opening: write what differs, and the
        # days asked for.
        for day in days:
            now_rows = rows.filter(pc.equal(rows["date"], day))
            if day in context.partition_keys or not now_rows.equals(
                before.filter(pc.equal(before["date"], day))
            ):
                lake.replace("follow_up_missions", [day], now_rows)
        narrow = rows.drop_columns(["evidence"]).to_batches(max_chunksize=ROWS_AT_ONCE)
        announced = outbox.announce(row for some in narrow for row in some.to_pylist())
    posted = post_follow_ups(context, store, outbox)
    counts = {
        day: pc.sum(pc.equal(rows["date"], day)).as_py() or 0 for day in context.partition_keys
    }
    report(context, counts, previews(rows, ["domain_id", "status", "priority", "reason"]))
    return dg.MaterializeResult(metadata={"announced_in_run": announced, "posting": posted})


def post_follow_ups(context: dg.AssetExecutionContext, store: StoreResource, outbox) -> str:
    """Post new follow-ups where a webhook is set, unless the run reaches into the past."""
    url = environ.get("FOLLOW_UP_WEBHOOK_URL")
    if not url:
        return "no webhook is set"
    oldest = min(context.partition_keys)
    if (store.today() - datetime.fromisoformat(oldest).date()).days > POST_WITHIN_DAYS:
        return "not posted: the run reaches into the past"
    return str(outbox.post_pending(url, store.now()))


@daily_asset(
    group="briefs",
    description=(
        "The brief of the day: what Grace fixed, what did not work, what follows. Text, "
        "markdown, HTML and JSON come from one view model."
    ),
    kinds={"python", "parquet", "markdown"},
    deps=[
        "mission_outcomes",
        "mission_telemetry",
        earlier("domain_daily", TREND_DAYS - 1),
        "kpi_daily",
        "problems",
        "follow_up_missions",
        "mission_verdicts",
        earlier("hold_daily", HOLD_DAYS - 1),
    ],
    checks=[
        check(
            "status_briefs",
            "brief_numbers_supported",
            "No number in a brief that no row supports.",
            blocking=True,
        ),
        check(
            "status_briefs",
            "channel_numbers_supported",
            "No number in any channel's text of the last day that the brief does not hold.",
        ),
    ],
)
def status_briefs(
    context: dg.AssetExecutionContext, store: StoreResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    from grace_assets.core.brief import brief_rows, content_hash
    from grace_assets.core.brief_trend import COLUMNS, day_totals, trend_lines
    from grace_assets.core.claims import unsupported_in_brief
    from grace_assets.core.followups import follow_ups_by_day
    from grace_assets.render import markdown
    from grace_assets.render.charts import markdown_sparklines
    from grace_assets.render.claims import unsupported_in_channels

    lake, ledger = store.lake(), store.ledger()
    days = map(date.fromisoformat, context.partition_keys)
    follow_ups = follow_ups_by_day(*follow_up_history(store), days)
    unsupported, in_channels, previews_by_day, written, figures = [], [], {}, {}, {}
    around = days_around(context.partition_keys, TREND_DAYS - 1, 0)
    totals = day_totals(lake.read("domain_daily", around, COLUMNS))
    made = lake.days("domain_daily")
    with lake.exclusive("status_briefs", context.partition_keys):
        for day, holds in with_holds(lake, context.partition_keys):
            lines = trend_lines(date.fromisoformat(day), totals, made)
            brief = brief_of(store, day, next(follow_ups), holds, lines)
            text = markdown.render(brief)
            digest = content_hash(brief)
            revision = next_revision(ledger.last_delivered(day), digest)
            rows = brief_rows([brief], {day: revision}, [text])
            unsupported += [f"{day}: {number}" for number in unsupported_in_brief(brief)]
            written |= lake.replace("status_briefs", [day], rows)
            columns = ("domain_id", "missions", "successes", "effective")
            table = previews(lake.read("domain_daily", [day], columns), columns).get(day, "")
            previews_by_day[day] = f"**{brief.headline}**\n\n{table}"
            figures[day] = {"brief": dg.MetadataValue.md(text), "revision": revision}
            if day == context.partition_keys[-1]:
                for channel, numbers in unsupported_in_channels(brief).items():
                    in_channels += [f"{day} in {channel}: {number}" for number in numbers]
            if lines and day == context.partition_keys[-1]:
                # Twenty kilobytes: a year of them would be most of the event log.
                figures[day]["charts"] = dg.MetadataValue.md(markdown_sparklines(lines))
    report(context, written, previews_by_day, figures)
    yield dg.MaterializeResult()
    yield verdict(context, "brief_numbers_supported", unsupported)
    # A channel cuts and escapes what events say: a false alarm must not hold back the brief.
    yield verdict(context, "channel_numbers_supported", in_channels, warn=True)


def brief_of(
    store: StoreResource,
    day: str,
    follow_ups: "pa.Table",
    holds: "pa.Table",
    trends: tuple["TrendLine", ...],
) -> "Brief":
    from grace_assets.core.brief import build_brief
    from grace_assets.core.brief_overview import COLUMNS, overview

    lake = store.lake()
    start, end = store.bounds(day)
    seen = overview(lake.scan("mission_outcomes", [day], COLUMNS))
    verdicts = restated_history(lake, day)
    named = [verdicts["mission_id"], follow_ups["closed_by_mission_id"]]
    wanted = {"domain_id": seen.shown, "mission_id": chain(*(ids.to_pylist() for ids in named))}
    return build_brief(
        start.astimezone(store.zone).date(),
        start,
        end,
        store.timezone,
        having_any(lake, "mission_outcomes", day, wanted),
        having_any(lake, "mission_telemetry", day, {"domain_id": seen.shown}),
        lake.read("kpi_daily", [day]),
        lake.read("problems", [day]),
        follow_ups,
        complete=store.now() >= end,
        seen=seen,
        verdicts=verdicts,
        holds=holds,
        trends=trends,
    )


def with_holds(lake: "Lake", days: Sequence[str]) -> Iterator[tuple[str, "pa.Table"]]:
    """Each day with the rows of `hold_daily` up to it, whose files are read once a month."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for start in range(0, len(days), CHUNK_DAYS):
        some = days[start : start + CHUNK_DAYS]
        rows = lake.read("hold_daily", days_around(some, HOLD_DAYS - 1, 0))
        for day in some:
            wanted = pa.array(days_around([day], HOLD_DAYS - 1, 0))
            yield day, rows.filter(pc.is_in(rows["date"], wanted))


def restated_history(lake: "Lake", day: str) -> "pa.Table":
    """Rows of `mission_verdicts` of the missions whose verdict was not the only one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    none = lake.read("mission_verdicts", [])
    ids = [
        rows["mission_id"].filter(pc.equal(rows["stage"], "restated"))
        for rows in lake.scan("mission_verdicts", [day], ["mission_id", "stage"])
    ]
    again = pa.concat_tables(pa.table({"id": found}) for found in [none["mission_id"], *ids])
    missions = again["id"].unique()
    found = lake.scan("mission_verdicts", [day], missions=missions) if len(missions) else ()
    return pa.concat_tables([none, *found])


def having_any(
    lake: "Lake", table: str, day: str, wanted: Mapping[str, Iterable[str | None]]
) -> "pa.Table":
    """Rows of a day where a column holds one of the values wanted of it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = {name: pa.array(of_column, pa.string()) for name, of_column in wanted.items()}
    parts = [lake.read(table, [])]
    for rows in lake.scan(table, [day]):
        masks = [pc.is_in(rows[name], its) for name, its in values.items()]
        parts.append(rows.filter(reduce(pc.or_, masks)))
    return pa.concat_tables(parts)


def next_revision(delivered: tuple[int, str] | None, digest: str) -> int:
    """A revision is what readers were sent: it grows only when a delivered brief changes."""
    if delivered is None:
        return 1
    revision, delivered_digest = delivered
    return revision if delivered_digest == digest else revision + 1
