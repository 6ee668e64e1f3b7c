"""Sensitivity to trends that are not parallel, against values printed by the R package HonestDiD for its own example."""

import numpy as np
import pytest

from syneff.models.staggered.relative_magnitudes import RelativeMagnitudes
from syneff.models.staggered.smoothness import Smoothness, largest_bend
from tests.event_paths import COEF, COV, errors, path_of

PATH = path_of(COEF, COV, 4)
FIRST = np.array([1.0, 0.0, 0.0, 0.0])
GRID = np.linspace(-20.0, 20.0, 200) * np.sqrt(COV[4, 4])
"""Where HonestDiD inverts its test with gridPoints=200."""
PRINTED = 1e-9
INPUTS = 2e-9
"""Inputs are known to ten digits."""
SIMULATED = 1e-4
"""HonestDiD finds the quantile of a folded normal by a million draws, and its optimum to a step of a grid."""

FLCI = {
    0.0: (0.131411316, 0.2161696482, 0.04237916612),
    0.1: (0.1194440001, 0.4185082143, 0.1495321071),
    0.2: (0.01944400015, 0.5185082143, 0.2495321071),
}
ORIGINAL = (0.15877494280765, 0.233147292681241)


def relative(method: str) -> RelativeMagnitudes:
    return RelativeMagnitudes(PATH, FIRST, 0.05, method, errors(PATH))


def test_conditional_set_under_relative_magnitudes():
    accepted = GRID[relative("conditional").accepts(GRID, 1.0)]
    np.testing.assert_allclose(accepted[[0, -1]], [0.07055244362, 0.3184394077], atol=PRINTED)


def test_hybrid_set_under_relative_magnitudes_is_within_a_step_of_the_grid():
    """HonestDiD estimates the least favourable critical value, at a level of .005, from 1,000 draws."""
    accepted = GRID[relative("C-LF").accepts(GRID, 1.0)]
    step = GRID[1] - GRID[0]
    np.testing.assert_allclose(accepted[[0, -1]], [0.07055244362, 0.3184394077], atol=1.001 * step)


@pytest.mark.parametrize("bound", FLCI)
def test_shortest_interval_of_fixed_length(bound):
    smooth = Smoothness(PATH, FIRST, 0.05)
    low, high, half = FLCI[bound]
    np.testing.assert_allclose(smooth.interval(bound), [low, high], atol=SIMULATED)
    assert smooth.optimum(bound)[1] == pytest.approx(half, abs=SIMULATED)


def test_optimal_weights():
    row, _ = Smoothness(PATH, FIRST, 0.05).optimum(0.1)
    np.testing.assert_allclose(np.delete(row, 4), [0, 0, 0, 1, 1, 0, 0, 0], atol=1e-6)


def test_largest_change_of_slope_before_adoption():
    assert largest_bend(PATH, 0.05) == pytest.approx(0.202169869297069, abs=INPUTS)


def test_no_violation_gives_the_usual_interval():
    low, high, whole = relative("conditional").interval(0.0)
    np.testing.assert_allclose([low, high], ORIGINAL, atol=INPUTS)
    assert whole
