r"""Batched interior point: Mehrotra's predictor-corrector on the few columns that matter, then a crossover to a vertex.

Few of a frontier's thousands of columns can ever be basic in one problem. So each problem has its own *active set*, of a
fixed size: at first the columns that price out worst at its starting basis, one from each of some interleaved groups of
columns; after each round those that weigh most in its interior point, and again the worst. Rounds go on until the problem's
vertex prices out all columns. With ``A_o`` the active columns of problem *o* and its private ones, a step solves

.. math:: A_o D_o A_o' \, dy = r, \qquad D_o = \operatorname{diag}(x / s),

about seven equations: small dense matrices, batched over the problems.

An interior point alone stalls near 1e-6 at degenerate vertices, and its answer would depend on the active set; the
*crossover* removes both: independent columns are picked greedily by their weight in the interior point, and the vertex of
that basis is certified on all columns. Where it is not optimal (on a frontier of very many efficient units, say), the crossover
goes on by the pivots of `syneff.numerics.simplex` from there.

References: Mehrotra (1992), SIAM J. Optim. 2:575, doi:10.1137/0802028; Bixby and Saltzman (1994), Oper. Res. Lett. 15:137,
doi:10.1016/0167-6377(94)90047-7, on crossover.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from syneff.numerics import simplex
from syneff.numerics.batching import default_chunk, map_over_devices
from syneff.numerics.certificate import certify
from syneff.numerics.linear_program import (
    LinearPrograms,
    Own,
    Solution,
    Status,
    columns_at,
    costs_at,
    join,
    merge,
    reduced_costs,
    split,
    take,
)
from syneff.runtime import require_float64
from syneff.typing import Array, Bool, Float, Int

_ITERATIONS = 12
_CONVERGED = 1e-6  # relative residuals and complementarity; the crossover does the rest
_STEP = 0.95  # of the way to the boundary: longer steps stall at degenerate vertices
_RIDGE = 1e-13  # relative, on the diagonal of the normal matrix, which is singular at degenerate vertices
_ROUNDS = 3  # of renewing the active set
_WORTHWHILE = 0.125  # share of problems that a round must end for another one to follow
_PRICED_OUT = -1e-7
_ACTIVE, _FIRST, _NEW = (
    48,
    32,
    16,
)  # columns of an active set; of those, found at the start where a sample lends the rest, and renewed
_SAMPLE = 256  # problems solved before the others, to which they lend their basic columns


class _Block(NamedTuple):
    """The private and active columns of each problem of a chunk; columns that are not allowed are zero."""

    number: Int[Array, "problem any"]
    matrix: Float[Array, "problem row any"]
    cost: Float[Array, "problem any"]
    allowed: Bool[Array, "problem any"]

    def rows(self, x: Float[Array, "problem any"]) -> Float[Array, "problem row"]:
        """Return ``A x``."""
        return jnp.einsum("ora,oa->or", self.matrix, x)

    def columns(self, y: Float[Array, "problem row"]) -> Float[Array, "problem any"]:
        """Return ``A' y``."""
        return jnp.einsum("ora,or->oa", self.matrix, y)

    def inverse(self, d: Float[Array, "problem any"]) -> Float[Array, "problem row row"]:
        """Return the inverse of ``A diag(d) A'``, its diagonal scaled to 1 and ridged."""
        normal = jnp.einsum("ora,osa->ors", self.matrix * d[:, None, :], self.matrix)
        size = 1.0 / jnp.sqrt(jnp.diagonal(normal, axis1=1, axis2=2))
        scale = size[:, :, None] * size[:, None, :]
        return _inverse(normal * scale + _RIDGE * jnp.eye(normal.shape[1])[None, :, :]) * scale


class _Point(NamedTuple):
    """An interior point of each problem of a chunk; private variables first."""

    x: Float[Array, "problem any"]
    y: Float[Array, "problem row"]
    s: Float[Array, "problem any"]
    active: Bool[Array, " problem"]
    step: Int[Array, ""]


