"""Centres of optimal faces by hand, by their first-order condition, and under another order of columns."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syneff.numerics import simplex
from syneff.numerics.linear_program import Status
from syneff.numerics.optimal_face import analytic_centre, central_optimum
from tests.numerics.test_linear_program import CHUNK, DEGENERATE, PROBLEMS, START, dense


def test_the_middle_of_an_edge() -> None:
    centre = analytic_centre(np.array([[1.0, 1.0]]), np.array([2.0, 2.0]), np.array([1.0]))
    assert centre is not None
    np.testing.assert_allclose(centre.value, [0.5, 0.5], rtol=1e-12)
    np.testing.assert_allclose(centre.y, [2.0], rtol=1e-12)


def test_a_face_by_lagrange() -> None:
    # x_1 = x_2 and 2 x_1 + x_3 = 1: the product of all three is largest where each is a third.
    centre = analytic_centre(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0]]), np.zeros(3), np.array([1.0, 0.0]))
    assert centre is not None
    np.testing.assert_allclose(centre.value, 1 / 3, rtol=1e-11)


def test_a_variable_that_no_optimum_uses_is_left_out_and_prices_are_not_unique() -> None:
    centre = analytic_centre(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]), np.zeros(3), np.array([1.0, 0.0]))
    assert centre is not None
    assert centre.place.tolist() == [0]
    np.testing.assert_allclose(centre.value, [1.0])
    assert np.isnan(centre.y).all(), "one column spans one of two rows"


def test_no_point() -> None:
    assert analytic_centre(np.array([[1.0], [1.0]]), np.zeros(1), np.array([1.0, 0.0])) is None


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(2, 12))
def test_centres_satisfy_their_condition_in_any_order(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-2, 3, (rows, columns)).astype(float)
    matrix[0] = rng.integers(1, 4, columns)  # bounds the face
    rhs = matrix @ rng.integers(0, 3, columns) + 0.0
    if not rhs.any():
        return
    order = rng.permutation(columns)
    one = analytic_centre(matrix, np.zeros(columns), rhs)
    other = analytic_centre(matrix[:, order], np.zeros(columns), rhs)
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(matrix[:, one.place] @ one.value, rhs, atol=1e-9)
    # 1 / x is a combination of the rows: the gradient of the sum of logarithms vanishes along the face.
    gradient = 1.0 - (matrix[:, one.place] * one.value).T @ _best(matrix[:, one.place] * one.value)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-8)
    assert sorted(order[other.place]) == one.place.tolist()
    np.testing.assert_allclose(other.value[np.argsort(order[other.place])], one.value, rtol=1e-7)


def _best(scaled: np.ndarray) -> np.ndarray:
    answer: np.ndarray = np.linalg.pinv(scaled.T) @ np.ones(scaled.shape[1])
    return answer


def test_optima_of_a_batch_with_ties() -> None:
    """Columns 10 to 19 repeat columns 0 to 9: wherever one is used, so is its twin, by half each."""
    cost_shared = np.array(DEGENERATE.cost_shared)
    cost_shared[10:20] = cost_shared[:10]
    batch = replace(DEGENERATE, cost_shared=cost_shared)
    solution = simplex.solve(batch, START, chunk=CHUNK)
    optimum = central_optimum(batch, solution)
    private = DEGENERATE.private.shape[1]
    twins = 0
    for row in range(PROBLEMS):
        if solution.status[row] != Status.OPTIMAL:
            continue
        matrix, cost, _ = dense(batch, row)
        x = np.zeros(cost.size)
        used = optimum.number[row] >= 0
        x[optimum.number[row][used]] = optimum.value[row][used]
        np.testing.assert_allclose(matrix @ x, batch.rhs, atol=1e-9)
        assert cost @ x == pytest.approx(float(solution.objective[row]), abs=1e-9)
        pairs = x[private : private + 20].reshape(2, 10)
        whole = np.asarray(batch.left_out)[row] not in range(20)
        if whole:
            np.testing.assert_allclose(pairs[0], pairs[1], atol=1e-8)
            twins += int((pairs > 1e-6).any())
    assert twins >= 3
