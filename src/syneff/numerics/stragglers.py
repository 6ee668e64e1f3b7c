"""Solve in rational numbers what no attempt in floating point could certify.

Units a billion times larger than others, or rows that nearly depend on each other, leave a few problems whose bases floats
cannot tell apart. The exact simplex needs milliseconds for each, cannot cycle, and its end is a proof.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from rich.progress import track

from syneff.errors import SpecError
from syneff.numerics.exact import ExactProgram, ExactSolution, solve_exactly
from syneff.numerics.linear_program import LinearPrograms, Solution, Status, merge, usable_by
from syneff.numerics.optimal_face import tight_columns
from syneff.typing import Int

PROGRESS_FROM = 100  # problems from which on a bar is shown


def finish(problems: LinearPrograms, solution: Solution, start: Int[np.ndarray, "problem row"]) -> Solution:
    """Solve exactly the problems of a batch that are not certified.

    Parameters
    ----------
    problems
        The batch; its floats are taken at their word.
    solution
        Its solutions so far, whose bases the exact simplex starts from.
    start
        ``[problem row]``: a nonsingular basis, for those that ended at a singular one.

    Returns
    -------
    Solution
        With an exact end of every problem, rounded once. A problem without a nonsingular basis stays not certified.
    """
    pending = np.flatnonzero(solution.status == Status.NOT_CERTIFIED)
    if not pending.size:
        return solution
    n_private = problems.private.shape[1]
    private = [[Fraction(each) for each in column] for column in np.asarray(problems.private).T.tolist()]
    rows, ends = [], []
    numbers = pending.tolist()
    few = pending.size < PROGRESS_FROM
    for row in numbers if few else track(numbers, "exact programs", transient=True):
        left_out = int(problems.left_out[row])
        columns = np.flatnonzero(usable_by(problems, row))
        number = np.concatenate([np.arange(n_private), n_private + columns])
        place = np.full(n_private + problems.shared.shape[1], -1)
        place[number] = np.arange(number.size)
        program = ExactProgram(
            shared=np.asarray(problems.row_scale)[row][:, None] * np.asarray(problems.shared)[:, columns],
            cost_shared=np.asarray(problems.cost_shared)[columns],
            left_out=int(place[n_private + left_out]) - n_private if left_out >= 0 else -1,
            private=private,
            cost_private=[Fraction(each) for each in np.asarray(problems.cost_private).tolist()],
            rhs=[Fraction(each) for each in np.asarray(problems.rhs).tolist()],
        )
        try:
            end = solve_exactly(program, [place[np.asarray(each)[row]].tolist() for each in (solution.basis, start)])
        except SpecError:  # no basis is nonsingular
            continue
        if end.status != Status.UNBOUNDED:
            rows.append(row)
            ends.append(replace(end, basis=tuple(number[list(end.basis)].tolist())))
    if not ends:
        return solution
    tight = [
        tight_columns(problems, row, np.array(end.y, dtype=float))[0].size for row, end in zip(rows, ends, strict=True)
    ]
    return merge(solution, _rounded(ends, np.array(tight)), np.array(rows, dtype=int))


def _rounded(ends: list[ExactSolution], tight: Int[np.ndarray, " problem"]) -> Solution:
    """Return exact ends as floats."""
    nothing = np.zeros(len(ends))
    return Solution(
        basis=np.array([end.basis for end in ends]),
        value=np.array([[max(0.0, float(each)) for each in end.value] for end in ends]),
        y=np.array([[float(each) for each in end.y] for end in ends]),
        objective=np.array([np.nan if end.objective is None else float(end.objective) for end in ends]),
        primal_residual=nothing,
        dual_residual=nothing,
        gap=nothing,
        iterations=np.array([end.pivots for end in ends]),
        status=np.array([int(end.status) for end in ends]),
        resolved=np.ones(len(ends), dtype=bool),
        tight=tight,
    )
