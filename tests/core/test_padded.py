"""Windows of unequal length as rows of one matrix, and what is computed on such rows."""

import numpy as np
import pytest

from grace_assets.core import padded
from grace_assets.core.autocorrelation import surest_steps


def test_every_row_is_in_one_batch_that_is_wide_enough_and_at_most_half_as_wide_again():
    count = np.random.default_rng(1).integers(0, 3000, 2000)
    seen = []
    for rows, width in padded.batches(count, depth=30):
        assert (count[rows] <= width).all()
        assert (width <= np.maximum(8, 1.5 * count[rows])).all()
        seen.extend(rows)
    assert sorted(seen) == list(range(len(count)))


def test_windows_that_end_with_the_values_are_padded_like_any_other():
    values = np.arange(10.0)
    found = padded.gather(values, np.array([[0, 8], [9, 10]]), np.array([[3, 2], [1, 0]]), 4)
    nan = np.nan
    expected = [[[0, 1, 2, nan], [8, 9, nan, nan]], [[9, nan, nan, nan], [nan] * 4]]
    np.testing.assert_array_equal(found, expected)


def surest_by_definition(values: np.ndarray, r: float, places: range) -> dict[int, float]:
    """z of a step at each place by generalised least squares, the covariances written out."""
    distance = np.abs(np.subtract.outer(np.arange(len(values)), np.arange(len(values))))
    weights = np.linalg.inv(r**distance)
    found = {}
    for place in places:
        model = np.stack([np.ones(len(values)), np.arange(len(values)) >= place], axis=1)
        covariance = np.linalg.inv(model.T @ weights @ model)
        step = (covariance @ model.T @ weights @ values)[1]
        found[place] = step / np.sqrt(covariance[1, 1])
    return found


@pytest.mark.parametrize("r", [0.0, 0.6, 0.97])
def test_the_surest_steps_are_those_of_generalised_least_squares(r):
    rng = np.random.default_rng(2)
    count = np.array([30, 40, 12, 40])
    first, last = np.array([1, 7, 3, 1]), np.array([25, 20, 11, 39])
    matrix = np.full((4, 48), np.nan)
    for row, size in enumerate(count):
        matrix[row, :size] = 1000 + rng.normal(size=size) + 3 * (np.arange(size) >= size // 2)
    (up, z_up), (down, z_down) = surest_steps(
        matrix, count, np.full(4, 2.0), np.full(4, r), first, last
    )
    for row, size in enumerate(count):
        steps = surest_by_definition(matrix[row, :size], r, range(first[row], last[row] + 1))
        best = max(steps, key=steps.get)
        assert (up[row], z_up[row]) == (best, pytest.approx(steps[best] / 2, rel=1e-6))
        worst = min(steps, key=steps.get)
        if steps[worst] < 0:
            expected = (worst, pytest.approx(-steps[worst] / 2, rel=1e-6))
            assert (down[row], z_down[row]) == expected
        else:
            assert (down[row], z_down[row]) == (0, 0)
