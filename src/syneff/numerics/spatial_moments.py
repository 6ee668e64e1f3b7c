r"""Moments of spatial panel models, and the Jacobian's part of their likelihood.

The counts *m*, *n* and *c* make the difference between the methods:

===============  ========  ================  ===  ============================
method           effects   m                 n    c
===============  ========  ================  ===  ============================
direct           any       periods T         N    0
Lee and Yu       unit      T - 1             N    0
Lee and Yu       period    T                 N-1  1
Lee and Yu       both      T - 1             N-1  1
===============  ========  ================  ===  ============================
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import RCOND, sweep
from syneff.numerics.network import Network
from syneff.typing import Array, Bool, Float

AT_BOUND = 1e-6
"""Distance to a bound, relative to that between the bounds, at which a parameter counts as being there."""


Products = tuple[Float[Array, "column column"], Float[Array, "column column"], Float[Array, "column column"]]
"""Cross products of ``[Z, y, Wy]`` at a value of a parameter, and their first and second derivative by it."""


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


def partial_out(
    products: Float[Array, "column column"], kept: Bool[Array, " k"], right: Float[Array, "k right"]
) -> Float[Array, "k right"]:
    """Return coefficients on the columns of Z that are kept, given cross products with them; 0 for others."""
    k = kept.shape[0]
    inner = jnp.where(kept[:, None] & kept[None, :], products[:k, :k], jnp.diag((~kept).astype(float)))
    scale = 1.0 / jnp.sqrt(jnp.diagonal(inner))
    right = jnp.where(kept[:, None], right, 0.0)
    scaled = jnp.linalg.solve(inner * scale[:, None] * scale[None, :], scale[:, None] * right)
    return jnp.asarray(scale[:, None] * scaled)


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


def lag_is_known(base: Float[Array, "column column"], kept: Bool[Array, " k"]) -> Bool[Array, ""]:
    """Say whether the lag of the outcome is more than rounding error net of the columns, and of the effects."""
    rest = residual_products(base, kept)[1]
    return rest[1, 1] > RCOND * (base[-1, -1] + RCOND * base[-2, -2])


def log_determinants(network: Network, counts: Counts, at: Float[Array, "*point"]) -> Float[Array, "*point"]:
    """Return the Jacobian's part of the log-likelihood, Lee and Yu's correction included."""
    correction = jnp.where(counts.corrected > 0, jnp.log(jnp.abs(1.0 - at)), 0.0)
    return counts.periods * (network.log_determinant(at) - correction)


def determinant_path(network: Network, counts: Counts, at: Float[Array, ""]) -> tuple[Array, Array, Array]:
    """Return the Jacobian's part of the log-likelihood, and its derivatives."""
    trace, square = network.traces(at)
    constant = jnp.where(counts.corrected > 0, 1.0 / (1.0 - at), 0.0)
    value = log_determinants(network, counts, at)
    return value, -counts.periods * (trace - constant), -counts.periods * (square - constant**2)


def squares_at(rest: Float[Array, "2 2"], rho: Float[Array, ""]) -> Float[Array, ""]:
    """Return the sum of squares at a value of rho, given cross products of the residuals of y and Wy."""
    return rest[0, 0] - 2.0 * rho * rest[0, 1] + rho**2 * rest[1, 1]


def is_at_bound(value: Float[Array, ""], network: Network) -> Bool[Array, ""]:
    """Say whether a spatial parameter is at one of its bounds."""
    width = network.upper - network.lower
    return jnp.minimum(value - network.lower, network.upper - value) < AT_BOUND * width
