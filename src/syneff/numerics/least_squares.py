r"""Weighted least squares with absorbed effects on a cube unit x period.

Two-way effects are absorbed exactly, not by alternating projections. With weights ``w``, unit effects are weighted means
along the period axis; what is left is a system of the size of the period axis,

.. math::

    M = \operatorname{diag}(w_{\cdot t}) - \sum_i \frac{w_{i\cdot} w_{i\cdot}'}{\sum_t w_{it}},
    \qquad \delta = M^{+} \sum_i w_{i\cdot} (v_{i\cdot} - \bar v_i) ,

whose rank is the number of periods less the number of connected components. Weights of zero make columns vanish, so
nothing here assumes full rank: ``M`` is inverted by a Hermitian pseudo-inverse, and collinear regressors are swept out in
order, as Stata does, the earlier ones staying.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.symmetric import eigh
from syneff.typing import Array, Bool, Float, UnitPeriod, UnitPeriodK

RCOND = 1e-10
"""Relative size under which an eigenvalue of the scaled period system, or a pivot of the regressors, is zero."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["weights", "unit_totals", "period_totals", "inverse", "rank", "n_units", "n_periods"],
    meta_fields=["effects"],
)
@dataclass(frozen=True)
class Absorption:
    """The effects to absorb, factorised once for given weights.

    Attributes
    ----------
    weights
        ``[unit period]``.
    unit_totals, period_totals
        ``[unit]``, ``[period]``: sums of the weights, 1 where they are 0.
    inverse
        ``[period period]``: a generalised inverse of the period system (two-way effects).
    rank
        Rank of all dummies together (1, the constant, if no effect is absorbed).
    n_units, n_periods
        Units and periods of positive weight.
    effects
        Names of the effects.
    """

    weights: UnitPeriod
    unit_totals: Float[Array, " unit"]
    period_totals: Float[Array, " period"]
    inverse: Float[Array, "period period"]
    rank: Float[Array, ""]
    n_units: Float[Array, ""]
    n_periods: Float[Array, ""]
    effects: tuple[str, ...]


def absorption(weights: UnitPeriod, effects: tuple[str, ...]) -> Absorption:
    """Factorise the effects for given weights.

    Parameters
    ----------
    weights
        ``[unit period]``, not negative.
    effects
        Any of "unit", "period"; none absorbs the constant.
    """
    by_unit, by_period = weights.sum(1), weights.sum(0)
    n_units, n_periods = _count(by_unit), _count(by_period)
    unit_totals, period_totals = _nonzero(by_unit), _nonzero(by_period)
    scale = 1.0 / jnp.sqrt(period_totals)
    # Scaled by the period totals the eigenvalues lie in [0, 1], so one relative threshold serves all weights.
    system = jnp.diag(by_period) - (weights / unit_totals[:, None]).T @ weights
    values, vectors = eigh(system * scale[:, None] * scale[None, :])
    positive = values > RCOND
    inverted = jnp.where(positive, 1.0 / jnp.where(positive, values, 1.0), 0.0)
    inverse = (vectors * inverted[None, :]) @ vectors.T * scale[:, None] * scale[None, :]
    rank = {
        (): jnp.ones(()),
        ("unit",): n_units,
        ("period",): n_periods,
    }.get(effects, n_units + positive.sum().astype(float))
    return Absorption(weights, unit_totals, period_totals, inverse, rank, n_units, n_periods, effects)


def absorb(values: UnitPeriodK, absorbed: Absorption) -> UnitPeriodK:
    """Return the residuals of columns ``[unit period k]`` on the absorbed effects; 0 where the weight is 0."""
    weights = absorbed.weights[:, :, None]
    inside = weights > 0
    if absorbed.effects == ():
        residual = values - ((weights * values).sum((0, 1)) / weights.sum())[None, None, :]
    elif absorbed.effects == ("period",):
        residual = values - ((weights * values).sum(0) / absorbed.period_totals[:, None])[None]
    elif absorbed.effects == ("unit",):
        residual = _within_units(values, absorbed)
    else:
        residual = _within_units(values, absorbed)
        # A second pass removes what rounding in the pseudo-inverse leaves of the first.
        for _ in range(2):
            effects = jnp.einsum("ts,sk->tk", absorbed.inverse, (weights * residual).sum(0))
            residual = _within_units(residual - effects[None], absorbed)
    return jnp.where(inside, residual, 0.0)


def period_effect_weights(absorbed: Absorption) -> UnitPeriod:
    """Return ``g`` such that ``sum(g * v)`` is the mean of ``v`` net of period effects relative to the first period.

    That is the constant of a regression on dummies of all periods but the first one in the sample (``xtreg, fe i.year``).
    """
    shares = absorbed.weights.sum(0) / absorbed.weights.sum()
    first = jnp.argmax(shares > 0)
    contrast = shares - (jnp.arange(shares.shape[0]) == first).astype(shares.dtype)
    effect = jnp.broadcast_to((absorbed.inverse @ contrast)[None, :, None], (*absorbed.weights.shape, 1))
    return absorbed.weights / absorbed.weights.sum() - absorbed.weights * _within_units(effect, absorbed)[:, :, 0]


