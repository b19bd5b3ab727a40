"""The demo: sample missions through the whole loop, told step by step."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.core.brief_overview import SAMPLE_PREFIX
from grace_assets.instance import run_days
from grace_assets.lake.mission_files import take_file
from grace_assets.resources import StoreResource
from grace_assets.settings import Settings

NEVER = {DELIVER_TAG: "never"}


def run_demo(settings: Settings, days: int, seed: int) -> None:
    """Make, ingest and backfill `days` days that end today, then let Grace follow up."""
    from grace_assets import sample

    store = StoreResource.from_settings(settings)
    refuse_real_data(store)
    today = store.today()
    first = today - timedelta(days=days - 1)
    click.echo(f"Making {days} days of sample missions and telemetry, {first} to {today} …")
    folder = settings.data_dir / "sample"
    made = sample.generate(
        today, days=days, seed=seed, timezone=settings.timezone, until=store.now()
    )
    missions_file, samples_file = sample.write(made, folder)
    with store.landing() as landing:
        counts = take_file(landing, missions_file)
        samples, _ = store.inbox(landing).take_sample_file(samples_file)
    click.echo(f"Ingested {counts.accepted:,} missions and {samples.accepted:,} KPI samples.")
    click.echo("Backfilling all assets as one Dagster run …")
    materialise(settings, first, today)
    follow_up(settings, store, folder, seed)
    show(store, today - timedelta(days=1))


def refuse_real_data(store: StoreResource) -> None:
    with store.landing() as landing:
        if landing.missions.holds_other_than(SAMPLE_PREFIX):
            raise click.ClickException(
                f"{store.root} holds real missions: set GRACE_DATA_DIR to another folder "
                "for the demo"
            )


def follow_up(settings: Settings, store: StoreResource, folder: Path, seed: int) -> None:
    """Carry out follow-ups as an agent would over the weeks, and report them back as missions."""
    missions = carried_out(store, seed)
    reported = folder / "follow_ups.jsonl"
    lines = (json.dumps(mission, ensure_ascii=False) + "\n" for mission in missions)
    reported.write_text("".join(lines), encoding="utf-8")
    with store.landing() as landing:
        before, _ = landing.journal.changed_days(0)
        take_file(landing, reported)
        _, changed = landing.journal.changed_days(before)
    if changed:
        click.echo(
            f"Grace carried out {len(missions)} follow-ups that she had asked for; "
            "the days since the first are made again …"
        )
        materialise(settings, date.fromisoformat(min(changed)), store.today())


def carried_out(store: StoreResource, seed: int) -> list[dict[str, Any]]:
    """The missions for all follow-ups of the story.

    One that is closed lets the next problem open another, so the history is folded until no
    new one comes.
    """
    import pyarrow as pa

    from grace_assets import sample
    from grace_assets.assets.briefs import follow_up_history
    from grace_assets.core.followups import fold_follow_ups

    problems, completed, issued = follow_up_history(store)
    done: dict[str, dict[str, Any]] = {}
    while True:
        rows = fold_follow_ups(problems, completed, issued).to_pylist()
        found = sample.follow_up_missions(rows, store.now(), seed)
        new = [mission for mission in found if mission["follow_up_id"] not in done]
        if not new:
            return list(done.values())
        done |= {mission["follow_up_id"]: mission for mission in new}
        reports = [
            {
                "date": mission["completed_at"][:10],
                "mission_id": mission["mission_id"],
                "follow_up_id": mission["follow_up_id"],
                "completed_at": datetime.fromisoformat(mission["completed_at"]),
                "verdict": "pending",
            }
            for mission in new
        ]
        completed = pa.concat_tables(
            [completed, pa.Table.from_pylist(reports, schema=completed.schema)]
        )


def materialise(settings: Settings, first: date, last: date) -> None:
    result = run_days(settings, "brief_job", first.isoformat(), last.isoformat(), NEVER)
    if not result.success:
        raise click.ClickException(f"run {result.run_id} failed; `make dev` shows it")
    click.echo(f"{(last - first).days + 1} days in run {result.run_id}.")


def show(store: StoreResource, day: date) -> None:
    from grace_assets.core.brief import Brief
    from grace_assets.render import text

    row = store.lake().read("status_briefs", [day.isoformat()]).to_pylist()[0]
    click.echo("\n" + text.render(Brief.from_json(row["content"])))
    click.echo(
        "\nLook around:  make dev   then http://127.0.0.1:3000 (Dagster) and :8000 (dashboard)\n"
        f"Read a brief: .venv/bin/grace brief --date {day} --format markdown\n"
        'Ask:          .venv/bin/grace ask "Did the fix work?"\n'
        f"The tables:   {store.files_url or store.root}/tables/<table>/date=YYYY-MM-DD/*.parquet"
    )
