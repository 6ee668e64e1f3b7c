r"""Prove a vertex optimal, or a problem infeasible, whatever found it.

A certificate has three parts: a point that satisfies the rows and signs, a dual point that prices *every* column
nonnegative, and the distance of their objectives. The last two are honest only if the dual point is feasible, and
``y = c_B B^{-1}`` is so only up to rounding. So it is repaired first:

1. A private column with a single nonzero bounds one dual variable: clip to the bounds.
2. With the direction ``g`` and the factor ``kappa`` of the batch (``g' a_j + kappa c_j > 0`` for the other columns),

   .. math:: \tilde y = \frac{y - \theta g}{1 + \theta\kappa}, \qquad
             \theta = \max_j \frac{\max(0, -d_j)}{g' a_j + \kappa c_j}

   has reduced costs ``(d_j + theta (g' a_j + kappa c_j)) / (1 + theta kappa) >= 0``.

By weak duality ``b' y~`` is then a lower bound on the optimum, and the gap bounds the error of the reported objective. A
problem is infeasible if a ray ``y`` has ``y' a_j >= 0`` for every column and ``y' b < 0`` (Farkas).
"""

import jax.numpy as jnp
import numpy as np

from syneff.numerics.linear_program import (
    TIGHT,
    LinearPrograms,
    Solution,
    Status,
    allowed,
    columns_at,
    costs_at,
    products,
    reduced_costs,
)
from syneff.typing import Array, Bool, Float, Int

TOLERANCE = (
    1e-9  # of rows and signs, in a problem whose rows are scaled to 1, and of the gap, relative to an objective above 1
)


def certify(
    problems: LinearPrograms,
    basis: Int[Array, "problem row"],
    *,
    ray: Float[Array, "problem row"],
    iterations: Int[Array, " problem"],
) -> Solution:
    """Certify the vertex of each basis, or the infeasibility that a ray proves.

    Parameters
    ----------
    problems
        The batch.
    basis
        ``[problem row]``: numbers of the basic columns.
    ray
        ``[problem row]``: a candidate proof of infeasibility; 0 for none.
    iterations
        ``[problem]``: pivots so far, for the record.

    Returns
    -------
    Solution
        Status optimal or infeasible only where the proof holds to `TOLERANCE`, else not certified.
    """
    value, y = _vertex(problems, basis)
    usable = _basis_allowed(problems, basis)
    point = jnp.maximum(value, 0.0)
    matrix = columns_at(problems, basis)
    rows = jnp.einsum("ors,os->or", matrix, point) - problems.rhs[None, :]
    primal = jnp.maximum(jnp.max(jnp.abs(rows), axis=1), jnp.max(-value, axis=1))
    dual_point, dual = repair(problems, y)
    private, shared = reduced_costs(problems, y)
    objective = jnp.sum(costs_at(problems, basis) * point, axis=1)
    gap = objective - dual_point @ problems.rhs
    close = jnp.abs(gap) <= TOLERANCE * jnp.maximum(1.0, jnp.abs(objective))
    optimal = usable & (primal <= TOLERANCE) & close
    infeasible = _farkas(problems, ray) & ~optimal
    status = jnp.where(optimal, Status.OPTIMAL, jnp.where(infeasible, Status.INFEASIBLE, Status.NOT_CERTIFIED))
    return Solution(
        basis=basis,
        value=point,
        y=jnp.where(infeasible[:, None], ray, dual_point),
        objective=jnp.where(infeasible, jnp.nan, objective),
        primal_residual=primal,
        dual_residual=dual,
        gap=gap,
        iterations=iterations,
        status=status,
        resolved=jnp.zeros(status.shape, dtype=bool),
        tight=jnp.sum(private <= TIGHT, axis=1) + jnp.sum(shared <= TIGHT, axis=1),
    )


