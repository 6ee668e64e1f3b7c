r"""Directional distances: how far a unit is from the frontier if good outputs rise while inputs and bad outputs fall.

The *directional distance function* (Chung, Färe and Grosskopf 1997, doi:10.1006/jema.1997.0146) moves all variables of
the direction by one factor,

.. math::

    D = \max\{\beta : \sum_j \lambda_j x_{ij} \le (1 - g_x\beta) x_{io},\;
    \sum_j \lambda_j y_{rj} \ge (1 + g_y\beta) y_{ro},\; \sum_j \lambda_j b_{hj} = (1 - g_b\beta) b_{ho}\},

with each ``g`` 0 or 1. The *non-radial* one (Zhou, Ang and Wang 2012, doi:10.1016/j.ejor.2012.04.022) gives every
variable a factor of its own and maximises their weighted sum,

.. math::

    \vec D = \max\{\sum_k w_k \beta_k : \sum_j \lambda_j x_{ij} \le (1 - \beta_i) x_{io},\;
    \sum_j \lambda_j y_{rj} \ge (1 + \beta_r) y_{ro},\; \sum_j \lambda_j b_{hj} = (1 - \beta_h) b_{ho},\; \beta \ge 0\} .

Both are 0 on the frontier and grow with inefficiency. The two treatments of bad outputs differ materially, so the choice is
named: ``disposability="weak"`` has the equality above (Stata's `teddf` and `gtfpch`; under variable and non-decreasing
returns with Kuosmanen's abatement factors, see `syneff.measure.envelopment`), ``"strong"`` has ``<=``, which lets a unit
abate at no cost in good output. In the non-radial function they agree under constant and non-increasing returns unless
a bad output has the weight 0: its factor is then itself the slack.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from syneff.errors import SpecError, one_of
from syneff.measure.directional_programs import nonradial_program, radial_program
from syneff.measure.envelopment import Answer, Program, describe, solve
from syneff.measure.stages import SOLVERS
from syneff.measure.technology import Technology
from syneff.runtime import require_float64
from syneff.typing import Float, Int

BLOCKS = ("inputs", "good", "bad")
DISPOSABILITIES = ("weak", "strong")

Weights = Mapping[str, Sequence[float]]


@dataclass(frozen=True, eq=False)
class Distance:
    """Directional distances with the proof that belongs to them.

    The distance is unique. The factors of a non-radial distance need not be, and are those of one optimal vertex.

    Attributes
    ----------
    distance
        ``[dmu]``: 0 on the frontier; negative, in the radial case, for a row beyond the frontier of a reference set that
        it does not belong to; NaN where the program is infeasible.
    status
        ``[dmu]``: `Status` codes.
    gap
        ``[dmu]``: objective less a lower bound proved by a dual point that prices every reference unit.
    beta_inputs, beta_good, beta_bad
        ``[dmu input]`` and so on: the target is ``(1 - beta) x``, ``(1 + beta) y``, ``(1 - beta) b``.
    returns
        Returns to scale, for the messages.
    """

    distance: Float[np.ndarray, " dmu"]
    status: Int[np.ndarray, " dmu"]
    gap: Float[np.ndarray, " dmu"]
    beta_inputs: Float[np.ndarray, "dmu input"]
    beta_good: Float[np.ndarray, "dmu good"]
    beta_bad: Float[np.ndarray, "dmu bad"]
    returns: str

    def summary(self, names: Sequence[object] | None = None) -> str:
        """Say in a sentence how the programs ended; `names` are those of the rows, row numbers if None."""
        return describe(self.status, self.gap, self.returns, names)


def directional_distance(
    technology: Technology,
    direction: Sequence[str] = ("good", "bad"),
    disposability: str = "weak",
    solver: str = "interior_point",
) -> Distance:
    """Measure the radial directional distance of every unit.

    Parameters
    ----------
    technology
        Data, returns to scale and reference set.
    direction
        Which of "inputs", "good", "bad" move, each in proportion to the unit's own values. With "good" among them the
        distance is at least -1, where the target has no good output; otherwise it is at most 1.
    disposability
        Of bad outputs: "weak" or "strong".
    solver
        "interior_point" or "simplex"; both end in the same certificate.

    Returns
    -------
    Distance
        Distances, statuses, gaps and factors.

    Raises
    ------
    SpecError
        If an option is not allowed, or the direction moves nothing.
    """
    sizes = _check(technology, disposability, solver)
    for each in direction:
        one_of("direction", each, BLOCKS)
    moves = np.array([float(each in direction) for each in BLOCKS])
    if not np.any(moves * sizes):
        raise SpecError(f"direction={tuple(direction)} moves no variable. Allowed: some of {', '.join(BLOCKS)}.")
    moved = np.repeat(moves, sizes)
    answer = _answer(radial_program(sizes, moved, technology.returns, disposability), technology, solver)
    factor = answer.values["factor"][:, 0]
    distance = factor - 1.0 if moves[1] else 1.0 - factor
    return _distance(distance, distance[:, None] * moved[None, :], answer, technology)


def nonradial_distance(
    technology: Technology,
    weights: Weights | None = None,
    disposability: str = "weak",
    solver: str = "interior_point",
) -> Distance:
    """Measure the non-radial directional distance of every unit.

    Parameters
    ----------
    technology
        Data, returns to scale and reference set.
    weights
        Weights of the factors by "inputs", "good", "bad", taken as they are; a variable of weight 0 does not move. A block
        that is left out has 0. If None, the blocks that there are share 1 equally, and so do the variables of each.
    disposability
        Of bad outputs: "weak" or "strong".
    solver
        "interior_point" or "simplex"; both end in the same certificate.

    Returns
    -------
    Distance
        Distances, statuses, gaps and factors. A row beyond the frontier of a reference set that it does not belong to
        is infeasible: factors are not negative.

    Raises
    ------
    SpecError
        If an option or a weight is not allowed.
    """
    sizes = _check(technology, disposability, solver)
    given = _weights(weights, sizes)
    answer = _answer(nonradial_program(sizes, given, technology.returns, disposability), technology, solver)
    moved = given > 0.0
    betas = np.where(np.isnan(answer.objective)[:, None], np.nan, np.zeros((technology.rows, given.size)))
    betas[:, moved] = answer.values["beta"]
    return _distance(0.0 - answer.objective, betas, answer, technology)


def _check(technology: Technology, disposability: str, solver: str) -> tuple[int, int, int]:
    """Check the common options and return the numbers of inputs, good and bad outputs."""
    require_float64()
    one_of("disposability", disposability, DISPOSABILITIES)
    one_of("solver", solver, SOLVERS)
    inputs, good, bad = (np.shape(each)[1] for each in (technology.inputs, technology.good, technology.bad))  # type: ignore[arg-type]
    return inputs, good, bad


def _weights(weights: Weights | None, sizes: tuple[int, int, int]) -> Float[np.ndarray, " data"]:
    """Return the weights of all variables."""
    present = sum(size > 0 for size in sizes)
    if weights is None:
        return np.concatenate([np.full(size, 1.0 / max(size, 1) / present) for size in sizes])
    for name in weights:
        one_of("weights", name, BLOCKS)
    found = []
    for name, size in zip(BLOCKS, sizes, strict=True):
        weight = np.asarray(weights.get(name, np.zeros(size)), dtype=float)
        if weight.shape != (size,) or not np.all(np.isfinite(weight) & (weight >= 0)):
            raise SpecError(
                f"weights[{name!r}] must be {size} numbers, none of them negative, one a variable, not {weight}."
            )
        found.append(weight)
    if not np.concatenate(found).any():
        raise SpecError("all weights are 0. Give a variable that should move a positive one.")
    return np.concatenate(found)


def _answer(program: Program, technology: Technology, solver: str) -> Answer:
    """Solve the programs of a technology."""
    blocks = [np.asarray(each) for each in (technology.inputs, technology.good, technology.bad)]
    return solve(program, np.concatenate(blocks, axis=1), technology.groups, solver=solver)


def _distance(distance: np.ndarray, betas: np.ndarray, answer: Answer, technology: Technology) -> Distance:
    """Put the factors back to their blocks."""
    edges = np.cumsum([np.shape(each)[1] for each in (technology.inputs, technology.good)])
    inputs, good, bad = np.split(betas, edges, axis=1)
    return Distance(distance, answer.status, answer.gap, inputs, good, bad, technology.returns)
