"""From a specification to a covariance: which formula, which small-sample rule, which degrees of freedom.

================================  ==============================================================
covariance                        degrees of freedom of the t statistics
================================  ==============================================================
``iid HC1 HC2 HC3 conley``        rows less all parameters
``CR0 CR1 CR3``                   clusters less one; of several ways the one with the fewest
``CR2``                           Satterthwaite's, for each term
``driscoll_kraay``                periods less one
================================  ==============================================================
"""

from dataclasses import dataclass, replace
from typing import cast

import jax.numpy as jnp

from syneff.models.base import Design, Spec
from syneff.numerics.covariance import (
    Counts,
    clustered,
    heteroskedastic,
    homoskedastic,
    multiway_clustered,
    multiway_factors,
    semidefinite,
    small_sample_factor,
)
from syneff.numerics.dependence import conley, default_lags, driscoll_kraay, spatial_kernel
from syneff.numerics.least_squares import Absorption
from syneff.numerics.leverage import Adjusted, adjust_clusters, dummy_basis, free_power, leverage, regressor_basis
from syneff.typing import Array, Float, UnitPeriod, UnitPeriodK

CANCELLED = 1e-20
"""Size of a clustered variance, relative to that of independent rows, under which it is the rounding error of zero."""
CLOSED_FORMS = ("CR0", "CR1", "HC1", "iid")
"""Covariances that need residuals and influence alone: batch verbs can have them in closed form."""


@dataclass(frozen=True)
class Fit:
    """What every covariance is made from.

    Attributes
    ----------
    influence
        ``[unit period term]``: derivative of each term with respect to each outcome.
    residuals
        ``[unit period]``.
    regressors, inverse
        ``[unit period k]``, ``[k k]``: regressors net of effects, and the inverse of their weighted moments.
    absorbed
        The effects.
    """

    influence: Float[Array, "unit period term"]
    residuals: UnitPeriod
    regressors: UnitPeriodK
    inverse: Float[Array, "k k"]
    absorbed: Absorption


@dataclass(frozen=True)
class Uncertainty:
    """A covariance and what belongs to it.

    Attributes
    ----------
    cov
        ``[term term]``.
    dof
        Degrees of freedom, one for all terms or one each.
    stats
        Scalars that the user should know of, by name.
    """

    cov: Float[Array, "term term"]
    dof: Float[Array, ""] | Float[Array, " term"]
    stats: dict[str, Array]


def uncertainty(spec: Spec, design: Design, fit: Fit, counts: Counts) -> Uncertainty:
    """Return the covariance that a specification asks for.

    Parameters
    ----------
    spec, design
        The specification and its arrays.
    fit
        The fit.
    counts
        What the small-sample rules count.
    """
    kind = str(spec.covariance)
    if spec.clustered:
        return _by_cluster(spec, design, fit, counts)
    if kind in ("driscoll_kraay", "conley"):
        return _dependent(spec, design, fit, counts)
    free = counts.rows - counts.parameters
    if kind == "iid":
        variance = (design.weights * fit.residuals**2).sum() / free
        return Uncertainty(homoskedastic(fit.influence, design.weights, variance), free, {})
    if kind == "HC1":
        return Uncertainty(heteroskedastic(fit.influence, fit.residuals) * counts.rows / free, free, {})
    hat = leverage(regressor_basis(fit.regressors, fit.inverse, design.weights), fit.absorbed)
    adjusted = fit.residuals * free_power(1.0 - hat, -0.5 if kind == "HC2" else -1.0)
    return Uncertainty(heteroskedastic(fit.influence, adjusted), free, {})


def has_closed_form(spec: Spec) -> bool:
    """Say whether batch verbs may take their closed form for this covariance: no leverage, one way of clustering at most."""
    return spec.covariance in CLOSED_FORMS and not (spec.clustered and len(spec.cluster_names) > 1)


