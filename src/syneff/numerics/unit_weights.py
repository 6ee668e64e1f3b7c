r"""The same regression under many vectors of unit weights.

Unit effects are immune to unit weights: a mean within a unit does not change when the whole unit counts more. So the columns
``z = (x, y)`` are taken net of effects once, and under weights ``omega_i`` only the period effects move. With ``B_i`` the
period dummies net of unit effects,

.. math::

    Z(\omega) = \sum_i \omega_i z_i' W_i z_i - N' \delta, \quad
    N = \sum_i \omega_i B_i' W_i z_i, \quad
    \delta = \Big(\sum_i \omega_i B_i' W_i B_i\Big)^{+} N ,

every sum is a row of ``omega @ moments``, and what is left to solve is ``k`` regressors. Where the weights are a product of a
unit's and a period's, or no unit effects are absorbed, the period system is diagonal on what it is applied to.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import RCOND, absorb, absorption, scaled_inverse
from syneff.typing import Array, Bool, Float, UnitPeriod, UnitPeriodK


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["columns", "weights", "levels", "squares", "by_level", "sizes"],
    meta_fields=["effects", "diagonal"],
)
@dataclass(frozen=True)
class UnitMoments:
    """Moments of each unit; ``column`` runs over the regressors and the outcome, ``level`` over the period effects.

    Attributes
    ----------
    columns
        ``[unit period column]``, net of effects under the design's own weights.
    weights
        ``[unit period]``.
    levels
        ``[unit level]``: weight of the unit at each level.
    squares
        ``[unit column column]``.
    by_level
        ``[unit level column]``.
    sizes
        ``[unit 2 k]``: weighted sums and sums of squares of the regressors before effects were absorbed.
    effects
        Names of the effects.
    diagonal
        Whether the period system is diagonal on what it is applied to.
    """

    columns: Float[Array, "unit period column"]
    weights: UnitPeriod
    levels: Float[Array, "unit level"]
    squares: Float[Array, "unit column column"]
    by_level: Float[Array, "unit level column"]
    sizes: Float[Array, "unit 2 k"]
    effects: tuple[str, ...]
    diagonal: bool


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["coef", "inverse", "kept", "squares", "rank", "n_periods", "shifts", "regressor_shifts"],
    meta_fields=[],
)
@dataclass(frozen=True)
class WeightedFits:
    """Fits under each vector of unit weights.

    Attributes
    ----------
    coef
        ``[draw k]``; 0 where a regressor is dropped.
    inverse
        ``[draw k k]``: generalised inverse of the moments.
    kept
        ``[draw k]``.
    squares
        ``[draw]``: weighted sum of squared residuals.
    rank
        ``[draw]``: rank of the period effects (or the constant) beside the unit effects.
    n_periods
        ``[draw]``: periods of positive weight.
    shifts, regressor_shifts
        ``[draw level]``, ``[draw level k]``: period effects of the residuals and of the regressors.
    """

    coef: Float[Array, "draw k"]
    inverse: Float[Array, "draw k k"]
    kept: Bool[Array, "draw k"]
    squares: Float[Array, " draw"]
    rank: Float[Array, " draw"]
    n_periods: Float[Array, " draw"]
    shifts: Float[Array, "draw level"]
    regressor_shifts: Float[Array, "draw level k"]


def unit_moments(
    outcome: UnitPeriod,
    regressors: UnitPeriodK,
    weights: UnitPeriod,
    effects: tuple[str, ...],
    *,
    balanced: bool,
) -> UnitMoments:
    """Take the columns net of effects, and sum their products within units.

    Parameters
    ----------
    outcome, regressors, weights
        ``[unit period]``, ``[unit period k]``, ``[unit period]``.
    effects
        Any of "unit", "period".
    balanced
        Whether the weights are a product of a unit's and a period's.
    """
    columns = jnp.concatenate([regressors, outcome[:, :, None]], axis=2)
    columns = absorb(columns, absorption(weights, effects))
    weighted = columns * weights[:, :, None]
    basis = _basis(weights.shape[1], effects)
    return UnitMoments(
        columns=columns,
        weights=weights,
        levels=weights @ basis,
        squares=jnp.einsum("itk,itl->ikl", weighted, columns),
        by_level=jnp.einsum("itk,tp->ipk", weighted, basis),
        sizes=jnp.stack([jnp.einsum("it,itk->ik", weights, regressors**power) for power in (1, 2)], axis=1),
        effects=effects,
        diagonal=balanced or "unit" not in effects,
    )


def fit_weights(moments: UnitMoments, drawn: Float[Array, "draw unit"]) -> WeightedFits:
    """Fit under the unit weights of each draw ``[draw unit]``, leaving out collinear regressors as `least_squares` does."""
    squares = _symmetric_sums(drawn, moments.squares)
    by_level = _sums(drawn, moments.by_level)
    levels = drawn @ moments.levels
    shifts, rank = _period_effects(moments, drawn, by_level, levels)
    # Projected moments; the mean of both orders keeps them symmetric.
    explained = jnp.einsum("dpk,dpl->dkl", by_level, shifts)
    projected = squares - 0.5 * (explained + explained.transpose(0, 2, 1))
    k = projected.shape[1] - 1
    matrix, with_outcome = projected[:, :k, :k], projected[:, :k, k]
    inverse, kept = jax.vmap(scaled_inverse)(matrix, _sizes(moments, drawn))
    coef = jnp.einsum("dkl,dl->dk", inverse, with_outcome)
    coef = coef + jnp.einsum("dkl,dl->dk", inverse, with_outcome - jnp.einsum("dkl,dl->dk", matrix, coef))
    beta = jnp.concatenate([-coef, jnp.ones((coef.shape[0], 1))], axis=1)
    return WeightedFits(
        coef=coef,
        inverse=inverse,
        kept=kept,
        squares=jnp.einsum("dk,dkl,dl->d", beta, projected, beta),
        rank=rank,
        n_periods=((drawn @ moments.weights) > 0).sum(1).astype(float),
        shifts=jnp.einsum("dpk,dk->dp", shifts, beta),
        regressor_shifts=shifts[:, :, :k],
    )


def unit_scores(moments: UnitMoments, fits: WeightedFits) -> Float[Array, "draw k unit"]:
    r"""Return the score of each unit, ``sum_t w_it x_it e_it`` of one copy of it, regressors net of effects and residuals.

    Units are last, so that products of few columns run along memory.
    """
    draws, k = fits.coef.shape
    units, levels = moments.levels.shape
    flat = moments.by_level.transpose(2, 1, 0).reshape(k + 1, levels * units)
    beta = jnp.concatenate([-fits.coef, jnp.ones((draws, 1))], axis=1)
    # Products with the regressors before their period effects are moved, and then what the move takes away.
    left = jnp.concatenate([beta, -fits.shifts], axis=1)
    right = jnp.concatenate([moments.squares.transpose(1, 2, 0)[:, :k], moments.by_level.transpose(1, 2, 0)[:, :k]])
    scores = (left @ right.reshape(k + 1 + levels, k * units)).reshape(draws, k, units)
    residuals = (beta @ flat).reshape(draws, levels, units)
    residuals = residuals - moments.levels.T[None] * (
        fits.shifts[:, :, None] - _unit_means(moments, fits.shifts)[:, None, :]
    )
    return scores - jnp.einsum("dpk,dpi->dki", fits.regressor_shifts, residuals)


def row_scores(moments: UnitMoments, fits: WeightedFits) -> Float[Array, "draw unit period k"]:
    """Return the score of each row, ``w_it x_it e_it`` of one copy of it."""
    k = fits.coef.shape[1]
    regressors = _net(moments, moments.columns[None, :, :, :k], fits.regressor_shifts)
    residuals = row_residuals(moments, fits)[..., None]
    return moments.weights[None, :, :, None] * regressors * residuals


def row_residuals(moments: UnitMoments, fits: WeightedFits) -> Float[Array, "draw unit period"]:
    """Return the residual of each row, those that a draw leaves out too: net of the unit's own effect and the draw's fit."""
    k = fits.coef.shape[1]
    outcome = moments.columns[None, :, :, k] - jnp.einsum("itk,dk->dit", moments.columns[:, :, :k], fits.coef)
    return _net(moments, outcome[..., None], fits.shifts[:, :, None])[..., 0]


def _net(
    moments: UnitMoments, columns: Float[Array, "#draw unit period k"], shifts: Float[Array, "draw level k"]
) -> Float[Array, "draw unit period k"]:
    """Return columns net of a draw's period effects and of unit effects."""
    basis = _basis(moments.weights.shape[1], moments.effects)
    means = jax.vmap(lambda each: _unit_means(moments, each), in_axes=2, out_axes=2)(shifts)
    moved = jnp.einsum("tp,dpk->dtk", basis, shifts)
    return columns - moved[:, None, :, :] + means[:, :, None, :]


