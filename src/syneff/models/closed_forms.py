"""From drawn fits to estimates: the covariances that the closed forms of `FixedEffects` know, and what they count.

The array algebra is in `syneff.numerics` (`treatment_paths`, `partialled`, `unit_weights`); here names, clusters and
small-sample rules join it. Other covariances than `syneff.models.covariances.CLOSED_FORMS`, and clusters that cross units, are
refitted draw by draw.
"""

import jax.numpy as jnp

from syneff.models.base import Design, Estimate, Spec, Status
from syneff.numerics.covariance import Counts, cluster_sums, small_sample_factor
from syneff.numerics.least_squares import Absorption
from syneff.numerics.partialled import DrawnOutcomes, DrawnTreatments, Partialled
from syneff.numerics.treatment_paths import DrawnFits
from syneff.numerics.unit_weights import UnitMoments, WeightedFits, row_scores, unit_scores
from syneff.typing import Array, Bool, Float


def clusters_hold_units(spec: Spec, design: Design) -> bool:
    """Say whether no unit lies in two clusters, so that sums over a unit's periods are enough."""
    return not spec.clustered or "unit" in design.ways[0].whole


def counts_of(design: Design, absorbed: Absorption, regressors: Float[Array, ""]) -> Counts:
    """Count what the small-sample rules count.

    Parameters
    ----------
    design, absorbed
        The arrays, and their effects.
    regressors
        Regressors that were kept.
    """
    inside = design.weights > 0
    clusters = jnp.stack([way.occupied(design.weights) for way in design.ways]).min()
    levels = {"unit": absorbed.n_units, "period": absorbed.n_periods}
    nested = sum((levels[effect] for effect in design.nested), start=jnp.zeros(()))
    nested = nested - jnp.asarray(max(len(design.nested) - 1.0, 0.0))
    return Counts(inside.sum().astype(float), clusters, regressors, absorbed.rank, nested)


def fit_status(kept: Bool[Array, "*batch k"], counts: Counts, clustered: bool) -> Array:
    """Return the status of each fit."""
    short = (counts.rows <= counts.parameters) | (clustered & (counts.clusters < 2))
    return jnp.where(
        short, int(Status.NO_DEGREES_OF_FREEDOM), jnp.where(kept.all(-1), int(Status.OK), int(Status.COLLINEAR))
    )


def of_paths(spec: Spec, design: Design, fits: DrawnFits, absorbed: Absorption, counts: Counts) -> Estimate:
    """Return the estimate of the treatment under each assignment of paths."""
    if spec.clustered:
        sums = _unit_cluster_sums(fits.scores, design)
        variance = (sums**2).sum(1) * _factor(spec, counts) / fits.norm**2
    else:
        variance = fits.squares / (counts.rows - counts.parameters) / fits.norm
    return _treatments(spec, fits, variance, absorbed, counts)


def of_treatments(spec: Spec, design: Design, fits: DrawnTreatments, absorbed: Absorption, counts: Counts) -> Estimate:
    """Return the estimate of the treatment under each dense treatment."""
    weights = design.weights[:, :, None]
    free = counts.rows - counts.parameters
    if spec.covariance == "iid":
        variance = (weights * fits.residuals**2).sum((0, 1)) / free / fits.norm
    else:
        scores = weights * fits.regressor * fits.residuals
        if spec.clustered:
            sums = cluster_sums(scores, design.cluster, design.n_clusters)
            meat = (sums**2).sum(0) * _factor(spec, counts)
        else:
            meat = (scores**2).sum((0, 1)) * counts.rows / free
        variance = meat / fits.norm**2
    return _treatments(spec, fits, variance, absorbed, counts)


def of_outcomes(spec: Spec, design: Design, partialled: Partialled, fits: DrawnOutcomes, counts: Counts) -> Estimate:
    """Return the estimate of all regressors for each outcome."""
    fit = partialled.outcome_fit
    free = counts.rows - counts.parameters
    if spec.covariance == "iid":
        variance = jnp.einsum("it,itd->d", design.weights, fits.residuals**2) / free
        cov = variance[:, None, None] * fit.inverse[None]
    else:
        weighted = partialled.controls * design.weights[:, :, None]
        influence = jnp.einsum("itk,kl->itl", weighted, fit.inverse)
        if spec.clustered:
            scores = influence[:, :, :, None] * fits.residuals[:, :, None, :]
            sums = cluster_sums(scores, design.cluster, design.n_clusters)
            cov = jnp.einsum("gkd,gld->dkl", sums, sums) * _factor(spec, counts)
        else:
            products = influence[:, :, :, None] * influence[:, :, None, :]
            cov = jnp.einsum("itkl,itd->dkl", products, fits.residuals**2) * counts.rows / free
    draws = fits.coef.shape[0]
    kept = jnp.broadcast_to(fit.kept, (draws, fit.kept.shape[0]))
    sizes = (partialled.absorbed.n_units, partialled.absorbed.n_periods)
    return _estimate(spec, design.names, (fits.coef, cov, kept), counts, sizes)


