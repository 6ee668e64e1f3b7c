r"""Solve one linear program in rational numbers, from a basis that a solver in floating point found.

The program is, in standard form,

.. math::

    \min_{z, v \ge 0}\; c_s' z + c_p' v \quad\text{s.t.}\quad A z + P v = b .

A float is a rational number with a power of 2 below it, so the many columns of ``A`` are exact as they stand; the few of ``P``
are fractions, which may hold a weight of 1/3. A basis ``B`` is optimal if and only if ``B^{-1} b >= 0`` and no column has a
negative reduced cost ``c_j - c_B B^{-1} a_j``. Both are decided here without rounding:

* ``B^{-1}`` is a matrix of integers over its determinant, by the fraction-free elimination of Bareiss (1968,
  doi:10.1090/S0025-5718-1968-0226829-0), in which every division leaves no remainder.
* Columns are priced in floating point first, with a bound on the rounding error: ``fl(y'a)`` is off by at most
  ``(p + 1) u |y|'|a|`` and terms of higher order, where ``u = 2^{-53}`` and ``p`` is the number of rows (Higham 2002,
  doi:10.1137/1.9780898718027, section 3.1). Only columns whose sign this leaves open are priced in integers.

If the basis is not optimal, pivots go on from it in two phases, as in `syneff.numerics.simplex`: the primal simplex on a
right-hand side for which the basis is feasible, then the dual simplex on the true one. Both take the lowest number wherever
there is a choice, so neither can cycle (Bland 1977, doi:10.1287/moor.2.2.103), and the end is the optimum or a Farkas ray.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from operator import mul

import numpy as np

from syneff.errors import SpecError
from syneff.numerics.linear_program import Status
from syneff.typing import Bool, Float

_UNIT = 2.0**-53  # relative error of one rounding
_SMALL = 2.0**-960  # a factor nearer to 0 might make a product lose digits to underflow
_UNDERFLOW = 2.0**-1020  # more than the error of one product that does


@dataclass(frozen=True)
class ExactProgram:
    """A linear program whose numbers mean exactly what they say; its columns are numbered private first.

    Attributes
    ----------
    shared, cost_shared
        ``[row column]`` and ``[column]``: ``A`` and ``c_s``, floats.
    left_out
        The shared column that may not be used; -1 for none.
    private, cost_private
        The columns of ``P``, one tuple each, and ``c_p``.
    rhs
        ``b``.
    """

    shared: Float[np.ndarray, "row column"]
    cost_shared: Float[np.ndarray, " column"]
    left_out: int
    private: Sequence[Sequence[Fraction]]
    cost_private: Sequence[Fraction]
    rhs: Sequence[Fraction]


@dataclass(frozen=True)
class ExactSolution:
    """The end of a linear program, with the numbers that prove it.

    Attributes
    ----------
    status
        Optimal, infeasible or unbounded.
    objective
        The optimum; None if there is none.
    basis, value
        Numbers of the basic columns, private first, and their values; every other variable is 0.
    y
        The dual point that prices every column nonnegative; if infeasible, a ray with ``y'a_j >= 0`` for every column and
        ``y'b < 0``; empty if unbounded.
    pivots
        Exchanges that it took from the given basis; 0 if that one was the end.
    """

    status: Status
    objective: Fraction | None
    basis: tuple[int, ...]
    value: tuple[Fraction, ...]
    y: tuple[Fraction, ...]
    pivots: int


@dataclass(frozen=True)
class _Column:
    """A column and its cost, both multiplied by a positive integer that makes them integers."""

    entries: tuple[int, ...]
    cost: int
    scale: int


@dataclass(frozen=True)
class _Vertex:
    """A basis; ``inverse / determinant`` is the inverse of its integer columns, ``determinant > 0``."""

    basis: tuple[int, ...]
    columns: tuple[_Column, ...]
    inverse: list[list[int]]
    determinant: int
    pivots: int

    def times(self, vector: Sequence[int]) -> list[int]:
        """Return ``inverse @ vector``."""
        return [_dot(row, vector) for row in self.inverse]

    def prices(self) -> list[int]:
        """Return the dual point times the determinant."""
        costs = [each.cost for each in self.columns]
        return [_dot(costs, column) for column in zip(*self.inverse, strict=True)]


def solve_exactly(program: ExactProgram, starts: Sequence[Sequence[int]]) -> ExactSolution:
    """Solve a program in rational numbers.

    Parameters
    ----------
    program
        The program.
    starts
        Bases to start from; the first one that is nonsingular and allowed is taken.

    Returns
    -------
    ExactSolution
        Optimal, infeasible or unbounded, without any tolerance.

    Raises
    ------
    SpecError
        If no basis is nonsingular.
    """
    vertices = (_vertex(program, tuple(int(column) for column in basis), 0) for basis in starts)
    vertex = next((each for each in vertices if each is not None), None)
    if vertex is None:
        raise SpecError(f"none of the {len(starts)} starting bases is nonsingular. Give a basis that is.")
    rhs, scale = _integers(program.rhs)
    vertex, bounded = _primal(program, vertex)
    if (
        not bounded
    ):  # No dual point exists, whatever the right-hand side: what is left to ask is whether there is a primal one.
        program = replace(
            program, cost_shared=0.0 * program.cost_shared, cost_private=[Fraction(0)] * len(program.cost_private)
        )
        vertex = _at(program, vertex.basis, vertex.pivots)
    vertex, ray = _dual(program, vertex, rhs)
    determinant = vertex.determinant
    value = tuple(
        Fraction(number * column.scale, determinant * scale)
        for number, column in zip(vertex.times(rhs), vertex.columns, strict=True)
    )
    if ray is not None:
        proof = tuple(Fraction(number, determinant) for number in ray)
        return ExactSolution(Status.INFEASIBLE, None, vertex.basis, value, proof, vertex.pivots)
    if not bounded:
        return ExactSolution(Status.UNBOUNDED, None, vertex.basis, value, (), vertex.pivots)
    prices = vertex.prices()
    y = tuple(Fraction(number, determinant) for number in prices)
    return ExactSolution(
        Status.OPTIMAL, Fraction(_dot(prices, rhs), determinant * scale), vertex.basis, value, y, vertex.pivots
    )


def _primal(program: ExactProgram, vertex: _Vertex) -> tuple[_Vertex, bool]:
    """Pivot until no column prices out, on a right-hand side for which the vertex is feasible; False if unbounded."""
    value = [max(number, 0) for number in vertex.times(_integers(program.rhs)[0])]
    rows = zip(*(column.entries for column in vertex.columns), strict=True)
    rhs = [_dot(row, value) for row in rows]
    while (entering := _first_negative(program, vertex)) is not None:
        slope = vertex.times(_column(program, entering).entries)
        value = vertex.times(rhs)
        ratios = [(Fraction(value[at], slope[at]), vertex.basis[at], at) for at in range(len(slope)) if slope[at] > 0]
        if not ratios:
            return vertex, False
        vertex = _exchange(program, vertex, min(ratios)[2], entering)
    return vertex, True


def _dual(program: ExactProgram, vertex: _Vertex, rhs: Sequence[int]) -> tuple[_Vertex, list[int] | None]:
    """Pivot until no basic variable is negative, or return the row that proves that there is no feasible point."""
    while negative := [(vertex.basis[at], at) for at, number in enumerate(vertex.times(rhs)) if number < 0]:
        leaving = min(negative)[1]
        row, prices = vertex.inverse[leaving], vertex.prices()
        ratios = []
        for number in _maybe_negative(program, vertex, row, costs=False):
            column = _column(program, number)
            slope = _dot(row, column.entries)
            if slope < 0:
                cost = column.cost * vertex.determinant - _dot(prices, column.entries)
                ratios.append((Fraction(cost, -slope), number))
        if not ratios:
            return vertex, row
        vertex = _exchange(program, vertex, leaving, min(ratios)[1])
    return vertex, None


def _first_negative(program: ExactProgram, vertex: _Vertex) -> int | None:
    """Return the lowest number of a column with a negative reduced cost; None if there is none."""
    prices = vertex.prices()
    for number in _maybe_negative(program, vertex, [-price for price in prices], costs=True):
        column = _column(program, number)
        if column.cost * vertex.determinant < _dot(prices, column.entries):
            return number
    return None


def _maybe_negative(program: ExactProgram, vertex: _Vertex, y: Sequence[int], *, costs: bool) -> list[int]:
    """Return the columns outside the basis of which floats cannot prove ``y'a >= 0``, or ``y'a + c >= 0``.

    ``y`` is given times the determinant.
    """
    n_private = len(program.private)
    sure = _surely_nonnegative(program, y, vertex.determinant, program.cost_shared if costs else 0.0)
    basic = np.array(vertex.basis)
    sure[basic[basic >= n_private] - n_private] = True
    if program.left_out >= 0:
        sure[program.left_out] = True
    own = sorted(set(range(n_private)) - set(vertex.basis))
    return own + [int(number) + n_private for number in np.flatnonzero(~sure)]


def _surely_nonnegative(
    program: ExactProgram, y: Sequence[int], determinant: int, cost: np.ndarray | float
) -> Bool[np.ndarray, " column"]:
    """Return for which shared columns ``y'a / determinant + cost >= 0`` whatever the rounding errors."""
    rows, columns = program.shared.shape
    try:
        rounded = np.array([number / determinant for number in y])
    except OverflowError:
        return np.zeros(columns, dtype=bool)
    if any(number != 0 and abs(each) < _SMALL for number, each in zip(y, rounded, strict=True)):
        return np.zeros(columns, dtype=bool)
    with np.errstate(all="ignore"):
        # Twice the bound, which covers the errors of the bound itself. A comparison with NaN is False, as it should be.
        error = 2.0 * (rows + 3) * _UNIT * (np.abs(rounded) @ np.abs(program.shared)) + rows * _UNDERFLOW
        sure: np.ndarray = rounded @ program.shared - error >= -cost
    return sure


