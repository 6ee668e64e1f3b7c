r"""Covariances of spatial panel models: expected and observed information, and the sandwich of scores by unit.

With :math:`\theta = (\beta, \rho, \lambda, \sigma^2)`, resolvents *G* at :math:`\rho` and *H* at :math:`\lambda`, filtered
columns :math:`\tilde Z = B Z` and the signal :math:`g = B G Z \beta`, all net of effects, the expected information is

.. math::

    \beta\beta: \tilde Z'\tilde Z / \sigma^2, \quad \beta\rho: \tilde Z'g / \sigma^2, \quad
    \rho\rho: m [\operatorname{tr} G^2 + \operatorname{tr} G'G] + g'g / \sigma^2, \\
    \rho\lambda: m [\operatorname{tr} GH + \operatorname{tr} G'H], \quad
    \rho\sigma^2: m \operatorname{tr} G / \sigma^2, \quad \sigma^2\sigma^2: mn / 2\sigma^4 ,

and likewise for :math:`\lambda`. Where Lee and Yu's transformation takes a unit out, the constant vector goes:
:math:`\operatorname{tr} G - 1/(1-\rho)`, :math:`\operatorname{tr} GH - 1/[(1-\rho)(1-\lambda)]` and
:math:`\operatorname{tr} G'H - (G'1)'(H'1)/N`.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import sweep
from syneff.numerics.network import Network, Resolvent
from syneff.numerics.spatial_likelihood import SpatialFit
from syneff.numerics.spatial_moments import Counts, Moments, log_determinants
from syneff.typing import Array, Bool, Float, UnitPeriod, UnitPeriodK

PIVOT = 1e-13
"""Pivot of the scaled information under which a parameter is not identified."""


def parameters(k: int, *, lagged: bool, filtered: bool) -> tuple[int, ...]:
    """Return the places of a model's parameters among beta, rho, lambda, sigma2."""
    return (*range(k), *((k,) if lagged else ()), *((k + 1,) if filtered else ()), k + 2)


@partial(jax.tree_util.register_dataclass, data_fields=["trace", "square", "gram"], meta_fields=[])
@dataclass(frozen=True)
class Traces:
    """Traces of two resolvents, Lee and Yu's correction included.

    Attributes
    ----------
    trace
        ``[2]``: of G and of H.
    square, gram
        ``[2 2]``: of the products, and of the products with the first transposed.
    """

    trace: Float[Array, "2"]
    square: Float[Array, "2 2"]
    gram: Float[Array, "2 2"]


def traces_of(resolvents: tuple[Resolvent, Resolvent], at: Float[Array, "2"], counts: Counts) -> Traces:
    """Return the traces of the resolvents at rho and lambda."""
    corrected = counts.corrected
    constant = jnp.where(corrected > 0, 1.0 / (1.0 - at), 0.0)
    sums = jnp.stack([each.column_sums for each in resolvents])
    units = counts.units + corrected
    square = jnp.stack([jnp.stack([a.trace_with(b) for b in resolvents]) for a in resolvents])
    gram = jnp.stack([jnp.stack([a.gram_with(b) for b in resolvents]) for a in resolvents])
    return Traces(
        trace=jnp.stack([each.trace for each in resolvents]) - constant,
        square=square - constant[:, None] * constant[None, :],
        gram=gram - corrected * sums @ sums.T / units,
    )


def expected_information(
    gram: Float[Array, "k k"],
    slopes: Float[Array, " k"],
    signal: Float[Array, ""],
    traces: Traces,
    *,
    sigma2: Float[Array, ""],
    counts: Counts,
) -> Float[Array, "parameter parameter"]:
    """Return the expected information of beta, rho, lambda and sigma2.

    Parameters
    ----------
    gram
        Cross products of the filtered columns.
    slopes, signal
        Cross products of the signal with them, and with itself.
    traces
        Traces of the resolvents.
    sigma2, counts
        Variance, and rows.
    """
    k, m = gram.shape[0], counts.periods
    spatial = m * (traces.square + traces.gram)
    spatial = spatial.at[0, 0].add(signal / sigma2)
    information = jnp.zeros((k + 3, k + 3)).at[:k, :k].set(gram / sigma2)
    information = information.at[:k, k].set(slopes / sigma2).at[k, :k].set(slopes / sigma2)
    information = information.at[k : k + 2, k : k + 2].set(spatial)
    across = m * traces.trace / sigma2
    information = information.at[k : k + 2, k + 2].set(across).at[k + 2, k : k + 2].set(across)
    return information.at[k + 2, k + 2].set(0.5 * counts.rows / sigma2**2)


