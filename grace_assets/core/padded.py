"""Windows of unequal length as rows of one matrix, padded with NaN: many of them in one step.

Belongs here: batches of bounded size, filling them from one column of values, and medians of
their rows. A sum over a row is the same to the last bit whatever other rows stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

_CELLS = 1 << 17
"""Cells of one batch matrix, so that a processor keeps it at hand; it never changes a result."""


def medians(values: np.ndarray, first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The median of `count` values from row `first`, for each window; NaN where empty."""
    result = np.full(len(first), np.nan)
    for rows, width in batches(count):
        result[rows] = row_medians(gather(values, first[rows], count[rows], width), count[rows])
    return result


def batches(count: np.ndarray, depth: int = 1) -> Iterator[tuple[np.ndarray, int]]:
    """Rows in batches of equal matrix width, at most `_CELLS` cells each.

    The width, 8, 12, 16, 24, 32 and so on, depends on the row's own count alone, so that a sum
    over it is the same to the last bit whatever other rows are judged in the same run.
    """
    power = 1 << np.ceil(np.log2(np.maximum(count, 8))).astype(np.int64)
    width = np.where((count > 8) & (count <= power * 3 // 4), power * 3 // 4, power)
    for size in np.unique(width):
        rows = np.flatnonzero(width == size)
        step = max(1, _CELLS // int(size * depth))
        for start in range(0, len(rows), step):
            yield rows[start : start + step], int(size)


def gather(values: np.ndarray, first: np.ndarray, count: np.ndarray, width: int) -> np.ndarray:
    """Windows as rows of a matrix (any leading shape), padded with NaN to `width`."""
    beyond = first.max(initial=0) + width - len(values)
    if beyond > 0:
        values = np.append(values, np.full(beyond, np.nan))
    matrix = sliding_window_view(values, width)[first]
    np.copyto(matrix, np.nan, where=outside(count, width))
    return matrix


def outside(count: np.ndarray, width: int) -> np.ndarray:
    """Which cells of windows of that shape are padding."""
    return np.arange(width) >= count[..., None]


def row_medians(matrix: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Medians along the last axis of NaN-padded rows with `count` values each; NaN where empty."""
    ranked = np.sort(matrix, axis=-1)
    lower = np.take_along_axis(ranked, np.maximum(count - 1, 0)[..., None] // 2, axis=-1)
    upper = np.take_along_axis(ranked, count[..., None] // 2 % matrix.shape[-1], axis=-1)
    return np.where(count > 0, lower[..., 0] / 2 + upper[..., 0] / 2, np.nan)