def solve(
    problems: LinearPrograms, start: Int[Array | np.ndarray, "problem row"], *, chunk: int | None = None
) -> Solution:
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
    start = np.asarray(start)
    count, few = start.shape[0], np.flatnonzero(problems.usable)
    common, own = split(problems)
    if few.size <= _ACTIVE:
        active = np.tile(np.append(few, np.full(_ACTIVE - few.size, -1)), (count, 1))
    else:
        lend = count > 4 * _SAMPLE
        worst = partial(_worst_at_start, groups=_FIRST if lend else _ACTIVE)
        active = map_over_devices(worst, common, (own, start), chunk=chunk)
        if lend:
            active = np.concatenate([active, np.full((count, _ACTIVE - _FIRST), -1)], axis=1)
            sample = np.linspace(0, count - 1, _SAMPLE).astype(int)
            solved = _rounds(take(problems, sample), start[sample], active[sample], chunk)
            lent = _frequent(np.asarray(solved.basis) - problems.private.shape[1])
            active[:, _FIRST:] = np.where((lent == active[:, :_FIRST, None]).any(axis=1), -1, lent)
    solution = _rounds(problems, start, active, chunk)
    left = np.flatnonzero(solution.status == Status.NOT_CERTIFIED)
    if left.size:
        finished = simplex.solve(take(problems, left), np.asarray(solution.basis)[left], chunk=chunk)
        solution = merge(solution, finished, left, resolved=False)
    return solution


def _frequent(column: np.ndarray) -> np.ndarray:
    """Return the shared columns that are basic most often, filled up with -1."""
    number, times = np.unique(column[column >= 0], return_counts=True)
    most = number[np.argsort(-times, kind="stable")][: _ACTIVE - _FIRST]
    return np.append(most, np.full(_ACTIVE - _FIRST - most.size, -1))


def _rounds(problems: LinearPrograms, start: np.ndarray, active: np.ndarray, chunk: int | None) -> Solution:
    """Solve and renew the active sets until all is certified or nothing new prices out."""
    common, own = split(problems)
    solution: Solution
    solution, active, more = map_over_devices(_round, common, (own, start, active), chunk=chunk)
    tried, pending = active.shape[0], np.flatnonzero((solution.status == Status.NOT_CERTIFIED) & more)
    for _ in range(_ROUNDS - 1):
        # A chunk costs the simplex less than another round; and where almost all columns matter, no round finds the few.
        if pending.size <= (chunk or default_chunk()) or tried - pending.size < _WORTHWHILE * tried:
            break
        common, own = split(take(problems, pending))
        again, active[pending], more = map_over_devices(
            _round, common, (own, start[pending], active[pending]), chunk=chunk
        )
        solution = merge(solution, again, pending, resolved=False)
        tried, pending = pending.size, pending[(again.status == Status.NOT_CERTIFIED) & more]
    return solution


@partial(jax.jit, static_argnames="groups")
def _worst_at_start(common: LinearPrograms, rows: tuple[Own, Array], *, groups: int) -> Int[Array, "problem first"]:
    """Return the columns that price out worst at each starting basis."""
    problems, start = join(common, rows[0]), rows[1]
    inverse = jnp.linalg.inv(columns_at(problems, start))
    return _worst(problems, jnp.einsum("or,ors->os", costs_at(problems, start), inverse), groups)


def _worst(problems: LinearPrograms, y: Float[Array, "problem row"], groups: int) -> Int[Array, "problem group"]:
    """Return the shared column with the most negative reduced cost in each of some groups, or -1 where none is negative."""
    cost = reduced_costs(problems, y)[1]
    n_problems, n_columns = cost.shape
    cost = jnp.pad(cost, ((0, 0), (0, -n_columns % groups)), constant_values=jnp.inf).reshape(n_problems, -1, groups)
    least = jnp.min(cost, axis=1)
    # A minimum and a search for an equal value: on a CPU this is many times faster than `argmin`.
    number = jnp.arange(cost.shape[1] * groups).reshape(1, -1, groups)
    found = jnp.min(jnp.where(cost == least[:, None, :], number, number.size), axis=1)
    return jnp.where(least < _PRICED_OUT, found, -1)