def observed_information(
    fit: SpatialFit, moments: Moments, network: Network, counts: Counts
) -> Float[Array, "parameter parameter"]:
    """Return the negative second derivative of the log-likelihood at the estimate."""
    k = fit.coef.shape[0]

    def log_likelihood(at: Float[Array, " parameter"]) -> Array:
        rho, lam, sigma2 = at[k], at[k + 1], at[k + 2]
        weights = jnp.concatenate([-at[:k], jnp.ones(1), -rho[None]])
        squares = weights @ moments.filtered(lam) @ weights
        determinants = log_determinants(network, counts, rho) + log_determinants(network, counts, lam)
        return determinants - 0.5 * counts.rows * jnp.log(sigma2) - 0.5 * squares / sigma2

    at = jnp.concatenate([fit.coef, jnp.stack([fit.rho, fit.lam, fit.sigma2])])
    information: Array = -jax.hessian(log_likelihood)(at)
    return information


def unit_scores(
    fit: SpatialFit,
    residuals: UnitPeriod,
    columns: UnitPeriodK,
    lags: Float[Array, "unit period 2"],
    diagonals: Float[Array, "unit 2"],
    *,
    counts: Counts,
) -> Float[Array, "unit parameter"]:
    """Return each unit's part of the score; the determinant's part of a unit is its element of the diagonal of G.

    Parameters
    ----------
    fit
        The estimate.
    residuals, columns
        Errors, and filtered columns of Z, net of effects.
    lags
        ``[unit period 2]``: the filtered lag of the outcome, and the lag of what is left before filtering, net of effects.
    diagonals
        ``[unit 2]``: diagonals of the resolvents, Lee and Yu's correction included.
    counts
        Rows.
    """
    by_coef = jnp.einsum("it,itk->ik", residuals, columns) / fit.sigma2
    by_lag = jnp.einsum("it,itl->il", residuals, lags) / fit.sigma2 - counts.periods * diagonals
    share = jnp.where(jnp.abs(residuals).sum(1) > 0, 1.0, 0.0)
    share = share / share.sum()
    squares = 0.5 * (residuals**2).sum(1) / fit.sigma2**2
    by_variance = squares - 0.5 * counts.rows / fit.sigma2 * share
    return jnp.concatenate([by_coef, by_lag, by_variance[:, None]], axis=1)


def corrected_diagonal(
    resolvent: Resolvent, at: Float[Array, ""], present: Float[Array, " unit"], counts: Counts
) -> Float[Array, " unit"]:
    """Return the diagonal of G, or of JGJ where Lee and Yu's transformation takes the constant out."""
    units = counts.units + counts.corrected
    sums = (resolvent.row_sums + resolvent.column_sums) / units
    constant = resolvent.row_sums.sum() / units**2
    return resolvent.diagonal - jnp.where(counts.corrected > 0, sums - constant, 0.0) * present


def invert(
    information: Float[Array, "parameter parameter"], kept: Bool[Array, " parameter"]
) -> Float[Array, "parameter parameter"]:
    """Invert the information of the parameters that are kept; NaN where it is not positive definite."""
    both = kept[:, None] & kept[None, :]
    diagonal = jnp.where(kept, jnp.diagonal(information), 1.0)
    scale = 1.0 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0))
    scaled = jnp.where(both, information, jnp.diag(diagonal)) * scale[:, None] * scale[None, :]
    inverse, pivots = sweep(scaled, PIVOT)
    # One Newton step squares the error that the sweep leaves.
    inverse = (2.0 * inverse - inverse @ scaled @ inverse) * scale[:, None] * scale[None, :]
    return jnp.where(both & pivots.all(), inverse, jnp.where(both, jnp.nan, 0.0))


def bias_correction(
    inverse: Float[Array, "parameter parameter"], at: Float[Array, "2"], sigma2: Float[Array, ""], periods: Array
) -> Float[Array, " parameter"]:
    r"""Return what Lee and Yu add to the direct estimate with period effects.

    .. math:: \Sigma^{-1} (0, 1/(1-\rho), 1/(1-\lambda), 1/2\sigma^2)' / N, \qquad \Sigma = H / NT

    Parameters
    ----------
    inverse
        Inverse of the information H, over all parameters; rows of those that the model has not are zero.
    at, sigma2
        rho and lambda, and the variance.
    periods
        T.
    """
    bias = jnp.concatenate([jnp.zeros(inverse.shape[0] - 3), 1.0 / (1.0 - at), 0.5 / sigma2[None]])
    return periods * inverse @ bias
