r"""Batched interior point: Mehrotra's predictor-corrector on the few columns that matter, then a crossover to a vertex.

Each step of problem *o* solves the normal equations ``M_o dy = r`` with

.. math:: M_o = \operatorname{diag}(r_o) \Big( \sum_j d_{oj}\, a_j a_j' \Big) \operatorname{diag}(r_o) + P D_o P' .

The problems share the columns ``a_j``, so the sums of a whole batch are one matrix product: ``D [problem column]`` times the
outer products ``[column row(row+1)/2]``. What is left is a Cholesky factorisation of about seven rows for each problem.

Few of a frontier's thousands of columns can ever be basic. So the method runs on an *active set*: the column that prices
out worst for each problem at its starting basis, then at its interior point, until none does. An interior point alone
stalls near 1e-6 at degenerate vertices, and its answer would depend on the active set; the *crossover* removes both:
independent columns are picked greedily by their weight in the interior point, and `syneff.numerics.simplex` starts from that
basis, prices all columns and certifies. Most problems need no pivot there.

References: Mehrotra (1992), SIAM J. Optim. 2:575, doi:10.1137/0802028; Bixby and Saltzman (1994), Oper. Res. Lett. 15:137,
doi:10.1016/0167-6377(94)90047-7, on crossover.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from syneff.numerics import simplex
from syneff.numerics.batching import map_in_chunks
from syneff.numerics.linear_program import (
    LinearPrograms,
    Solution,
    allowed,
    columns_at,
    costs_at,
    products,
    reduced_costs,
    restrict,
    take,
)
from syneff.runtime import require_float64
from syneff.typing import Array, Bool, Float, Int

_ITERATIONS = 40
_CONVERGED = 1e-9  # relative residuals and complementarity; the crossover does the rest
_STEP = 0.95  # of the way to the boundary: longer steps stall at degenerate vertices
_RIDGE = 1e-13  # relative, on the diagonal of the normal matrix; without it the factorisation gives NaN
_ROUNDS = 4  # of enlarging the active set
_PRICED_OUT = -1e-7
_SMALL = 64  # columns up to which the active set is all of them


class _Point(NamedTuple):
    """An interior point of each problem of a chunk; private variables first."""

    x: Float[Array, "problem any"]
    y: Float[Array, "problem row"]
    s: Float[Array, "problem any"]
    active: Bool[Array, " problem"]
    step: Int[Array, ""]


def solve(problems: LinearPrograms, start: Int[Array, "problem row"], *, chunk: int = 64) -> Solution:
    """Solve every problem of a batch by interior point, crossover and certificate.

    Parameters
    ----------
    problems
        The batch.
    start
        ``[problem row]``: a nonsingular basis for the problems whose interior point gives none.
    chunk
        Problems at a time; the result does not depend on it.

    Returns
    -------
    Solution
        Certified; problems that no attempt could certify have the status not certified.
    """
    require_float64()
    count = start.shape[0]
    padded = jnp.asarray(simplex.pad(np.arange(count), chunk))
    everyone = take(problems, padded)
    active = _first_columns(everyone, start[padded], chunk)
    for _ in range(_ROUNDS):
        columns, usable = _bucket(active)
        basis, worst = _interior(everyone, columns, usable, start[padded], chunk=chunk)
        missing = np.setdiff1d(np.asarray(worst), np.append(active, -1))
        if missing.size == 0:
            break
        active = np.union1d(active, missing)
    return simplex.solve(problems, basis[:count], chunk=chunk)


def _first_columns(problems: LinearPrograms, start: Int[Array, "problem row"], chunk: int) -> np.ndarray:
    """Return the first active set: all columns if they are few, else what each problem misses most at its start."""
    usable = np.flatnonzero(np.asarray(problems.usable))
    if usable.size <= _SMALL:
        return usable
    worst = np.asarray(_missing_at_start(problems, start, chunk=chunk))
    return np.union1d(worst[worst >= 0], usable[:1])


@partial(jax.jit, static_argnames="chunk")
def _missing_at_start(
    problems: LinearPrograms, start: Int[Array, "problem row"], *, chunk: int
) -> Int[Array, " problem"]:
    """Return the column that prices out worst at each starting basis, or -1."""

    def of_chunk(index: Int[Array, " pick"]) -> Array:
        taken = take(problems, index)
        inverse = jnp.linalg.inv(columns_at(taken, start[index]))
        return _worst(taken, jnp.einsum("or,ors->os", costs_at(taken, start[index]), inverse))

    result: Array = map_in_chunks(of_chunk, jnp.arange(start.shape[0]), chunk)
    return result


def _worst(problems: LinearPrograms, y: Float[Array, "problem row"]) -> Int[Array, " problem"]:
    """Return the shared column with the most negative reduced cost, or -1 where none is negative."""
    cost = reduced_costs(problems, y)[1]
    least = jnp.min(cost, axis=1)
    number = jnp.where(cost == least[:, None], jnp.arange(cost.shape[1])[None, :], cost.shape[1])
    return jnp.where(least < _PRICED_OUT, jnp.min(number, axis=1), -1)


def _bucket(active: np.ndarray) -> tuple[Int[Array, " column"], Bool[Array, " column"]]:
    """Pad an active set to a round size, so that few shapes are compiled."""
    size = simplex.pad(active, 64).size
    return jnp.asarray(np.resize(active, size)), jnp.arange(size) < active.size


@partial(jax.jit, static_argnames="chunk")
def _interior(
    problems: LinearPrograms,
    columns: Int[Array, " column"],
    usable: Bool[Array, " column"],
    start: Int[Array, "problem row"],
    *,
    chunk: int,
) -> tuple[Int[Array, "problem row"], Int[Array, " problem"]]:
    """Return the basis that each problem's interior point suggests, and the column, if any, that it should have had."""
    n_private = problems.private.shape[1]

    def of_chunk(index: Int[Array, " pick"]) -> tuple[Array, Array]:
        taken = take(problems, index)
        few = restrict(taken, columns, usable)
        point = _mehrotra(few)
        picked, complete = _crossover(few, point.x)
        shared = n_private + columns[jnp.maximum(picked - n_private, 0)]
        basis = jnp.where(picked < n_private, picked, shared)
        return jnp.where(complete[:, None], basis, start[index]), _worst(taken, point.y)

    result: tuple[Array, Array] = map_in_chunks(of_chunk, jnp.arange(start.shape[0]), chunk)
    return result


