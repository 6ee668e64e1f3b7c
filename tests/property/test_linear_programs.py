"""Random linear programs: optima, optimality conditions, weak duality, and what may not matter to them."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syneff.numerics.linear_program import LinearPrograms, Status
from tests.numerics.test_linear_program import CHUNK, PROBLEMS, SOLVERS, START, Solve, check_proofs, dense, draw, highs

ERROR = 1e-10
few = settings(deadline=None, max_examples=8)
seeds = st.integers(0, 10**6)
solvers = pytest.mark.parametrize("solve", SOLVERS.values(), ids=SOLVERS)


def drawn(seed: int, *, integers: bool = False) -> LinearPrograms:
    """Draw a batch: its right-hand side may be out of reach of some problems, and is degenerate with integers."""
    rest = np.zeros(3) if integers else np.random.default_rng(seed).uniform(-0.8, 0.8, 3)
    return draw(seed, np.append(1.0, rest), integers=integers)


@solvers
@few
@given(seeds, st.booleans())
def test_optimal_as_highs_says_and_as_the_conditions_say(solve: Solve, seed: int, integers: bool) -> None:
    problems = drawn(seed, integers=integers)
    solution = solve(problems, START, chunk=CHUNK)
    expected = highs(problems)
    assert set(np.asarray(solution.status)) <= {Status.OPTIMAL, Status.INFEASIBLE}
    np.testing.assert_allclose(solution.objective, expected, rtol=ERROR, atol=ERROR)
    check_proofs(problems, solution, tolerance=ERROR)


@few
@given(seeds)
def test_dual_points_bound_every_feasible_point_from_below(seed: int) -> None:
    problems = drawn(seed)
    solution = SOLVERS["simplex"](problems, START, chunk=CHUNK)
    rng = np.random.default_rng(seed)
    for number in np.flatnonzero(np.asarray(solution.status) == Status.OPTIMAL):
        matrix, cost, fine = dense(problems, number)
        # Any nonnegative point is feasible for the right-hand side that it makes; the dual point bounds its cost there too.
        point = rng.exponential(size=cost.size) * fine
        y = np.asarray(solution.y)[number]
        assert y @ (matrix @ point) <= cost @ point + ERROR * np.abs(cost @ point)
        assert y @ np.asarray(problems.rhs) <= float(solution.objective[number]) + ERROR


@solvers
@few
@given(seeds)
def test_neither_order_nor_scale_of_the_columns_matters(solve: Solve, seed: int) -> None:
    problems = drawn(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(problems.usable.size)
    scale = 10.0 ** rng.uniform(-3, 3, problems.usable.size)
    place = np.argsort(order)
    left_out = np.where(problems.left_out >= 0, place[np.maximum(problems.left_out, 0)], -1)
    mixed = replace(
        problems,
        shared=(problems.shared * scale[None, :])[:, order],
        cost_shared=(problems.cost_shared * scale)[order],
        usable=problems.usable[order],
        left_out=jnp.asarray(left_out),
    )
    one, other = (solve(each, START, chunk=CHUNK) for each in (problems, mixed))
    np.testing.assert_array_equal(one.status, other.status)
    np.testing.assert_allclose(one.objective, other.objective, rtol=ERROR, atol=ERROR)


@solvers
@few
@given(seeds)
def test_neither_chunks_nor_the_order_of_problems_matter(solve: Solve, seed: int) -> None:
    problems = drawn(seed)
    order = np.random.default_rng(seed).permutation(PROBLEMS)
    mixed = replace(problems, row_scale=problems.row_scale[order], left_out=problems.left_out[order])
    one, other = solve(problems, START, chunk=CHUNK), solve(mixed, START, chunk=7)
    np.testing.assert_array_equal(np.asarray(one.status)[order], other.status)
    np.testing.assert_allclose(np.asarray(one.objective)[order], other.objective, rtol=1e-12, atol=1e-12)
