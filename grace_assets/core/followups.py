"""Follow-up missions: what Grace asks for when a domain keeps having problems.

The table is a fold over the whole history of problems and of missions that carried follow-ups
out, so re-running a day, or running days in another order, cannot open a second one. What was
already announced to the outside is the one thing that the fold cannot undo and takes as given.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import chain, groupby, islice, pairwise
from operator import itemgetter

import pyarrow as pa
import pyarrow.compute as pc

from grace_assets.core.schemas import DATE, SEVERITIES, TABLES
from grace_assets.core.wording import clean

LATE_EVIDENCE = timedelta(days=7)
"""How long before an announced follow-up a problem found late still belongs to it."""
ROWS_AT_ONCE = 10_000
"""Rows that are Python objects at one time: a large day has problems by the million."""

_MISSION_TYPES = {
    "mission_failures": "failure_remediation",
    "degrading_kpi": "performance_optimization",
    "low_effectiveness": "performance_optimization",
    "recurring_issue": "error_remediation",
    "did_not_hold": "error_remediation",
}
"""The kind of mission that a problem asks for; where severities are equal, the first leads."""

_COMPLETED = ("follow_up_id", "mission_id", DATE, "completed_at", "verdict")


@dataclass(frozen=True)
class _Closing:
    mission_id: str
    verdict: str
    day: date


@dataclass
class _FollowUp:
    follow_up_id: str
    domain_id: str
    opened_on: date
    closing: _Closing | None
    problems: dict[date, list[dict]] = field(default_factory=dict)

    def takes(self, day: date) -> bool:
        """Whether it was open on `day`; the day on which it closes still belongs to it."""
        return self.opened_on <= day and (self.closing is None or day <= self.closing.day)

    def every_problem(self) -> list[dict]:
        return [problem for day in sorted(self.problems) for problem in self.problems[day]]

    def row(self) -> dict[str, object]:
        """All but the evidence, which is long."""
        every = self.every_problem()
        first = self.problems.get(self.opened_on) or [p for p in every if p[DATE] == every[0][DATE]]
        return {
            DATE: self.opened_on.isoformat(),
            "follow_up_id": self.follow_up_id,
            "domain_id": self.domain_id,
            "title": f"Investigate {clean(self.domain_id)} issues",
            "type": _mission_type(first),
            "reason": _reason(first),
            "priority": _priority(every),
            "status": "closed" if self.closing else "open",
            "opened_on": self.opened_on,
            "closed_by_mission_id": self.closing.mission_id if self.closing else None,
            "verdict": self.closing.verdict if self.closing else None,
        }

    def rows_by_time(self, end: date = date.max) -> Iterator[dict[str, object]]:
        """Its row as it stood from the day `since` to before `until`, which is `end` at most."""
        edges, worst = {self.opened_on}, len(SEVERITIES)
        for day, problems in sorted(self.problems.items()):
            if (rank := SEVERITIES.index(_priority(problems))) < worst:
                edges.add(max(day, self.opened_on))
                worst = rank
        if self.closing:
            edges.add(self.closing.day)
        for since, until in pairwise([*sorted(day for day in edges if day < end), end]):
            known = {day: problems for day, problems in self.problems.items() if day <= since}
            closing = self.closing if self.closing and self.closing.day <= since else None
            then = replace(self, problems=known, closing=closing)
            yield then.row() | {"since": since, "until": until}


def follow_up_id(domain_id: str, opened_on: date) -> str:
    """The id of the follow-up that a domain's problems on `opened_on` open."""
    identity = f"{domain_id}\x1f{opened_on.isoformat()}"
    return "fu-" + hashlib.sha256(identity.encode()).hexdigest()[:16]


def completed_follow_ups(outcomes: pa.Table) -> pa.Table:
    """The missions of `mission_outcomes` that carried out a follow-up, as the fold takes them."""
    return outcomes.select(_COMPLETED).filter(pc.is_valid(outcomes["follow_up_id"]))


def fold_follow_ups(
    problems: pa.Table, completed: pa.Table, issued: Mapping[str, tuple[str, date]]
) -> pa.Table:
    """Fold all history into the table `follow_up_missions`, `date` being the day of opening.

    `problems` is that table over all days, `completed` the rows of `completed_follow_ups` over
    all days (unknown ids are ignored), `issued` the follow-ups already announced: id → (domain,
    opened on). A domain's first problem day without an open follow-up opens one; later days add
    evidence to it, including the day on which the first mission with its id completes, which
    closes it. An issued follow-up always stays, and takes over problems found late up to
    `LATE_EVIDENCE` before it where no other was open.
    """
    follow_ups = _follow_ups(problems, _closings(completed), issued)
    schema = TABLES["follow_up_missions"].with_date()
    return _table(
        (f.row() | {"evidence": _evidence(f.every_problem())} for f in follow_ups), schema
    )


def follow_ups_by_day(
    problems: pa.Table,
    completed: pa.Table,
    issued: Mapping[str, tuple[str, date]],
    days: Iterable[date],
) -> Iterator[pa.Table]:
    """The follow-ups as they stood at the end of each day, all columns but `evidence`.

    That is what `fold_follow_ups` makes of the history up to that day: of problems, of missions
    and of what was announced until then. All days together cost one fold.
    """
    schema = TABLES["follow_up_missions"].with_date()
    columns = [field for field in schema if field.name != "evidence"]
    times = [pa.field(name, pa.date32()) for name in ("since", "until")]
    rows = _table(_by_time(problems, _closings(completed), issued), pa.schema([*columns, *times]))
    for day in days:
        at = pa.scalar(day)
        stood = pc.and_(pc.less_equal(rows["since"], at), pc.greater(rows["until"], at))
        yield rows.filter(stood).drop_columns(["since", "until"])


