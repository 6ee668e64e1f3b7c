r"""A batch of linear programs that share a block of columns.

Problem *o* of the batch is, in standard form,

.. math::

    \min_{z, v \ge 0}\; c_s' z + c_p' v \quad\text{s.t.}\quad
    \operatorname{diag}(r_o)\, A z + P v = b, \qquad z_j = 0 \text{ unless column } j \text{ is usable and } j \ne l_o .

``A`` (the *shared* block: the reference units of a frontier) is one matrix for the whole batch; problems differ by the scale
``r_o`` of its rows and by the one column ``l_o`` that they leave out. The *private* block ``P`` (expansion factor, slacks) has
the same coefficients in every problem once the rows are scaled. So the reduced costs of a whole batch are one matrix
product, and so is the normal matrix of an interior-point step; nothing of size problem x row x column is ever built.

Columns are numbered private first: column *k* is ``P[:, k]`` for ``k < private``, else ``r_o * A[:, k - private]``. Which
columns are usable is one vector for the batch or, for the simplex, a row for each problem.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.typing import Array, Bool, Float, Int

Own = dict[str, Array | np.ndarray]
"""What each problem of a batch has for itself, by the name of the field."""

TIGHT = 1e-9  # a column whose reduced cost is at most this prices at zero


class Status(IntEnum):
    """How a linear program ended."""

    OPTIMAL = 0
    INFEASIBLE = 1
    UNBOUNDED = 2
    NOT_CERTIFIED = 3


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "shared",
        "row_scale",
        "usable",
        "left_out",
        "private",
        "cost_shared",
        "cost_private",
        "rhs",
        "repair",
        "repair_cost",
    ],
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
    usable
        ``[column]``: False for the columns that only pad the block to a round shape; or ``[problem column]``, where the
        problems have reference sets of their own.
    left_out
        ``[problem]``: the shared column that the problem may not use; -1 for none.
    private
        ``[row private]``: the block ``P``.
    cost_shared, cost_private
        ``[column]``, ``[private]``: costs.
    rhs
        ``[row]``: right-hand side ``b``.
    repair, repair_cost
        ``[row]`` and a scalar: ``g`` and ``kappa`` with ``g' a_j + kappa c_j >= 0`` for every column, and ``> 0`` for all but
        the private columns with a single nonzero or none. They turn a nearly feasible dual point into a feasible one; see
        `syneff.numerics.certificate`.
    """

    shared: Float[Array | np.ndarray, "row column"]
    row_scale: Float[Array | np.ndarray, "problem row"]
    usable: Bool[Array | np.ndarray, "*problem column"]
    left_out: Int[Array | np.ndarray, " problem"]
    private: Float[Array | np.ndarray, "row private"]
    cost_shared: Float[Array | np.ndarray, " column"]
    cost_private: Float[Array | np.ndarray, " private"]
    rhs: Float[Array | np.ndarray, " row"]
    repair: Float[Array | np.ndarray, " row"]
    repair_cost: Float[Array | np.ndarray, ""]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "basis",
        "value",
        "y",
        "objective",
        "primal_residual",
        "dual_residual",
        "gap",
        "iterations",
        "status",
        "resolved",
        "tight",
    ],
    meta_fields=[],
)
@dataclass(frozen=True)
class Solution:
    """Solutions of a batch of linear programs, at a vertex; while chunks are mapped, of a stack of batches.

    Attributes
    ----------
    basis
        ``[problem row]``: numbers of the basic columns, private first.
    value
        ``[problem row]``: values of the basic columns; every other variable is 0.
    y
        ``[problem row]``: a feasible dual point; the Farkas ray where the problem is infeasible.
    objective
        ``[problem]``; NaN unless the status is optimal.
    primal_residual
        ``[problem]``: largest violation of a row or of a sign at the vertex.
    dual_residual
        ``[problem]``: most negative reduced cost before the dual point was repaired, as a positive number.
    gap
        ``[problem]``: primal objective less the objective of the feasible dual point.
    iterations
        ``[problem]``: pivots.
    status
        ``[problem]``: a `Status` code.
    resolved
        ``[problem]``: whether this is the end of another attempt, the first one having found no certificate.
    tight
        ``[problem]``: how many columns price at zero; if they are not more than the rows, the optimum is unique.
    """

    basis: Int[Array | np.ndarray, "*stack problem row"]
    value: Float[Array | np.ndarray, "*stack problem row"]
    y: Float[Array | np.ndarray, "*stack problem row"]
    objective: Float[Array | np.ndarray, "*stack problem"]
    primal_residual: Float[Array | np.ndarray, "*stack problem"]
    dual_residual: Float[Array | np.ndarray, "*stack problem"]
    gap: Float[Array | np.ndarray, "*stack problem"]
    iterations: Int[Array | np.ndarray, "*stack problem"]
    status: Int[Array | np.ndarray, "*stack problem"]
    resolved: Bool[Array | np.ndarray, "*stack problem"]
    tight: Int[Array | np.ndarray, "*stack problem"]