def _basis(periods: int, effects: tuple[str, ...]) -> Float[Array, "period level"]:
    """Levels beside the unit effects: periods, or the constant, or none."""
    if "period" in effects:
        return jnp.eye(periods)
    return jnp.zeros((periods, 0)) if effects else jnp.ones((periods, 1))


def _unit_means(moments: UnitMoments, shifts: Float[Array, "draw level"]) -> Float[Array, "draw unit"]:
    """Return the mean of period effects within each unit, which unit effects take away; 0 without those."""
    if "unit" not in moments.effects:
        return jnp.zeros((shifts.shape[0], moments.levels.shape[0]))
    totals = moments.weights.sum(1)
    return shifts @ (moments.levels / jnp.where(totals > 0, totals, 1.0)[:, None]).T


def _period_effects(
    moments: UnitMoments,
    drawn: Float[Array, "draw unit"],
    by_level: Float[Array, "draw level column"],
    levels: Float[Array, "draw level"],
) -> tuple[Float[Array, "draw level column"], Float[Array, " draw"]]:
    """Return the period effects of every column, and their rank beside the unit effects."""
    both = "unit" in moments.effects
    if moments.diagonal or not levels.shape[1]:
        safe = jnp.where(levels > 0, levels, 1.0)
        rank = (levels > 0).sum(1).astype(float) - float(both and levels.shape[1] > 0)
        return jnp.where((levels > 0)[:, :, None], by_level / safe[:, :, None], 0.0), rank
    totals = moments.weights.sum(1)
    shares = moments.levels / jnp.where(totals > 0, totals, 1.0)[:, None]
    taken = _symmetric_sums(drawn, moments.levels[:, :, None] * shares[:, None, :])
    system = levels[:, :, None] * jnp.eye(levels.shape[1])[None] - taken
    inverse, kept = jax.vmap(scaled_inverse)(system, levels)
    shifts = jnp.einsum("dpq,dqk->dpk", inverse, by_level)
    left = by_level - jnp.einsum("dpq,dqk->dpk", system, shifts)
    return shifts + jnp.einsum("dpq,dqk->dpk", inverse, left), kept.sum(1).astype(float)


def _sizes(moments: UnitMoments, drawn: Float[Array, "draw unit"]) -> Float[Array, "draw k"]:
    """Weighted sums of squares about the mean of the raw regressors, kept above the rounding error of large means."""
    sums = _sums(drawn, moments.sizes)
    total = drawn @ moments.weights.sum(1)
    return sums[:, 1] * (1.0 + RCOND) - sums[:, 0] ** 2 / jnp.where(total > 0, total, 1.0)[:, None]


def _sums(drawn: Float[Array, "draw unit"], values: Float[Array, "unit *rest"]) -> Float[Array, "draw *rest"]:
    flat = drawn @ values.reshape(values.shape[0], -1)
    return flat.reshape(drawn.shape[0], *values.shape[1:])


def _symmetric_sums(drawn: Float[Array, "draw unit"], values: Float[Array, "unit n n"]) -> Float[Array, "draw n n"]:
    """Sum symmetric matrices, each entry once."""
    size = values.shape[1]
    rows, columns = jnp.triu_indices(size)
    packed = drawn @ values[:, rows, columns]
    place = jnp.zeros((size, size), int).at[rows, columns].set(jnp.arange(rows.size))
    return packed[:, jnp.maximum(place, place.T)]
