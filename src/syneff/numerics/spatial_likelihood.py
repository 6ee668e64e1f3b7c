r"""The concentrated likelihood of spatial panel models, and its maximum.

All six models are one: with columns :math:`Z = [X, W X]` net of effects, and :math:`B = I - \lambda W`,

.. math::

    B (y - \rho W y - Z \beta) = e, \qquad
    \ell(\rho, \lambda) = m [\ln|I - \rho W| + \ln|I - \lambda W| - c \ln(1 - \rho) - c \ln(1 - \lambda)]
    - \tfrac{mn}{2} [\ln(2 \pi \hat\sigma^2) + 1] .

What is left of :math:`\beta` and :math:`\sigma^2` are moments of ``[Z, y, Wy]``, found once; filtering them by *B* is a
polynomial in :math:`\lambda`. The counts *m*, *n* and *c* make the difference between the methods:

===============  ========  ================  ===  ============================
method           effects   m                 n    c
===============  ========  ================  ===  ============================
direct           any       periods T         N    0
Lee and Yu       unit      T - 1             N    0
Lee and Yu       period    T                 N-1  1
Lee and Yu       both      T - 1             N-1  1
===============  ========  ================  ===  ============================

The effects are taken out after W is applied, which is exact maximum likelihood with a dummy for each effect.

References
----------
Lee, L.-F. and Yu, J. (2010). Journal of Econometrics 154, 165-185. https://doi.org/10.1016/j.jeconom.2009.08.001
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import RCOND, sweep
from syneff.numerics.network import Network
from syneff.typing import Array, Bool, Float

STEPS = 14
"""Newton steps of one parameter; from a grid point five or so are enough."""
STEPS_OF_TWO = 25
SETTLED = 1e-6
"""Gain of a step, in log-likelihood, under which it is Newton's without more ado."""
AT_BOUND = 1e-6
"""Distance to a bound, relative to that between the bounds, at which a parameter counts as being there."""


@partial(jax.tree_util.register_dataclass, data_fields=["periods", "units", "corrected"], meta_fields=[])
@dataclass(frozen=True)
class Counts:
    """What the likelihood counts.

    Attributes
    ----------
    periods, units
        The numbers *m* and *n* of the module's table.
    corrected
        *c* of the table: 1 where Lee and Yu's transformation takes a unit out, else 0.
    """

    periods: Float[Array, "*batch"]
    units: Float[Array, "*batch"]
    corrected: Float[Array, "*batch"]

    @property
    def rows(self) -> Float[Array, "*batch"]:
        """Rows of the likelihood."""
        return self.periods * self.units


def counts_of(n_units: Array, n_periods: Array, effects: tuple[str, ...], *, transformed: bool) -> Counts:
    """Count rows for the direct (not transformed) or Lee and Yu's (transformed) likelihood."""
    by_unit = 1.0 if transformed and "unit" in effects else 0.0
    by_period = 1.0 if transformed and "period" in effects else 0.0
    return Counts(n_periods - by_unit, n_units - by_period, jnp.full_like(n_units, by_period))


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["base", "cross", "square", "kept"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Moments:
    """Cross products of ``[Z, y, Wy]``, net of effects; ``column`` is k + 2.

    Attributes
    ----------
    base
        ``[column column]``: products of the columns.
    cross, square
        ``[column column]``: products of the columns with their lags, and of the lags; None where errors are not filtered.
    kept
        ``[k]``: columns of Z that are not collinear with those before them.
    """

    base: Float[Array, "column column"]
    cross: Float[Array, "column column"] | None
    square: Float[Array, "column column"] | None
    kept: Bool[Array, " k"]

    def filtered(self, lam: Float[Array, ""]) -> Float[Array, "column column"]:
        """Return the cross products of the columns filtered by ``I - lambda W``."""
        if self.cross is None or self.square is None:
            return self.base
        return self.base - lam * (self.cross + self.cross.T) + lam**2 * self.square

    def path(self, lam: Float[Array, ""]) -> "Products":
        """Return the filtered cross products, and their derivatives with respect to lambda."""
        assert self.cross is not None
        assert self.square is not None
        return self.filtered(lam), 2.0 * lam * self.square - self.cross - self.cross.T, 2.0 * self.square


Products = tuple[Float[Array, "column column"], Float[Array, "column column"], Float[Array, "column column"]]
"""Cross products of ``[Z, y, Wy]`` at a value of a parameter, and their first and second derivative by it."""


def partial_out(
    products: Float[Array, "column column"], kept: Bool[Array, " k"], right: Float[Array, "k right"]
) -> Float[Array, "k right"]:
    """Return coefficients on the columns of Z that are kept, given cross products with them; 0 for others."""
    k = kept.shape[0]
    inner = jnp.where(kept[:, None] & kept[None, :], products[:k, :k], jnp.diag((~kept).astype(float)))
    scale = 1.0 / jnp.sqrt(jnp.diagonal(inner))
    right = jnp.where(kept[:, None], right, 0.0)
    return scale[:, None] * jnp.linalg.solve(inner * scale[:, None] * scale[None, :], scale[:, None] * right)


def residual_products(
    products: Float[Array, "column column"], kept: Bool[Array, " k"]
) -> tuple[Float[Array, "k 2"], Float[Array, "2 2"]]:
    """Return coefficients of y and Wy on Z, and the cross products of their residuals."""
    k = kept.shape[0]
    coef = partial_out(products, kept, products[:k, k:])
    return coef, products[k:, k:] - products[:k, k:].T @ coef


def kept_columns(base: Float[Array, "column column"], size: Float[Array, " k"]) -> Bool[Array, " k"]:
    """Say which columns of Z are not collinear with those before them, nor explained by the effects.

    Parameters
    ----------
    base
        Cross products of ``[Z, y, Wy]``.
    size
        ``[k]``: sums of squares of the columns before effects were taken out.
    """
    scale = 1.0 / jnp.sqrt(jnp.where(size > 0, size, 1.0))
    k = size.shape[0]
    return sweep(base[:k, :k] * scale[:, None] * scale[None, :], RCOND)[1]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["coef", "rho", "lam", "sigma2", "log_likelihood", "at_bound", "kept", "identified"],
    meta_fields=[],
)
@dataclass(frozen=True)
class SpatialFit:
    """The maximum.

    Attributes
    ----------
    coef
        ``[k]``; 0 where a column is dropped.
    rho, lam, sigma2
        Spatial parameters (0 where the model has none) and the variance of the errors.
    log_likelihood
        Its value.
    at_bound
        Whether a spatial parameter is at its bound.
    kept
        ``[k]``: columns that are not dropped.
    identified
        Whether the lag of the outcome is more than columns and effects, so that rho can be told.
    """

    coef: Float[Array, " k"]
    rho: Float[Array, ""]
    lam: Float[Array, ""]
    sigma2: Float[Array, ""]
    log_likelihood: Float[Array, ""]
    at_bound: Bool[Array, ""]
    kept: Bool[Array, " k"]
    identified: Bool[Array, ""]


