"""A chart with its words and its numbers, drawn by one function for every place that shows it.

As SVG for pages its text stays text and its colours are CSS classes (`f-` fills, `s-` strokes),
so that one drawing serves light and dark screens and needs no inline style.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 400, 215
"""Of a chart, in CSS pixels; narrow, so that its text can be read on a phone."""
FONT = 12.5

COLOURS = {
    "ink": "#344054",
    "grid": "#d0d5de",
    "one": "#1570cd",
    "two": "#c2410c",
    "three": "#0f7b4f",
    "four": "#7c3aed",
    "five": "#a16207",
    "six": "#64748b",
    "good": "#157f4b",
    "partial": "#2a8f9d",
    "idle": "#b7791f",
    "bad": "#b42318",
    "calm": "#5b7fa6",
    "unknown": "#808a9a",
    "band": "#a9c9ee",
    "band-two": "#f3c3ab",
    "pre": "#fde4c8",
    "mission": "#d6e4fb",
    "settle": "#e4e7ec",
    "post": "#d3f0df",
    "reference": "#98a2b4",
    "spark": "#2e90fa",
    "last": "#dc6803",
}
"""Role → its colour on a light screen; the style sheet has both. No two are the same."""
SERIES = ("one", "two", "three", "four", "five", "six")

_ROLES = {colour: role for role, colour in COLOURS.items()}
# Matplotlib keeps settings and font caches for the whole process.
_DRAWING = threading.Lock()
_KEPT = (
    *("opacity", "fill-opacity", "stroke-opacity", "stroke-width", "stroke-dasharray"),
    *("stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "font-size", "text-anchor"),
)
_XLINK = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True)
class Entry:
    """A line of a legend: `mark` is line, dash, box or dot."""

    role: str
    mark: str
    label: str


@dataclass(frozen=True)
class Chart:
    """`alt` says what is to be seen; `headers` and `rows` are all the numbers behind it."""

    key: str
    title: str
    alt: str
    legend: tuple[Entry, ...]
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    draw: Callable[[Axes], None]
    height: int = HEIGHT
    width: int = WIDTH

    def svg(self) -> Markup:
        """An inline `<svg>`; `key` keeps its ids apart from those of the page's other charts."""
        return svg_of(self._figure, self.key, self.alt)

    def _figure(self) -> Figure:
        """The axes that `draw` fills."""
        # Not pyplot: it keeps every figure and a backend in the process.
        from matplotlib.figure import Figure

        figure = Figure(
            (self.width / 72, self.height / 72), dpi=72, facecolor="none", layout="tight"
        )
        axes = figure.add_subplot(facecolor="none")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(COLOURS["grid"])
        axes.tick_params(length=0, labelsize=FONT, labelcolor=COLOURS["ink"])
        axes.tick_params(axis="x", pad=6)
        axes.grid(axis="y", color=COLOURS["grid"], linewidth=0.8)
        axes.set_axisbelow(True)
        self.draw(axes)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(size=FONT, color=COLOURS["ink"])
        return figure


def svg_of(figure: Callable[[], Figure], key: str, alt: str) -> Markup:
    """What `figure` makes as an inline `<svg>` for pages; `alt` says what is to be seen."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = io.BytesIO()
    with _DRAWING, rc_context({"svg.fonttype": "none", "svg.hashsalt": key}), _any_script():
        FigureCanvasSVG(figure()).print_svg(file, metadata={"Date": None})
    return themed(file.getvalue(), alt)


def drawable(text: str) -> str:
    """Event text without the two characters that XML may not hold, controls aside."""
    return text.replace("\ufffe", "").replace("\uffff", "")


@contextmanager
def _any_script() -> Iterator[None]:
    """Text of scripts that our font lacks is drawn by the browser's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support", UserWarning)
        yield


def themed(svg: bytes, alt: str) -> Markup:
    """Matplotlib's SVG with classes for colours, without styles, ids of groups and metadata."""
    root = ElementTree.fromstring(svg)
    _strip(root)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": drawable(alt),
        "class": "plot",
    }
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _strip(element: ElementTree.Element) -> None:
    element.tag = element.tag.rpartition("}")[2]
    if element.tag in ("g", "text"):
        element.attrib.pop("id", None)
    if _XLINK in element.attrib:
        element.attrib["href"] = element.attrib.pop(_XLINK)
    _restyle(element)
    for child in list(element):
        # Comments have no name; a style sheet within would be refused by the page's policy.
        if not isinstance(child.tag, str) or child.tag.rpartition("}")[2] in ("metadata", "style"):
            element.remove(child)
        else:
            _strip(child)


def _restyle(element: ElementTree.Element) -> None:
    classes = []
    for name, value in re.findall(r"([\w-]+):\s*([^;]+)", element.attrib.pop("style", "")):
        if name in ("fill", "stroke"):
            role = _ROLES.get(value.strip().lower())
            if role:
                classes.append(f"{name[0]}-{role}")
            else:
                element.attrib[name] = value.strip()
        elif name == "font":
            size = re.search(r"([\d.]+)px", value)
            if size:
                element.attrib["font-size"] = size[1]
        elif name in _KEPT:
            element.attrib[name] = value.strip().removesuffix("px")
    if classes:
        element.attrib["class"] = " ".join(classes)
