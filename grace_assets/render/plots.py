"""The charts of a window by date: missions, verdicts, time to restore, effectiveness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING

from grace_assets.core import wording
from grace_assets.core.series import EffectivenessPoint, MissionCount, RestorePoint
from grace_assets.render.plot import COLOURS, SERIES, Chart, Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERDICT_GROUPS = (
    ("good", "effective", ("effective",)),
    ("partial", "partly effective", ("partial",)),
    ("idle", "no effect", ("no_effect",)),
    ("bad", "worse", ("worse",)),
    ("calm", "no lasting problem", ("no_sustained_problem",)),
    ("unknown", "not known", ("inconclusive", "pending", "insufficient_data", "not_applicable")),
)
"""Colour, words and verdicts of each part."""
MAX_DOMAINS = len(SERIES) - 1
_TICKS = 5


def missions_by_domain(
    counts: Mapping[str, Sequence[MissionCount]], dates: Sequence[str], period: str
) -> Chart | None:
    """Bars by date, stacked by domain; the smaller domains are put together."""
    totals = {name: sum(p.count for p in points) for name, points in counts.items()}
    if not totals:
        return None
    order = sorted(totals, key=lambda name: (-totals[name], name))
    shown = order if len(order) <= len(SERIES) else order[:MAX_DOMAINS]
    stacks = {wording.clean(name, 40): {p.date: p.count for p in counts[name]} for name in shown}
    if rest := order[len(shown) :]:
        merged: dict[str, int] = {}
        for point in (p for name in rest for p in counts[name]):
            merged[point.date] = merged.get(point.date, 0) + point.count
        stacks[wording.counted(len(rest), "other domain")] = merged
    most = f"{wording.clean(order[0], 40)} with {totals[order[0]]:,}"
    return _stacked(
        "missions",
        f"Missions by {period} and domain",
        f"Stacked bars: {wording.counted(sum(totals.values()), 'mission')} in "
        f"{wording.counted(len(totals), 'domain')}, most in {most}.",
        stacks,
        SERIES,
        dates,
        period,
    )


def verdict_mix(
    verdicts: Mapping[str, Mapping[str, int]], dates: Sequence[str], period: str
) -> Chart | None:
    """Bars by date, stacked by verdict."""
    stacks, colours = {}, []
    for colour, words, members in VERDICT_GROUPS:
        stack = {d: sum(of.get(v, 0) for v in members) for d, of in verdicts.items()}
        if any(stack.values()):
            stacks[words] = stack
            colours.append(colour)
    if not stacks:
        return None
    told = [f"{sum(stack.values()):,} {words}" for words, stack in stacks.items()]
    alt = f"Stacked bars: {wording.listed(told)}."
    title = f"Verdicts by {period}"
    return _stacked("verdicts", title, alt, stacks, tuple(colours), dates, period)


def time_to_restore(
    points: Sequence[RestorePoint], dates: Sequence[str], period: str
) -> Chart | None:
    """Lines of the median and the 90 % quantile, each with its interval as a band."""
    if not points:
        return None
    at = {point.date: point for point in points}

    def draw(axes: Axes) -> None:
        known = [at.get(day) for day in dates]
        for name, colour, band, style in (
            ("p90", "two", "band-two", "--"),
            ("p50", "one", "band", "-"),
        ):
            middle = [_minutes(p and getattr(p, f"{name}_seconds")) for p in known]
            bounds = [getattr(p, f"{name}_interval") if p else (None, None) for p in known]
            low, high = ([_minutes(b[side]) for b in bounds] for side in (0, 1))
            places = range(len(dates))
            axes.fill_between(places, low, high, color=COLOURS[band], alpha=0.55, linewidth=0)
            # A date between others without an interval has no band, but a bar.
            axes.vlines(places, low, high, color=COLOURS[band], linewidth=3)
            axes.plot(places, middle, style, color=COLOURS[colour], linewidth=2, marker="o", ms=3)
        axes.set_ylim(bottom=0)
        _dates(axes, dates)
        axes.set_ylabel("minutes")

    p50, p90 = ([getattr(p, f"{n}_seconds") for p in points] for n in ("p50", "p90"))
    return Chart(
        "mttr",
        f"Time to restore by {period}",
        f"Two lines. The median runs from {wording.duration(min(p50))} to "
        f"{wording.duration(max(p50))} and is last {wording.duration(p50[-1])}; the 90 % quantile "
        f"from {wording.duration(min(p90))} to {wording.duration(max(p90))}, last "
        f"{wording.duration(p90[-1])}.",
        tuple(
            entry
            for entry, shown in (
                (Entry("one", "line", "p50, the median"), True),
                (Entry("band", "box", "its 95 % interval"), _known(p.p50_interval for p in points)),
                (Entry("two", "dash", "p90"), True),
                (Entry("band-two", "box", "its interval"), _known(p.p90_interval for p in points)),
            )
            if shown
        ),
        (period.capitalize(), "p50", "95 % interval", "p90", "95 % interval", "Missions"),
        tuple(
            (
                p.date,
                wording.duration(p.p50_seconds),
                _between(p.p50_interval),
                wording.duration(p.p90_seconds),
                _between(p.p90_interval),
                f"{p.count:,}",
            )
            for p in points
        ),
        draw,
    )


def effectiveness(
    points: Sequence[EffectivenessPoint], dates: Sequence[str], period: str
) -> Chart | None:
    """A line from 0 to 1, with gaps where nothing was scored."""
    if not points:
        return None
    at = {point.date: point.avg_effectiveness for point in points}

    def draw(axes: Axes) -> None:
        values = [at.get(day, nan) for day in dates]
        axes.plot(range(len(dates)), values, color=COLOURS["three"], linewidth=2, marker="o", ms=3)
        axes.set_ylim(0, 1.03)
        _dates(axes, dates)

    values = list(at.values())
    return Chart(
        "effectiveness",
        f"Effectiveness by {period}",
        f"A line of the mean score, 1 is healthy again: from {min(values):.2f} to "
        f"{max(values):.2f}, last {values[-1]:.2f}.",
        (Entry("three", "line", "mean score, 1 is healthy again"),),
        (period.capitalize(), "Mean score", "Missions scored"),
        tuple((p.date, f"{p.avg_effectiveness:.2f}", f"{p.count:,}") for p in points),
        draw,
    )


def _stacked(
    key: str,
    title: str,
    alt: str,
    stacks: Mapping[str, Mapping[str, int]],
    colours: Sequence[str],
    dates: Sequence[str],
    period: str,
) -> Chart:
    def draw(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        bottom = [0] * len(dates)
        for colour, stack in zip(colours, stacks.values(), strict=False):
            heights = [stack.get(day, 0) for day in dates]
            axes.bar(range(len(dates)), heights, 0.8, bottom, color=COLOURS[colour], linewidth=0)
            bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        _dates(axes, dates)

    legend = tuple(Entry(c, "box", name) for c, name in zip(colours, stacks, strict=False))
    rows = tuple(
        (day, *(f"{stack.get(day, 0):,}" for stack in stacks.values()))
        for day in dates
        if any(stack.get(day) for stack in stacks.values())
    )
    return Chart(key, title, alt, legend, (period.capitalize(), *stacks), rows, draw)


def _dates(axes: Axes, dates: Sequence[str]) -> None:
    step = max(1, -(-len(dates) // _TICKS))
    places = list(range(0, len(dates), step))
    axes.set_xticks(places, [dates[place][5:] for place in places])
    axes.set_xlim(-0.6, len(dates) - 0.4)


def _minutes(seconds: float | None) -> float:
    return nan if seconds is None else seconds / 60


def _known(intervals: Iterable[tuple[float | None, float | None]]) -> bool:
    return any(None not in interval for interval in intervals)


def _between(interval: tuple[float | None, float | None]) -> str:
    low, high = interval
    if low is None and high is None:
        return "too few"
    ends = [wording.duration(end) if end is not None else "not known" for end in interval]
    return " to ".join(ends)