def maximise(moments: Moments, network: Network, counts: Counts, *, lagged: bool, filtered: bool) -> SpatialFit:
    """Maximise the likelihood of a model.

    Parameters
    ----------
    moments, network, counts
        The data.
    lagged, filtered
        Whether the model has rho, and lambda.
    """
    rho = lam = jnp.zeros(())
    if filtered:
        rho, lam = maximise_pair(_errors(moments, network, counts), network, counts, lagged=lagged)
    elif lagged:
        rho = maximise_lag(residual_products(moments.base, moments.kept)[1], network, counts)
    identified = lag_is_known(moments.base, moments.kept)
    rho = jnp.where(identified, rho, 0.0)
    coef, rest = residual_products(moments.filtered(lam), moments.kept)
    sigma2 = squares_at(rest, rho) / counts.rows
    log_likelihood = log_determinants(network, counts, rho) + log_determinants(network, counts, lam)
    log_likelihood = log_likelihood - 0.5 * counts.rows * (jnp.log(2.0 * jnp.pi * sigma2) + 1.0)
    return SpatialFit(
        coef=jnp.where(moments.kept, coef[:, 0] - rho * coef[:, 1], 0.0),
        rho=rho,
        lam=lam,
        sigma2=sigma2,
        log_likelihood=log_likelihood,
        at_bound=is_at_bound(rho, network) | is_at_bound(lam, network),
        kept=moments.kept,
        identified=identified,
    )


def lag_is_known(base: Float[Array, "column column"], kept: Bool[Array, " k"]) -> Bool[Array, ""]:
    """Say whether the lag of the outcome is more than rounding error net of the columns, and of the effects."""
    rest = residual_products(base, kept)[1]
    return rest[1, 1] > RCOND * (base[-1, -1] + RCOND * base[-2, -2])


def log_determinants(network: Network, counts: Counts, at: Float[Array, "*point"]) -> Float[Array, "*point"]:
    """Return the Jacobian's part of the log-likelihood, Lee and Yu's correction included."""
    correction = jnp.where(counts.corrected > 0, jnp.log(jnp.abs(1.0 - at)), 0.0)
    return counts.periods * (network.log_determinant(at) - correction)


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


def _errors(moments: Moments, network: Network, counts: Counts) -> Second:
    return Second(
        products=moments.path,
        own=lambda lam: determinant_path(network, counts, lam),
        kept=moments.kept,
        grid=network.grid,
        lower=network.lower,
        upper=network.upper,
    )


def determinant_path(network: Network, counts: Counts, at: Float[Array, ""]) -> tuple[Array, Array, Array]:
    """Return the Jacobian's part of the log-likelihood, and its derivatives."""
    trace, square = network.traces(at)
    constant = jnp.where(counts.corrected > 0, 1.0 / (1.0 - at), 0.0)
    value = log_determinants(network, counts, at)
    return value, -counts.periods * (trace - constant), -counts.periods * (square - constant**2)


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
        values, vectors = jnp.linalg.eigh(bend)
        size = jnp.maximum(jnp.abs(values), 1e-10 * jnp.abs(values).max() + 1e-300)
        move = vectors @ ((vectors.T @ slope) / size)
        room = jnp.where(move > 0, upper - at, at - lower)
        move = move * jnp.minimum(1.0, 0.5 * (room / jnp.where(move == 0, 1.0, jnp.abs(move))).min())
        candidates = at[None, :] + halves[:, None] * move[None, :]
        reached = jax.vmap(lambda each: value(rest_at(each[0]), each))(candidates)
        best = jnp.argmax(jnp.where(jnp.isfinite(reached), reached, -jnp.inf))
        # Close to the maximum the likelihood is flat to rounding, its slope is not: there the step is Newton's.
        settled = (values < 0).all() & (jnp.abs(slope @ move) < SETTLED)
        return candidates[jnp.where(settled, 0, best)]

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


def squares_at(rest: Float[Array, "2 2"], rho: Float[Array, ""]) -> Float[Array, ""]:
    """Return the sum of squares at a value of rho, given cross products of the residuals of y and Wy."""
    return rest[0, 0] - 2.0 * rho * rest[0, 1] + rho**2 * rest[1, 1]


def is_at_bound(value: Float[Array, ""], network: Network) -> Bool[Array, ""]:
    """Say whether a spatial parameter is at one of its bounds."""
    width = network.upper - network.lower
    return jnp.minimum(value - network.lower, network.upper - value) < AT_BOUND * width
