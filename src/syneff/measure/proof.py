r"""Prove slacks-based scores in rational numbers, for chosen units.

The certificate of a score is computed in floating point, on data that were scaled for the solver. Here the programme of
`syneff.measure.programs` is written down anew from the data as they were given, which as floats are rational numbers, with
weights that are exact too (1/3 is no float), and with every row multiplied by the evaluated unit's own value, so that nothing
is divided:

.. math::

    \sum_j x_{ij} \Lambda_j + x_{io} S^-_i = x_{io} t, \quad \ldots

`syneff.numerics.exact` then starts from the basis at which the solver ended. The result is the score as a fraction, and with it
the error of the score in floating point: not an estimate. Whether a unit is efficient, which `slacks_based` decides by a
tolerance of 1e-7, is decided by equality.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from syneff.errors import SpecError
from syneff.measure.efficiency import Weights, slacks_based
from syneff.measure.programs import Model, private_block, programs
from syneff.measure.stages import SOLVERS
from syneff.measure.technology import Technology
from syneff.numerics.batching import round_size
from syneff.numerics.exact import ExactProgram, ExactSolution, solve_exactly
from syneff.numerics.linear_program import Status

ExactWeights = tuple[list[Fraction], list[Fraction], list[Fraction]]


@dataclass(frozen=True)
class Proof:
    """What is true of a unit's score, and how far the score in floating point is from it.

    Attributes
    ----------
    row
        The row number of the unit.
    status
        Optimal, or infeasible: of the programme that gives the score.
    score
        The exact score: SBM where that is below 1, else Super-SBM if asked for; None where infeasible.
    sbm
        The exact SBM score; None where the unit is beyond the frontier of a reference set that it is not in. The unit is
        efficient if and only if this is 1.
    error
        The score of `slacks_based` less the exact one; 0 if both say infeasible, infinite if only one does.
    certified
        Whether `slacks_based` had a certificate for its answer; where it had none, the error may be large.
    changed
        Whether the solver's basis was not exactly optimal, so that exact pivots led on from it.
    """

    row: int
    status: Status
    score: Fraction | None
    sbm: Fraction | None
    error: float
    certified: bool
    changed: bool


def prove(
    technology: Technology,
    rows: Sequence[int] | np.ndarray,
    super_efficiency: bool = True,
    orientation: str = "none",
    bads: str = "outputs",
    *,
    solver: str = "interior_point",
    weights: Weights | None = None,
) -> list[Proof]:
    """Prove the scores of some units exactly.

    Parameters
    ----------
    technology
        Data, returns to scale and reference set.
    rows
        Row numbers of the units.
    super_efficiency, orientation, bads, solver, weights
        As in `slacks_based`, whose scores are compared.

    Returns
    -------
    list
        A `Proof` for each of the rows, in their order.

    Raises
    ------
    SpecError
        If an option is not allowed, or there is no such row.
    """
    chosen = np.asarray(rows, dtype=int)
    if chosen.ndim != 1 or not np.all((chosen >= 0) & (chosen < technology.rows)):
        raise SpecError(f"rows must be row numbers from 0 to {technology.rows - 1}, not {rows}.")
    if technology.zeros == "drop" and any(
        (np.asarray(each) == 0).any() for each in (technology.inputs, technology.good, technology.bad)
    ):
        raise SpecError("proofs need positive data: use zeros='error' or 'replace', not 'drop'.")
    ours = slacks_based(technology, super_efficiency, orientation, bads, solver, weights=weights)
    data, exact_weights = _ordered(technology, weights or {}, bads)
    floats = [np.array([float(each) for each in block]) for block in exact_weights]
    model = Model((floats[0], floats[1], floats[2]), technology.returns, orientation, "sbm", True)
    plain = _stage(technology, data, model, exact_weights, chosen=chosen, solver=solver)
    again = [row for row, (end, _) in plain.items() if end.status == Status.INFEASIBLE or end.objective == 1]
    final = dict(plain)
    if super_efficiency and again:
        final |= _stage(
            technology, data, replace(model, stage="super"), exact_weights, chosen=np.array(again), solver=solver
        )
    return [
        Proof(
            row,
            final[row][0].status,
            final[row][0].objective,
            plain[row][0].objective,
            _error(ours.score[row], final[row][0].objective),
            bool(ours.status[row] != Status.NOT_CERTIFIED),
            plain[row][1] or final[row][1],
        )
        for row in chosen.tolist()
    ]


def _error(score: float, exact: Fraction | None) -> float:
    """Return how far a score, NaN if infeasible, is from the exact one."""
    if exact is None or np.isnan(score):
        return 0.0 if exact is None and np.isnan(score) else float("inf")
    return float(Fraction(float(score)) - exact)


def _ordered(technology: Technology, weights: Weights, bads: str) -> tuple[np.ndarray, ExactWeights]:
    """Return data and weights in the order of the programme: inputs, good outputs, bad outputs."""
    blocks = [np.asarray(each) for each in (technology.inputs, technology.good, technology.bad)]
    relative = [
        [Fraction(float(weight)) for weight in weights.get(name, np.ones(block.shape[1]))]
        for name, block in zip(("inputs", "good", "bad"), blocks, strict=True)
    ]
    inputs, good, bad = relative
    if bads == "inputs":
        blocks = [blocks[0], blocks[2], blocks[1]]
        inputs, bad = [*inputs, *bad], []
    total, outputs = sum(inputs), sum(good) + sum(bad)
    return np.concatenate(blocks, axis=1), (
        [each / total for each in inputs],
        [each / outputs for each in good],
        [each / outputs for each in bad],
    )


def _stage(
    technology: Technology,
    data: np.ndarray,
    model: Model,
    weights: ExactWeights,
    *,
    chosen: np.ndarray,
    solver: str,
) -> dict[int, tuple[ExactSolution, bool]]:
    """Solve a stage's programs of the chosen rows, first in floats, then exactly; say for each whether the basis changed."""
    values = data / np.exp(np.log(data).mean(axis=0))
    groups = technology.groups
    padded = round_size(max(reference.size for _, reference in groups))
    found = {}
    for members, reference in groups:
        inside = np.isin(members, reference)
        for own in (True, False):
            part = members[np.isin(members, chosen) & (inside == own)]
            if not part.size:
                continue
            each = replace(model, own=own and model.stage == "sbm")
            problems, start = programs(each, values, part, reference, padded=padded)
            bases = np.asarray(SOLVERS[solver](problems, start).basis).tolist()
            shared, place = _shared(each, data, reference), np.asarray(problems.left_out).tolist()
            for at, row in enumerate(part.tolist()):
                program = _program(each, data[row], weights, shared, left_out=place[at])
                end = _solve(program, each, (bases[at], start[at].tolist()))
                found[row] = end, set(end.basis) != set(bases[at])
    return found


