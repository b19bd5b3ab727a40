"""Charts with a row for each kind of mission or metric: what held, what got better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grace_assets.core import wording
from grace_assets.core.window_figures import HoldRate, Improvement
from grace_assets.render.plot import COLOURS, Chart, Entry, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def hold_rates(rates: Sequence[HoldRate]) -> Chart | None:
    """A dot and its interval for each kind of repair, after a day and after a week."""
    shown = [rate for rate in rates if rate.rate is not None][:10]
    if not shown:
        return None

    kinds = list(dict.fromkeys(rate.mission_type for rate in shown))[::-1]

    def draw(axes: Axes) -> None:
        for rate in shown:
            first = rate.after == "a day"
            place = kinds.index(rate.mission_type) + (0.16 if first else -0.16)
            colour = COLOURS["one" if first else "two"]
            low, high = (100 * end for end in rate.interval)
            axes.plot([low, high], [place, place], color=colour, linewidth=2)
            axes.plot([100 * rate.rate], [place], "o" if first else "s", color=colour, ms=7)
        _across(axes, [_kind(kind) for kind in kinds])
        axes.set_xlim(-3, 103)
        axes.set_xlabel("% still healthy")

    told = [
        f"{_kind(r.mission_type)} after {r.after} {r.held} of {r.held + r.relapsed}" for r in shown
    ]
    return Chart(
        "holds",
        "Recoveries that held",
        f"Dots with intervals: {'; '.join(told)}.",
        (Entry("one", "dot", "after a day"), Entry("two", "box", "after a week")),
        ("Kind", "After", "Still healthy", "Looked at", "Rate", "95 % interval"),
        tuple(
            (
                _kind(r.mission_type),
                r.after,
                f"{r.held:,}",
                f"{r.held + r.relapsed:,}",
                f"{100 * r.rate:.0f} %",
                f"{100 * r.interval[0]:.0f}–{100 * r.interval[1]:.0f} %",
            )
            for r in shown
        ),
        draw,
    )


def improvements(found: Sequence[Improvement]) -> Chart | None:
    """A bar for each metric: how far missions moved it, to the right is better."""
    shown = [one for one in found if one.improvement_percent is not None][:12]
    if not shown:
        return None

    def draw(axes: Axes) -> None:
        values = [one.improvement_percent for one in reversed(shown)]
        colours = [COLOURS["good" if value >= 0 else "bad"] for value in values]
        axes.barh(range(len(shown)), values, color=colours, height=0.6)
        axes.axvline(0, color=COLOURS["ink"], linewidth=1)
        _across(axes, [wording.spoken(one.metric) for one in reversed(shown)])
        axes.set_xlabel("mean improvement, %")

    told = "; ".join(f"{wording.spoken(o.metric)} {_signed(o.improvement_percent)}" for o in shown)
    return Chart(
        "improvements",
        "Metrics after missions",
        f"Bars of the mean improvement: {told}.",
        (Entry("good", "box", "better"), Entry("bad", "box", "worse")),
        ("Metric", "Mean improvement", "Missions", "Better after", "Worse after"),
        tuple(
            (
                wording.spoken(o.metric),
                _signed(o.improvement_percent),
                f"{o.count:,}",
                f"{o.improved:,}",
                f"{o.worsened:,}",
            )
            for o in shown
        ),
        draw,
    )


def _across(axes: Axes, names: Sequence[str]) -> None:
    # Event text: a dollar sign begins no formula.
    axes.set_yticks(
        range(len(names)), [drawable(wording.clean(n, 26)) for n in names], parse_math=False
    )
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=COLOURS["grid"], linewidth=0.8)


def _kind(mission_type: str) -> str:
    return wording.clean(mission_type.replace("_", " "), 30)


def _signed(value: float) -> str:
    return f"{'better' if value >= 0 else 'worse'} by {wording.percent(value)}"
