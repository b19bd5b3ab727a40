"""Charts: one drawing for light and dark, with words and numbers beside it."""

import re
from importlib import resources
from xml.etree import ElementTree

import pytest

from grace_assets.core.series import EffectivenessPoint, MissionCount, RestorePoint
from grace_assets.core.window_figures import HoldRate, Improvement
from grace_assets.render import plot_rows, plots
from grace_assets.render.plot import COLOURS, SERIES

DATES = ["2026-03-01", "2026-03-02", "2026-03-03"]
SHEET = (
    resources.files("grace_assets.dashboard").joinpath("static/dashboard.css").read_text("utf-8")
)
DARK = "prefers-color-scheme: dark"


def counts(domains: int = 2) -> dict:
    return {f"domain {n}": [MissionCount("2026-03-01", n + 1)] for n in range(domains)}


CHARTS = {
    "missions": lambda: plots.missions_by_domain(counts(), DATES, "day"),
    "verdicts": lambda: plots.verdict_mix({DATES[0]: {"effective": 3, "worse": 1}}, DATES, "day"),
    "mttr": lambda: plots.time_to_restore(
        [
            RestorePoint(DATES[0], 600, (300, 900), 1200, (900, None), 20),
            RestorePoint(DATES[2], 600, (None, None), 1200, (None, None), 2),
        ],
        DATES,
        "day",
    ),
    "effectiveness": lambda: plots.effectiveness(
        [EffectivenessPoint(DATES[1], 0.5, 4)], DATES, "day"
    ),
    "holds": lambda: plot_rows.hold_rates([HoldRate("failover", "a day", 3, 1, 0.75, (0.3, 0.95))]),
    "improvements": lambda: plot_rows.improvements(
        [Improvement("latency_ms", 50.0, 4, 4, 0), Improvement("cpu", -3.0, 2, 0, 2)]
    ),
}


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_a_chart_has_words_numbers_and_no_colour_or_style_of_its_own(make):
    chart = make()
    svg = chart.svg()
    assert f'aria-label="{chart.alt}"' in svg
    assert "<text" in svg
    assert set(re.findall(r'\b(?:fill|stroke)="([^"]*)"', svg)) <= {"none"}
    assert not re.search(r"style|metadata|xlink|<!--", svg)
    assert chart.rows
    assert all(len(row) == len(chart.headers) for row in chart.rows)


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_the_same_numbers_are_the_same_bytes(make):
    assert make().svg() == make().svg()


def test_every_role_has_a_colour_on_light_and_dark_screens():
    light, _, dark = SHEET.partition(DARK)
    assert len(set(COLOURS.values())) == len(COLOURS)
    for role, colour in COLOURS.items():
        assert f"--c-{role}: {colour};" in light
        assert f"fill: var(--c-{role})" in SHEET
        assert f"stroke: var(--c-{role})" in SHEET
        assert f"--c-{role}: #" in dark


@pytest.mark.parametrize("role", [*SERIES, *(role for role, _, _ in plots.VERDICT_GROUPS)])
def test_lines_and_bars_stand_out_from_the_sheet_they_are_drawn_on(role):
    for theme, part in zip(("light", "dark"), SHEET.partition(DARK)[::2], strict=True):
        sheet, colour = (
            re.search(rf"--{name}: #(\w{{6}})", part)[1] for name in ("sheet", f"c-{role}")
        )
        one, other = sorted((luminance(sheet), luminance(colour)), reverse=True)
        assert (one + 0.05) / (other + 0.05) >= 3, theme


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_many_domains_are_put_together_without_losing_a_mission():
    chart = plots.missions_by_domain(counts(9), DATES, "day")
    assert chart.headers[-1] == "4 other domains"
    assert sum(int(cell) for cell in chart.rows[0][1:]) == sum(range(1, 10))


def test_what_is_not_known_is_no_chart_and_no_number():
    assert plots.missions_by_domain({}, DATES, "day") is None
    assert plots.verdict_mix({}, DATES, "day") is None
    assert plots.time_to_restore([], DATES, "day") is None
    assert plots.effectiveness([], DATES, "day") is None
    assert plot_rows.hold_rates([]) is None
    assert plot_rows.improvements([Improvement("x", None, 0, 0, 0)]) is None
    assert CHARTS["mttr"]().rows[1][2] == "too few"
    assert CHARTS["mttr"]().rows[0][4] == "15 min to not known"


@pytest.mark.parametrize("name", ["$x^{", "$$", "<b>&", "監視 🔧", "عربي", "a\uffffb", "W" * 200])
def test_names_of_any_script_are_drawn_as_they_are(name):
    held = plot_rows.hold_rates([HoldRate(name, "a day", 3, 1, 0.75, (0.3, 0.95))])
    moved = plot_rows.improvements([Improvement(name, 50.0, 4, 4, 0)])
    for chart in (held, moved):
        drawn = ElementTree.fromstring(chart.svg())
        texts = ["".join(text.itertext()) for text in drawn.iter("text")]
        assert any(text[:20] in name.replace("\uffff", "") for text in texts if text[:1] == name[0])