@partial(jax.tree_util.register_dataclass, data_fields=["coef", "residuals", "inverse", "kept"], meta_fields=[])
@dataclass(frozen=True)
class LeastSquares:
    """A weighted least-squares fit.

    Attributes
    ----------
    coef
        ``[k]``; 0 where a regressor is dropped.
    residuals
        ``[unit period]``.
    inverse
        ``[k k]``: generalised inverse of the weighted moments; rows and columns of dropped regressors are 0.
    kept
        ``[k]``: whether the regressor is kept.
    """

    coef: Float[Array, " k"]
    residuals: UnitPeriod
    inverse: Float[Array, "k k"]
    kept: Bool[Array, " k"]


def least_squares(
    outcome: UnitPeriod, regressors: UnitPeriodK, weights: UnitPeriod, size: Float[Array, " k"]
) -> LeastSquares:
    """Fit weighted least squares, leaving out regressors that are collinear with those before them.

    Parameters
    ----------
    outcome, regressors
        ``[unit period]``, ``[unit period k]``, residuals on the absorbed effects.
    weights
        ``[unit period]``.
    size
        ``[k]``: weighted sum of squares of each regressor before the effects were absorbed; a pivot below ``RCOND``
        times it counts as zero.
    """
    weighted = regressors * weights[:, :, None]
    inverse, kept = scaled_inverse(jnp.einsum("itk,itl->kl", weighted, regressors), size)
    coef = jnp.zeros(regressors.shape[2])
    residuals = outcome
    for _ in range(2):  # The second round is iterative refinement.
        change = inverse @ jnp.einsum("itk,it->k", weighted, residuals)
        coef = coef + change
        residuals = residuals - jnp.einsum("itk,k->it", regressors, change)
    return LeastSquares(coef, residuals, inverse, kept)


def scaled_inverse(
    matrix: Float[Array, "k k"], size: Float[Array, " k"]
) -> tuple[Float[Array, "k k"], Bool[Array, " k"]]:
    """Invert a symmetric positive semi-definite matrix by `sweep`, pivots relative to `size`; also tell which were kept."""
    scale = jnp.sqrt(jnp.where(size > 0, size, 1.0))
    normalised = matrix / scale[:, None] / scale[None, :]
    swept, kept = sweep(normalised, RCOND)
    # One Newton step squares the error that the sweep leaves in the inverse.
    inverse = 2.0 * swept - swept @ normalised @ swept
    return inverse / scale[:, None] / scale[None, :], kept


def centred_squares(values: UnitPeriodK, weights: UnitPeriod) -> Float[Array, " k"]:
    """Return weighted sums of squares about the mean, kept above the rounding error of large means."""
    mean = jnp.einsum("it,itk->k", weights, values) / weights.sum()
    raw = jnp.einsum("it,itk->k", weights, values**2)
    return jnp.einsum("it,itk->k", weights, (values - mean[None, None, :]) ** 2) + RCOND * raw


def sweep(matrix: Float[Array, "k k"], tolerance: float) -> tuple[Float[Array, "k k"], Bool[Array, " k"]]:
    """Invert a symmetric positive semi-definite matrix by sweeping, skipping pivots that are zero.

    Parameters
    ----------
    matrix
        ``[k k]``.
    tolerance
        Absolute size under which a pivot is zero.

    Returns
    -------
    tuple
        The generalised inverse ``[k k]`` (zero rows and columns where a pivot was skipped) and which pivots were kept.

    References
    ----------
    Goodnight, J. H. (1979). A tutorial on the SWEEP operator. The American Statistician 33, 149-158.
    https://doi.org/10.1080/00031305.1979.10482685
    """
    size = matrix.shape[0]
    if size == 0:
        return matrix, jnp.zeros(0, bool)

    def pivot(j: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        swept, kept = state
        diagonal = swept[j, j]
        keep = diagonal > tolerance
        safe = jnp.where(keep, diagonal, 1.0)
        row, column = swept[j] / safe, swept[:, j]
        other = jnp.arange(size) != j
        # Swept columns change sign, so -1/d on the diagonal and a final change of sign give the inverse.
        updated = swept - column[:, None] * row[None, :]
        updated = updated.at[j].set(row).at[:, j].set(jnp.where(other, column / safe, -1.0 / safe))
        return jnp.where(keep, updated, swept), kept.at[j].set(keep)

    swept, kept = jax.lax.fori_loop(0, size, pivot, (matrix, jnp.zeros(size, bool)))
    both = kept[:, None] & kept[None, :]
    return jnp.where(both, -swept, 0.0), kept


def _within_units(values: UnitPeriodK, absorbed: Absorption) -> UnitPeriodK:
    means = (absorbed.weights[:, :, None] * values).sum(1) / absorbed.unit_totals[:, None]
    return values - means[:, None, :]


def _count(totals: Float[Array, " level"]) -> Float[Array, ""]:
    return (totals > 0).sum().astype(float)


def _nonzero(totals: Float[Array, " level"]) -> Float[Array, " level"]:
    return jnp.where(totals > 0, totals, 1.0)
