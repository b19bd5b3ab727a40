"""The definitions load anywhere, and the graph is the one we mean."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import dagster as dg
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from grace_assets.assets.daily import OWNER, PREVIEW_CHARACTERS, preview
from grace_assets.assets.delivery import DELIVER_TAG
from grace_assets.core.schemas import TABLES
from grace_assets.definitions import build_definitions
from grace_assets.settings import Settings, SettingsError

ROOT = Path(__file__).parents[1]

GRAPH = {
    "mission_events": ("missions", set()),
    "rejected_events": ("missions", set()),
    "kpi_samples": ("telemetry", {"mission_events"}),
    "mission_telemetry": ("telemetry", {"mission_events", "kpi_samples"}),
    "placebo_daily": ("telemetry", {"mission_events", "kpi_samples"}),
    "mission_controls": ("telemetry", {"mission_events", "mission_telemetry"}),
    "mission_outcomes": (
        "telemetry",
        {"mission_events", "mission_telemetry", "mission_controls", "placebo_daily"},
    ),
    "mission_verdicts": ("telemetry", {"mission_outcomes"}),
    "domain_daily": ("analytics", {"mission_outcomes"}),
    "kpi_daily": ("analytics", {"mission_telemetry"}),
    "hold_daily": ("analytics", {"mission_verdicts", "mission_outcomes"}),
    "problems": (
        "analytics",
        {"mission_outcomes", "mission_verdicts", "domain_daily", "kpi_daily"},
    ),
    "follow_up_missions": ("briefs", {"problems", "mission_outcomes"}),
    "status_briefs": (
        "briefs",
        {
            "mission_outcomes",
            "mission_telemetry",
            "domain_daily",
            "kpi_daily",
            "problems",
            "follow_up_missions",
            "mission_verdicts",
            "hold_daily",
        },
    ),
    "world_model": ("briefs", {"mission_outcomes", "status_briefs"}),
    "slack_delivery": ("delivery", {"status_briefs"}),
    "email_delivery": ("delivery", {"status_briefs"}),
    "apprise_delivery": ("delivery", {"status_briefs"}),
    "deliveries": ("delivery", {"slack_delivery", "email_delivery", "apprise_delivery"}),
    "brief_preview": ("preview", {"status_briefs"}),
    "compacted_months": ("maintenance", set()),
    "expired_samples": ("maintenance", set()),
}
DAYLESS = {"brief_preview", "compacted_months", "expired_samples"}
"""Of no day: they belong to no backfill."""


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(Settings.from_env({}))


def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_they_load_in_a_fresh_interpreter_without_any_variable_set(tmp_path):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    code = (
        "import sys, dagster as dg; from grace_assets.definitions import defs\n"
        "dg.Definitions.validate_loadable(defs)\n"
        "heavy = {'pandas', 'pyarrow', 'httpx', 'aiosmtplib', 'numpy', 'msgspec',\n"
        " 'matplotlib', 'css_inline', 'apprise', 'starlette'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == [], "loading wrote something"


def test_the_graph(definitions):
    found = {
        name: (spec.group_name, {dep.asset_key.to_user_string() for dep in spec.deps})
        for name, spec in specs(definitions).items()
    }
    assert found == GRAPH


def test_every_asset_has_a_page_worth_opening(definitions):
    for name, spec in specs(definitions).items():
        assert len(spec.description) > 40, name
        assert spec.kinds, name
        assert list(spec.owners) == [OWNER], name
        assert (spec.partitions_def is None) == (name in DAYLESS), name
        if name in TABLES:
            columns = spec.metadata["dagster/column_schema"].columns
            assert [c.name for c in columns] == [c.name for c in TABLES[name].columns]
            assert all(c.description for c in columns), name


def test_every_table_has_its_asset():
    assert set(TABLES) <= set(GRAPH)


def test_every_asset_takes_a_range_in_one_run_and_is_alone_in_its_pool(definitions):
    graph = definitions.resolve_asset_graph()
    for name in set(GRAPH) - DAYLESS:
        node = graph.get(dg.AssetKey(name))
        assert node.backfill_policy == dg.BackfillPolicy.single_run(), name
        assert node.pools == {name}


def test_jobs_schedules_and_sensors_are_on_by_themselves(definitions):
    schedules = {s.name: s for s in definitions.schedules}
    brief = schedules["daily_brief_schedule"]
    assert (brief.cron_schedule, brief.execution_timezone) == ("0 8 * * *", "UTC")
    assert all(s.default_status == dg.DefaultScheduleStatus.RUNNING for s in schedules.values())
    assert {s.name for s in definitions.sensors} == {
        "mission_events_sensor",
        "pending_verdicts_sensor",
        "holds_sensor",
        "due_deliveries_sensor",
        "lost_runs_sensor",
        "run_failure_sensor",
    }
    assert all(s.default_status == dg.DefaultSensorStatus.RUNNING for s in definitions.sensors)


def test_briefs_can_be_switched_off_and_moved():
    env = {
        "ENABLE_AUTO_STATUS_BRIEFS": "false",
        "STATUS_BRIEF_CRON": "30 6 * * 1-5",
        "GRACE_TIMEZONE": "Europe/Berlin",
    }
    schedule, *_ = build_definitions(Settings.from_env(env)).schedules
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert schedule.cron_schedule == "30 6 * * 1-5"
    assert schedule.execution_timezone == "Europe/Berlin"


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_a_schedule_started_by_hand_sends_only_what_is_switched_on(enabled):
    definitions = build_definitions(Settings.from_env({"ENABLE_AUTO_STATUS_BRIEFS": enabled}))
    at = datetime(2026, 3, 2, 8, tzinfo=UTC)
    with dg.build_schedule_context(
        scheduled_execution_time=at, repository_def=definitions.get_repository_def()
    ) as context:
        tick = definitions.resolve_schedule_def("daily_brief_schedule").evaluate_tick(context)
    (request,) = tick.run_requests
    assert request.partition_key == "2026-03-01"
    assert request.tags.get(DELIVER_TAG) == ("always" if enabled == "true" else None)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GRACE_TIMEZONE", "Mars/Olympus"),
        ("GRACE_START_DATE", "last year"),
        ("ENABLE_AUTO_STATUS_BRIEFS", "maybe"),
        ("STATUS_BRIEF_EMPTY_DAYS", "sometimes"),
        ("GRACE_PUBLIC_URL", "grace.example"),
        ("GRACE_KPI_CATALOG", "/nowhere/kpis.yaml"),
        ("STATUS_BRIEF_CRON", "daily at 8"),
        ("DAGSTER_UI_URL", "https://ann:secret@dagster.example"),
    ],
)
def test_a_bad_variable_is_named(variable, value):
    with pytest.raises(SettingsError, match=variable) as caught:
        build_definitions(Settings.from_env({variable: value}))
    assert "secret" not in str(caught.value)


def test_missions_job_delivers_nothing_and_brief_job_everything(definitions):
    def assets(job: str) -> set[str]:
        layer = definitions.resolve_job_def(job).asset_layer
        return {key.to_user_string() for key in layer.executable_asset_keys}

    delivery = {name for name, (group, _) in GRAPH.items() if group == "delivery"}
    assert assets("brief_job") == set(GRAPH) - DAYLESS
    assert assets("missions_job") == set(GRAPH) - DAYLESS - delivery
    assert assets("delivery_job") == delivery


def test_the_home_of_a_data_directory_has_the_settings_of_the_checkout():
    checkout = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    shipped = yaml.safe_load(
        resources.files("grace_assets").joinpath("dagster_home.yaml").read_text(encoding="utf-8")
    )
    for part in checkout.values():
        if isinstance(part, dict) and "config" in part:
            assert part["config"] == {"base_dir": "data/dagster"}
            part["config"] = {"base_dir": {"env": "DAGSTER_HOME"}}
    assert shipped == checkout


def test_one_location_name_everywhere():
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    (entry,) = workspace["load_from"]
    assert entry["python_module"]["location_name"] == "grace_assets"
    assert 'code_location_name = "grace_assets"' in (ROOT / "pyproject.toml").read_text(
        encoding="utf-8"
    )


def test_a_preview_fits_where_dagster_shows_it_and_says_what_it_left_out():
    records = [{"mission": f"m-{n} | ![x](http://e/x.png) <b>", "ok": True} for n in range(500)]
    text = preview(records, len(records))
    assert len(text) <= PREVIEW_CHARACTERS
    assert "![" not in text and "<b>" not in text and "m-0 \\|" in text
    shown = text.count("\n| ")
    assert text.endswith(f"… and {500 - shown} more")


def test_a_backfill_may_be_cut_into_runs_of_so_many_days():
    cut = build_definitions(Settings.from_env({"GRACE_BACKFILL_DAYS_PER_RUN": "31"}))
    node = cut.resolve_asset_graph().get(dg.AssetKey("mission_outcomes"))
    assert node.backfill_policy == dg.BackfillPolicy.multi_run(31)
    for wrong in ("0", "-1", "many", "1.5"):
        with pytest.raises(SettingsError, match="GRACE_BACKFILL_DAYS_PER_RUN"):
            Settings.from_env({"GRACE_BACKFILL_DAYS_PER_RUN": wrong})


@given(st.text(st.sampled_from("\\\\|[]()!<>`*_~#$@:/.w\n\u202e ahtp"), max_size=70))
def test_no_event_breaks_out_of_its_cell_or_brings_a_link(words):
    page = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    records = [{"title": words + "x", "ok": True}]
    made = preview(records, 1)
    # GitHub's dialect makes links of bare addresses.
    assert not re.search(r"(?<!\\)://|www\.", made, re.IGNORECASE)
    rendered = page.render(made)
    plain = page.render(preview([{"title": "x", "ok": True}], 1))
    tags = re.compile("<[^>]*>")
    assert tags.findall(rendered) == tags.findall(plain)
