"""Exact solutions against all bases of tiny programs, closed forms, and proofs checked in fractions."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syneff.errors import SpecError
from syneff.numerics.exact import ExactProgram, ExactSolution, solve_exactly
from syneff.numerics.linear_program import Status

ROWS, PRIVATE, SHARED = 2, 3, 4
Matrix = list[list[Fraction]]


def program(
    shared: list[list[float]],
    private: list[list[int | Fraction]],
    cost: list[float],
    rhs: list[int | Fraction],
    left_out: int = -1,
) -> ExactProgram:
    """Write a program down by columns; costs are those of the shared columns, then those of the private ones."""
    return ExactProgram(
        shared=np.array(shared, dtype=float).reshape(-1, len(rhs)).T,
        cost_shared=np.array(cost[: len(shared)], dtype=float),
        left_out=left_out,
        private=[[Fraction(each) for each in column] for column in private],
        cost_private=[Fraction(each) for each in cost[len(shared) :]],
        rhs=[Fraction(each) for each in rhs],
    )


def columns(problem: ExactProgram) -> dict[int, tuple[list[Fraction], Fraction]]:
    """Return the usable columns and their costs, by number."""
    found = {at: (list(each), problem.cost_private[at]) for at, each in enumerate(problem.private)}
    for at, each in enumerate(problem.shared.T.tolist()):
        if at != problem.left_out:
            found[len(problem.private) + at] = [Fraction(value) for value in each], Fraction(problem.cost_shared[at])
    return found


def dot(left: list[Fraction], right: list[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


def check_proof(problem: ExactProgram, end: ExactSolution) -> None:
    """Check, in fractions, that the numbers of a solution prove what it says."""
    every = columns(problem)
    y, rhs = list(end.y), list(problem.rhs)
    if end.status == Status.INFEASIBLE:
        assert all(dot(y, column) >= 0 for column, _ in every.values())
        assert dot(y, rhs) < 0
        return
    assert min(end.value) >= 0
    reached = [Fraction(0)] * len(rhs)
    for number, value in zip(end.basis, end.value, strict=True):
        reached = [before + value * each for before, each in zip(reached, every[number][0], strict=True)]
    assert reached == rhs
    if end.status == Status.OPTIMAL:
        assert all(cost - dot(y, column) >= 0 for column, cost in every.values())
        paid = sum(value * every[number][1] for number, value in zip(end.basis, end.value, strict=True))
        assert paid == dot(y, rhs) == end.objective


def best_of_all_bases(problem: ExactProgram) -> Fraction | None:
    """Return the lowest objective of all feasible bases of a program of two rows, by Cramer's rule; None if there is none."""
    every = columns(problem)
    b0, b1 = problem.rhs
    found = []
    for first, second in combinations(every, 2):
        (p, q), (r, s) = every[first][0], every[second][0]
        determinant = p * s - q * r
        if determinant:
            value = (b0 * s - b1 * r) / determinant, (p * b1 - q * b0) / determinant
            if min(value) >= 0:
                found.append(value[0] * every[first][1] + value[1] * every[second][1])
    return min(found, default=None)


integers = st.integers(-3, 3)
START = [[0, 1]]


@given(
    shared=st.lists(st.lists(integers, min_size=ROWS, max_size=ROWS), min_size=SHARED, max_size=SHARED),
    extra=st.lists(integers, min_size=ROWS, max_size=ROWS),
    cost=st.lists(integers, min_size=PRIVATE + SHARED, max_size=PRIVATE + SHARED),
    rhs=st.lists(integers, min_size=ROWS, max_size=ROWS),
    left_out=st.integers(-1, SHARED - 1),
)
@settings(deadline=None, max_examples=300)
def test_small_integers_against_all_bases(
    shared: list[list[float]], extra: list[int], cost: list[float], rhs: list[int], left_out: int
) -> None:
    thirds = [[Fraction(1, 3), Fraction(0)], [Fraction(0), Fraction(-1, 7)], extra]
    problem = program(shared, thirds, cost, rhs, left_out)
    end = solve_exactly(problem, START)
    check_proof(problem, end)
    best = best_of_all_bases(problem)
    assert (end.status == Status.INFEASIBLE) == (best is None)
    if end.status == Status.OPTIMAL:
        assert end.objective == best
    if (
        end.status == Status.UNBOUNDED
    ):  # With a row that bounds the sum of all variables the optimum falls with the bound.
        assert bounded(problem, 10**6) < bounded(problem, 10**5) < best


