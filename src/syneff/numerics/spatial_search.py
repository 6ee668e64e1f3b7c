r"""The search for the maximum of a spatial likelihood, over rho or over rho and a second parameter.

Likelihoods of spatial parameters can have several maxima, so every search begins on a grid between the bounds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from syneff.numerics.network import Network
from syneff.numerics.spatial_moments import (
    Counts,
    Products,
    determinant_path,
    log_determinants,
    partial_out,
    residual_products,
    squares_at,
)
from syneff.numerics.symmetric import eigh
from syneff.typing import Array, Bool, Float

STEPS = 14
"""Newton steps of one parameter; from a grid point five or so are enough."""
STEPS_OF_TWO = 25
SETTLED = 1e-6
"""Gain of a step, in log-likelihood, under which it is Newton's without more ado."""


def maximise_lag(rest: Float[Array, "2 2"], network: Network, counts: Counts) -> Float[Array, ""]:
    """Maximise over rho alone: the best point of a grid, then Newton steps that a bracket guards.

    Parameters
    ----------
    rest
        Cross products of the residuals of y and Wy on Z.
    network, counts
        The data.
    """
    grid = network.grid
    values = log_determinants(network, counts, grid) - 0.5 * counts.rows * jnp.log(
        rest[0, 0] - 2.0 * rest[0, 1] * grid + rest[1, 1] * grid**2
    )
    best = jnp.argmax(values)
    ends = jnp.concatenate([network.lower[None], grid, network.upper[None]])

    def step(_: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        rho, low, high = state
        residual, squares = rest[0, 1] - rest[1, 1] * rho, squares_at(rest, rho)
        _, slope, bend = determinant_path(network, counts, rho)
        slope = slope + counts.rows * residual / squares
        bend = bend + counts.rows * (2.0 * residual**2 / squares**2 - rest[1, 1] / squares)
        low, high = jnp.where(slope > 0, rho, low), jnp.where(slope > 0, high, rho)
        newton = rho - slope / jnp.where(bend < 0, bend, -1.0)
        usable = (bend < 0) & (newton >= low) & (newton <= high)
        return jnp.where(usable, newton, 0.5 * (low + high)), low, high

    found: Array = jax.lax.fori_loop(0, STEPS, step, (grid[best], ends[best], ends[best + 2]))[0]
    return found


@dataclass(frozen=True)
class Second:
    """The second parameter of a likelihood, beside rho: lambda, or the phi of random effects.

    Attributes
    ----------
    products
        Its value -> cross products and their derivatives.
    own
        Its value -> what it adds to the log-likelihood by itself, and the derivatives of that.
    kept
        ``[k]``: columns of Z that are kept.
    grid
        Values from which the search begins.
    lower, upper
        Bounds.
    """

    products: Callable[[Array], Products]
    own: Callable[[Array], tuple[Array, Array, Array]]
    kept: Bool[Array, " k"]
    grid: Float[Array, " point"]
    lower: Float[Array, ""]
    upper: Float[Array, ""]


def maximise_pair(second: Second, network: Network, counts: Counts, *, lagged: bool) -> tuple[Array, Array]:
    """Maximise over a second parameter, or over rho and it: the best point of a grid, then Newton steps that never go down.

    Directions of positive curvature are turned; a step is the best of its halves, and at most half the way to a bound.

    Returns
    -------
    tuple
        rho (0 unless lagged) and the second parameter.
    """

    def value(rest: Array, at: Array) -> Array:
        own = second.own(at[0])[0] + (log_determinants(network, counts, at[1]) if lagged else 0.0)
        return own - 0.5 * counts.rows * jnp.log(squares_at(rest, at[1]))

    def rest_at(at: Array) -> Array:
        return residual_products(second.products(at)[0], second.kept)[1]

    across = network.grid[::4] if lagged else jnp.zeros(1)
    rests = jax.vmap(rest_at)(second.grid)
    points = jnp.stack(jnp.meshgrid(second.grid, across, indexing="ij"), axis=-1)
    values = jax.vmap(lambda rest, row: jax.vmap(lambda at: value(rest, at))(row))(rests, points)
    start = points.reshape(-1, 2)[jnp.argmax(values)]
    lower, upper = jnp.stack([second.lower, network.lower]), jnp.stack([second.upper, network.upper])
    halves = jnp.concatenate([0.5 ** jnp.arange(10.0), jnp.zeros(1)])

    def step(_: Array, at: Array) -> Array:
        slope, bend = _derivatives(second, network, counts, at, lagged=lagged)
        values, vectors = eigh(bend)
        size = jnp.maximum(jnp.abs(values), 1e-10 * jnp.abs(values).max() + 1e-300)
        move = vectors @ ((vectors.T @ slope) / size)
        room = jnp.where(move > 0, upper - at, at - lower)
        move = move * jnp.minimum(1.0, 0.5 * (room / jnp.where(move == 0, 1.0, jnp.abs(move))).min())
        candidates = at[None, :] + halves[:, None] * move[None, :]
        reached = jax.vmap(lambda each: value(rest_at(each[0]), each))(candidates)
        best = jnp.argmax(jnp.where(jnp.isfinite(reached), reached, -jnp.inf))
        # Close to the maximum the likelihood is flat to rounding, its slope is not: there the step is Newton's.
        settled = (values < 0).all() & (jnp.abs(slope @ move) < SETTLED)
        return jnp.asarray(candidates[jnp.where(settled, 0, best)])

    found = jax.lax.fori_loop(0, STEPS_OF_TWO, step, start)
    return found[1], found[0]


def _derivatives(
    second: Second, network: Network, counts: Counts, at: Float[Array, "2"], *, lagged: bool
) -> tuple[Float[Array, "2"], Float[Array, "2 2"]]:
    """Return slope and curvature of the concentrated likelihood; without a lag rho stays where it is.

    With ``f(b, p)`` the sum of squares, its minimum over b has slope ``f_p`` and curvature ``f_pp - f_pb f_bb^-1 f_bp``.
    """
    k = second.kept.shape[0]
    products, first, curve = second.products(at[0])
    coef, _ = residual_products(products, second.kept)
    weights = jnp.concatenate([at[1] * coef[:, 1] - coef[:, 0], jnp.ones(1), -at[1][None]])
    moved = first @ weights
    squares = weights @ products @ weights
    slope = jnp.stack([weights @ moved, -2.0 * (products @ weights)[-1]])
    across = jnp.stack([-moved[:k], products[:k, -1]], axis=1)
    direct = jnp.asarray([[0.0, 1.0], [1.0, 0.0]]) * (-2.0 * moved[-1])
    direct = direct + jnp.diag(jnp.stack([weights @ curve @ weights, 2.0 * products[-1, -1]]))
    across = jnp.where(second.kept[:, None], across, 0.0)
    bend = direct - 2.0 * across.T @ partial_out(products, second.kept, across)
    own, lag = second.own(at[0]), determinant_path(network, counts, at[1])
    half = 0.5 * counts.rows / squares
    slopes = jnp.stack([own[1], lag[1]]) - half * slope
    bends = jnp.diag(jnp.stack([own[2], lag[2]])) - half * (bend - slope[:, None] * slope[None, :] / squares)
    if lagged:
        return slopes, bends
    return slopes * jnp.asarray([1.0, 0.0]), bends * jnp.asarray([[1.0, 0.0], [0.0, 0.0]]) - jnp.diag(
        jnp.asarray([0.0, 1.0])
    )
