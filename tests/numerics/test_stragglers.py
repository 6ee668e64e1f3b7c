"""Problems that floats cannot certify are solved exactly, and said to be."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.measure.efficiency import Technology, slacks_based
from syneff.measure.proof import prove
from syneff.numerics import simplex
from syneff.numerics.linear_program import Solution, Status
from syneff.numerics.stragglers import finish
from tests.frontiers import draw
from tests.numerics.test_linear_program import CHUNK, HARD, ORDINARY, PROBLEMS, ROWS, START, check_proofs, highs

SPOILT = np.array([1, 4, 5, 11])


def spoil(solution: Solution, basis: np.ndarray) -> Solution:
    """Return a solution that has lost the ends of some problems and is left with other bases there."""
    status, bases = np.array(solution.status), np.array(solution.basis)
    status[SPOILT], bases[SPOILT] = Status.NOT_CERTIFIED, basis
    return replace(solution, status=status, basis=bases)


@pytest.mark.parametrize("problems", [ORDINARY, HARD], ids=["ordinary", "hard"])
@pytest.mark.parametrize("basis", [np.arange(ROWS), np.zeros(ROWS, dtype=int)], ids=["start", "singular"])
def test_what_is_not_certified_is_solved_exactly(problems: object, basis: np.ndarray) -> None:
    solved = simplex.solve(problems, START, chunk=CHUNK)
    finished = finish(problems, spoil(solved, basis), np.asarray(START))
    check_proofs(problems, finished)
    np.testing.assert_allclose(finished.objective, highs(problems), atol=1e-9)
    np.testing.assert_array_equal(np.flatnonzero(finished.resolved), SPOILT)
    np.testing.assert_array_equal(finished.gap[SPOILT], 0.0)
    if problems is HARD:
        assert (finished.status[SPOILT] == Status.INFEASIBLE).any(), "one spoilt problem must be infeasible"


def test_padding_among_the_columns_keeps_its_place() -> None:
    # Usable columns need not come first.
    order = np.random.default_rng(5).permutation(ORDINARY.usable.size)
    place = np.argsort(order)
    left_out = np.where(ORDINARY.left_out >= 0, place[np.maximum(ORDINARY.left_out, 0)], -1)
    mixed = replace(
        ORDINARY,
        shared=ORDINARY.shared[:, order],
        cost_shared=ORDINARY.cost_shared[order],
        usable=ORDINARY.usable[order],
        left_out=jnp.asarray(left_out),
    )
    assert not np.asarray(mixed.usable)[:-2].all()
    finished = finish(mixed, spoil(simplex.solve(mixed, START, chunk=CHUNK), np.arange(ROWS)), np.asarray(START))
    check_proofs(mixed, finished)
    np.testing.assert_allclose(finished.objective, highs(ORDINARY), atol=1e-9)


def test_without_a_basis_a_problem_stays_not_certified() -> None:
    solved = simplex.solve(ORDINARY, START, chunk=CHUNK)
    singular = np.zeros((PROBLEMS, ROWS), dtype=int)
    finished = finish(ORDINARY, spoil(solved, singular[0]), singular)
    np.testing.assert_array_equal(np.flatnonzero(np.asarray(finished.status) == Status.NOT_CERTIFIED), SPOILT)


@pytest.mark.parametrize("solver", ["interior_point", "simplex"])
@pytest.mark.parametrize("returns", ["vrs", "ndrs"])
def test_sizes_beyond_double_precision(returns: str, solver: str) -> None:
    # Under variable returns the sum of intensities has coefficients 1e18 apart, which HiGHS does not solve.
    size = 10.0 ** np.random.default_rng(10).uniform(-9, 9, size=(60, 1))
    data = {name: block * size for name, block in draw(np.random.default_rng(10), rows=60).items()}
    units = Technology(**data, returns=returns)
    result = slacks_based(units, solver=solver)
    assert set(result.status) <= {Status.OPTIMAL, Status.INFEASIBLE}, result.summary()
    proofs = prove(units, range(60), solver=solver)
    np.testing.assert_allclose([proof.error for proof in proofs], 0.0, atol=1e-9)
    again = np.flatnonzero(result.resolved)
    assert again.size, "these data must give stragglers"
    assert f"{again.size} of 60 programs were stragglers, solved again (first: row {again[0]}" in result.summary()
