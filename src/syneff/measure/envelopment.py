r"""Linear programs of measures that compare a unit with a reference set: one builder and one reader for the whole family.

Every such program has a row for each datum, divided by the evaluated unit's own value,

.. math::

    \sum_j \tfrac{x_{ij}}{x_{io}} \lambda_j + \dots = c_i, \qquad
    \sum_j \tfrac{y_{rj}}{y_{ro}} \lambda_j + \dots = c_r, \qquad
    \sum_j \tfrac{b_{hj}}{b_{ho}} \lambda_j + \dots = c_h ,

rows of its own if it needs any, and last, unless returns are constant, the row of returns to scale. What stands for the dots
(slacks, radial factors, an expansion factor) is the same for all units once the rows are scaled: a `Program` is that table.
The size of a unit, the geometric mean of its values, is taken out of its column and put back where returns to scale see it.

*Weak disposability* (a bad output may only fall together with the good ones) makes the bad rows equalities. Under variable
and non-decreasing returns that is not enough: each reference unit has its own abatement factor (Kuosmanen 2005,
doi:10.1111/j.1467-8276.2005.00788.x), which is linear with a second column for each unit that uses its inputs and
produces nothing,

.. math:: \sum_j (\lambda_j + \mu_j) x_{ij} \le x_{io}, \quad \sum_j \lambda_j y_{rj} \ge y_{ro}, \quad
          \sum_j \lambda_j b_{hj} = b_{ho}, \quad \sum_j (\lambda_j + \mu_j) = 1 .

Under constant and non-increasing returns such columns would never be used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from scipy.linalg import qr

from syneff.errors import DataError
from syneff.measure.programs import unit_size
from syneff.measure.reference import Groups
from syneff.measure.stages import SOLVERS
from syneff.numerics.batching import chunk_for, round_size, side_by_side
from syneff.numerics.linear_program import LinearPrograms, Solution, Status
from syneff.typing import Bool, Float, Int

Block = tuple[np.ndarray, np.ndarray]
_RANK = 1e-10  # relative; below it columns count as dependent
_INPUTS_ONLY = ("vrs", "ndrs")  # returns under which abatement needs columns of its own


@dataclass(frozen=True)
class Program:
    """What the programs of all units have in common.

    Attributes
    ----------
    sizes
        Numbers of inputs, good outputs and bad outputs: the first rows, in this order.
    columns
        Private columns by name: matrix ``[row k]`` and cost ``[k]``.
    rhs
        ``[row]``.
    basis
        Numbers of the private columns that start in the basis, and the rows that they leave to reference units.
    repair, repair_cost
        See `LinearPrograms`.
    returns
        "crs", "vrs", "nirs" or "ndrs".
    abatement
        Whether bad outputs are weakly disposable.
    """

    sizes: tuple[int, int, int]
    columns: Mapping[str, Block]
    rhs: Float[np.ndarray, " row"]
    basis: tuple[Sequence[int], Sequence[int]]
    repair: Float[np.ndarray, " row"]
    repair_cost: float
    returns: str
    abatement: bool = False

    @property
    def slices(self) -> dict[str, slice]:
        """Where each group of private columns is."""
        edges = np.cumsum([0, *(cost.size for _, cost in self.columns.values())])
        return {name: slice(int(edges[at]), int(edges[at + 1])) for at, name in enumerate(self.columns)}


@dataclass(frozen=True)
class Answer:
    """Solutions by unit.

    Attributes
    ----------
    objective, status, gap
        ``[dmu]``; the objective is NaN where there is no feasible point.
    values
        Values of the private columns by name, ``[dmu k]``; NaN likewise.
    """

    objective: Float[np.ndarray, " dmu"]
    status: Int[np.ndarray, " dmu"]
    gap: Float[np.ndarray, " dmu"]
    values: Mapping[str, np.ndarray]


def row_vectors(sizes: tuple[int, int, int], rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the unit vectors of the input, good, bad and all later rows, as columns."""
    inputs, good, bad, later = np.split(np.eye(rows), np.cumsum(sizes), axis=1)
    return inputs, good, bad, later


def returns_slack(returns: str, rows: int) -> dict[str, Block]:
    """Return the slack of the last row, where returns to scale are an inequality."""
    sign = {"nirs": 1.0, "ndrs": -1.0}.get(returns)
    return {} if sign is None else {"returns": (sign * np.eye(rows)[:, -1:], np.zeros(1))}


def slack_basis(columns: Mapping[str, Block]) -> tuple[Sequence[int], Sequence[int]]:
    """Return for each row the first private column with its only nonzero there, and the rows that have none."""
    matrix = np.concatenate([each for each, _ in columns.values()], axis=1) != 0.0
    single = matrix & (matrix.sum(axis=0) == 1)[None, :]
    covered = single.any(axis=1)
    return [int(each) for each in single.argmax(axis=1)[covered]], [int(each) for each in np.flatnonzero(~covered)]