class _Operators:
    """The constraint matrices of a chunk as functions of vectors; forbidden columns are zero."""

    def __init__(self, problems: LinearPrograms) -> None:
        self.problems = problems
        n_private, n_rows = problems.private.shape[1], problems.rhs.shape[0]
        self.n_private = n_private
        self.allowed = jnp.concatenate(
            [jnp.ones((problems.row_scale.shape[0], n_private), dtype=bool), allowed(problems)], axis=1
        )
        first, second = np.triu_indices(n_rows)
        self.outer_private = (problems.private[first] * problems.private[second]).T
        self.outer_shared = (problems.shared[first] * problems.shared[second]).T
        self.place = np.zeros((n_rows, n_rows), dtype=int)
        self.place[first, second] = self.place[second, first] = np.arange(first.size)
        cost = jnp.concatenate([problems.cost_private, problems.cost_shared])
        self.cost = jnp.broadcast_to(cost[None, :], self.allowed.shape)

    def rows(self, x: Float[Array, "problem any"]) -> Float[Array, "problem row"]:
        """Return ``A x``."""
        private, shared = x[:, : self.n_private], x[:, self.n_private :]
        return private @ self.problems.private.T + self.problems.row_scale * (shared @ self.problems.shared.T)

    def columns(self, y: Float[Array, "problem row"]) -> Float[Array, "problem any"]:
        """Return ``A' y``, zero where a column is forbidden."""
        return jnp.where(self.allowed, jnp.concatenate(products(self.problems, y), axis=1), 0.0)

    def inverse_root(self, d: Float[Array, "problem any"]) -> Float[Array, "problem row row"]:
        """Return ``R`` with ``R' R`` the inverse of ``A diag(d) A'``, by Cholesky after scaling its diagonal to 1."""
        private = (d[:, : self.n_private] @ self.outer_private)[:, self.place]
        shared = (d[:, self.n_private :] @ self.outer_shared)[:, self.place]
        scale = self.problems.row_scale
        normal = private + shared * scale[:, :, None] * scale[:, None, :]
        size = 1.0 / jnp.sqrt(jnp.diagonal(normal, axis1=1, axis2=2))
        identity = jnp.broadcast_to(jnp.eye(normal.shape[1])[None, :, :], normal.shape)
        lower = jnp.linalg.cholesky(normal * size[:, :, None] * size[:, None, :] + _RIDGE * identity)
        return jax.scipy.linalg.solve_triangular(lower, identity, lower=True) * size[:, None, :]

    @staticmethod
    def solve(root: Float[Array, "problem row row"], rhs: Float[Array, "problem row"]) -> Float[Array, "problem row"]:
        """Solve the normal equations."""
        return jnp.einsum("ors,or->os", root, jnp.einsum("ors,os->or", root, rhs))


