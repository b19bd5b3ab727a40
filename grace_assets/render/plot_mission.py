"""The chart of a mission: one metric, the windows it was judged by, and what healthy means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np

from grace_assets.core import wording
from grace_assets.core.mission_view import Line, SeriesView
from grace_assets.core.windows import SECOND
from grace_assets.render.plot import COLOURS, Chart, Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_POINTS = 400
"""More would show no more on a screen and make the page heavy; the rest is thinned evenly."""
_WINDOWS = {"pre": "before", "mission": "mission", "settle": "settling", "post": "after"}


def kpi_series(view: SeriesView, row: Mapping[str, Any], key: str, zone: tzinfo) -> Chart:
    """`row` is the metric's row of `mission_telemetry`."""
    unit = wording.unit_of(view.metric, row["unit"])
    line = _thinned(view.line)
    references = [_thinned(reference) for reference in view.references]

    def draw(axes: Axes) -> None:
        for name in _WINDOWS:
            low, high = (_minutes(edge, view) for edge in getattr(view, name))
            axes.axvspan(low, high, color=COLOURS[name], linewidth=0)
        for reference in references:
            places = _minutes(reference.times, view)
            axes.plot(places, reference.values, color=COLOURS["reference"], linewidth=0.7)
        if row["healthy"] is not None:
            axes.axhline(row["healthy"], linestyle="--", color=COLOURS["good"], linewidth=1.6)
        axes.plot(_minutes(line.times, view), line.values, color=COLOURS["one"], linewidth=1.6)
        _clock(axes, view, zone)

    legend = [
        Entry("one", "line", wording.spoken(view.metric)),
        *(Entry(name, "box", words) for name, words in _WINDOWS.items()),
    ]
    if row["healthy"] is not None:
        legend.insert(1, Entry("good", "dash", f"healthy ({row['healthy_kind']})"))
    if references:
        days = wording.counted(view.reference_days, "reference day")
        legend.append(Entry("reference", "line", days))
    step = -(-len(view.line.times) // MAX_POINTS)
    value = f"Value{f' ({wording.clean(unit, 20)})' if unit else ''}"
    time = "Time" if step == 1 else f"Time (one of {step})"
    return Chart(
        key,
        f"{wording.capital(wording.spoken(view.metric))} ({wording.clean(view.source, 40)})",
        _told(view, row, unit),
        tuple(legend),
        (time, value, "Window"),
        tuple(
            (
                _at(moment, zone).strftime("%m-%d %H:%M:%S"),
                wording.number(float(reading)),
                _WINDOWS.get(view.window_of(int(moment)), ""),
            )
            for moment, reading in zip(line.times, line.values, strict=True)
        ),
        draw,
        width=480,
        height=240,
    )


def _told(view: SeriesView, row: Mapping[str, Any], unit: str | None) -> str:
    parts = [
        f"{words} {wording.measure(row[name], unit)}"
        for name, words in (("pre", "before"), ("post", "after"), ("healthy", "healthy"))
        if row[name] is not None
    ]
    readings = ", ".join(parts) or "no readings before or after"
    days = wording.counted(view.reference_days, "earlier day")
    return f"A line around the mission: {readings}; {days} drawn for reference."


def _thinned(line: Line) -> Line:
    step = max(1, -(-len(line.times) // MAX_POINTS))
    return Line(line.times[::step], line.values[::step])


def _minutes(times: np.ndarray | int, view: SeriesView) -> Any:
    return (times - view.mission[0]) / (60 * SECOND)


def _at(time: int, zone: tzinfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(time))).astimezone(zone)


def _clock(axes: Axes, view: SeriesView, zone: tzinfo) -> None:
    """Clock times at the edges of the windows, those left out that would touch."""
    low, high = view.line.times[0], view.line.times[-1]
    span = max(int(high - low), 1)
    edges: list[int] = []
    for edge in (view.mission[0], view.post[1], view.pre[0], view.mission[1], view.post[0]):
        if all(abs(edge - other) > span / 7 for other in edges):
            edges.append(edge)
    axes.set_xticks(
        [_minutes(edge, view) for edge in edges], [f"{_at(edge, zone):%H:%M}" for edge in edges]
    )
    axes.set_xlim(_minutes(low, view), _minutes(max(int(high), view.post[1]), view))