def _solve(program: ExactProgram, model: Model, starts: tuple[list[int], list[int]]) -> ExactSolution:
    """Solve a program from the solver's basis, or from the one that it began with where that is singular."""
    alone = program.shared.shape[1] == int(program.left_out >= 0)
    if model.stage == "super" and model.returns == "vrs" and alone:
        # The sum of no multipliers is t, and t is at least 1: the rows of the two say so, and there is no basis to start from.
        ray = [Fraction(-int(row in (sum(model.sizes), model.rows - 1))) for row in range(model.rows)]
        return ExactSolution(Status.INFEASIBLE, None, (), (), tuple(ray), 0)
    return solve_exactly(program, starts)


def _shared(model: Model, data: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the columns of the reference units: their data and, where returns to scale see them, 1."""
    shared = np.zeros((model.rows, reference.size))
    shared[: data.shape[1]] = data[reference].T
    if model.returns != "crs":
        shared[-1] = 1.0
    return shared


def _program(
    model: Model, own: np.ndarray, weights: ExactWeights, shared: np.ndarray, *, left_out: int
) -> ExactProgram:
    """Return a unit's program: every coefficient of its private columns is a sign times a weight times a value of the unit."""
    block = private_block(model)
    sign, cost = np.sign(block.matrix).astype(int), np.sign(block.cost).astype(int)
    scale = [Fraction(each) for each in own.tolist()] + [Fraction(1)] * (model.rows - own.size)
    columns = [[int(each) * factor for each, factor in zip(column, scale, strict=True)] for column in sign.T]
    costs = [Fraction(int(each)) for each in cost]
    for name, scored in zip(("input", "good", "bad"), weights, strict=True):
        numbers = range(block.cost.size)[block.slices.get(name, slice(0, 0))]
        for at, weight in zip(numbers, scored, strict=False):
            costs[at] *= weight
            columns[at][own.size] *= weight
    return ExactProgram(
        shared=shared,
        cost_shared=np.zeros(shared.shape[1]),
        left_out=left_out,
        private=columns,
        cost_private=costs,
        rhs=[Fraction(int(each)) for each in block.rhs],
    )