def _by_time(
    problems: pa.Table, closings: Mapping[str, _Closing], issued: Mapping[str, tuple[str, date]]
) -> Iterator[dict[str, object]]:
    for follow_up in _follow_ups(problems, closings, issued):
        yield from follow_up.rows_by_time()
        # Until it was announced, the problems that were found late stood for themselves.
        late = {d: rows for d, rows in follow_up.problems.items() if d < follow_up.opened_on}
        for other in _assigned(follow_up.domain_id, sorted(late.items()), [], closings):
            yield from other.rows_by_time(follow_up.opened_on)


def _table(rows: Iterator[dict[str, object]], schema: pa.Schema) -> pa.Table:
    parts = [schema.empty_table()]
    while some := list(islice(rows, ROWS_AT_ONCE)):
        parts.append(pa.Table.from_pylist(some, schema=schema))
    order = [(name, "ascending") for name in (DATE, "domain_id", "follow_up_id")]
    return pa.concat_tables(parts).sort_by(order)


def _follow_ups(
    problems: pa.Table, closings: Mapping[str, _Closing], issued: Mapping[str, tuple[str, date]]
) -> Iterator[_FollowUp]:
    """Domain by domain: no other's history is held meanwhile."""
    announced: dict[str, list[_FollowUp]] = defaultdict(list)
    for id_, (domain_id, opened_on) in issued.items():
        closing = _closing(closings, id_, opened_on)
        announced[domain_id].append(_FollowUp(id_, domain_id, opened_on, closing))
    for domain_id, days in _problem_days(problems):
        yield from _assigned(domain_id, days, announced.pop(domain_id, []), closings)
    yield from chain.from_iterable(announced.values())


def _assigned(
    domain_id: str,
    days: Iterable[tuple[date, list[dict]]],
    known: list[_FollowUp],
    closings: Mapping[str, _Closing],
) -> list[_FollowUp]:
    """A domain's follow-ups: those `known` and those that its problem days open, with problems."""
    for day, rows in days:
        target = _open_on(known, day) or _issued_soon_after(known, day)
        if target is None:
            id_ = follow_up_id(domain_id, day)
            target = _FollowUp(id_, domain_id, day, _closing(closings, id_, day))
            known.append(target)
        target.problems[day] = rows
    return known


def _closings(completed: pa.Table) -> dict[str, _Closing]:
    """The mission that carried each follow-up out: the first to complete."""
    rows = completed.select(_COMPLETED).to_pylist()
    first: dict[str, _Closing] = {}
    for row in sorted(rows, key=lambda row: (row["completed_at"], row["mission_id"])):
        closing = _Closing(row["mission_id"], row["verdict"], date.fromisoformat(row[DATE]))
        first.setdefault(row["follow_up_id"], closing)
    return first


def _closing(closings: Mapping[str, _Closing], id_: str, opened_on: date) -> _Closing | None:
    closing = closings.get(id_)
    if closing is None or closing.day >= opened_on:
        return closing
    # A clock that runs behind must not close a follow-up before the day that opened it.
    return _Closing(closing.mission_id, closing.verdict, opened_on)


def _problem_days(
    problems: pa.Table,
) -> Iterator[tuple[str, Iterator[tuple[date, list[dict]]]]]:
    """Each domain with its problem days in order, and their problems, dominant first."""
    ordered = problems.sort_by([("domain_id", "ascending"), (DATE, "ascending")])
    batches = ordered.to_batches(max_chunksize=ROWS_AT_ONCE)
    rows = chain.from_iterable(batch.to_pylist() for batch in batches)
    for domain_id, of_domain in groupby(rows, itemgetter("domain_id")):
        days = groupby(of_domain, itemgetter(DATE))
        yield domain_id, ((date.fromisoformat(day), sorted(r, key=_dominance)) for day, r in days)


def _dominance(problem: Mapping[str, str]) -> tuple[int, int, str]:
    order = list(_MISSION_TYPES).index(problem["type"])
    return SEVERITIES.index(problem["severity"]), order, problem["problem_id"]


def _open_on(known: Iterable[_FollowUp], day: date) -> _FollowUp | None:
    taking = (follow_up for follow_up in known if follow_up.takes(day))
    return max(taking, key=lambda follow_up: follow_up.opened_on, default=None)


def _issued_soon_after(known: Iterable[_FollowUp], day: date) -> _FollowUp | None:
    # Days are folded in order, so whatever opens after `day` was issued.
    soon = (f for f in known if day < f.opened_on <= day + LATE_EVIDENCE)
    return min(soon, key=lambda follow_up: follow_up.opened_on, default=None)


def _mission_type(problems: list[dict]) -> str:
    return _MISSION_TYPES[problems[0]["type"]] if problems else "error_remediation"


def _priority(problems: list[dict]) -> str:
    severities = [problem["severity"] for problem in problems]
    return min(severities, key=SEVERITIES.index, default="medium")


def _reason(problems: list[dict]) -> str:
    if not problems:
        return "Auto-brief flagged problems that later corrections removed"
    return "Auto-brief flagged problems: " + "; ".join(row["description"] for row in problems)


def _evidence(problems: list[dict]) -> list[str]:
    texts = (f"{row[DATE]}: {text}" for row in problems for text in row["evidence"])
    return list(dict.fromkeys(texts))
