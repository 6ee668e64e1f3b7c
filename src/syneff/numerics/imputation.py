r"""Imputation of untreated outcomes: effects and slopes from untreated rows, and averages of what treated rows differ by.

.. math::

    \tau_{it} = y_{it} - \hat\mu_i - \hat\lambda_t - \hat\gamma' x_{it}, \qquad \tau_k = \sum_{it} v_{kit} \tau_{it}

Each average is linear in the outcome: on treated rows the outcome has the weight ``v``, on untreated rows the weight that the
prediction gives it. With untreated weights ``w`` and loads ``a_i = sum_t v_it``, ``b_t = sum_i v_it`` of the effects,

.. math::

    m = M^{+} \Bigl(b - \sum_i a_i \frac{w_{i\cdot}}{\sum_t w_{it}}\Bigr), \qquad
    h_{it} = w_{it} \Bigl(\frac{a_i}{\sum_s w_{is}} + m_t - \bar m_i\Bigr)

is the weight on untreated outcomes without controls, ``M`` the period system of `syneff.numerics.least_squares`.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import Absorption, LeastSquares, absorb, absorption, centred_squares, least_squares
from syneff.typing import Array, Bool, Float, Int, UnitPeriod, UnitPeriodK

IDENTIFIED = 1e-8
"""Distance of a prediction from what untreated rows identify under which it counts as identified."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["absorbed", "controls", "net", "slopes", "effects", "imputable"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Imputed:
    """What untreated rows predict.

    Attributes
    ----------
    absorbed
        The effects, of untreated rows alone.
    controls, net
        ``[unit period k]``: the controls, and what effects leave of them in untreated rows.
    slopes
        Their fit; its residuals are those of untreated rows.
    effects
        ``[unit period]``: outcome less prediction, in every cell.
    imputable
        ``[unit period]``: whether untreated rows identify the prediction.
    """

    absorbed: Absorption
    controls: UnitPeriodK
    net: UnitPeriodK
    slopes: LeastSquares
    effects: UnitPeriod
    imputable: Bool[Array, "unit period"]


def impute(outcome: UnitPeriod, controls: UnitPeriodK, untreated: UnitPeriod) -> Imputed:
    """Fit untreated rows and predict every cell.

    Parameters
    ----------
    outcome, controls
        ``[unit period]``, ``[unit period k]``.
    untreated
        ``[unit period]``: weights of the untreated rows, 0 elsewhere.
    """
    absorbed = absorption(untreated, ("unit", "period"))
    residual = absorb(jnp.concatenate([controls, outcome[:, :, None]], axis=2), absorbed)
    net = residual[:, :, :-1]
    slopes = least_squares(residual[:, :, -1], net, untreated, centred_squares(controls, untreated))
    effects = _beyond((outcome - jnp.einsum("itk,k->it", controls, slopes.coef))[:, :, None], absorbed)[:, :, 0]
    return Imputed(absorbed, controls, net, slopes, effects, _imputable(absorbed, controls, net, slopes))


def implied_weights(
    fit: Imputed, averages: Float[Array, "unit period term"]
) -> tuple[Float[Array, " term"], Float[Array, "unit period term"]]:
    """Return averages of effects, and the weight of every outcome in them.

    Parameters
    ----------
    fit
        The imputation.
    averages
        ``[unit period term]``: weights of the effects of imputable treated cells, 0 elsewhere.
    """
    absorbed = fit.absorbed
    shares = absorbed.weights / absorbed.unit_totals[:, None]
    units = averages.sum(1)
    periods = averages.sum(0) - jnp.einsum("ik,it->tk", units, shares)
    smooth = absorbed.inverse @ periods
    means = jnp.einsum("it,tk->ik", shares, smooth)
    direct = absorbed.weights[:, :, None] * (
        (units / absorbed.unit_totals[:, None] - means)[:, None, :] + smooth[None, :, :]
    )
    missed = jnp.einsum("itk,itl->kl", averages - direct, fit.controls) @ fit.slopes.inverse
    direct = direct + jnp.einsum("kl,itl->itk", missed, fit.net * absorbed.weights[:, :, None])
    return jnp.einsum("itk,it->k", averages, fit.effects), averages - direct


