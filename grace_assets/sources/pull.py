"""Fetch what missions need from Prometheus into the sample store, and nothing twice.

All missions of a run are asked for together: per metric the UTC days that their windows and
reference days touch, for all domains that lack them, in as few range queries as the limits allow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from grace_assets.core.catalogue import Catalogue, MetricRule
from grace_assets.core.moments import micros
from grace_assets.lake.samples import SampleStore
from grace_assets.lake.source_log import SourceLog
from grace_assets.sources.http import Endpoint, Exchange, SourceError
from grace_assets.sources.prometheus import MAX_POINTS, midnight, query_range

SOURCE = "service_mesh"
"""The role of infrastructure metrics (CONTRACT section 2)."""
TOTAL_SECONDS = 120.0
LAG = timedelta(seconds=60)
"""What is younger may still be scraped: it is taken, and asked for again."""
MAX_DOMAINS = 50

Reach = tuple[datetime, datetime]


@dataclass
class Pulled:
    """What a pull brought: samples by metric, and what could not be had, by metric."""

    samples: dict[str, int] = field(default_factory=dict)
    failed: dict[str, SourceError] = field(default_factory=dict)
    queries: int = 0
    dropped: int = 0


@dataclass(frozen=True)
class Stretch:
    """Consecutive UTC days that the same domains lack."""

    domains: tuple[str, ...]
    days: tuple[str, ...]


def pull(
    log: SourceLog,
    store: SampleStore,
    endpoint: Endpoint,
    catalogue: Catalogue,
    reaches: Mapping[str, Reach],
    now: datetime,
    total_seconds: float = TOTAL_SECONDS,
) -> Pulled:
    """Fetch the metrics that the catalogue has a `promql` for.

    Args:
        log: what was fetched before; samples go to `store`.
        reaches: per domain, from its first reference window to the end of its last window.
        now: nothing later is asked for.

    A metric that fails does not keep the others from being asked; a host that cannot be reached
    is not waited for again with each of them.
    """
    pulled = Pulled()
    gone: SourceError | None = None
    with Exchange(endpoint, total_seconds) as exchange:
        for metric, rule in catalogue.rules:
            if rule.promql is None:
                continue
            try:
                if gone:
                    raise gone
                _pull_metric(exchange, log, store, metric, rule, reaches, now, pulled)
            except SourceError as error:
                pulled.failed[metric] = error
                gone = error if error.code == "unreachable" else None
    return pulled


def _pull_metric(
    exchange: Exchange,
    log: SourceLog,
    store: SampleStore,
    metric: str,
    rule: MetricRule,
    reaches: Mapping[str, Reach],
    now: datetime,
    pulled: Pulled,
) -> None:
    # Another template asks for something else: what was fetched before does not count.
    asked = f"{rule.promql}|{rule.promql_label}|{rule.promql_step_seconds:g}"
    query = hashlib.sha256(asked.encode()).hexdigest()[:16]
    for stretch in missing(log, metric, query, reaches, now, rule.promql_step_seconds):
        first = midnight(stretch.days[0])
        last = min(midnight(stretch.days[-1]) + timedelta(days=1), now)
        longest = timedelta(seconds=MAX_POINTS * rule.promql_step_seconds)
        while first < last:
            until = min(first + longest, last)
            pulled.queries += 1
            fetched = query_range(
                exchange,
                rule.promql,
                rule.promql_label,
                list(stretch.domains),
                first,
                until,
                rule.promql_step_seconds,
                SOURCE,
                metric,
            )
            # Days are made when their own windows close; what is fetched for one opens no other.
            store.add(fetched.rows, lambda _: None)
            pulled.samples[metric] = pulled.samples.get(metric, 0) + fetched.rows.num_rows
            pulled.dropped += fetched.dropped
            if not fetched.complete:
                raise SourceError("partial", "Prometheus warned that its answer is not complete")
            first = until
        ends = {day: min(midnight(day) + timedelta(days=1), now - LAG) for day in stretch.days}
        log.note_fetched(SOURCE, metric, query, stretch.domains, ends)


def missing(
    log: SourceLog,
    metric: str,
    query: str,
    reaches: Mapping[str, Reach],
    now: datetime,
    step_seconds: float,
) -> Iterator[Stretch]:
    """What has not been fetched yet, in portions that one query may ask for."""
    wanted: dict[str, set[str]] = {}
    needed: dict[str, datetime] = {}
    for domain, (first, last) in reaches.items():
        day = midnight(f"{first:%Y-%m-%d}")
        while day < min(last, now):
            name = f"{day:%Y-%m-%d}"
            wanted.setdefault(name, set()).add(domain)
            end = min(day + timedelta(days=1), last, now - LAG)
            needed[name] = max(end, needed.get(name, end))
            day += timedelta(days=1)
    if not wanted:
        return
    known = log.fetched(SOURCE, metric, query, sorted(wanted))
    lacking = {
        day: tuple(sorted(d for d in domains if known.get((d, day), 0) < micros(needed[day])))
        for day, domains in sorted(wanted.items())
    }
    most_days = max(1, int(MAX_POINTS * step_seconds // 86_400))
    for days, domains in _runs(lacking, most_days):
        for start in range(0, len(domains), MAX_DOMAINS):
            yield Stretch(domains[start : start + MAX_DOMAINS], days)


def _runs(
    lacking: Mapping[str, tuple[str, ...]], most: int
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Runs of at most `most` consecutive days that the same domains lack."""
    days: list[str] = []
    for day, domains in lacking.items():
        follows = days and midnight(day) - midnight(days[-1]) == timedelta(days=1)
        if days and (not follows or lacking[days[0]] != domains or len(days) == most):
            yield tuple(days), lacking[days[0]]
            days = []
        if domains:
            days.append(day)
    if days:
        yield tuple(days), lacking[days[0]]