def solve(program: Program, data: Float[np.ndarray, "dmu data"], groups: Groups, *, solver: str) -> Answer:
    """Solve the program of every unit in the groups.

    Parameters
    ----------
    program
        The table.
    data
        Inputs, good and bad outputs, positive, in any units of measurement.
    groups
        Pairs of the row numbers to evaluate and those of their reference set.
    solver
        "interior_point" or "simplex".

    Returns
    -------
    Answer
        Rows in no group have NaN and the status not certified.

    Raises
    ------
    DataError
        If a value is 0, or the reference units are too alike for the equalities of weak disposability.
    """
    if not (data > 0).all():
        raise DataError("this measure divides by every value and has no rule to drop zeros. Use zeros='replace'.")
    values = data / np.exp(np.log(data).mean(axis=0))
    n_units, n_private = values.shape[0], sum(cost.size for _, cost in program.columns.values())
    objective, gap = np.full(n_units, np.nan), np.full(n_units, np.nan)
    status = np.full(n_units, int(Status.NOT_CERTIFIED))
    private = np.full((n_units, n_private), np.nan)
    padded = round_size(max(reference.size for _, reference in groups))
    chunk = chunk_for(max(rows.size for rows, _ in groups), padded)

    def run(group: tuple[np.ndarray, np.ndarray]) -> Solution:
        problems, start = _programs(program, values, *group, padded=padded)
        return SOLVERS[solver](problems, start, chunk=chunk)

    for (rows, _), solution in zip(groups, side_by_side(run, groups), strict=True):
        objective[rows], status[rows], gap[rows] = solution.objective, solution.status, solution.gap
        private[rows] = _private_values(solution, n_private)
    return Answer(objective, status, gap, {name: private[:, each] for name, each in program.slices.items()})


def _programs(
    program: Program, values: np.ndarray, rows: np.ndarray, reference: np.ndarray, *, padded: int
) -> tuple[LinearPrograms, np.ndarray]:
    """Build the programs of a few units against one reference set, and a starting basis."""
    size = unit_size(values)
    shape = values / size[:, None]
    shared, usable = _shared(program, shape[reference], size[reference], padded)
    scale = np.ones((rows.size, program.rhs.size))
    scale[:, : values.shape[1]] = 1.0 / shape[rows]
    if program.returns != "crs":
        scale[:, -1] = size[rows]
    matrix = np.concatenate([each for each, _ in program.columns.values()], axis=1)
    basic, rest = program.basis
    picked = np.flatnonzero(usable)[_independent(shared[list(rest)][:, usable], reference.size)]
    start = np.array([*basic, *(matrix.shape[1] + picked)], dtype=int)
    return LinearPrograms(
        shared=jnp.asarray(shared),
        row_scale=jnp.asarray(scale),
        usable=jnp.asarray(usable),
        left_out=jnp.full(rows.size, -1),
        private=jnp.asarray(matrix),
        cost_shared=jnp.zeros(shared.shape[1]),
        cost_private=jnp.asarray(np.concatenate([cost for _, cost in program.columns.values()])),
        rhs=jnp.asarray(program.rhs),
        repair=jnp.asarray(program.repair),
        repair_cost=jnp.asarray(program.repair_cost),
    ), np.tile(start, (rows.size, 1))


def _shared(
    program: Program, shape: np.ndarray, size: np.ndarray, padded: int
) -> tuple[np.ndarray, Bool[np.ndarray, " column"]]:
    """Return the columns of the reference units, and of their abatement where it has its own, padded to a round number."""
    n_units, n_data = shape.shape
    shared = np.zeros((program.rhs.size, padded))
    shared[:n_data] = 1.0
    shared[:n_data, :n_units] = shape.T
    if program.returns != "crs":
        shared[-1, :n_units] = 1.0 / size
    usable = np.arange(padded) < n_units
    if not (program.abatement and program.returns in _INPUTS_ONLY):
        return shared, usable
    abated = shared.copy()
    abated[program.sizes[0] : n_data] = 0.0
    return np.concatenate([shared, abated], axis=1), np.tile(usable, 2)


def _independent(columns: np.ndarray, units: int) -> Int[np.ndarray, " row"]:
    """Pick as many independent columns as there are rows, by a pivoted QR factorisation."""
    if columns.shape[0] == 0:
        return np.empty(0, dtype=int)
    factor, order = qr(columns / np.abs(columns).max(axis=1, keepdims=True), mode="r", pivoting=True)
    rank = int((np.abs(np.diag(factor)) > _RANK * np.abs(factor[0, 0])).sum())
    if rank < columns.shape[0]:
        raise DataError(
            f"a reference set of {units} rows has bad outputs that are multiples of each other, so that weak disposability "
            "cannot fix each of them. Leave one out, or use disposability='strong'."
        )
    return np.asarray(order[:rank])


def _private_values(solution: Solution, n_private: int) -> Float[np.ndarray, "dmu private"]:
    """Return the values of the private columns at the vertices."""
    basis, value = np.asarray(solution.basis), np.asarray(solution.value)
    private = np.zeros((basis.shape[0], n_private + 1))  # the last column takes what is not private
    private[np.arange(basis.shape[0])[:, None], np.minimum(basis, n_private)] = value
    failed = (np.asarray(solution.status) == Status.INFEASIBLE)[:, None]
    return np.where(failed, np.nan, private[:, :n_private])


def describe(
    status: Int[np.ndarray, " dmu"], gap: Float[np.ndarray, " dmu"], returns: str, names: Sequence[object] | None
) -> str:
    """Say in a sentence how the programs ended, and which did not end well.

    Parameters
    ----------
    status, gap
        ``[dmu]``.
    returns
        Returns to scale, for the message.
    names
        Names of the rows, e.g. city and year; row numbers if None.
    """
    parts = []
    for code, words, remedy in (
        (Status.INFEASIBLE, f"infeasible under {returns}", "nobody in the reference set can be compared with them"),
        (Status.NOT_CERTIFIED, "not certified", "their scores are approximate: look for extreme values in their rows"),
    ):
        found = np.flatnonzero(status == code)
        if found.size:
            shown = ", ".join(str(names[row]) if names is not None else f"row {row}" for row in found[:3])
            parts.append(f"{found.size} of {status.size} programs are {words} (first: {shown}; {remedy})")
    optimal = status == Status.OPTIMAL
    largest = float(np.max(np.abs(gap[optimal]), initial=0.0))
    parts.append(f"{int(optimal.sum())} of {status.size} programs are certified optimal, largest gap {largest:.1e}")
    return "; ".join(parts)
