"""What keeps breaking, fails or gets worse: the rules that turn a day's figures into problems.

Each rule looks at one day of one domain and says in plain words what it saw, with the figures
and the missions behind it. Deciding what to do about a problem is the follow-ups' business.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.holds import Look
from grace_assets.core.schemas import DATE, SEVERITIES, TABLES
from grace_assets.core.wording import clean, number, percent, spoken

RECURRING_MISSIONS = 3
RECURRING_CHANCE = 0.01
"""A day is unusual where chance alone gives that many missions on fewer days than this."""
LOW_EFFECTIVENESS = 0.5
DEGRADING_PERCENT = -5.0
MAX_MISSION_IDS = 20
MAX_ERRORS = 5
MAX_METRICS = 5
MAX_ERROR_CHARACTERS = 200

_AFTER = {"hold_24h": "24 h", "hold_7d": "7 d"}
_SEVERITY = {
    "mission_failures": "high",
    "did_not_hold": "high",
    "degrading_kpi": "high",
    "low_effectiveness": "medium",
    "recurring_issue": "medium",
}


@dataclass(frozen=True)
class _Problem:
    day: str
    domain_id: str
    type: str
    description: str
    evidence: list[str]
    metric: str = ""

    @property
    def order(self) -> tuple[str, str, int, str, str]:
        severity = SEVERITIES.index(_SEVERITY[self.type])
        return self.day, self.domain_id, severity, self.type, self.metric

    def row(self) -> dict[str, object]:
        identity = "\x1f".join((self.domain_id, self.day, self.type, self.metric))
        return {
            DATE: self.day,
            "problem_id": "pr-" + hashlib.sha256(identity.encode()).hexdigest()[:16],
            "domain_id": self.domain_id,
            "type": self.type,
            "severity": _SEVERITY[self.type],
            "description": self.description,
            "evidence": self.evidence,
        }


def find_problems(
    days: list[str],
    outcomes: pa.Table,
    domain_daily: pa.Table,
    kpi_daily: pa.Table,
    looks: Iterable[Look] = (),
    minimum_history_days: int = 14,
    base_rate_days: int = 28,
) -> pa.Table:
    """Find the problems of each of `days` (`YYYY-MM-DD`); returns the table `problems`.

    `outcomes` and `kpi_daily` hold at least these days; `domain_daily` also the `base_rate_days`
    days before the first, as far as they exist; `looks` are those at recoveries of earlier days.
    The window of every rule is the day itself; the days before it serve only as the usual rate
    of `recurring_issue`. Rows are ordered by date,
    domain, severity and type, and do not depend on which days are asked for together.
    """
    missions = _Missions(outcomes, days)
    wanted = pa.array(days, pa.string())
    usual = _UsualRates(domain_daily, minimum_history_days, base_rate_days)
    today = domain_daily.filter(pc.is_in(domain_daily[DATE], wanted))
    metrics = kpi_daily.filter(pc.is_in(kpi_daily[DATE], wanted))
    found = [
        *_recurring(today, usual, missions),
        *_failures(today, missions),
        *_low_effectiveness(today, missions),
        *_degrading(metrics, missions),
        *_did_not_hold(looks, set(days)),
    ]
    rows = [problem.row() for problem in sorted(found, key=lambda problem: problem.order)]
    return pa.Table.from_pylist(rows, schema=TABLES["problems"].with_date())


def poisson_tail(k: int, mean: float) -> float:
    """P(N >= k) for a Poisson count N: the chance of k or more where `mean` are usual."""
    if mean <= 0:
        return 1.0 if k <= 0 else 0.0
    # Through logarithms: exp(-mean) alone vanishes above 745.
    terms = (math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(k))
    return max(0.0, 1.0 - math.fsum(terms))


class _Missions:
    """The missions of some days, found by day and domain."""

    def __init__(self, outcomes: pa.Table, days: list[str]) -> None:
        keys = [DATE, "domain_id"]
        order = [(name, "ascending") for name in (*keys, "completed_at", "mission_id")]
        columns = ["success", "error", "effectiveness_score", "follow_up_id", "metrics_delta"]
        wanted = outcomes.filter(pc.is_in(outcomes[DATE], pa.array(days, pa.string())))
        narrow = wanted.select([name for name, _ in order] + columns).combine_chunks()
        indices = pc.sort_indices(narrow, order)
        self._rows = narrow.take(indices)
        counts = narrow.group_by(keys).aggregate([("mission_id", "count")])
        self._slices: dict[tuple[str, str], tuple[int, int]] = {}
        start = 0
        for row in counts.sort_by([(key, "ascending") for key in keys]).to_pylist():
            n = row["mission_id_count"]
            self._slices[row[DATE], row["domain_id"]] = (start, n)
            start += n

    def of(self, day: str, domain_id: str) -> pa.Table:
        """The missions of the day and domain, by completion."""
        return self._rows.slice(*self._slices.get((day, domain_id), (0, 0)))


class _UsualRates:
    """How many missions a domain has on a usual day, follow-ups not counted."""

    def __init__(self, domain_daily: pa.Table, minimum_days: int, window_days: int) -> None:
        self.minimum_days = minimum_days
        self._window_days = window_days
        days = [date.fromisoformat(day).toordinal() for day in domain_daily[DATE].to_pylist()]
        counts = pc.subtract(domain_daily["missions"], domain_daily["follow_up_missions"])
        domains = domain_daily["domain_id"].to_pylist()
        self._days = frozenset(days)
        self._counts = dict(zip(zip(domains, days, strict=True), counts.to_pylist(), strict=True))

    def before(self, domain_id: str, day: str) -> tuple[int, float]:
        """Days of history before `day` (at most the window), and the mean count over them.

        History begins with the first row of any domain inside the window, so that the answer
        is the same whatever older rows happen to be at hand.
        """
        today = date.fromisoformat(day).toordinal()
        window = range(today - self._window_days, today)
        first = next((earlier for earlier in window if earlier in self._days), today)
        history = range(first, today)
        total = sum(self._counts.get((domain_id, earlier), 0) for earlier in history)
        return len(history), total / len(history) if history else 0.0


def _recurring(today: pa.Table, usual: _UsualRates, missions: _Missions) -> Iterator[_Problem]:
    own = pc.subtract(today["missions"], today["follow_up_missions"])
    many = pc.greater_equal(own, RECURRING_MISSIONS)
    counts = own.filter(many).to_pylist()
    for row, k in zip(_groups(today.filter(many)), counts, strict=True):
        day, domain_id = row
        history, mean = usual.before(domain_id, day)
        figures = [f"missions={k}", f"history_days={history}"]
        if history < usual.minimum_days:
            context = f"usual rate not known yet ({_days(history)} of history)"
        else:
            chance = poisson_tail(k, mean)
            if chance >= RECURRING_CHANCE:
                continue
            context = (
                f"against a usual {number(mean)} a day (mean of the {history} days before, "
                f"chance of {k} or more: {_percent(chance)})"
            )
            figures += [f"expected={mean:.2f}", f"chance={chance:.2g}"]
        group = missions.of(day, domain_id)
        evidence = [*figures, *_ids(group.filter(pc.is_null(group["follow_up_id"])))]
        description = f"{k} missions on {day}, {context}"
        yield _Problem(day, domain_id, "recurring_issue", description, evidence)


def _failures(today: pa.Table, missions: _Missions) -> Iterator[_Problem]:
    failing = today.filter(pc.greater(today["failures"], 0))
    for row in failing.select([DATE, "domain_id", "missions", "failures"]).to_pylist():
        day, domain_id, n, k = row.values()
        group = missions.of(day, domain_id)
        failed = group.filter(pc.invert(group["success"]))
        evidence = [f"missions={n}", f"failures={k}", *_ids(failed), *_errors(failed)]
        description = f"{k} of {n} {'mission' if n == 1 else 'missions'} failed on {day}"
        yield _Problem(day, domain_id, "mission_failures", description, evidence)


def _low_effectiveness(today: pa.Table, missions: _Missions) -> Iterator[_Problem]:
    mean = pc.divide(today["effectiveness_sum"], today["effectiveness_count"].cast(pa.float64()))
    low = pc.and_(pc.greater(today["effectiveness_count"], 0), pc.less(mean, LOW_EFFECTIVENESS))
    for position in pc.indices_nonzero(low).to_pylist():
        row = today.slice(position, 1)
        ((day, domain_id),) = _groups(row)
        n, score = row["effectiveness_count"][0].as_py(), mean[position].as_py()
        group = missions.of(day, domain_id)
        scored = group.filter(pc.is_valid(group["effectiveness_score"]))
        evidence = [f"mean_effectiveness={score:.3f}", f"scored={n}", *_ids(scored)]
        description = (
            f"mean effectiveness {number(score)} on {day} (n = {n}, below {LOW_EFFECTIVENESS:g})"
        )
        yield _Problem(day, domain_id, "low_effectiveness", description, evidence)


def _degrading(metrics: pa.Table, missions: _Missions) -> Iterator[_Problem]:
    known = metrics.filter(pc.greater(metrics["improvement_percent_count"], 0))
    count = known["improvement_percent_count"].cast(pa.float64())
    mean = pc.divide(known["improvement_percent_sum"], count)
    worse = pc.less(mean, DEGRADING_PERCENT)
    rows = known.select([DATE, "domain_id", "metric", "improvement_percent_count"])
    for row, change in zip(
        rows.filter(worse).to_pylist(), mean.filter(worse).to_pylist(), strict=True
    ):
        day, domain_id, metric, n = row.values()
        group = missions.of(day, domain_id)
        measured = pc.is_valid(pc.map_lookup(group["metrics_delta"], metric, "first"))
        figures = f"{metric}: mean_improvement_percent={change:.1f}, n={n}"
        description = f"{spoken(metric)} got {percent(change)} worse on {day} (mean of n = {n})"
        evidence = [figures, *_ids(group.filter(measured))]
        yield _Problem(day, domain_id, "degrading_kpi", description, evidence, metric)


def _did_not_hold(looks: Iterable[Look], days: set[str]) -> Iterator[_Problem]:
    """Recoveries that were gone when they were looked at again, by domain, day and look."""
    groups: dict[tuple[str, str, str], list[Look]] = {}
    for look in looks:
        if look.day in days:
            groups.setdefault((look.day, look.domain_id, look.stage), []).append(look)
    for (day, domain_id, stage), group in groups.items():
        gone = sorted((look for look in group if not look.held), key=lambda x: x.mission_id)
        if not gone:
            continue
        after = _AFTER[stage]
        repairs = "repair" if len(group) == 1 else "repairs"
        description = f"{len(gone)} of {len(group)} {repairs} no longer held after {after}"
        metrics = sorted({c.split(":", 1)[1] for x in gone for c in x.reason_codes if ":" in c})
        why = [spoken(metric) for metric in metrics[:MAX_METRICS]]
        if any("same_problem_again" in look.reason_codes for look in gone):
            why.append("the same trigger again")
        if why:
            description += f" ({', '.join(why)})"
        ids = [look.mission_id for look in gone]
        more = [f"… and {len(ids) - MAX_MISSION_IDS} more"] if len(ids) > MAX_MISSION_IDS else []
        codes = sorted({f"reason={code}" for look in gone for code in look.reason_codes})
        figures = [f"relapsed={len(gone)}", f"looked_at={len(group)}", *codes]
        evidence = [*figures, *ids[:MAX_MISSION_IDS], *more]
        yield _Problem(day, domain_id, "did_not_hold", description, evidence, stage)


def _groups(rows: pa.Table) -> list[tuple[str, str]]:
    return list(zip(rows[DATE].to_pylist(), rows["domain_id"].to_pylist(), strict=True))


def _ids(missions: pa.Table) -> list[str]:
    ids = missions["mission_id"].slice(0, MAX_MISSION_IDS).to_pylist()
    more = missions.num_rows - len(ids)
    return [*ids, f"… and {more} more"] if more else ids


def _errors(missions: pa.Table) -> list[str]:
    """The most frequent error texts, each with how many missions gave it."""
    counts = pc.value_counts(missions["error"].drop_null()).to_pylist()
    counts.sort(key=lambda entry: (-entry["counts"], entry["values"]))
    texts = []
    for entry in counts[:MAX_ERRORS]:
        text = clean(entry["values"], MAX_ERROR_CHARACTERS)
        texts.append(f"error: {text} ({entry['counts']}×)")
    more = len(counts) - MAX_ERRORS
    return [*texts, f"… and {more} more errors"] if more > 0 else texts


def _days(n: int) -> str:
    return f"{n} day" if n == 1 else f"{n} days"


def _percent(chance: float) -> str:
    return "below 0.1 %" if chance < 0.001 else f"{100 * chance:.1f} %"