@jax.jit
def _round(
    common: LinearPrograms, rows: tuple[Own, Array, Array]
) -> tuple[Solution, Int[Array, "problem active"], Bool[Array, " problem"]]:
    """Solve on the active sets.

    Returns
    -------
    tuple
        The vertices with their certificates, the renewed active sets, and whether there was any column to add.
    """
    (own, start, active) = rows
    problems = join(common, own)
    n_private = problems.private.shape[1]
    block = _block(problems, active)
    point = _mehrotra(block, jnp.asarray(problems.rhs))
    picked, complete = _crossover(block, point.x)
    basis = jnp.where(complete[:, None], jnp.take_along_axis(block.number, picked, axis=1), start)
    solution = certify(
        problems, basis, ray=jnp.zeros(start.shape), iterations=jnp.zeros(start.shape[0], dtype=start.dtype)
    )
    new = _worst(problems, point.y, _NEW)
    new = jnp.where(jnp.any(new[:, :, None] == active[:, None, :], axis=2), -1, new)
    weight = jnp.where(active >= 0, point.x[:, n_private:], -1.0)
    keep = jax.lax.top_k(weight, _ACTIVE - _NEW)[1]
    renewed = jnp.concatenate([jnp.take_along_axis(active, keep, axis=1), new], axis=1)
    return solution, renewed, jnp.any(new >= 0, axis=1)


def _block(problems: LinearPrograms, active: Int[Array, "problem active"]) -> _Block:
    """Gather the private columns and the active ones."""
    n_private = problems.private.shape[1]
    private = jnp.broadcast_to(jnp.arange(n_private)[None, :], (active.shape[0], n_private))
    number = jnp.concatenate([private, n_private + jnp.maximum(active, 0)], axis=1)
    fine = (active >= 0) & (active != problems.left_out[:, None]) & problems.usable[jnp.maximum(active, 0)]
    allowed = jnp.concatenate([private >= 0, fine], axis=1)
    matrix = jnp.where(allowed[:, None, :], columns_at(problems, number), 0.0)
    return _Block(number, matrix, jnp.where(allowed, costs_at(problems, number), 0.0), allowed)


def _mehrotra(block: _Block, right: Float[Array, " row"]) -> _Point:
    """Follow the central path of every problem of a chunk until all have converged or stalled."""
    rhs = jnp.broadcast_to(right[None, :], block.matrix.shape[:2])
    count = jnp.sum(block.allowed, axis=1).astype(rhs.dtype)

    def iterate(point: _Point) -> _Point:
        primal = rhs - block.rows(point.x)
        dual = jnp.where(block.allowed, block.cost - block.columns(point.y) - point.s, 0.0)
        mu = jnp.sum(point.x * point.s, axis=1) / count
        ratio = point.x / point.s
        inverse = block.inverse(ratio)

        def direction(target: Array) -> tuple[Array, Array, Array]:
            short = jnp.where(block.allowed, target / point.s, 0.0) - ratio * dual
            dy = jnp.einsum("ors,os->or", inverse, primal - block.rows(short))
            pushed = block.columns(dy)
            return short + ratio * pushed, dy, dual - pushed

        dx, _, ds = direction(-point.x * point.s)
        ahead = (point.x + _reach(point.x, dx)[:, None] * dx) * (point.s + _reach(point.s, ds)[:, None] * ds)
        centring = (jnp.sum(jnp.where(block.allowed, ahead, 0.0), axis=1) / count / mu) ** 3
        dx, dy, ds = direction((centring * mu)[:, None] - point.x * point.s - dx * ds)
        to_primal, to_dual = _STEP * _reach(point.x, dx)[:, None], _STEP * _reach(point.s, ds)[:, None]
        error = jnp.maximum(jnp.max(jnp.abs(primal), axis=1), jnp.max(jnp.abs(dual), axis=1))
        fine = jnp.all(jnp.isfinite(dx), axis=1) & jnp.all(jnp.isfinite(ds), axis=1)
        active = point.active & fine & (jnp.maximum(error, mu) > _CONVERGED)
        moves = active[:, None]
        return _Point(
            jnp.where(moves & block.allowed, point.x + to_primal * dx, point.x),
            jnp.where(moves, point.y + to_dual * dy, point.y),
            jnp.where(moves & block.allowed, point.s + to_dual * ds, point.s),
            active,
            point.step + 1,
        )

    final: _Point = jax.lax.while_loop(
        lambda point: jnp.any(point.active) & (point.step < _ITERATIONS), iterate, _first_point(block, rhs)
    )
    return final