def _exchange(program: ExactProgram, vertex: _Vertex, leaving: int, entering: int) -> _Vertex:
    """Return the vertex with the entering column in the place of the leaving one."""
    basis = (*vertex.basis[:leaving], entering, *vertex.basis[leaving + 1 :])
    return _at(program, basis, vertex.pivots + 1)


def _at(program: ExactProgram, basis: tuple[int, ...], pivots: int) -> _Vertex:
    """Return the vertex of a basis that is known to be nonsingular."""
    vertex = _vertex(program, basis, pivots)
    assert vertex is not None, "a pivot is never zero"
    return vertex


def _vertex(program: ExactProgram, basis: tuple[int, ...], pivots: int) -> _Vertex | None:
    """Return the vertex of a basis; None if it is singular or has a column that the program has not."""
    n_private = len(program.private)
    total = n_private + program.shared.shape[1]
    if any(not 0 <= number < total or number == n_private + program.left_out >= n_private for number in basis):
        return None
    columns = tuple(_column(program, number) for number in basis)
    found = _invert([list(row) for row in zip(*(column.entries for column in columns), strict=True)])
    return None if found is None else _Vertex(basis, columns, *found, pivots)


def _invert(matrix: list[list[int]]) -> tuple[list[list[int]], int] | None:
    """Return ``determinant * matrix^-1`` and the determinant, both with the sign that makes it positive; None if it is 0."""
    size = len(matrix)
    rows = [[*row, *(int(at == column) for column in range(size))] for at, row in enumerate(matrix)]
    before = 1
    for step in range(size):
        found = next((at for at in range(step, size) if rows[at][step]), None)
        if found is None:
            return None
        rows[step], rows[found] = rows[found], rows[step]
        pivot_row = rows[step]
        pivot = pivot_row[step]
        for at in range(size):
            if at != step:
                factor = rows[at][step]
                rows[at] = [
                    (pivot * each - factor * other) // before for each, other in zip(rows[at], pivot_row, strict=True)
                ]
        before = pivot
    sign = 1 if before > 0 else -1
    return [[sign * each for each in row[size:]] for row in rows], sign * before


def _column(program: ExactProgram, number: int) -> _Column:
    """Return the column with a number, in integers."""
    n_private = len(program.private)
    if number < n_private:
        entries, scale = _integers((*program.private[number], program.cost_private[number]))
    else:
        at = number - n_private
        entries, scale = _integers((*program.shared[:, at].tolist(), float(program.cost_shared[at])))
    return _Column(tuple(entries[:-1]), entries[-1], scale)


def _integers(numbers: Sequence[Fraction] | Sequence[float]) -> tuple[list[int], int]:
    """Return numbers times their least common denominator, and that."""
    ratios = [number.as_integer_ratio() for number in numbers]
    scale = lcm(*(denominator for _, denominator in ratios))
    return [numerator * (scale // denominator) for numerator, denominator in ratios], scale


def _dot(left: Sequence[int], right: Sequence[int]) -> int:
    return sum(map(mul, left, right))
