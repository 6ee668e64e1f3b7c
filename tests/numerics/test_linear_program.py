"""Both solvers and the certificate on general programs, against HiGHS and by the algebra of duality."""

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from syneff.numerics import interior_point, simplex
from syneff.numerics.certificate import certify, repair
from syneff.numerics.linear_program import LinearPrograms, Solution, Status
from tests.frontiers import TIGHT

SOLVERS = {"interior_point": interior_point.solve, "simplex": simplex.solve}
ROWS, PROBLEMS, COLUMNS, PADDING, CHUNK = 4, 20, 30, 2, 8
START = jnp.tile(jnp.arange(ROWS), (PROBLEMS, 1))
Solve = Callable[..., Solution]


def draw(seed: int, rhs: np.ndarray, *, columns: int = COLUMNS, integers: bool = False) -> LinearPrograms:
    """Draw a batch whose first row bounds the variables, so that none is unbounded; padding would be very attractive."""
    rng = np.random.default_rng(seed)
    total = columns + PADDING
    shared = rng.integers(-1, 2, (ROWS, total)).astype(float) if integers else rng.normal(size=(ROWS, total))
    dense = rng.normal(size=(ROWS, ROWS))
    shared[0], dense[0] = rng.uniform(0.5, 2.0, total), rng.uniform(0.5, 2.0, ROWS)
    if integers:
        shared[0] = 1.0
        shared[:, 10:20] = shared[:, :10]
    cost = rng.integers(0, 3, total).astype(float) if integers else rng.normal(size=total)
    cost[columns:] = -100.0
    return LinearPrograms(
        shared=jnp.asarray(shared),
        row_scale=jnp.asarray(rng.lognormal(size=(PROBLEMS, ROWS))),
        usable=jnp.arange(total) < columns,
        left_out=jnp.asarray(rng.integers(-1, columns, PROBLEMS)).at[0].set(-1),
        private=jnp.asarray(np.column_stack([dense, np.eye(ROWS)[1], -np.eye(ROWS)[2]])),
        cost_shared=jnp.asarray(cost),
        cost_private=jnp.asarray(np.append(rng.normal(size=ROWS), [0.3, 0.5])),
        rhs=jnp.asarray(rhs),
        repair=jnp.asarray(np.eye(ROWS)[0]),
        repair_cost=jnp.asarray(0.0),
    )


ORDINARY = draw(0, np.array([1.0, 0.1, -0.2, 0.1]))
DEGENERATE = draw(1, np.array([1.0, 0.0, 0.0, 0.0]), integers=True)
HARD = draw(2, np.array([1.0, -0.9, 0.8, 0.9]))  # few combinations reach this right-hand side


