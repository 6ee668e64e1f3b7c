"""One spatial panel fit, from columns to parameters and their covariance."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.covariance import cluster_sums
from syneff.numerics.network import Network
from syneff.numerics.spatial_information import (
    bias_correction,
    corrected_diagonal,
    expected_information,
    invert,
    observed_information,
    traces_of,
    unit_scores,
)
from syneff.numerics.spatial_likelihood import SpatialFit, maximise
from syneff.numerics.spatial_moments import Counts, Moments, counts_of, kept_columns
from syneff.typing import Array, Bool, Float, Int, UnitPeriod, UnitPeriodK


@dataclass(frozen=True)
class Form:
    """What kind of model it is; static.

    Attributes
    ----------
    lagged, filtered
        Whether it has rho, the lag of the outcome, and lambda, the lag of the errors.
    effects
        Any of "unit", "period".
    method
        "direct", "lee_yu" or "bias_corrected".
    covariance
        "expected", "observed" or "cluster".
    """

    lagged: bool
    filtered: bool
    effects: tuple[str, ...]
    method: str
    covariance: str


@partial(jax.tree_util.register_dataclass, data_fields=["columns", "outcome", "inside", "size"], meta_fields=[])
@dataclass(frozen=True)
class Cube:
    """The data of a fit, not yet net of effects; 0 outside the sample.

    Attributes
    ----------
    columns
        ``[unit period k]``: regressors, then their lags.
    outcome
        ``[unit period]``.
    inside
        ``[unit period]``: 1 in the sample, which is a product of units and periods, else 0.
    size
        ``[k]``: sums of squares of the columns about their means.
    """

    columns: UnitPeriodK
    outcome: UnitPeriod
    inside: UnitPeriod
    size: Float[Array, " k"]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["fit", "inverse", "residuals", "expected", "bread", "scores"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Fitted:
    """A fit with its uncertainty.

    Attributes
    ----------
    fit
        The estimate.
    inverse
        ``[parameter parameter]``: covariance of beta, rho, lambda and sigma2; rows of those that the model has not are 0.
    residuals
        ``[unit period]``: errors, net of effects.
    expected
        ``[parameter parameter]``: inverse of the expected information.
    bread, scores
        ``[parameter parameter]``, ``[unit parameter]``: inverse of the observed information, and each unit's part of the
        score; None unless the covariance is clustered.
    """

    fit: SpatialFit
    inverse: Float[Array, "parameter parameter"]
    residuals: UnitPeriod
    expected: Float[Array, "parameter parameter"]
    bread: Float[Array, "parameter parameter"] | None = None
    scores: Float[Array, "unit parameter"] | None = None


def demean(values: UnitPeriodK, inside: UnitPeriod, effects: tuple[str, ...]) -> UnitPeriodK:
    """Return columns net of effects, which on a balanced sample are means; without effects net of the overall mean."""
    units, periods = inside.max(1), inside.max(0)
    n_units, n_periods = units.sum(), periods.sum()
    overall = values.sum((0, 1)) / (n_units * n_periods)
    by_unit = values.sum(1) / n_periods
    by_period = values.sum(0) / n_units
    if effects == ():
        net = values - overall[None, None, :]
    elif effects == ("unit",):
        net = values - by_unit[:, None, :]
    elif effects == ("period",):
        net = values - by_period[None, :, :]
    else:
        net = values - by_unit[:, None, :] - (by_period - overall[None, :])[None, :, :]
    return net * inside[:, :, None]


def column_sizes(columns: UnitPeriodK, inside: UnitPeriod) -> Float[Array, " k"]:
    """Return sums of squares about the mean, kept above the rounding error of large means."""
    centred = demean(columns, inside, ())
    return (centred**2).sum((0, 1)) + 1e-10 * (columns**2).sum((0, 1))


def fit_cube(cube: Cube, network: Network, clusters: Int[Array, " unit"], form: Form, n_clusters: int) -> Fitted:
    """Fit a model.

    Parameters
    ----------
    cube, network
        The data.
    clusters, n_clusters
        Cluster of each unit, and how many there are; used where the covariance is clustered.
    form
        The kind of model.
    """
    inside, k = cube.inside, cube.columns.shape[2]
    counts = method_counts(inside, form)
    raw = jnp.concatenate([cube.columns, cube.outcome[:, :, None]], axis=2)
    raw = jnp.concatenate([raw, network.lag(cube.outcome)[:, :, None]], axis=2)
    net = demean(raw, inside, form.effects)
    base = jnp.einsum("itk,itl->kl", net, net)
    cross = square = lags = None
    if form.filtered:
        lags = demean(network.lag(raw), inside, form.effects)
        cross, square = jnp.einsum("itk,itl->kl", net, lags), jnp.einsum("itk,itl->kl", lags, lags)
    moments = Moments(base, cross, square, kept_columns(base, cube.size))
    fit = maximise(moments, network, counts, lagged=form.lagged, filtered=form.filtered)
    kept = kept_parameters(fit, form)

    def information(fit: SpatialFit) -> Array:
        return information_of(fit, moments, network, counts, _signal(fit, net[:, :, :k], inside, network, form))

    if form.method == "bias_corrected":
        fit = _corrected(fit, invert(information(fit), kept), inside, form)
    weights = jnp.concatenate([-fit.coef, jnp.ones(1), -fit.rho[None]])
    left = jnp.einsum("itk,k->it", net, weights)
    lagged = jnp.zeros_like(left) if lags is None else jnp.einsum("itk,k->it", lags, weights)
    residuals = left - fit.lam * lagged
    expected = invert(information(fit), kept)
    if form.covariance == "expected":
        return Fitted(fit, expected, residuals, expected)
    bread = invert(observed_information(fit, moments, network, counts), kept)
    if form.covariance == "observed":
        return Fitted(fit, bread, residuals, expected)
    shifted = net if lags is None else net - fit.lam * lags
    own = jnp.stack([shifted[:, :, -1], lagged], axis=2)
    scores = unit_scores(fit, residuals, shifted[:, :, :k], own, _diagonals(fit, network, counts), counts=counts)
    scores = jnp.where(kept[None, :], scores, 0.0)
    return Fitted(fit, sandwich(scores, bread, inside, clusters, n_clusters), residuals, expected, bread, scores)


def sandwich(
    scores: Float[Array, "unit parameter"],
    bread: Float[Array, "parameter parameter"],
    inside: UnitPeriod,
    clusters: Int[Array, " unit"],
    n_clusters: int,
) -> Float[Array, "parameter parameter"]:
    """Return the covariance of scores summed within clusters, times G/(G-1)."""
    sums = cluster_sums(scores[:, None, :], clusters[:, None], n_clusters)
    present = inside.max(1)
    count = (cluster_sums(present[:, None], clusters[:, None], n_clusters) > 0).sum().astype(float)
    return bread @ (sums.T @ sums) @ bread * (count / (count - 1.0))


def information_of(
    fit: SpatialFit, moments: Moments, network: Network, counts: Counts, signal: tuple[Array, Array]
) -> Float[Array, "parameter parameter"]:
    """Return the expected information at a fit, given cross products of its signal with columns and with itself."""
    k, at = fit.coef.shape[0], jnp.stack([fit.rho, fit.lam])
    resolvents = (network.resolvent(fit.rho), network.resolvent(fit.lam))
    gram = moments.filtered(fit.lam)[:k, :k]
    traces = traces_of(resolvents, at, counts)
    return expected_information(gram, *signal, traces, sigma2=fit.sigma2, counts=counts)


def kept_parameters(fit: SpatialFit, form: Form) -> Bool[Array, " parameter"]:
    """Say which parameters the model has and the data identify."""
    has = jnp.asarray([form.lagged, form.filtered, True])
    return jnp.concatenate([fit.kept, has & jnp.stack([fit.identified, jnp.ones((), bool), jnp.ones((), bool)])])


def method_counts(inside: UnitPeriod, form: Form) -> Counts:
    """Count rows for the method's likelihood."""
    n_units, n_periods = inside.max(1).sum(), inside.max(0).sum()
    return counts_of(n_units, n_periods, form.effects, transformed=form.method == "lee_yu")