def _mehrotra(problems: LinearPrograms) -> _Point:
    """Follow the central path of every problem of a chunk until all have converged or stalled."""
    operators = _Operators(problems)
    rhs = jnp.broadcast_to(problems.rhs[None, :], problems.row_scale.shape)
    count = jnp.sum(operators.allowed, axis=1).astype(rhs.dtype)

    def iterate(point: _Point) -> _Point:
        primal = rhs - operators.rows(point.x)
        dual = jnp.where(operators.allowed, operators.cost - operators.columns(point.y) - point.s, 0.0)
        mu = jnp.sum(point.x * point.s, axis=1) / count
        ratio = point.x / point.s
        root = operators.inverse_root(ratio)

        def direction(target: Array) -> tuple[Array, Array, Array]:
            short = jnp.where(operators.allowed, target / point.s, 0.0) - ratio * dual
            dy = operators.solve(root, primal - operators.rows(short))
            pushed = operators.columns(dy)
            return short + ratio * pushed, dy, dual - pushed

        dx, _, ds = direction(-point.x * point.s)
        ahead = (point.x + _reach(point.x, dx)[:, None] * dx) * (point.s + _reach(point.s, ds)[:, None] * ds)
        centring = (jnp.sum(jnp.where(operators.allowed, ahead, 0.0), axis=1) / count / mu) ** 3
        dx, dy, ds = direction((centring * mu)[:, None] - point.x * point.s - dx * ds)
        to_primal, to_dual = _STEP * _reach(point.x, dx)[:, None], _STEP * _reach(point.s, ds)[:, None]
        error = jnp.maximum(jnp.max(jnp.abs(primal), axis=1), jnp.max(jnp.abs(dual), axis=1))
        fine = jnp.all(jnp.isfinite(dx), axis=1) & jnp.all(jnp.isfinite(ds), axis=1)
        active = point.active & fine & (jnp.maximum(error, mu) > _CONVERGED)
        moves = active[:, None]
        return _Point(
            jnp.where(moves & operators.allowed, point.x + to_primal * dx, point.x),
            jnp.where(moves, point.y + to_dual * dy, point.y),
            jnp.where(moves & operators.allowed, point.s + to_dual * ds, point.s),
            active,
            point.step + 1,
        )

    final: _Point = jax.lax.while_loop(
        lambda point: jnp.any(point.active) & (point.step < _ITERATIONS), iterate, _first_point(operators, rhs)
    )
    return final


def _first_point(operators: _Operators, rhs: Float[Array, "problem row"]) -> _Point:
    """Return Mehrotra's starting point: least squares, shifted into the interior; forbidden columns have x = 0, s = 1."""
    ones = operators.allowed.astype(rhs.dtype)
    root = operators.inverse_root(ones)
    x = operators.columns(operators.solve(root, rhs))
    y = operators.solve(root, operators.rows(ones * operators.cost))
    s = jnp.where(operators.allowed, operators.cost - operators.columns(y), 0.0)
    x = x + jnp.maximum(0.0, -1.5 * jnp.min(x, axis=1))[:, None] + 1e-3
    s = s + jnp.maximum(0.0, -1.5 * jnp.min(s, axis=1))[:, None] + 1e-3
    product = jnp.sum(ones * x * s, axis=1)
    x_more = x + (0.5 * product / jnp.sum(ones * s, axis=1))[:, None]
    s_more = s + (0.5 * product / jnp.sum(ones * x, axis=1))[:, None]
    none = jnp.zeros(rhs.shape[0], dtype=bool)
    return _Point(
        jnp.where(operators.allowed, x_more, 0.0),
        y,
        jnp.where(operators.allowed, s_more, 1.0),
        ~none,
        jnp.zeros((), int),
    )


def _reach(value: Float[Array, "problem any"], change: Float[Array, "problem any"]) -> Float[Array, " problem"]:
    """Return the longest step, up to 1, that keeps every variable nonnegative."""
    room = jnp.where(change < 0.0, -value / jnp.where(change < 0.0, change, 1.0), jnp.inf)
    return jnp.minimum(1.0, jnp.min(room, axis=1))


def _crossover(
    problems: LinearPrograms, x: Float[Array, "problem any"]
) -> tuple[Int[Array, "problem row"], Bool[Array, " problem"]]:
    """Pick independent columns greedily, by value times the part that those picked before do not span.

    Returns
    -------
    tuple
        A basis ``[problem row]``, and whether it is complete.
    """
    operators = _Operators(problems)
    n_problems, n_rows = problems.row_scale.shape
    scale = problems.row_scale**2
    length = jnp.concatenate(
        [
            jnp.broadcast_to(jnp.sum(problems.private**2, axis=0)[None, :], (n_problems, operators.n_private)),
            scale @ problems.shared**2,
        ],
        axis=1,
    )

    def pick(at: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, spanned, rest = state
        weight = jnp.where(rest > 1e-10 * length, x**2 * rest, 0.0)
        number = jnp.argmax(weight, axis=1)
        column = columns_at(problems, number[:, None])[:, :, 0]
        for _ in range(2):  # once more against rounding
            column = column - jnp.einsum("opr,op->or", spanned, jnp.einsum("opr,or->op", spanned, column))
        norm = jnp.sqrt(jnp.sum(column**2, axis=1))[:, None]
        column = jnp.where(jnp.max(weight, axis=1)[:, None] > 0.0, column / jnp.where(norm > 0.0, norm, 1.0), 0.0)
        here = (jnp.arange(n_rows) == at)[None, :]
        basis = jnp.where(here, number[:, None], basis)
        spanned = jnp.where(here[:, :, None], column[:, None, :], spanned)
        return basis, spanned, rest - operators.columns(column) ** 2

    nothing = (jnp.zeros((n_problems, n_rows), int), jnp.zeros((n_problems, n_rows, n_rows)), length)
    basis, spanned, _ = jax.lax.fori_loop(0, n_rows, pick, nothing)
    complete = jnp.all(jnp.sum(spanned**2, axis=2) > 0.5, axis=1)
    return basis, complete
