"""The first page: figures and charts of the chosen days, problems, follow-ups, freshness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from grace_assets.core import wording
from grace_assets.core.calendar_windows import Window
from grace_assets.core.changes import Change
from grace_assets.core.totals import Totals
from grace_assets.core.uncertainty import MIN_TRIALS
from grace_assets.core.window_figures import HoldRate, all_holds
from grace_assets.dashboard.choice import Choice
from grace_assets.lake.analytics import Analytics
from grace_assets.render import plot_rows, plots
from grace_assets.render.plot import Chart

SHOWN = 12
_PROBLEM = ("domain_id", "type", "severity", "description")
_FOLLOW_UP = ("domain_id", "title", "reason", "priority", "status", "opened_on")
_ANSWERS = {"better": "good", "worse": "bad"}


@dataclass(frozen=True)
class Card:
    """A figure shown large; `change` says how it differs from the days before, `state` how good
    that is."""

    label: str
    value: str
    note: str
    change: str = ""
    state: str = "unknown"


def home(analytics: Analytics, choice: Choice) -> dict[str, Any]:
    """What the template shows."""
    days, last, domain_id = choice.days, choice.window.last, choice.domain_id
    totals: Totals = (
        analytics.domain_trend(domain_id, days, last)
        if domain_id is not None
        else analytics.stats(days, last)
    )
    holds = analytics.hold_rates(days, last, domain_id)
    problems = analytics.rows("problems", choice.window, _PROBLEM, domain_id).to_pylist()
    problems.sort(key=lambda row: (row["date"], row["severity"] == "high"), reverse=True)
    asked = open_follow_ups(analytics, last, domain_id)
    return {
        "cards": list(_cards(analytics, choice, totals, holds)),
        "charts": list(charts(analytics, choice, holds)),
        "domains_shown": [] if domain_id else analytics.domain_trends(days, last),
        "problems": problems[:SHOWN],
        "problems_left": max(0, len(problems) - SHOWN),
        "follow_ups": asked[:SHOWN],
        "follow_ups_left": max(0, len(asked) - SHOWN),
        "briefs": analytics.rows("status_briefs", choice.window, ("headline",)).to_pylist()[::-1],
    }


def charts(analytics: Analytics, choice: Choice, holds: list[HoldRate]) -> Iterator[Chart]:
    """Those that have something to show."""
    days, last, domain_id = choice.days, choice.window.last, choice.domain_id
    dates, period = choice.dates(), choice.period
    of_one = (days, last, domain_id, choice.granularity)
    counts = analytics.missions_per_domain(days, last, choice.granularity)
    if domain_id is not None:
        counts = {name: points for name, points in counts.items() if name == domain_id}
    drawn = (
        plots.missions_by_domain(counts, dates, period),
        plots.time_to_restore(analytics.restore_quantiles(*of_one), dates, period),
        plots.effectiveness(analytics.effectiveness_trend(*of_one), dates, period),
        plots.verdict_mix(analytics.verdicts_by_date(*of_one), dates, period),
        plot_rows.hold_rates(holds),
        plot_rows.improvements(analytics.improvements(days, last, domain_id)),
    )
    return (chart for chart in drawn if chart is not None)


def open_follow_ups(
    analytics: Analytics, until: date, domain_id: str | None
) -> list[dict[str, Any]]:
    """Of any day until then, the latest first."""
    window = Window(date.min, until)
    rows = analytics.rows("follow_up_missions", window, _FOLLOW_UP, domain_id).to_pylist()
    return [row for row in reversed(rows) if row["status"] == "open"]


def _cards(
    analytics: Analytics, choice: Choice, totals: Totals, holds: list[HoldRate]
) -> Iterator[Card]:
    changes = None
    if choice.window.first.toordinal() > choice.days:
        changes = analytics.compare(choice.days, choice.window.last, choice.domain_id)
    effective = totals.verdicts.get("effective", 0)
    yield Card("Missions", f"{totals.total_missions:,}", f"{effective:,} judged effective")
    yield Card(
        "Succeeded",
        _share(totals.success_rate),
        f"as agents said; likely {_shares(totals.success_rate_interval)}",
        *_change(changes and changes.success_rate, lambda v: f"{100 * v:.1f} points"),
    )
    score = totals.avg_effectiveness_score
    yield Card(
        "Effectiveness",
        "not known" if score is None else f"{score:.2f}",
        f"mean of {wording.counted(totals.assessed, 'scored mission')}",
        *_change(changes and changes.avg_effectiveness_score, lambda v: f"{v:.2f}"),
    )
    restored = f"{wording.counted(totals.mttr_count, 'mission')}"
    yield Card(
        "Time to restore, p50",
        _time(totals.mttr_p50_seconds),
        f"{_times(totals.mttr_p50_interval)}, {restored}",
        *_change(changes and changes.mttr_seconds, wording.duration, of="mean "),
    )
    yield Card(
        "Time to restore, p90",
        _time(totals.mttr_p90_seconds),
        f"{_times(totals.mttr_p90_interval)}; {totals.without_time_to_restore:,} without one",
    )
    for after in ("a day", "a week"):
        rate = all_holds(holds, after)
        n = rate.held + rate.relapsed if rate else 0
        few = ", too few to tell" if 0 < n < MIN_TRIALS else ""
        yield Card(
            f"Held for {after}",
            _share(rate.rate if rate else None),
            f"{rate.held:,} of {n:,}; likely {_shares(rate.interval)}{few}"
            if rate
            else "no recovery was looked at",
        )


def _change(change: Change | None, say, of: str = "") -> tuple[str, str]:
    if change is not None and not change.previous_n:
        return "none before to compare with", "unknown"
    if change is None or change.difference is None or change.answer == "too few":
        return "too few missions to compare", "unknown"
    if change.answer not in _ANSWERS:
        return f"{of}as in the days before", "unknown"
    size = say(abs(change.difference))
    return f"{of}{change.answer} by {size} than before", _ANSWERS[change.answer]


def _share(rate: float | None) -> str:
    return "not known" if rate is None else f"{100 * rate:.0f} %"


def _shares(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return "not known"
    return f"{100 * interval[0]:.0f}–{100 * interval[1]:.0f} %"


def _time(seconds: float | None) -> str:
    return "not known" if seconds is None else wording.duration(seconds)


def _times(interval: tuple[float | None, float | None]) -> str:
    low, high = interval
    if low is None or high is None:
        return "too few for an interval"
    return f"likely {wording.duration(low)} to {wording.duration(high)}"