def conservative_scores(
    fit: Imputed,
    weights: Float[Array, "unit period term"],
    treated: Bool[Array, "unit period"],
    cohorts: Int[Array, " unit"],
    clusters: Int[Array, " unit"],
    *,
    leave_out: bool,
) -> Float[Array, "unit term"]:
    r"""Return each unit's score, with the mean effect of a cohort and period taken out of the effects of its members.

    .. math::

        \bar\tau_{gt} = \sum_{i \in g} s_{it} \tau_{it}, \quad s_{it} \propto v_{it} \sum_{j \sim i} v_{jt}, \qquad
        \tilde e_{it} = \frac{\tau_{it} - \bar\tau_{gt}}{1 - S_{it}}

    where *j ~ i* are members of the cohort in the cluster of *i*, so that with clusters of single units the shares are those of
    squared weights, and ``S`` (0 unless one is left out) is the share of the whole cluster.

    Parameters
    ----------
    fit, weights
        The imputation, and ``[unit period term]`` from `implied_weights`.
    treated
        ``[unit period]``: the imputed rows.
    cohorts, clusters
        ``[unit]``: numbers of cohort and cluster.
    leave_out
        Whether the mean leaves the own cluster out. A cohort and period of one cluster then has no score: NaN.

    References
    ----------
    Borusyak, K., Jaravel, X. and Spiess, J. (2024). Review of Economic Studies 91, 3253-3285, section 4.3 and appendix A.9.
    https://doi.org/10.1093/restud/rdae007
    """
    own = jnp.where(treated[:, :, None], weights, 0.0)
    member = (cohorts[:, None] == jnp.arange(weights.shape[1] + 1)[None, :]).astype(float)
    beside = ((cohorts[:, None] == cohorts[None, :]) & (clusters[:, None] == clusters[None, :])).astype(float)

    def of_cohort(values: Float[Array, "unit period term"]) -> Float[Array, "unit period term"]:
        return jnp.einsum("ig,itk->gtk", member, values)[cohorts]

    product = own * jnp.einsum("ij,jtk->itk", beside, own)
    total = of_cohort(product)
    share = product / jnp.where(total == 0, 1.0, total)
    mean = of_cohort(share * fit.effects[:, :, None])
    deviation = fit.effects[:, :, None] - mean
    if leave_out:
        rest = 1.0 - jnp.einsum("ij,jtk->itk", beside, share)
        alone = (rest < IDENTIFIED) & (own != 0)
        deviation = jnp.where(alone, jnp.nan, deviation / jnp.where(rest < IDENTIFIED, 1.0, rest))
    residual = jnp.where(treated[:, :, None], deviation, fit.slopes.residuals[:, :, None])
    return jnp.where(weights == 0, 0.0, weights * residual).sum(1)


def _beyond(values: UnitPeriodK, absorbed: Absorption) -> UnitPeriodK:
    """Return what columns differ by, in every cell, from what their effects in untreated rows predict."""
    shares = absorbed.weights / absorbed.unit_totals[:, None]
    for _ in range(2):  # The second round removes what rounding leaves of the first.
        values = values - jnp.einsum("it,itk->ik", shares, values)[:, None, :]
        period = absorbed.inverse @ jnp.einsum("it,itk->tk", absorbed.weights, values)
        values = values - period[None]
    return values - jnp.einsum("it,itk->ik", shares, values)[:, None, :]


def _imputable(
    absorbed: Absorption, controls: UnitPeriodK, net: UnitPeriodK, slopes: LeastSquares
) -> Bool[Array, "unit period"]:
    """Say which cells have a unit and a period that untreated rows join, and no control that they leave open."""
    periods = absorbed.weights.shape[1]
    shares = absorbed.weights / absorbed.unit_totals[:, None]
    matrix = jnp.diag(absorbed.weights.sum(0)) - shares.T @ absorbed.weights
    contrast = jnp.eye(periods)[None] - shares[:, None, :]
    off = jnp.abs(jnp.einsum("ts,irs->irt", matrix @ absorbed.inverse, contrast) - contrast).max(2)
    known = (off < IDENTIFIED) & (absorbed.weights > 0).any(1)[:, None]
    # A control without variation of its own in untreated rows must follow from the others in the treated row as well.
    moments = jnp.einsum("it,itk,itl->kl", absorbed.weights, net, net)
    beyond = _beyond(controls, absorbed)
    open_part = beyond - jnp.einsum("itk,kl->itl", beyond, slopes.inverse @ moments)
    scale = jnp.abs(controls).max((0, 1)) + (controls == 0).all((0, 1)).astype(float)
    open_part = jnp.where(slopes.kept[None, None, :], 0.0, jnp.abs(open_part) / scale[None, None, :])
    return known & (open_part < IDENTIFIED).all(2)


def without_singletons(weights: UnitPeriod) -> UnitPeriod:
    """Take out rows that are alone in their unit or period until there are none: they fit perfectly, reghdfe counts none."""

    def alone(left: UnitPeriod) -> Bool[Array, "unit period"]:
        inside = left > 0
        return inside & ((inside.sum(1) == 1)[:, None] | (inside.sum(0) == 1)[None, :])

    def prune(left: UnitPeriod) -> UnitPeriod:
        return jnp.where(alone(left), 0.0, left)

    pruned: UnitPeriod = jax.lax.while_loop(lambda left: alone(left).any(), prune, weights)
    return pruned