def _by_cluster(spec: Spec, design: Design, fit: Fit, counts: Counts) -> Uncertainty:
    dof = counts.clusters - 1.0
    if spec.covariance == "CR2":
        adjusted = _adjusted(spec, design, fit)
        return Uncertainty(adjusted.scores.T @ adjusted.scores, adjusted.dof, {})
    if spec.covariance == "CR3":
        scores = _adjusted(spec, design, fit).scores
        centre = scores.sum(0) / jnp.sqrt(counts.clusters) if spec.jackknife == "mean" else jnp.zeros(scores.shape[1])
        meat = scores.T @ scores - centre[:, None] * centre[None, :]
        return Uncertainty(meat * small_sample_factor(spec.rule, counts), dof, {})
    if len(design.ways) > 1:
        return _mended(_multiway(spec, design, fit, counts), dof, fit)
    meat = clustered(fit.influence, fit.residuals, design.cluster, design.n_clusters)
    # Sums of rounding size, as of two clusters beside two-way effects, would be machine zeros with stars.
    gross = jnp.einsum("itk,it->k", fit.influence**2, fit.residuals**2)
    lost = jnp.diagonal(meat) < CANCELLED * gross
    cov = jnp.where(lost[:, None] | lost[None, :], jnp.nan, meat * small_sample_factor(spec.rule, counts))
    return Uncertainty(cov, dof, {})


def _multiway(spec: Spec, design: Design, fit: Fit, counts: Counts) -> Float[Array, "term term"]:
    sizes = tuple(way.occupied(design.weights) for way in design.ways)
    factors = multiway_factors(spec.rule, counts, sizes, spec.multiway or "min")
    if spec.multiway != "white":
        return multiway_clustered(fit.influence, fit.residuals, design.ways, factors)
    terms = multiway_clustered(fit.influence, fit.residuals, design.ways[:-1], factors[:-1])
    return terms + design.ways[-1].sign * heteroskedastic(fit.influence, fit.residuals)


def _adjusted(spec: Spec, design: Design, fit: Fit) -> Adjusted:
    """Adjust scores by the hat matrix of all that is fitted; clubSandwich's CR3 counts what is not absorbed alone."""
    basis = regressor_basis(fit.regressors, fit.inverse, design.weights)
    if spec.covariance == "CR2" or spec.jackknife or not spec.effects:
        basis = jnp.concatenate([dummy_basis(fit.absorbed, design.nested), basis], axis=2)
    power = -0.5 if spec.covariance == "CR2" else -1.0
    return adjust_clusters(fit.influence, fit.residuals, design.weights, basis, clusters=design.ways[0], power=power)


def _dependent(spec: Spec, design: Design, fit: Fit, counts: Counts) -> Uncertainty:
    scores = fit.influence * fit.residuals[:, :, None]
    periods = fit.absorbed.n_periods
    if spec.covariance == "driscoll_kraay":
        lags = default_lags(periods) if spec.lags is None else jnp.asarray(float(spec.lags))
        # xtscc demeans within units and does not count that; the other rules see clusters of periods.
        nesting, levels = ("unit", fit.absorbed.n_units) if spec.rule == "xtscc" else ("period", periods)
        nested = levels if nesting in spec.effects else jnp.zeros_like(levels)
        factor = small_sample_factor(spec.rule, replace(counts, clusters=periods, nested=nested))
        return Uncertainty(driscoll_kraay(scores, lags) * factor, periods - 1.0, {"lags": lags})
    kernel = spatial_kernel(cast(Array, design.distances), float(spec.cutoff_km or 0.0), spec.kernel or "uniform")
    lags = jnp.asarray(float(spec.lags or 0))
    factor = small_sample_factor(
        spec.rule, replace(counts, clusters=jnp.asarray(jnp.inf), nested=jnp.zeros_like(counts.nested))
    )
    return _mended(conley(scores, kernel, lags) * factor, counts.rows - counts.parameters, fit)


def _mended(cov: Float[Array, "term term"], dof: Float[Array, ""], fit: Fit) -> Uncertainty:
    mended, negative = semidefinite(cov, fit.regressors.shape[2])
    return Uncertainty(mended, dof, {"negative_eigenvalues": negative})