def of_weights(
    spec: Spec,
    design: Design,
    moments: UnitMoments,
    fits: WeightedFits,
    drawn: Float[Array, "draw unit"],
    *,
    copies: bool,
) -> Estimate:
    """Return the estimate of all regressors under each vector of unit weights.

    Parameters
    ----------
    spec, design, moments, fits
        What was fitted.
    drawn
        ``[draw unit]``.
    copies
        Whether a weight counts copies: rows, units and clusters of their own.
    """
    number = drawn if copies else (drawn > 0).astype(float)
    units = number @ (design.weights > 0).any(1).astype(float)
    counts = _weighted_counts(spec, design, fits, number, units)
    free = counts.rows - counts.parameters
    # Scores are those of one copy: as a weight they count squared, as copies once each.
    power = 1 if copies else 2
    if spec.covariance == "iid":
        cov = (fits.squares / free)[:, None, None] * fits.inverse
    else:
        if spec.clustered:
            held = drawn if copies else jnp.ones_like(drawn)
            scores = unit_scores(moments, fits) if copies else unit_scores(moments, fits) * drawn[:, None, :]
            sums = _unit_cluster_sums(scores, design)
            times = _cluster_copies(held, design)
            meat = jnp.einsum("dkg,dlg->dkl", sums * times[:, None, :], sums)
            meat = meat * _factor(spec, counts)[:, None, None]
        else:
            scores = row_scores(moments, fits)
            meat = jnp.einsum("di,ditk,ditl->dkl", drawn**power, scores, scores) * (counts.rows / free)[:, None, None]
        cov = fits.inverse @ meat @ fits.inverse
    return _estimate(spec, design.names, (fits.coef, cov, fits.kept), counts, (units, fits.n_periods))


def _weighted_counts(
    spec: Spec, design: Design, fits: WeightedFits, number: Float[Array, "draw unit"], units: Float[Array, " draw"]
) -> Counts:
    rows = (design.weights > 0).sum(1).astype(float)
    seen = jnp.where(rows[None, :] > 0, number, 0.0)
    clusters = _cluster_copies(seen, design).sum(1)
    levels = {"unit": units, "period": fits.n_periods}
    nested = sum((levels[effect] for effect in design.nested), start=jnp.zeros_like(units))
    return Counts(
        rows=number @ rows,
        clusters=clusters,
        regressors=fits.kept.sum(1).astype(float),
        dummies=fits.rank + (units if "unit" in spec.effects else 0.0),
        nested=nested - max(len(design.nested) - 1.0, 0.0),
    )


def _unit_cluster_sums(scores: Float[Array, "*draw unit"], design: Design) -> Float[Array, "*draw cluster"]:
    """Sum the scores of units within clusters; with as many clusters as units there is nothing to add up."""
    if design.n_clusters == design.weights.shape[0]:
        return scores
    return scores @ (design.cluster[:, 0, None] == jnp.arange(design.n_clusters)[None, :]).astype(float)


def _cluster_copies(number: Float[Array, "draw unit"], design: Design) -> Float[Array, "draw cluster"]:
    """Return how often each cluster occurs: as often as any of its units."""
    if design.n_clusters == design.weights.shape[0]:
        return number
    member = design.cluster[:, 0, None] == jnp.arange(design.n_clusters)[None, :]
    return jnp.where(member[None], number[:, :, None], 0.0).max(1)


def _factor(spec: Spec, counts: Counts) -> Float[Array, "*batch"]:
    return small_sample_factor(spec.rule, counts)


def _treatments(
    spec: Spec, fits: DrawnFits | DrawnTreatments, variance: Float[Array, " draw"], absorbed: Absorption, counts: Counts
) -> Estimate:
    drawn = (fits.coef[:, None], variance[:, None, None], fits.kept[:, None])
    return _estimate(spec, (spec.treatment,), drawn, counts, (absorbed.n_units, absorbed.n_periods))


def _estimate(
    spec: Spec, names: tuple[str, ...], fits: tuple[Array, Array, Array], counts: Counts, sizes: tuple[Array, Array]
) -> Estimate:
    """Put coefficients, covariances and what was kept of each draw together; counts may be common to all draws."""
    coef, cov, kept = fits
    status = jnp.broadcast_to(fit_status(kept, counts, spec.clustered), coef.shape[:1])
    usable = kept & (status != int(Status.NO_DEGREES_OF_FREEDOM))[:, None]
    dof = counts.clusters - 1.0 if spec.clustered else counts.rows - counts.parameters
    nobs, n_units, n_periods, dof = (jnp.broadcast_to(each, status.shape) for each in (counts.rows, *sizes, dof))
    return Estimate(
        coef=jnp.where(kept, coef, jnp.nan),
        cov=jnp.where(usable[:, :, None] & usable[:, None, :], cov, jnp.nan),
        nobs=nobs,
        n_units=n_units,
        n_periods=n_periods,
        dof=dof,
        stats={},
        status=status,
        names=names,
        outcome=spec.outcome,
    )
