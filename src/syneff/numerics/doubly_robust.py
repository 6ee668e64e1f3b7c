r"""The effect of a treatment between two periods: a group that is treated against one that is not.

With the change ``D_i = y_it - y_ib``, weights ``w``, covariates ``x`` (a constant first) and the treated ``G``,

.. math::

    \tau = \sum_{G} \omega_i (D_i - x_i'\beta) - \sum_{C} \kappa_i (D_i - x_i'\beta), \qquad
    \omega_i \propto w_i, \quad \kappa_i \propto w_i \frac{p_i}{1 - p_i} ,

where ``b`` is the regression of ``D`` on ``x`` among the comparison group ``C``, and ``p`` the logit of being treated, both
kinds of weights summing to 1:

==============  ===============================================================================================
method          what
==============  ===============================================================================================
``regression``  the first sum alone: outcome regression (``reg_did_panel`` of DRDID)
``ipw``         both sums with ``b = 0``: standardised inverse probability weighting (``std_ipw_did_panel``)
``dr``          both sums: doubly robust (``drdid_panel``)
==============  ===============================================================================================

The influence of each unit on ``tau`` takes the estimation of ``b`` and ``p`` into account; the variance is its sum of squares.

References
----------
Sant'Anna, P. H. C. and Zhao, J. (2020). Journal of Econometrics 219, 101-122. https://doi.org/10.1016/j.jeconom.2020.06.003
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.numerics.least_squares import scaled_inverse
from syneff.numerics.logit import LogitStatus, fit_logit
from syneff.typing import Array, Bool, Float, Int, UnitPeriodK

METHODS = ("regression", "ipw", "dr")
NO_OVERLAP_FROM = 0.999
"""Propensity score of any unit from which on a comparison fails, as in did."""
TRIMMED_FROM = 0.995
"""Propensity score from which on an untreated unit is left out, as in DRDID."""


class CellStatus(IntEnum):
    """How a comparison ended."""

    OK = 0
    NOTHING_TO_COMPARE = 1
    FEW_CONTROLS = 2
    SEPARATED = 3
    NO_OVERLAP = 4
    NOT_CONVERGED = 5


@partial(jax.tree_util.register_dataclass, data_fields=["effect", "influence", "status"], meta_fields=[])
@dataclass(frozen=True)
class Comparison:
    """An effect between two periods; a batch is the same type with leading axes.

    Attributes
    ----------
    effect
        Scalar; NaN unless the status is OK.
    influence
        ``[unit]``: what each unit adds to the effect's error, 0 where the weight is 0; the variance is its sum of squares.
    status
        A `CellStatus`.
    """

    effect: Float[Array, "*batch"]
    influence: Float[Array, "*batch unit"]
    status: Int[Array, "*batch"]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["change", "columns", "treated", "weights", "residual", "inverse"],
    meta_fields=[],
)
@dataclass(frozen=True)
class _Sample:
    """The rows of a comparison, with the residuals of the outcome regression (the change itself without one)."""

    change: Float[Array, " unit"]
    columns: Float[Array, "unit column"]
    treated: Bool[Array, " unit"]
    weights: Float[Array, " unit"]
    residual: Float[Array, " unit"]
    inverse: Float[Array, "column column"]


def compare(
    change: Float[Array, " unit"],
    columns: Float[Array, "unit column"],
    treated: Bool[Array, " unit"],
    weights: Float[Array, " unit"],
    method: str,
) -> Comparison:
    """Estimate the effect between two periods; pure array code, safe under ``jit`` and ``vmap``.

    Parameters
    ----------
    change
        ``[unit]``: the outcome's change.
    columns
        ``[unit column]``: a constant and the covariates, best centred and scaled; collinear ones are left out. Where a batch
        shares them their products are formed once.
    treated
        ``[unit]``: the treated; the others are compared with them.
    weights
        ``[unit]``: 0 leaves a unit out.
    method
        One of `METHODS`; without covariates all are the difference of two means.
    """
    if columns.shape[1] == 1:
        method = "regression"
    change = jnp.where(weights > 0, change, 0.0)
    untreated = weights * (~treated).astype(float)
    pooled = _moments(columns, weights)
    inverse, kept = scaled_inverse(_moments(columns, untreated), jnp.diagonal(pooled))
    wanted = scaled_inverse(pooled, jnp.diagonal(pooled))[1]
    some = (weights * treated.astype(float)).sum() * untreated.sum() > 0
    status = jnp.where(some, int(CellStatus.OK), int(CellStatus.NOTHING_TO_COMPARE))
    residual = change
    if method != "ipw":
        status = jnp.where((wanted & ~kept).any() & (status == 0), int(CellStatus.FEW_CONTROLS), status)
        for _ in range(2):  # the second round is iterative refinement
            residual = residual - columns @ (inverse @ ((untreated * residual) @ columns))
    sample = _Sample(change, columns, treated, weights, residual, inverse)
    effect, influence = _treated_mean(sample, regressed=method != "ipw")
    if method != "regression":
        mean, by_unit, failure = _weighted_mean(sample, regressed=method == "dr")
        effect, influence = effect - mean, influence - by_unit
        status = jnp.where(status == 0, failure, status)
    fine = status == int(CellStatus.OK)
    return Comparison(jnp.where(fine, effect, jnp.nan), jnp.where(fine, influence, 0.0), status)


def standardised(covariates: UnitPeriodK, seen: Bool[Array, "unit period"]) -> Float[Array, "period unit column"]:
    """Return, by period, a constant and the covariates less their mean and over their spread among the rows that are seen."""
    inside = seen[:, :, None]
    count = jnp.maximum(seen.sum(0), 1).astype(float)[:, None]
    mean = jnp.where(inside, covariates, 0.0).sum(0) / count
    centred = jnp.where(inside, covariates - mean[None], 0.0)
    spread = jnp.sqrt((centred**2).sum(0) / count)
    # What rounding leaves of a covariate that does not vary is nothing.
    flat = spread <= 1e-12 * jnp.abs(mean)
    scaled = jnp.where(flat[None], 0.0, centred / jnp.where(flat, 1.0, spread)[None])
    columns = jnp.concatenate([jnp.ones((*seen.shape, 1)), scaled], axis=2)
    return jnp.swapaxes(columns, 0, 1)


def _moments(columns: Float[Array, "unit column"], weights: Float[Array, " unit"]) -> Float[Array, "column column"]:
    size = columns.shape[1]
    above, right = np.triu_indices(size)
    place = np.zeros((size, size), int)
    place[above, right] = place[right, above] = np.arange(above.size)
    return jnp.asarray((weights @ (columns[:, above] * columns[:, right]))[place])


def _through_regression(sample: _Sample, mean: Float[Array, " column"]) -> Float[Array, " unit"]:
    """Return the influence on a fitted change at `mean` that goes through the regression among the untreated."""
    untreated = sample.weights * (~sample.treated).astype(float)
    return jnp.asarray(untreated * sample.residual * (sample.columns @ (sample.inverse @ mean)))


def _treated_mean(sample: _Sample, *, regressed: bool) -> tuple[Float[Array, ""], Float[Array, " unit"]]:
    """Return the mean residual of the treated, and the influence on it."""
    share = sample.weights * sample.treated.astype(float)
    share = share / jnp.where(share.sum() > 0, share.sum(), 1.0)
    mean = share @ sample.residual
    influence = share * (sample.residual - mean)
    if regressed:
        influence = influence - _through_regression(sample, share @ sample.columns)
    return mean, influence


def _weighted_mean(
    sample: _Sample, *, regressed: bool
) -> tuple[Float[Array, ""], Float[Array, " unit"], Int[Array, ""]]:
    """Return the mean residual of the untreated weighted to look like the treated, the influence on it, and the status."""
    weights, columns = sample.weights, sample.columns
    fit = fit_logit(columns[:, 1:], sample.treated, weights)
    score = jnp.minimum(fit.score, 1.0 - 1e-6)
    highest = jnp.where(weights > 0, score, 0.0).max()
    status = jnp.where(highest >= NO_OVERLAP_FROM, int(CellStatus.NO_OVERLAP), int(CellStatus.OK))
    status = jnp.where(fit.status == int(LogitStatus.NOT_CONVERGED), int(CellStatus.NOT_CONVERGED), status)
    status = jnp.where(fit.status == int(LogitStatus.SEPARATED), int(CellStatus.SEPARATED), status)
    kept = (~sample.treated & (score < TRIMMED_FROM)).astype(float)
    share = weights * kept * score / (1.0 - score)
    share = share / jnp.where(share.sum() > 0, share.sum(), 1.0)
    mean = share @ sample.residual
    deviation = share * (sample.residual - mean)
    information = _moments(columns, weights * score * (1.0 - score))
    inverse = scaled_inverse(information, jnp.diagonal(information))[0]
    slopes = inverse @ (deviation @ columns)
    influence = deviation + weights * (sample.treated.astype(float) - score) * (columns @ slopes)
    if regressed:
        influence = influence - _through_regression(sample, share @ columns)
    return mean, influence, status