def dense(problems: LinearPrograms, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the matrix and costs of one problem, and which columns it may use."""
    scale = np.asarray(problems.row_scale)[number][:, None]
    matrix = np.concatenate([np.asarray(problems.private), scale * np.asarray(problems.shared)], axis=1)
    fine = np.asarray(problems.usable) & (np.arange(problems.usable.size) != int(problems.left_out[number]))
    cost = np.concatenate([np.asarray(problems.cost_private), np.asarray(problems.cost_shared)])
    return matrix, cost, np.concatenate([np.ones(problems.cost_private.size, dtype=bool), fine])


def highs(problems: LinearPrograms, numbers: range = range(PROBLEMS)) -> np.ndarray:
    """Return the optima; NaN where a problem is infeasible."""
    optima = []
    for number in numbers:
        matrix, cost, fine = dense(problems, number)
        answer = linprog(cost[fine], A_eq=matrix[:, fine], b_eq=np.asarray(problems.rhs), method="highs", options=TIGHT)
        assert answer.status in (0, 2)
        optima.append(answer.fun if answer.status == 0 else np.nan)
    return np.array(optima)


def check_proofs(
    problems: LinearPrograms, solution: Solution, numbers: range = range(PROBLEMS), *, tolerance: float = 1e-9
) -> None:
    """Check each answer by the matrix of its problem alone: the conditions of Karush, Kuhn and Tucker, or Farkas' ray."""
    rhs = np.asarray(problems.rhs)
    for number in numbers:
        matrix, cost, fine = dense(problems, number)
        y = np.asarray(solution.y)[number]
        if solution.status[number] == Status.INFEASIBLE:
            y = y / np.abs(y).max()
            assert (y @ matrix)[fine].min() >= -1e-10
            assert y @ rhs < -1e-9
            continue
        basis, value = np.asarray(solution.basis)[number], np.asarray(solution.value)[number]
        assert solution.status[number] == Status.OPTIMAL
        assert fine[basis].all()
        assert value.min() >= 0.0
        np.testing.assert_allclose(matrix[:, basis] @ value, rhs, atol=tolerance)
        np.testing.assert_allclose(cost[basis] @ value, solution.objective[number], rtol=1e-12, atol=1e-12)
        assert (cost - y @ matrix)[fine].min() >= -tolerance
        np.testing.assert_allclose(y @ rhs, solution.objective[number], atol=2 * tolerance)


@pytest.mark.parametrize("solve", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize("problems", [ORDINARY, DEGENERATE, HARD], ids=["ordinary", "degenerate", "hard"])
def test_solvers_agree_with_highs_and_prove_it(problems: LinearPrograms, solve: Solve) -> None:
    solution = solve(problems, START, chunk=CHUNK)
    expected = highs(problems)
    np.testing.assert_allclose(solution.objective, expected, atol=1e-9)
    check_proofs(problems, solution)
    if problems is HARD:
        assert 0 < np.isnan(expected).sum() < PROBLEMS, "the batch must mix feasible and infeasible problems"
    else:
        assert np.isfinite(expected).sum() >= PROBLEMS // 2


@pytest.mark.parametrize("solve", SOLVERS.values(), ids=SOLVERS)
def test_the_chunk_size_does_not_matter(solve: Solve) -> None:
    one, other = (solve(HARD, START, chunk=chunk) for chunk in (CHUNK, 7))
    np.testing.assert_array_equal(one.status, other.status)
    # The order of the basic columns may differ by rounding, and so may the last basis of an infeasible problem.
    bases = [np.sort(np.asarray(each.basis), axis=1)[np.asarray(one.status) == Status.OPTIMAL] for each in (one, other)]
    np.testing.assert_array_equal(*bases)
    np.testing.assert_allclose(one.objective, other.objective, rtol=1e-13, atol=1e-14)


def test_the_active_set_grows_to_what_is_needed() -> None:
    problems = draw(3, np.array([1.0, 0.1, -0.2, 0.1]), columns=900)
    solution = interior_point.solve(problems, START)
    np.testing.assert_allclose(solution.objective, highs(problems), atol=1e-9)
    check_proofs(problems, solution)


def wrong(problems: LinearPrograms, basis: np.ndarray, ray: np.ndarray | None = None) -> Solution:
    nothing = jnp.zeros((PROBLEMS, ROWS)) if ray is None else jnp.asarray(ray)
    return certify(problems, jnp.asarray(basis), ray=nothing, iterations=jnp.zeros(PROBLEMS, dtype=int))


def test_the_certificate_accepts_only_optimal_vertices() -> None:
    best = simplex.solve(ORDINARY, START, chunk=CHUNK)
    optimal = np.asarray(best.status) == Status.OPTIMAL
    basis = np.asarray(best.basis)
    np.testing.assert_array_equal(wrong(ORDINARY, basis).status[optimal], Status.OPTIMAL)
    # The start is optimal for no problem: not one of these bases is the same set of columns.
    assert (np.sort(basis, axis=1) != np.arange(ROWS)).any(axis=1).all()
    refused = wrong(ORDINARY, np.asarray(START))
    np.testing.assert_array_equal(refused.status, Status.NOT_CERTIFIED)


def test_the_certificate_refuses_columns_that_are_not_allowed() -> None:
    # Optimal where the column may be used: first all padding, then nothing left out, then that very column left out.
    everything = replace(ORDINARY, usable=jnp.ones_like(ORDINARY.usable), left_out=jnp.full(PROBLEMS, -1))
    best = simplex.solve(everything, START, chunk=CHUNK)
    basis, n_private = np.asarray(best.basis), ORDINARY.cost_private.size
    uses_padding = (basis >= n_private + COLUMNS).any(axis=1)
    assert uses_padding.any()
    np.testing.assert_array_equal(wrong(everything, basis).status, best.status)
    np.testing.assert_array_equal(wrong(ORDINARY, basis).status[uses_padding], Status.NOT_CERTIFIED)
    without = replace(everything, left_out=jnp.asarray(basis.max(axis=1) - n_private))
    shared = basis.max(axis=1) >= n_private
    assert shared.any()
    np.testing.assert_array_equal(wrong(without, basis).status[shared], Status.NOT_CERTIFIED)


def test_the_certificate_refuses_a_false_ray() -> None:
    solution = simplex.solve(HARD, START, chunk=CHUNK)
    infeasible = np.asarray(solution.status) == Status.INFEASIBLE
    ray = np.where(infeasible[:, None], np.asarray(solution.y), np.asarray(HARD.rhs)[None, :] * -1.0)
    start = np.asarray(START)
    np.testing.assert_array_equal(wrong(HARD, start, 5.0 * ray).status == Status.INFEASIBLE, infeasible)
    assert (np.asarray(wrong(HARD, start, -ray).status) != Status.INFEASIBLE).all()


def test_a_repaired_dual_point_bounds_every_optimum_from_below() -> None:
    anything = np.random.default_rng(4).normal(size=(PROBLEMS, ROWS))
    y, violation = (np.asarray(each) for each in repair(ORDINARY, jnp.asarray(anything)))
    optima = highs(ORDINARY)
    for number in range(PROBLEMS):
        matrix, cost, fine = dense(ORDINARY, number)
        assert (cost - y[number] @ matrix)[fine].min() >= -1e-10
        np.testing.assert_allclose(violation[number], -(cost - anything[number] @ matrix)[fine].min(), rtol=1e-12)
    feasible = np.isfinite(optima)
    assert (y @ np.asarray(ORDINARY.rhs) <= optima + 1e-9)[feasible].all()