def _inverse(matrix: Float[Array, "problem row row"]) -> Float[Array, "problem row row"]:
    """Invert positive definite matrices by Gauss and Jordan's elimination, in place and a row of the whole batch at a time.

    Small matrices are inverted two or three times faster so than by a LAPACK call for each.
    """
    number = jnp.arange(matrix.shape[1])

    def eliminate(at: Array, now: Array) -> Array:
        here = number == at
        row, column = jnp.take(now, at, axis=0), jnp.take(now, at, axis=1)
        pivot = 1.0 / jnp.take(row, at, axis=0)[None, :]
        row = row * pivot
        rest = jnp.where(here[:, None, None], 0.0, now) - jnp.where(here[:, None], -1.0, column)[:, None] * row[None]
        return jnp.where(here[None, :, None], jnp.where(here[:, None], pivot, -column * pivot)[:, None], rest)

    # The problems come last, where a CPU takes several at a time.
    return jnp.moveaxis(jax.lax.fori_loop(0, number.size, eliminate, jnp.moveaxis(matrix, 0, 2)), 2, 0)


def _first_point(block: _Block, rhs: Float[Array, "problem row"]) -> _Point:
    """Return Mehrotra's starting point: least squares, shifted into the interior; columns not allowed have x = 0, s = 1."""
    ones = block.allowed.astype(rhs.dtype)
    inverse = block.inverse(ones)
    x = block.columns(jnp.einsum("ors,os->or", inverse, rhs))
    y = jnp.einsum("ors,os->or", inverse, block.rows(ones * block.cost))
    s = jnp.where(block.allowed, block.cost - block.columns(y), 0.0)
    x = x + jnp.maximum(0.0, -1.5 * jnp.min(x, axis=1))[:, None] + 1e-3
    s = s + jnp.maximum(0.0, -1.5 * jnp.min(s, axis=1))[:, None] + 1e-3
    product = jnp.sum(ones * x * s, axis=1)
    x_more = x + (0.5 * product / jnp.sum(ones * s, axis=1))[:, None]
    s_more = s + (0.5 * product / jnp.sum(ones * x, axis=1))[:, None]
    none = jnp.zeros(rhs.shape[0], dtype=bool)
    return _Point(
        jnp.where(block.allowed, x_more, 0.0), y, jnp.where(block.allowed, s_more, 1.0), ~none, jnp.zeros((), int)
    )


def _reach(value: Float[Array, "problem any"], change: Float[Array, "problem any"]) -> Float[Array, " problem"]:
    """Return the longest step, up to 1, that keeps every variable nonnegative."""
    room = jnp.where(change < 0.0, -value / jnp.where(change < 0.0, change, 1.0), jnp.inf)
    return jnp.minimum(1.0, jnp.min(room, axis=1))


def _crossover(
    block: _Block, x: Float[Array, "problem any"]
) -> tuple[Int[Array, "problem row"], Bool[Array, " problem"]]:
    """Pick independent columns greedily, by value times the part that those picked before do not span.

    Returns
    -------
    tuple
        Places in the block ``[problem row]``, and whether they make a basis.
    """
    n_problems, n_rows, _ = block.matrix.shape
    length = jnp.sum(block.matrix**2, axis=1)

    def pick(at: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, spanned, rest = state
        weight = jnp.where(rest > 1e-10 * length, x**2 * rest, 0.0)
        place = jnp.argmax(weight, axis=1)
        column = jnp.take_along_axis(block.matrix, place[:, None, None], axis=2)[:, :, 0]
        for _ in range(2):  # once more against rounding
            column = column - jnp.einsum("opr,op->or", spanned, jnp.einsum("opr,or->op", spanned, column))
        norm = jnp.sqrt(jnp.sum(column**2, axis=1))[:, None]
        column = jnp.where(jnp.max(weight, axis=1)[:, None] > 0.0, column / jnp.where(norm > 0.0, norm, 1.0), 0.0)
        here = (jnp.arange(n_rows) == at)[None, :]
        basis = jnp.where(here, place[:, None], basis)
        spanned = jnp.where(here[:, :, None], column[:, None, :], spanned)
        return basis, spanned, rest - block.columns(column) ** 2

    nothing = (jnp.zeros((n_problems, n_rows), int), jnp.zeros((n_problems, n_rows, n_rows)), length)
    basis, spanned, _ = jax.lax.fori_loop(0, n_rows, pick, nothing)
    return basis, jnp.all(jnp.sum(spanned**2, axis=2) > 0.5, axis=1)
