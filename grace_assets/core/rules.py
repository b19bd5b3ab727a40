"""The catalogue's rules as columns, for rows that are judged together."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from grace_assets.core.catalogue import UNRULED, Catalogue, MetricRule


@dataclass(frozen=True)
class Rules:
    """The catalogue's rules as columns, one entry a row; NaN where a number is not given."""

    known: np.ndarray
    direction: np.ndarray
    unit: np.ndarray
    kind: np.ndarray
    zero: np.ndarray
    min_samples: np.ndarray
    min_coverage: np.ndarray
    min_effect_rel: np.ndarray
    min_effect_abs: np.ndarray
    low: np.ndarray
    high: np.ndarray
    target: np.ndarray
    max_plausible: np.ndarray

    def take(self, rows: np.ndarray) -> Rules:
        return Rules(*(getattr(self, f.name)[rows] for f in fields(self)))


def rules_of(metrics: np.ndarray, catalogue: Catalogue) -> Rules:
    """The rule of each metric name; defaults and `known` False where there is none."""
    found = [catalogue.rule(metric) for metric in metrics]
    rules = [rule or UNRULED for rule in found]

    def text(name: str) -> np.ndarray:
        return np.array([getattr(rule, name) for rule in rules], object)

    def number(name: str) -> np.ndarray:
        return np.array([getattr(rule, name) for rule in rules], float)

    return Rules(
        known=np.array([rule is not None for rule in found], bool),
        direction=text("direction"),
        unit=np.array([_unit(rule) for rule in rules], object),
        kind=text("kind"),
        zero=text("missing") == "zero",
        min_samples=number("min_samples"),
        min_coverage=number("min_coverage"),
        min_effect_rel=number("min_effect_rel"),
        min_effect_abs=number("min_effect_abs"),
        low=number("low"),
        high=number("high"),
        target=number("target"),
        max_plausible=number("max_plausible"),
    )


def _unit(rule: MetricRule) -> str | None:
    return f"{rule.unit}/s" if rule.unit and rule.kind == "counter" else rule.unit
