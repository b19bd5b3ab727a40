"""The judge's exam: simulated truths, its verdicts, and three peers on the same data.

`make judge-exam` prints a table and the limits that the judge must keep, and fails where it does
not; `--curve` shows what a bolder or more careful judge would gain and lose. The world: a latency
every minute, healthy at 280 ms with AR(1) noise of 15 %; a real fault is 80 % on top, 28 minutes
before the mission, which lasts five. Alarms are three samples in a row above p97.5.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks import peers
from grace_assets.core import estimate
from tests.core.worlds import DURATION, HEALTHY, LATENCY, MINUTES, judged, shares, simulate

VERDICTS = {
    "effective": "effect",
    "partial": "partial",
    "no_effect": "no eff",
    "worse": "worse",
    "inconclusive": "unsure",
    "no_sustained_problem": "no probl",
    "insufficient_data": "no data",
}
PHIS = (0.0, 0.8, 0.95)
FAULT = 1.8
PARTLY = 1 + 0.6 * (FAULT - 1)
"""40 % of the excess is gone."""
COUNT = "latency_ms: {direction: lower, kind: count}"
ZERO = "latency_ms: {direction: lower, kind: count, missing: zero}"
HIGHER = "latency_ms: {direction: higher, unit: ms}"
BOUNDED = "latency_ms: {direction: lower, kind: ratio}"


@dataclass(frozen=True)
class Truth:
    """What happened. `alarm` is the minute of the reading that raised the alarm."""

    name: str
    make: Callable[[int, float, int], np.ndarray]
    rules: str = LATENCY
    alarm: int = -25


def world(**truth: object) -> Callable[[int, float, int], np.ndarray]:
    return lambda count, phi, seed: simulate(count, phi, seed=seed, **truth)


def daily_cycle(minutes: np.ndarray) -> np.ndarray:
    """±35 % over a day, falling fastest at the mission."""
    return 1 - 0.35 * np.sin(2 * np.pi * minutes / 1440)


def peak_to_trough(minutes: np.ndarray) -> np.ndarray:
    """The evening: traffic falls from +35 % to −35 % within the two windows."""
    return 1 - 0.35 * np.tanh((minutes - 5) / 10)


def poisson(before: float, after: float) -> Callable[[int, float, int], np.ndarray]:
    """Events a minute, 20 where healthy (0 with `before` of 0), autocorrelated in their rate."""

    def make(count: int, phi: float, seed: int) -> np.ndarray:
        rate = simulate(count, phi, before=before, after=after, seed=seed) / HEALTHY * 20
        return np.random.default_rng(seed).poisson(rate).astype(float)

    return make


def from_zero(after: float) -> Callable[[int, float, int], np.ndarray]:
    """Errors that never happen where healthy, and twelve a minute in a fault."""

    def make(count: int, phi: float, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        shape = (count, 15, len(MINUTES))
        level = np.where(MINUTES < -28, 0.0, np.where(MINUTES < DURATION, 12.0, after))
        days = np.zeros(shape)
        days[:, -1] = rng.poisson(np.broadcast_to(level, (count, len(MINUTES))))
        return days

    return make


def with_gaps(
    make: Callable[[int, float, int], np.ndarray], share: float
) -> Callable[[int, float, int], np.ndarray]:
    def gappy(count: int, phi: float, seed: int) -> np.ndarray:
        values = make(count, phi, seed)
        lost = np.random.default_rng(seed + 1).random(values.shape) < share
        return np.where(lost, np.nan, values)

    return gappy


def one_sided(keep: Callable[[np.ndarray], np.ndarray]) -> Callable[..., np.ndarray]:
    def half(count: int, phi: float, seed: int) -> np.ndarray:
        values = simulate(count, phi, before=FAULT, seed=seed)
        values[:, -1, ~keep(MINUTES)] = np.nan
        return values

    return half


def constant(after: float) -> Callable[..., np.ndarray]:
    def flat(count: int, phi: float, seed: int) -> np.ndarray:
        values = np.full((count, 15, len(MINUTES)), HEALTHY)
        values[:, -1, (MINUTES >= -28) & (MINUTES < DURATION)] *= FAULT
        values[:, -1, MINUTES >= DURATION] *= after
        return values

    return flat


fault, useless = world(before=FAULT), world(before=FAULT, after=FAULT)
TRUTHS = (
    Truth("noise tripped the alarm", world(tripped=True), alarm=-3),
    Truth("… on a daily cycle", world(tripped=True, season=daily_cycle), alarm=-3),
    Truth("useless on a fault", useless),
    Truth("full fix", fault),
    Truth("healed by itself", world(before=FAULT)),
    Truth("40 % fixed", world(before=FAULT, after=PARTLY)),
    Truth("fault made 25 % worse", world(before=FAULT, after=FAULT * 1.25)),
    Truth("healthy made 25 % worse", world(after=1.25)),
    Truth("nothing at all", world()),
    Truth("seasonal drop", world(season=peak_to_trough)),
    Truth("useless in a seasonal drop", world(before=FAULT, after=FAULT, season=daily_cycle)),
    Truth("heavy tails, full fix", world(before=FAULT, tails=3)),
    Truth("heavy tails, useless", world(before=FAULT, after=FAULT, tails=3)),
    Truth("counts, full fix", poisson(FAULT, 1.0), COUNT),
    Truth("counts, useless", poisson(FAULT, FAULT), COUNT),
    Truth("from zero, full fix", from_zero(0.0), ZERO),
    Truth("from zero, useless", from_zero(12.0), ZERO),
    Truth("a fifth lost, full fix", with_gaps(fault, 0.2)),
    Truth("a fifth lost, useless", with_gaps(useless, 0.2)),
    Truth("only before", one_sided(lambda m: m < 0)),
    Truth("only after", one_sided(lambda m: m >= 0)),
    Truth("constant, full fix", constant(1.0)),
    Truth("constant, useless", constant(FAULT)),
)


@dataclass(frozen=True)
class Result:
    truth: str
    phi: float
    verdicts: dict[str, float]
    peers: dict[str, float]

    @property
    def credited(self) -> float:
        return self.verdicts.get("effective", 0) + self.verdicts.get("partial", 0)


def examine(truth: Truth, phi: float, count: int, seed: int) -> Result:
    values = truth.make(count, phi, seed)
    return Result(
        truth.name, phi, shares(judged(values, truth.rules)), asked(values[:, -1], truth.alarm)
    )


def asked(values: np.ndarray, alarm: int) -> dict[str, float]:
    """The share of missions that each peer calls a success; of those it can compute."""
    pre = values[:, (MINUTES >= -30) & (MINUTES < 0)]
    post = values[:, (MINUTES >= DURATION + 5) & (MINUTES < DURATION + 35)]
    trigger = values[:, alarm == MINUTES][:, 0]
    if np.isnan(pre).all() or np.isnan(post).all():
        return {}
    seen = np.isfinite(trigger) & np.isfinite(post[:, 0])
    # Kayenta replaces or drops what is missing; the median of the window changes nothing.
    pre, post = (np.where(np.isnan(w), np.nanmedian(w, 1)[:, None], w) for w in (pre, post))
    return {
        "single": float(peers.single_reading(trigger, post)[seen].mean()),
        "MWU": float(peers.mann_whitney(pre, post).mean()),
        "Kayenta": float(peers.kayenta(pre, post).mean()),
    }


def same_verdicts(count: int, seed: int) -> dict[str, bool]:
    """Whether the other direction and another unit give every mission the same verdict."""
    cases = ((FAULT, 1.0), (FAULT, PARTLY), (FAULT, FAULT), (FAULT, 2.25), (1.0, 1.0), (1.0, 1.5))
    each = max(count // len(cases), 1)
    values = np.concatenate(
        [
            simulate(each, phi, before=before, after=after, seed=seed + number)
            for phi in PHIS
            for number, (before, after) in enumerate(cases)
        ]
    )
    ours = judged(values)["verdict"]
    mirrored = judged(-values, BOUNDED.replace("lower", "higher"))["verdict"]
    return {
        "milliseconds as seconds": judged(values / 1000)["verdict"] == ours,
        "mirrored (1/x, higher is better)": judged(1 / values, HIGHER)["verdict"] == ours,
        "mirrored (−x, bounded metric)": mirrored == judged(values, BOUNDED)["verdict"],
    }


def limits(results: list[Result], same: dict[str, bool]) -> Iterator[tuple[str, str, bool]]:
    """Each limit: what must be true, what was seen, whether it is kept."""

    def of(name: str, phis: tuple[float, ...] = PHIS) -> list[Result]:
        return [r for r in results if r.truth == name and r.phi in phis]

    def most(names: tuple[str, ...], limit: float) -> tuple[str, str, bool]:
        worst = max((r for name in names for r in of(name)), key=lambda r: r.credited)
        text = f"{names[0]}: effective or partial ≤ {limit:.0%}"
        return text, f"{worst.credited:.2%} at φ {worst.phi}", worst.credited <= limit

    def least(
        name: str, limit: float, phis: tuple[float, ...], verdict: str | None = None
    ) -> tuple[str, str, bool]:
        found = [
            (r.verdicts.get(verdict, 0) if verdict else r.credited, r.phi) for r in of(name, phis)
        ]
        low, phi = min(found)
        called = verdict or "effective or partial"
        at = "every φ" if len(phis) == len(PHIS) else f"φ {', '.join(map(str, phis))}"
        return f"{name}: {called} ≥ {limit:.0%} at {at}", f"{low:.1%} at φ {phi}", low >= limit

    yield most(("noise tripped the alarm", "… on a daily cycle"), 0.01)
    yield most(("useless on a fault",), 0.01)
    yield most(("seasonal drop",), 0.01)
    yield least("full fix", 0.9, (0.0, 0.8))
    yield least("full fix", 0.8, (0.95,))
    yield least("40 % fixed", 0.3, (0.0, 0.8))
    yield least("fault made 25 % worse", 0.45, PHIS, "worse")
    for name in ("fault made 25 % worse", "healthy made 25 % worse"):
        share = max(r.verdicts.get("effective", 0) for r in of(name))
        yield f"{name}: never effective", f"{share:.2%}", share == 0
    for name, equal in same.items():
        yield f"{name}: the same verdicts", "identical" if equal else "differ", equal


def table(results: list[Result]) -> str:
    """Verdicts in percent, and beside them what each peer calls a success."""
    names = ("single", "MWU", "Kayenta")
    head = f"{'truth':27}{'φ':>5} " + "".join(f"{word:>9}" for word in VERDICTS.values())
    head += "  |  worked, says" + "".join(f"{name:>9}" for name in names)
    lines = [head, "-" * len(head)]
    for r in results:
        cells = "".join(f"{percent(r.verdicts.get(v)):>9}" for v in VERDICTS)
        others = "".join(f"{percent(r.peers.get(name), none='–'):>9}" for name in names)
        lines.append(f"{r.truth:27}{r.phi:>5} {cells}  |  {'':12}{others}")
    return "\n".join(lines)


def percent(share: float | None, none: str = "·") -> str:
    return none if share is None else f"{100 * share:.1f}"


def curve(count: int, seed: int) -> Iterator[str]:
    """Partial fixes recognised and useless missions credited, by threshold and by window."""
    yield f"{'window':>8}{'z alone':>9}{'z step':>8}" + "".join(
        f"{f'useless φ {phi}':>15}{f'40 % φ {phi}':>14}" for phi in PHIS
    )
    kept = estimate.Z_IMPROVED
    try:
        for window in (30, 60, 120):
            minutes = np.arange(-window - 40, window + 20)
            rules = LATENCY.replace("unit: ms", f"window_seconds: {window * 60}")
            made = {
                (phi, after): simulate(
                    count,
                    phi,
                    before=FAULT,
                    after=after,
                    onset=-window + 2,
                    minutes=minutes,
                    seed=seed,
                )
                for phi in PHIS
                for after in (FAULT, PARTLY)
            }
            for shift in (-0.6, -0.3, 0.0, 0.3, 0.6):
                bold = replace(kept, alone=kept.alone + shift, step=kept.step + shift)
                estimate.Z_IMPROVED = bold
                cells = ""
                for phi in PHIS:
                    for after, width in ((FAULT, 15), (PARTLY, 14)):
                        found = shares(judged(made[phi, after], rules, minutes))
                        share = found.get("effective", 0) + found.get("partial", 0)
                        cells += f"{percent(share):>{width}}"
                yield f"{window:>4} min{bold.alone:>9.1f}{bold.step:>8.1f}{cells}"
    finally:
        estimate.Z_IMPROVED = kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--missions", type=int, default=2000, help="missions per truth and φ")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--curve", action="store_true", help="show the trade-off as well")
    options = parser.parse_args()
    started = time.monotonic()
    say = partial(print, flush=True)
    results = [
        examine(truth, phi, options.missions, options.seed + number)
        for number, truth in enumerate(TRUTHS)
        for phi in PHIS
    ]
    say(table(results))
    say(f"\n{options.missions:,} missions a row, in percent; seed {options.seed}.\n")
    kept = True
    for text, seen, fine in limits(results, same_verdicts(options.missions, options.seed)):
        say(f"{'kept  ' if fine else 'MISSED'}  {text:58} {seen}")
        kept &= fine
    if options.curve:
        say("\nWhat another threshold or window would give, in percent:")
        for line in curve(options.missions, options.seed):
            say(line)
    say(f"\n{time.monotonic() - started:.0f} s")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