def allowed(problems: LinearPrograms) -> Bool[Array, "problem column"]:
    """Return which shared columns each problem may use."""
    column = jnp.arange(problems.shared.shape[1])
    return jnp.atleast_2d(jnp.asarray(problems.usable)) & (column[None, :] != problems.left_out[:, None])


def products(
    problems: LinearPrograms, y: Float[Array, "problem row"]
) -> tuple[Float[Array, "problem private"], Float[Array, "problem column"]]:
    """Return ``y' P`` and ``y' diag(r_o) A``, by problem."""
    return y @ problems.private, (y * problems.row_scale) @ problems.shared


def reduced_costs(
    problems: LinearPrograms, y: Float[Array, "problem row"]
) -> tuple[Float[Array, "problem private"], Float[Array, "problem column"]]:
    """Price every column, ``c - y' a``; infinite where a problem may not use the column."""
    private, shared = products(problems, y)
    shared = jnp.where(allowed(problems), problems.cost_shared[None, :] - shared, jnp.inf)
    return jnp.asarray(problems.cost_private)[None, :] - private, shared


def columns_at(problems: LinearPrograms, index: Int[Array, "problem pick"]) -> Float[Array, "problem row pick"]:
    """Return the columns of each problem with the given numbers, rows scaled."""
    n_private = problems.private.shape[1]
    own = problems.private.T[jnp.clip(index, 0, n_private - 1)]
    common = problems.shared.T[jnp.maximum(index - n_private, 0)] * problems.row_scale[:, None, :]
    return jnp.swapaxes(jnp.where((index < n_private)[:, :, None], own, common), 1, 2)


def costs_at(problems: LinearPrograms, index: Int[Array, "problem pick"]) -> Float[Array, "problem pick"]:
    """Return the costs of the columns with the given numbers."""
    n_private = problems.private.shape[1]
    own = problems.cost_private[jnp.clip(index, 0, n_private - 1)]
    return jnp.where(index < n_private, own, problems.cost_shared[jnp.maximum(index - n_private, 0)])


def usable_by(problems: LinearPrograms, row: int) -> Bool[np.ndarray, " column"]:
    """Return which shared columns one problem may use, apart from the one it leaves out."""
    usable = np.asarray(problems.usable)
    return usable[row] if usable.ndim > 1 else usable


def take(problems: LinearPrograms, index: Int[np.ndarray, " pick"]) -> LinearPrograms:
    """Return the problems with the given numbers."""
    return replace(problems, **{name: np.asarray(getattr(problems, name))[index] for name in _own(problems)})


def split(problems: LinearPrograms) -> tuple[LinearPrograms, Own]:
    """Return what the problems share, as a batch of none, and what each has for itself; `join` undoes it."""
    return take(problems, np.arange(0)), {name: np.asarray(getattr(problems, name)) for name in _own(problems)}


def join(common: LinearPrograms, own: Own) -> LinearPrograms:
    """Return the problems of a chunk."""
    return replace(common, **own)


def _own(problems: LinearPrograms) -> tuple[str, ...]:
    """Return the names of what each problem has for itself."""
    return ("row_scale", "left_out", *(("usable",) if np.ndim(problems.usable) > 1 else ()))


def merge(old: Solution, new: Solution, rows: Int[np.ndarray, " pick"], *, resolved: bool = True) -> Solution:
    """Return the old solutions with those of a few problems in their place; pivots add up.

    With `resolved` they are stragglers, else the old solutions were but steps on the way to these.
    """

    def put(before: Array | np.ndarray, after: Array | np.ndarray) -> np.ndarray:
        array = np.array(before)
        array[rows] = after
        return array

    merged: Solution = jax.tree.map(put, old, new)
    return replace(
        merged,
        iterations=put(old.iterations, np.asarray(old.iterations)[rows] + new.iterations),
        resolved=put(old.resolved, np.asarray(new.resolved) | resolved),
    )
