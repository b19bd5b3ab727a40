"""Small charts, drawn once for every place that shows one.

Without text of their own: labels and figures stand beside a chart as words, where a phone, a
screen reader and a dark theme can read them.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from grace_assets.core.brief_trend import TrendLine
from grace_assets.render.plot import COLOURS, svg_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 260, 56
"""Of a sparkline, in CSS pixels; drawn at twice that for sharp screens."""
LINE, LAST = COLOURS["spark"], COLOURS["last"]
"""At least 3 : 1 on white and on the dark sheet alike."""


def sparklines(lines: Sequence[TrendLine]) -> dict[str, bytes]:
    """A PNG of `WIDTH` × `HEIGHT` CSS pixels, with a clear background, for each kind of line."""
    return {line.kind: _sparkline(line) for line in lines}


def markdown_sparklines(lines: Sequence[TrendLine]) -> str:
    """A markdown table of the lines with their pictures in it, for Dagster's metadata."""
    pictures = sparklines(lines)
    rows = [
        f"| {line.fact.label} | {line.fact.text} "
        f"| ![{line.fact.label}](data:image/png;base64,{b64encode(pictures[line.kind]).decode()}) |"
        for line in lines
    ]
    span = f"{lines[0].first} to {lines[0].last}"
    return "\n".join(["| | the day, and the days before | " + span + " |", "|---|---|---|", *rows])


def inline_sparklines(lines: Sequence[TrendLine]) -> dict[str, Markup]:
    """The same as inline SVG, for pages."""
    return {
        line.kind: svg_of(
            lambda line=line: _figure(line),
            f"spark-{line.kind}",
            f"{line.fact.label}, {line.first} to {line.last}: {line.fact.text}",
        )
        for line in lines
    }


def _sparkline(line: TrendLine) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    file = io.BytesIO()
    # Without metadata and time: the same day gives the same bytes.
    FigureCanvasAgg(_figure(line)).print_png(
        file, metadata={"Software": None}, pil_kwargs={"optimize": True}
    )
    return file.getvalue()


def _figure(line: TrendLine) -> Figure:
    # Not pyplot: it keeps every figure and a backend in the process.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 96, HEIGHT / 96), dpi=192, facecolor="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    (_bars if line.kind == "missions" else _dots)(axes, line.values)
    axes.set_xlim(-0.8, len(line.values) - 0.2)
    return figure


def _bars(axes: Axes, values: Sequence[float | None]) -> None:
    heights = [value or 0.0 for value in values]
    colours = [LINE] * (len(values) - 1) + [LAST]
    axes.bar(range(len(values)), heights, color=colours, width=0.7)
    axes.set_ylim(0, max(heights) * 1.05)


def _dots(axes: Axes, values: Sequence[float | None]) -> None:
    """A line with gaps where nothing is known, over the range of its values.

    Not filled down to the edge, which is no zero.
    """
    from math import nan

    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    room = (high - low) * 0.15 or abs(high) * 0.5 or 1.0
    heights = [nan if value is None else value for value in values]
    axes.plot(heights, color=LINE, linewidth=1.5, marker="o", markersize=2.2)
    if values[-1] is not None:
        axes.plot([len(values) - 1], [values[-1]], color=LAST, marker="o", markersize=4.5)
    axes.set_ylim(low - room, high + room)
