"""The KPI catalogue: what each metric means, so that "better" is defined before it is measured.

Belongs here: the shape of a rule, its defaults, and turning the YAML text into checked rules.
Reading the file does not: the caller passes the text and the name to show in errors.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field, fields
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

SHIPPED = Path(__file__).parents[1] / "kpis.yaml"
"""The catalogue that comes with the package; `GRACE_KPI_CATALOG` names another."""

_CHOICES = {
    "direction": ("lower", "higher", "band"),
    "kind": ("gauge", "ratio", "count", "counter"),
    "missing": ("unknown", "zero"),
}


class CatalogueError(ValueError):
    """A catalogue cannot be used; the message names file, metric and field."""


@dataclass(frozen=True)
class MetricRule:
    """How one metric is read and judged. Times in seconds, effects in shares or in its unit."""

    direction: str
    kind: str = "gauge"
    unit: str | None = None
    weight: float = 1.0
    critical: bool = False
    min_effect_rel: float = 0.05
    min_effect_abs: float = 0.0
    settle_seconds: float = 300.0
    window_seconds: float = 1800.0
    min_samples: int = 10
    min_coverage: float = 0.8
    missing: str = "unknown"
    low: float | None = None
    high: float | None = None
    target: float | None = None
    promql: str | None = None
    """Range query that answers for the domains `$domains`, each under `promql_label`."""
    promql_label: str = "domain_id"
    promql_step_seconds: float = 60.0
    max_plausible: float | None = None
    """Largest believable change as a share of the reading before (2 = tripled)."""

    @property
    def horizon(self) -> timedelta:
        """From the end of the mission to the end of its window after it."""
        return timedelta(seconds=self.settle_seconds + self.window_seconds)


UNRULED = MetricRule(direction="lower")
"""Windows of a metric that the catalogue does not know: measured by the defaults, not judged."""


@dataclass(frozen=True)
class Catalogue:
    """Rules by metric name or glob pattern, in the order of the file; the first match wins."""

    rules: tuple[tuple[str, MetricRule], ...]
    _known: dict[str, MetricRule | None] = field(
        default_factory=dict, repr=False, compare=False, hash=False
    )

    def rule(self, metric: str) -> MetricRule | None:
        """The rule for a metric, or None: recorded, never scored."""
        if metric not in self._known:
            self._known[metric] = next(
                (rule for pattern, rule in self.rules if fnmatchcase(metric, pattern)), None
            )
        return self._known[metric]

    @property
    def settle_and_window_max(self) -> timedelta:
        """When the last window of any metric closes, counted from the end of a mission."""
        return max((UNRULED.horizon, *(rule.horizon for _, rule in self.rules)))


@lru_cache(maxsize=4)
def parse_catalogue(text: str, name: str) -> Catalogue:
    """Rules from YAML text; `name` (the file) opens every error message.

    Kept, because a run of a day asks a dozen times.

    Raises:
        CatalogueError: not YAML, an unknown or repeated key, a value of the wrong kind.
    """
    try:
        data = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise CatalogueError(f"{name}: {error}") from error
    if not isinstance(data, dict):
        raise CatalogueError(f"{name}: top-level keys must be metric names")
    rules = []
    for metric, entry in data.items():
        if not isinstance(metric, str) or not metric:
            raise CatalogueError(f"{name}: {metric!r}: a metric name must be a string")
        rule = _rule(entry, f"{name}: {metric}")
        if rule.promql is not None and set(metric) & set("*?["):
            raise CatalogueError(f"{name}: {metric}: promql: needs a metric name, not a pattern")
        rules.append((metric, rule))
    return Catalogue(tuple(rules))


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets the last of two equal keys win in silence; a catalogue must not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is there twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _rule(entry: object, where: str) -> MetricRule:
    if not isinstance(entry, dict):
        raise CatalogueError(f"{where}: must be a mapping of fields")
    known = {f.name: f for f in fields(MetricRule)}
    for key in entry:
        if key not in known:
            raise CatalogueError(f"{where}: {key}: unknown field")
    if "direction" not in entry:
        raise CatalogueError(f"{where}: direction: required")
    rule = MetricRule(**{key: _value(key, value, where) for key, value in entry.items()})
    _check_together(rule, where)
    return rule


def _value(key: str, value: object, where: str) -> Any:
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            choices = ", ".join(_CHOICES[key])
            raise CatalogueError(f"{where}: {key}: {value!r} is not one of {choices}")
        return value
    if key in ("unit", "promql", "promql_label"):
        if not isinstance(value, str) or not value:
            raise CatalogueError(f"{where}: {key}: must be a string")
        return value
    if key == "critical":
        if not isinstance(value, bool):
            raise CatalogueError(f"{where}: critical: must be true or false")
        return value
    return _number(key, value, where)


def _number(key: str, value: object, where: str) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CatalogueError(f"{where}: {key}: {value!r} is not a finite number")
    if key in ("low", "high", "target"):
        return float(value)
    if key == "min_samples":
        if not isinstance(value, int) or value < 1:
            raise CatalogueError(f"{where}: min_samples: must be a whole number from 1")
        return value
    if key == "promql_step_seconds" and not 1 <= value <= 86_400:
        raise CatalogueError(f"{where}: {key}: must be between a second and a day")
    if value < 0 or (value == 0 and key in ("window_seconds", "max_plausible")):
        raise CatalogueError(f"{where}: {key}: {value!r} is too small")
    if key == "min_coverage" and value > 1:
        raise CatalogueError(f"{where}: min_coverage: must be between 0 and 1")
    if key in ("settle_seconds", "window_seconds") and value > 86_400:
        raise CatalogueError(f"{where}: {key}: more than a day")
    return float(value)


def _check_together(rule: MetricRule, where: str) -> None:
    has_band = rule.low is not None and rule.high is not None
    if rule.direction == "band":
        if not has_band or rule.low >= rule.high:
            raise CatalogueError(f"{where}: low: a band needs low below high")
        if rule.target is not None:
            raise CatalogueError(f"{where}: target: a band is its own target")
    elif rule.low is not None or rule.high is not None:
        raise CatalogueError(f"{where}: low: low and high belong to direction band")
    if rule.missing == "zero" and rule.kind != "count":
        raise CatalogueError(f"{where}: missing: only a count may read silence as zero")
