r"""Spatial panel models with random unit effects, by maximum likelihood.

With :math:`\phi^2 = \sigma^2 / (T \sigma_\mu^2 + \sigma^2)` and variables :math:`v^\circ_{it} = v_{it} - (1 - \phi) \bar v_i`,

.. math::

    \ell(\rho, \phi) = T \ln|I - \rho W| + \tfrac{N}{2} \ln \phi^2
    - \tfrac{NT}{2} [\ln(2 \pi \hat\sigma^2) + 1], \qquad
    \hat\sigma^2 = SSR^\circ / NT .

Cross products of the transformed columns are those within units plus :math:`\phi^2` times those between, so the data are gone
through once. Period effects are fixed; Lee and Yu's transformation of them makes *N* - 1 of *N*, and ``T ln(1 - rho)`` goes.

References
----------
Elhorst, J. P. (2014). Spatial Econometrics: From Cross-Sectional Data to Spatial Panels. Springer.
https://doi.org/10.1007/978-3-642-40340-8
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.network import Network
from syneff.numerics.spatial_fit import Cube, Form, demean, method_counts
from syneff.numerics.spatial_information import corrected_diagonal, invert
from syneff.numerics.spatial_likelihood import SpatialFit
from syneff.numerics.spatial_moments import (
    AT_BOUND,
    Counts,
    Products,
    is_at_bound,
    kept_columns,
    lag_is_known,
    log_determinants,
    residual_products,
    squares_at,
)
from syneff.numerics.spatial_search import Second, maximise_pair
from syneff.typing import Array, Bool, Float, UnitPeriodK

SMALLEST = 1e-4
"""Least phi that is searched."""
POINTS = 24


@partial(jax.tree_util.register_dataclass, data_fields=["fit", "phi", "bread", "scores", "kept"], meta_fields=[])
@dataclass(frozen=True)
class RandomFit:
    """A fit with random effects.

    Attributes
    ----------
    fit
        Coefficients, rho, the variance of the errors and the log-likelihood; its ``lam`` is phi.
    phi
        The share of the mean that is left; 1 where units do not differ.
    bread
        ``[parameter parameter]``: inverse of the observed information of beta, rho, phi and sigma2.
    scores
        ``[unit parameter]``.
    kept
        ``[parameter]``: parameters that the model has and the data identify.
    """

    fit: SpatialFit
    phi: Float[Array, "*batch"]
    bread: Float[Array, "*batch parameter parameter"]
    scores: Float[Array, "*batch unit parameter"]
    kept: Bool[Array, "*batch parameter"]


@partial(jax.tree_util.register_dataclass, data_fields=["within", "between", "kept"], meta_fields=[])
@dataclass(frozen=True)
class _Parts:
    """Cross products of ``[Z, y, Wy]`` within and between units."""

    within: Float[Array, "column column"]
    between: Float[Array, "column column"]
    kept: Bool[Array, " k"]

    def at(self, phi: Float[Array, ""]) -> Float[Array, "column column"]:
        return self.within + phi**2 * self.between

    def path(self, phi: Float[Array, ""]) -> Products:
        return self.at(phi), 2.0 * phi * self.between, 2.0 * self.between


def fit_random(cube: Cube, network: Network, form: Form, has: Bool[Array, " k"] | None = None) -> RandomFit:
    """Fit a model with random unit effects.

    Parameters
    ----------
    cube, network
        The data; a constant is a column like others, and is needed where there are no period effects.
    form
        The kind of model; its effects are those that are fixed.
    has
        ``[k]``: the columns that the model has; all if None.
    """
    inside = cube.inside
    periods = inside.max(0).sum()
    raw = jnp.concatenate([cube.columns, cube.outcome[:, :, None], network.lag(cube.outcome)[:, :, None]], axis=2)
    net = demean(raw, inside, form.effects) if form.effects else raw * inside[:, :, None]
    means = net.sum(1) / periods
    centred = (net - means[:, None, :]) * inside[:, :, None]
    within = jnp.einsum("itk,itl->kl", centred, centred)
    between = periods * jnp.einsum("ik,il->kl", means, means)
    kept = kept_columns(within + between, cube.size)
    parts = _Parts(within, between, kept if has is None else kept & has)
    counts = method_counts(inside, form)
    fit = _maximise(parts, network, counts, lagged=form.lagged)
    kept = jnp.concatenate([fit.kept, jnp.asarray([form.lagged, True, True])])
    bread = invert(_information(fit, parts, network, counts), kept)
    transformed = (net - (1.0 - fit.lam) * means[:, None, :]) * inside[:, :, None]
    scores = _scores(fit, transformed, means, network, counts)
    return RandomFit(fit, fit.lam, bread, jnp.where(kept[None, :], scores, 0.0), kept)


def _maximise(parts: _Parts, network: Network, counts: Counts, *, lagged: bool) -> SpatialFit:
    units = counts.units

    def own(phi: Array) -> tuple[Array, Array, Array]:
        return units * jnp.log(phi), units / phi, -units / phi**2

    phis = jnp.logspace(jnp.log10(SMALLEST), 0.0, POINTS + 1)[:-1]
    second = Second(parts.path, own, parts.kept, phis, jnp.asarray(SMALLEST), jnp.ones(()))
    rho, phi = maximise_pair(second, network, counts, lagged=lagged)
    coef, rest = residual_products(parts.at(phi), parts.kept)
    sigma2 = squares_at(rest, rho) / counts.rows
    determinants = log_determinants(network, counts, rho) + units * jnp.log(phi)
    return SpatialFit(
        coef=jnp.where(parts.kept, coef[:, 0] - rho * coef[:, 1], 0.0),
        rho=rho,
        lam=phi,
        sigma2=sigma2,
        log_likelihood=determinants - 0.5 * counts.rows * (jnp.log(2.0 * jnp.pi * sigma2) + 1.0),
        at_bound=is_at_bound(rho, network) | (phi > 1.0 - AT_BOUND) | (phi < SMALLEST * (1.0 + AT_BOUND)),
        kept=parts.kept,
        identified=lag_is_known(parts.at(phi), parts.kept),
    )


def _information(fit: SpatialFit, parts: _Parts, network: Network, counts: Counts) -> Array:
    """Return the observed information of beta, rho, phi and sigma2."""
    k = fit.coef.shape[0]

    def log_likelihood(at: Float[Array, " parameter"]) -> Array:
        rho, phi, sigma2 = at[k], at[k + 1], at[k + 2]
        weights = jnp.concatenate([-at[:k], jnp.ones(1), -rho[None]])
        squares = weights @ parts.at(phi) @ weights
        spread = log_determinants(network, counts, rho) + counts.units * jnp.log(phi)
        return spread - 0.5 * counts.rows * jnp.log(sigma2) - 0.5 * squares / sigma2

    at = jnp.concatenate([fit.coef, jnp.stack([fit.rho, fit.lam, fit.sigma2])])
    information: Array = -jax.hessian(log_likelihood)(at)
    return information


def _scores(
    fit: SpatialFit, transformed: UnitPeriodK, means: Float[Array, "unit column"], network: Network, counts: Counts
) -> Float[Array, "unit parameter"]:
    """Return each unit's part of the score."""
    weights = jnp.concatenate([-fit.coef, jnp.ones(1), -fit.rho[None]])
    residuals, mean = jnp.einsum("itk,k->it", transformed, weights), means @ weights
    k, share = fit.coef.shape[0], network.present * (counts.units / network.present.sum())
    by_coef = jnp.einsum("it,itk->ik", residuals, transformed[:, :, :k]) / fit.sigma2
    diagonal = corrected_diagonal(network.resolvent(fit.rho), fit.rho, network.present, counts)
    by_rho = (residuals * transformed[:, :, -1]).sum(1) / fit.sigma2 - counts.periods * diagonal
    by_phi = share / fit.lam - residuals.sum(1) * mean / fit.sigma2
    by_variance = 0.5 * (residuals**2).sum(1) / fit.sigma2**2 - 0.5 * counts.periods * share / fit.sigma2
    return jnp.concatenate([by_coef, jnp.stack([by_rho, by_phi, by_variance], axis=1)], axis=1)
