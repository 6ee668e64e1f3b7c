"""A batch of linear programs that share a block of columns.

Problem *o* of the batch is, in standard form,

.. math::

    \\min_{z, v \\ge 0}\\; c_s' z + c_p' v \\quad\\text{s.t.}\\quad
    \\operatorname{diag}(r_o)\\, A z + P v = b, \\qquad z_j = 0 \\text{ where } j \\notin R_o .

``A`` (the *shared* block: the reference units of a frontier) is one matrix for the whole batch; problems differ by the scale
``r_o`` of its rows and by the columns ``R_o`` that they may use. The *private* block ``P`` (expansion factor, slacks) has
the same coefficients in every problem once the rows are scaled. So the normal matrix of a whole batch of interior-point
steps is one matrix product; nothing of size problem x row x column is ever built.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import partial

import jax

from syneff.typing import Array, Bool, Float, Int


class Status(IntEnum):
    """How a linear program ended."""

    OPTIMAL = 0
    INFEASIBLE = 1
    UNBOUNDED = 2
    NOT_CERTIFIED = 3


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["shared", "row_scale", "allowed", "private", "cost_shared", "cost_private", "rhs"],
    meta_fields=[],
)
@dataclass(frozen=True)
class LinearPrograms:
    """A batch of linear programs with a shared column block.

    Attributes
    ----------
    shared
        ``[row column]``: the block ``A``, one for all problems.
    row_scale
        ``[problem row]``: ``r_o``; 1 where a row is not scaled.
    allowed
        ``[problem column]``: whether the problem may use the column (its reference set).
    private
        ``[row private]``: the block ``P``.
    cost_shared, cost_private
        ``[column]``, ``[private]``: costs.
    rhs
        ``[row]``: right-hand side ``b``.
    """

    shared: Float[Array, "row column"]
    row_scale: Float[Array, "problem row"]
    allowed: Bool[Array, "problem column"]
    private: Float[Array, "row private"]
    cost_shared: Float[Array, " column"]
    cost_private: Float[Array, " private"]
    rhs: Float[Array, " row"]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["x_shared", "x_private", "y", "objective", "primal_residual", "dual_residual", "gap", "iterations", "status"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Solution:
    """Solutions of a batch of linear programs.

    Attributes
    ----------
    x_shared, x_private
        ``[problem column]``, ``[problem private]``: primal variables.
    y
        ``[problem row]``: dual variables of the scaled rows.
    objective
        ``[problem]``.
    primal_residual, dual_residual
        ``[problem]``: largest violation, relative to the scaled problem.
    gap
        ``[problem]``: primal objective less the value of a feasible dual.
    iterations
        ``[problem]``.
    status
        ``[problem]``: a `Status` code.
    """

    x_shared: Float[Array, "problem column"]
    x_private: Float[Array, "problem private"]
    y: Float[Array, "problem row"]
    objective: Float[Array, " problem"]
    primal_residual: Float[Array, " problem"]
    dual_residual: Float[Array, " problem"]
    gap: Float[Array, " problem"]
    iterations: Int[Array, " problem"]
    status: Int[Array, " problem"]