def repair(
    problems: LinearPrograms, y: Float[Array, "problem row"]
) -> tuple[Float[Array, "problem row"], Float[Array, " problem"]]:
    """Return a feasible dual point near `y`, and the largest violation at `y`."""
    before = reduced_costs(problems, y)
    violation = jnp.maximum(0.0, -jnp.minimum(jnp.min(before[0], axis=1), jnp.min(before[1], axis=1, initial=0.0)))
    clipped = _clip(problems, y)
    private, shared = reduced_costs(problems, clipped)
    direction = jnp.broadcast_to(problems.repair, y.shape)
    gain_private, gain_shared = products(problems, direction)
    gain_private += problems.repair_cost * problems.cost_private[None, :]
    gain_shared += problems.repair_cost * problems.cost_shared[None, :]
    step = jnp.maximum(
        jnp.max(_needed(private, gain_private), axis=1), jnp.max(_needed(shared, gain_shared), axis=1, initial=0.0)
    )
    repaired = (clipped - step[:, None] * direction) / (1.0 + step * problems.repair_cost)[:, None]
    return repaired, violation


def _needed(cost: Float[Array, "problem any"], gain: Float[Array, "problem any"]) -> Float[Array, "problem any"]:
    """Return the step along the repair direction that each column needs to price out."""
    return jnp.where(cost < 0.0, -cost / jnp.where(gain > 0.0, gain, 0.0), 0.0)


def _clip(problems: LinearPrograms, y: Float[Array, "problem row"]) -> Float[Array, "problem row"]:
    """Clip the dual variables to the bounds that private columns with a single nonzero put on them."""
    nonzero = problems.private != 0.0
    single = nonzero & (jnp.sum(nonzero, axis=0) == 1)[None, :]
    bound = problems.cost_private[None, :] / jnp.where(nonzero, problems.private, 1.0)
    upper = jnp.min(jnp.where(single & (problems.private > 0.0), bound, jnp.inf), axis=1)
    lower = jnp.max(jnp.where(single & (problems.private < 0.0), bound, -jnp.inf), axis=1)
    return jnp.clip(y, lower[None, :], upper[None, :])


def _vertex(
    problems: LinearPrograms, basis: Int[Array, "problem row"]
) -> tuple[Float[Array, "problem row"], Float[Array, "problem row"]]:
    """Return the basic values and the dual point of each basis, each refined once."""
    matrix = columns_at(problems, basis)
    inverse = jnp.linalg.inv(matrix)
    rhs = jnp.broadcast_to(problems.rhs, basis.shape)
    cost = costs_at(problems, basis)
    value = jnp.einsum("ors,os->or", inverse, rhs)
    value += jnp.einsum("ors,os->or", inverse, rhs - jnp.einsum("ors,os->or", matrix, value))
    y = jnp.einsum("or,ors->os", cost, inverse)
    y += jnp.einsum("or,ors->os", cost - jnp.einsum("or,ors->os", y, matrix), inverse)
    return value, y


def _basis_allowed(problems: LinearPrograms, basis: Int[Array, "problem row"]) -> Bool[Array, " problem"]:
    """Whether every basic column is one that the problem may use."""
    shared = basis - problems.private.shape[1]
    usable = jnp.broadcast_to(problems.usable, (basis.shape[0], problems.shared.shape[1]))
    fine = jnp.take_along_axis(usable, jnp.maximum(shared, 0), axis=1) & (shared != problems.left_out[:, None])
    return jnp.all((shared < 0) | fine, axis=1)


def _farkas(problems: LinearPrograms, ray: Float[Array, "problem row"]) -> Bool[Array, " problem"]:
    """Whether the ray proves that a problem has no feasible point."""
    size = jnp.max(jnp.abs(ray), axis=1)
    unit = ray / jnp.where(size > 0.0, size, 1.0)[:, None]
    private, shared = products(problems, unit)
    lowest = jnp.minimum(
        jnp.min(private, axis=1), jnp.min(jnp.where(allowed(problems), shared, jnp.inf), axis=1, initial=np.inf)
    )
    return (size > 0.0) & (lowest >= -1e-11) & (unit @ problems.rhs < -TOLERANCE)
