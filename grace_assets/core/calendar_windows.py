"""Windows of dates and their days, weeks and months.

A date is the partition a mission belongs to, a local day of 23, 24 or 25 hours: windows count
dates, never hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.schemas import DATE

Granularity = Literal["daily", "weekly", "monthly"]
GRANULARITIES: tuple[str, ...] = get_args(Granularity)


@dataclass(frozen=True)
class Window:
    """The dates from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def period_days(self) -> int:
        return (self.last - self.first).days + 1

    def days(self) -> list[str]:
        """Each of its dates as `YYYY-MM-DD`, ascending."""
        start = self.first.toordinal()
        return [date.fromordinal(start + n).isoformat() for n in range(self.period_days)]

    def before(self) -> Window:
        """The window of the same length that ends the day before this one begins."""
        try:
            return window(self.period_days, self.first - timedelta(days=1))
        except OverflowError as error:
            raise ValueError("the calendar has no such window") from error

    def __contains__(self, day: str) -> bool:
        """Whether it holds `day` (`YYYY-MM-DD`)."""
        return self.first.isoformat() <= day <= self.last.isoformat()

    def of(self, rows: pa.Table) -> pa.Table:
        """The rows of a table (`date` in front) that lie in the window."""
        days = rows[DATE]
        late = pc.greater_equal(days, self.first.isoformat())
        within = pc.and_(late, pc.less_equal(days, self.last.isoformat()))
        # Mostly all: rows are read by their days, and copying lists of times takes long.
        return rows if pc.all(within).as_py() else rows.filter(within)


def window(period_days: int, end_date: date) -> Window:
    """The `period_days` dates that end with `end_date`; `ValueError` where there are none such."""
    if period_days < 1:
        raise ValueError("period_days must be at least 1")
    try:
        return Window(end_date - timedelta(days=period_days - 1), end_date)
    except OverflowError as error:
        raise ValueError("the calendar has no such window") from error


def label(day: date, granularity: Granularity) -> date:
    """The date that names the day, its ISO week (the Monday) or its month (the first).

    The label of a window's first week or month may lie before the window.
    """
    if granularity == "weekly":
        return day - timedelta(days=day.weekday())
    if granularity == "monthly":
        return day.replace(day=1)
    if granularity == "daily":
        return day
    raise ValueError(f"granularity must be one of {', '.join(GRANULARITIES)}")


def labelled(rows: pa.Table, granularity: Granularity) -> pa.Table:
    """The rows with the label of their day instead of it in `date`."""
    if granularity == "daily":
        return rows
    days = pc.unique(rows[DATE])
    labels = [label(date.fromisoformat(day), granularity).isoformat() for day in days.to_pylist()]
    found = pc.take(pa.array(labels, pa.string()), pc.index_in(rows[DATE], days))
    return rows.set_column(rows.schema.get_field_index(DATE), DATE, found)
