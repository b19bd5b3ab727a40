"""Which points of a sweep are looked at, where there is no time for all."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import TypeVar

Point = TypeVar("Point")


@dataclass(frozen=True)
class Part:
    """One of so many points, for so many seconds at most."""

    of: int = 1
    seconds: float = inf

    def size(self, points: Sequence[object]) -> int:
        return ceil(len(points) / self.of)

    def among(self, points: Sequence[Point]) -> Iterator[Point]:
        """In an order of chance that is always the same: what time cuts off is spread over all."""
        end = time.monotonic() + self.seconds
        for point in random.Random(1).sample(points, self.size(points)):
            if time.monotonic() > end:
                return
            yield point


ALL = Part()