def _signal(
    fit: SpatialFit, columns: UnitPeriodK, inside: UnitPeriod, network: Network, form: Form
) -> tuple[Array, Array]:
    """Return cross products of the signal with the filtered columns, and with itself; nothing without a lag."""
    if not form.lagged:
        return jnp.zeros_like(fit.coef), jnp.zeros(())
    signal = network.resolvent(fit.rho).times(columns @ fit.coef)
    if form.filtered:
        signal = signal - fit.lam * network.lag(signal)
        columns = columns - fit.lam * network.lag(columns)
        columns = demean(columns, inside, form.effects)
    signal = demean(signal[:, :, None], inside, form.effects)[:, :, 0]
    return jnp.einsum("itk,it->k", columns, signal), (signal**2).sum()


def _corrected(fit: SpatialFit, inverse: Array, inside: UnitPeriod, form: Form) -> SpatialFit:
    k, n_periods = fit.coef.shape[0], inside.max(0).sum()
    sigma2 = fit.sigma2
    if "period" in form.effects:
        added = bias_correction(inverse, jnp.stack([fit.rho, fit.lam]), fit.sigma2, n_periods)
        fit = replace(fit, coef=fit.coef + added[:k], rho=fit.rho + added[k], lam=fit.lam + added[k + 1])
        sigma2 = sigma2 + added[k + 2]
    if "unit" in form.effects:
        sigma2 = sigma2 * n_periods / (n_periods - 1.0)
    return replace(fit, sigma2=sigma2)


def _diagonals(fit: SpatialFit, network: Network, counts: Counts) -> Float[Array, "unit 2"]:
    each = [(network.resolvent(at), at) for at in (fit.rho, fit.lam)]
    return jnp.stack([corrected_diagonal(found, at, network.present, counts) for found, at in each], axis=1)