def bounded(problem: ExactProgram, bound: int) -> Fraction:
    """Return the optimum where the sum of the variables may not exceed a bound."""
    longer = ExactProgram(
        shared=np.vstack([problem.shared, np.ones(SHARED)]),
        cost_shared=problem.cost_shared,
        left_out=problem.left_out,
        private=[*([*each, Fraction(1)] for each in problem.private), [Fraction(0), Fraction(0), Fraction(1)]],
        cost_private=[*problem.cost_private, Fraction(0)],
        rhs=[*problem.rhs, Fraction(bound)],
    )
    end = solve_exactly(longer, [[0, 1, PRIVATE]])
    check_proof(longer, end)
    assert end.objective is not None
    return end.objective


def test_difference_in_the_last_digit() -> None:
    # Both shared columns alone meet both rows; the second one does so with a little less.
    more = 1.0 + 2.0**-52
    problem = program([[1.0, 2.0], [more, 2.0 * more]], [[1, 0], [0, 1]], [1.0, 1.0, 1.0, 1.0], [1, 2])
    end = solve_exactly(problem, [[0, 2], [0, 1]])
    check_proof(problem, end)
    assert end.pivots == 1
    assert end.objective == 1 / Fraction(more)


@pytest.mark.parametrize("seed", range(5))
def test_hundreds_of_columns_within_rounding_of_the_optimal_face(seed: int) -> None:
    # Every column costs 1 and lies on a'y = 1 but for rounding, so that floats can tell neither which are basic nor the signs.
    rng = np.random.default_rng(seed)
    y = rng.lognormal(size=5)
    shared = rng.lognormal(size=(400, 5))
    shared /= (shared @ y)[:, None]
    dear = [[Fraction(int(at == row)) for row in range(5)] for at in range(5)]
    problem = program(shared.tolist(), dear, [1.0] * 400 + [100.0] * 5, shared[:9].mean(axis=0).tolist())
    end = solve_exactly(problem, [range(5)])
    check_proof(problem, end)
    assert end.status == Status.OPTIMAL
    assert 0 < abs(end.objective - 1) < 1e-14


def test_size_of_numbers_does_not_matter() -> None:
    # y = (2^900, 2^-1000): beyond what products of floats can hold.
    problem = program(
        [[2.0**-900, 2.0**1000], [1.0, 1.0]], [[1, 0], [0, 1]], [2.0, 2.0**901, 2**900, 0.5**1000], [1, 1]
    )
    end = solve_exactly(problem, [[0, 1]])
    check_proof(problem, end)
    assert end.status == Status.OPTIMAL


def test_optimal_basis_is_left_alone() -> None:
    problem = program([[1.0, 1.0]], [[1, 0], [0, 1]], [3.0, 1.0, 1.0], [1, 2])
    end = solve_exactly(problem, [[0, 1]])
    assert (end.status, end.objective, end.basis, end.pivots) == (Status.OPTIMAL, 3, (0, 1), 0)
    assert end.value == (1, 2)
    assert end.y == (1, 1)


def test_first_basis_that_is_one() -> None:
    problem = program([[1.0, 1.0], [2.0, 2.0]], [[1, 0], [0, 1]], [3.0, 1.0, 1.0, 1.0], [1, 2], left_out=1)
    singular, without, beyond = [0, 0], [0, 3], [0, 4]
    assert solve_exactly(problem, [singular, without, beyond, [1, 0]]).basis == (1, 0)
    with pytest.raises(SpecError, match="none of the 3 starting bases"):
        solve_exactly(problem, [singular, without, beyond])


@pytest.mark.parametrize("rows", [3, 8, 20])
def test_hilbert_matrix(rows: int) -> None:
    # Floats lose every digit of the inverse from 13 rows on; that of an all-ones right-hand side is known in integers.
    hilbert = [[Fraction(1, 1 + i + j) for i in range(rows)] for j in range(rows)]
    problem = program([], hilbert, [1.0] * rows, [1] * rows)
    end = solve_exactly(problem, [range(rows)])
    # The sum of the elements of the inverse is n^2; from 2 rows on, some of its row sums are negative.
    assert end.status == Status.INFEASIBLE
    assert sum(end.value) == rows**2
    check_proof(problem, end)
