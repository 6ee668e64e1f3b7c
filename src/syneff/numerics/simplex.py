"""Batched revised simplex: many small problems at once, each with its own explicit p x p inverse.

From any nonsingular basis, in two phases:

1. *Primal*, on a right-hand side that is changed so that the starting basis is feasible and no basic variable is zero:
   ``b~ = B_0 (max(B_0^{-1} b, 0) + delta)``. It ends at a basis whose reduced costs are nonnegative, and that property does
   not depend on the right-hand side. No artificial variables, and no stalling at degenerate vertices, of which efficiency
   programs are full (at the start of an SBM every slack is zero).
2. *Dual*, on the true right-hand side, which repairs the basic variables that the change had kept positive. It ends at an
   optimal basis, or at a row that proves the problem infeasible.

Pricing is one matrix product for the batch, entering and leaving are a minimum over a row each. A pivot updates the inverse,
which is computed afresh before errors can accumulate. Nothing here is trusted:
`syneff.numerics.certificate` has the last word, and problems that it refuses are solved again with another perturbation.

Reference: Dantzig's rule with an explicit inverse, as in Maros (2003), Computational Techniques of the Simplex Method,
doi:10.1007/978-1-4615-0257-9.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from syneff.numerics.batching import map_over_devices
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
    products,
    reduced_costs,
    split,
    take,
)
from syneff.numerics.stragglers import finish
from syneff.runtime import require_float64
from syneff.typing import Array, Bool, Float, Int

PERTURBATIONS = (1e-6, 1e-4)  # of the first attempt and of the one after it
_DUAL = 1e-11  # a reduced cost below minus this enters
_PRIMAL = 1e-12  # a basic value below minus this leaves
_PIVOT = 1e-9  # a smaller element is no pivot
_REFRESH = 16  # pivots after which the inverses are computed afresh


class _State(NamedTuple):
    """Where the problems of a chunk stand."""

    basis: Int[Array, "problem row"]
    inverse: Float[Array, "problem row row"]
    active: Bool[Array, " problem"]
    ray: Float[Array, "problem row"]
    pivots: Int[Array, " problem"]
    step: Int[Array, ""]


def solve(
    problems: LinearPrograms, start: Int[Array | np.ndarray, "problem row"], *, chunk: int | None = None
) -> Solution:
    """Solve every problem of a batch from a starting basis.

    Parameters
    ----------
    problems
        The batch.
    start
        ``[problem row]``: numbers of the basic columns to start from, private first; any nonsingular basis will do.
    chunk
        Problems at a time; the result does not depend on it.

    Returns
    -------
    Solution
        Certified; problems that no attempt could certify have the status not certified.
    """
    require_float64()
    start = np.asarray(start)
    solution = _attempt(problems, start, PERTURBATIONS[0], chunk)
    for perturbation in PERTURBATIONS[1:]:
        pending = np.flatnonzero(solution.status == Status.NOT_CERTIFIED)
        if pending.size:
            again = _attempt(take(problems, pending), start[pending], perturbation, chunk)
            solution = merge(solution, again, pending)
    return finish(problems, solution, start)


def _attempt(problems: LinearPrograms, start: np.ndarray, perturbation: float, chunk: int | None) -> Solution:
    """Solve every problem with one perturbation."""
    common, own = split(problems)
    result: Solution = map_over_devices(_solve, (common, np.float64(perturbation)), (own, start), chunk=chunk)
    return result


@jax.jit
def _solve(common: tuple[LinearPrograms, Array], rows: tuple[Own, Array]) -> Solution:
    """Run both phases on the problems of a chunk, and certify."""
    problems, start = join(common[0], rows[0]), rows[1]
    state = _dual(problems, _primal(problems, start, common[1]))
    return certify(problems, state.basis, ray=state.ray, iterations=state.pivots)


def _limit(problems: LinearPrograms) -> int:
    """Pivots allowed in a phase."""
    return 100 + 20 * problems.rhs.shape[0]


def _primal(problems: LinearPrograms, start: Int[Array, "problem row"], perturbation: Float[Array, ""]) -> _State:
    """Pivot until no reduced cost is negative, on a right-hand side that makes the start feasible."""
    n_rows = problems.rhs.shape[0]
    matrix = columns_at(problems, start)
    value = jnp.linalg.inv(matrix) @ problems.rhs
    # Golden-ratio multiples: distinct, alike in all problems, so that neither the chunk nor the order of rows matters.
    spread = 1.0 + jnp.asarray(np.arange(1, n_rows + 1) * 0.6180339887498949 % 1.0)
    rhs = jnp.einsum("ors,os->or", matrix, jnp.maximum(value, 0.0) + perturbation * spread[None, :])

    def pivot(state: _State) -> _State:
        inverse = _inverse(problems, state)
        y = jnp.einsum("or,ors->os", costs_at(problems, state.basis), inverse)
        lowest, entering = _lowest(*reduced_costs(problems, y))
        column = columns_at(problems, entering[:, None])[:, :, 0]
        slope = jnp.einsum("ors,os->or", inverse, column)
        basic = jnp.maximum(jnp.einsum("ors,os->or", inverse, rhs), 0.0)
        ratio = jnp.where(slope > _PIVOT, basic / slope, jnp.inf)
        bounded = jnp.isfinite(jnp.min(ratio, axis=1))
        active = state.active & (lowest < -_DUAL) & bounded
        return _exchange(state._replace(inverse=inverse), active, jnp.argmin(ratio, axis=1), entering, slope)

    return _iterate(pivot, _begin(start), _limit(problems))


def _dual(problems: LinearPrograms, state: _State) -> _State:
    """Pivot until no basic variable is negative, or a row proves that there is no feasible point."""

    def pivot(state: _State) -> _State:
        inverse = _inverse(problems, state)
        value = inverse @ problems.rhs
        lowest = jnp.min(value, axis=1)
        leaving = jnp.argmin(value, axis=1)
        row = jnp.take_along_axis(inverse, leaving[:, None, None], axis=1)[:, 0, :]
        y = jnp.einsum("or,ors->os", costs_at(problems, state.basis), inverse)
        entering, exists = _dual_ratio(reduced_costs(problems, y), products(problems, row))
        infeasible = state.active & (lowest < -_PRIMAL) & ~exists
        state = state._replace(inverse=inverse, ray=jnp.where(infeasible[:, None], row, state.ray))
        column = columns_at(problems, entering[:, None])[:, :, 0]
        slope = jnp.einsum("ors,os->or", inverse, column)
        return _exchange(state, state.active & (lowest < -_PRIMAL) & exists, leaving, entering, slope)

    start = state._replace(active=jnp.ones_like(state.active), step=jnp.zeros_like(state.step))
    return _iterate(pivot, start, _limit(problems))


def _iterate(pivot, state: _State, limit: int) -> _State:  # type: ignore[no-untyped-def]
    """Repeat a pivot while any problem of the chunk is active."""
    final: _State = jax.lax.while_loop(lambda now: jnp.any(now.active) & (now.step < limit), pivot, state)
    return final


def _begin(start: Int[Array, "problem row"]) -> _State:
    """Return the state before the first pivot."""
    count = jnp.zeros(start.shape[0], dtype=start.dtype)
    nothing = jnp.zeros((*start.shape, start.shape[1]))
    return _State(start, nothing, count == 0, jnp.zeros(start.shape), count, jnp.zeros((), dtype=start.dtype))


def _inverse(problems: LinearPrograms, state: _State) -> Float[Array, "problem row row"]:
    """Return the inverse of each basis: the one that pivots have updated or, now and then, a fresh one."""
    inverse: Array = jax.lax.cond(
        state.step % _REFRESH == 0, lambda: jnp.linalg.inv(columns_at(problems, state.basis)), lambda: state.inverse
    )
    return inverse


def _exchange(
    state: _State,
    active: Bool[Array, " problem"],
    leaving: Int[Array, " problem"],
    entering: Int[Array, " problem"],
    slope: Float[Array, "problem row"],
) -> _State:
    """Put the entering column, whose coordinates in the basis are the slope, in the place of the leaving one, where active."""
    place = jnp.arange(state.basis.shape[1])[None, :] == leaving[:, None]
    basis = jnp.where(place & active[:, None], entering[:, None], state.basis)
    pivot = jnp.sum(jnp.where(place, slope, 0.0), axis=1)
    row = jnp.sum(jnp.where(place[:, :, None], state.inverse, 0.0), axis=1) / jnp.where(active, pivot, 1.0)[:, None]
    change = jnp.where(place, slope - 1.0, slope)[:, :, None] * row[:, None, :]
    return state._replace(
        basis=basis,
        inverse=jnp.where(active[:, None, None], state.inverse - change, state.inverse),
        active=active,
        pivots=state.pivots + active.astype(state.pivots.dtype),
        step=state.step + 1,
    )


def _lowest(
    private: Float[Array, "problem private"], shared: Float[Array, "problem column"]
) -> tuple[Float[Array, " problem"], Int[Array, " problem"]]:
    """Return the lowest reduced cost and the number of its column.

    A minimum and a search for an equal value: on a CPU this is over ten times faster than `argmin` along long rows.
    """
    lowest = jnp.minimum(jnp.min(private, axis=1), jnp.min(shared, axis=1, initial=jnp.inf))
    return lowest, _first((private == lowest[:, None]), (shared == lowest[:, None]))


def _first(private: Bool[Array, "problem private"], shared: Bool[Array, "problem column"]) -> Int[Array, " problem"]:
    """Return the number of the first column that is marked, private first; 0 if none is."""
    n_private, n_shared = private.shape[1], shared.shape[1]
    none = n_private + n_shared
    own = jnp.min(jnp.where(private, jnp.arange(n_private)[None, :], none), axis=1)
    common = jnp.min(jnp.where(shared, n_private + jnp.arange(n_shared)[None, :], none), axis=1, initial=none)
    first = jnp.minimum(own, common)
    return jnp.where(first == none, 0, first)


def _dual_ratio(
    cost: tuple[Float[Array, "problem private"], Float[Array, "problem column"]],
    row: tuple[Float[Array, "problem private"], Float[Array, "problem column"]],
) -> tuple[Int[Array, " problem"], Bool[Array, " problem"]]:
    """Choose the entering column of a dual pivot: the lowest ratio and, among ties, the largest pivot."""
    ratio = [
        jnp.where((element < -_PIVOT) & jnp.isfinite(price), jnp.maximum(price, 0.0) / -element, jnp.inf)
        for price, element in zip(cost, row, strict=True)
    ]
    lowest = jnp.minimum(jnp.min(ratio[0], axis=1), jnp.min(ratio[1], axis=1, initial=jnp.inf))
    tied = [
        jnp.where(each <= lowest[:, None] + _DUAL, element, jnp.inf) for each, element in zip(ratio, row, strict=True)
    ]
    return _lowest(tied[0], tied[1])[1], jnp.isfinite(lowest)
