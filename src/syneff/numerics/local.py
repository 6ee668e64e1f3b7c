r"""A slope that varies smoothly with another variable, by kernel-weighted regressions.

At each point ``x_0`` of a grid the regression

.. math::

    y_{it} = \alpha d_{it} + \beta d_{it} (x_{it} - x_0) + \eta (x_{it} - x_0) + \gamma' z_{it} + \mu_i + \lambda_t + e_{it},
    \qquad w_{it} K\{(x_{it} - x_0) / h\},

is fitted with Gaussian weights; its ``alpha`` is the effect there. Samples of units, those of the bootstrap and of
cross-validation, are unit weights on top, so that at one point they are all one batch (`syneff.numerics.unit_weights`).
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.unit_weights import UnitMoments, fit_weights, row_residuals, unit_moments
from syneff.typing import Array, Float, Int, UnitPeriod, UnitPeriodK

ALONE = 1e-12
"""Share of a unit's weight in its other rows under which a row is alone."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["outcome", "treatment", "moderator", "controls", "weights"],
    meta_fields=["effects", "varies", "balanced"],
)
@dataclass(frozen=True)
class Local:
    """The arrays of the local regressions.

    Attributes
    ----------
    outcome, treatment, moderator
        ``[unit period]``; 0 where the weight is 0.
    controls
        ``[unit period k]``.
    weights
        ``[unit period]``.
    effects
        Any of "unit", "period".
    varies
        Whether the moderator varies within units, or no unit effects take its own slope away.
    balanced
        Whether the local weights too are a product of a unit's and a period's.
    """

    outcome: UnitPeriod
    treatment: UnitPeriod
    moderator: UnitPeriod
    controls: UnitPeriodK
    weights: UnitPeriod
    effects: tuple[str, ...]
    varies: bool
    balanced: bool


def _moments_at(data: Local, point: Float[Array, ""], bandwidth: Float[Array, ""]) -> UnitMoments:
    gap = data.moderator - point
    weights = data.weights * jnp.exp(-0.5 * (gap / bandwidth) ** 2)
    inside = (weights > 0).astype(float)
    columns = [data.treatment, data.treatment * gap, *([gap * inside] if data.varies else [])]
    regressors = jnp.concatenate([jnp.stack(columns, axis=2), data.controls], axis=2)
    return unit_moments(data.outcome, regressors, weights, data.effects, balanced=data.balanced)


@jax.jit
def local_effects(
    data: Local, grid: Float[Array, " point"], bandwidth: Float[Array, ""], drawn: Float[Array, "draw unit"]
) -> Float[Array, "draw point"]:
    """Return the effect at each point under each vector of unit weights; NaN where it is not identified.

    Parameters
    ----------
    data
        The arrays.
    grid
        Values of the moderator.
    bandwidth
        Standard deviation of the kernel.
    drawn
        ``[draw unit]``.
    """

    def at(point: Float[Array, ""]) -> Float[Array, " draw"]:
        fits = fit_weights(_moments_at(data, point, bandwidth), drawn)
        return jnp.where(fits.kept[:, 0], fits.coef[:, 0], jnp.nan)

    return jnp.asarray(jax.lax.map(at, grid).T)


@jax.jit
def prediction_error(
    data: Local, grid: Float[Array, " point"], bandwidth: Float[Array, ""], folds: tuple[Int[Array, " unit"], Array]
) -> Float[Array, ""]:
    """Return the mean squared error of predicting rows from fits that leave their units out.

    The effect of a row's own unit comes from its other rows alone, weighted as the fit is: otherwise a narrow kernel, which
    sees few rows of a unit, would predict each of them by itself. Between points of the grid errors are interpolated.

    Parameters
    ----------
    data, grid, bandwidth
        As for `local_effects`.
    folds
        Number of the fold of each unit, and the numbers of all folds.
    """
    own, numbers = folds
    kept = (own[None, :] != numbers[:, None]).astype(float)

    def at(point: Float[Array, ""]) -> Float[Array, "unit period"]:
        moments = _moments_at(data, point, bandwidth)
        fits = fit_weights(moments, kept)
        residuals = row_residuals(moments, fits)
        held_out = residuals[own, jnp.arange(own.shape[0])]
        totals = moments.weights.sum(1, keepdims=True)
        share = (
            moments.weights / jnp.where(totals > 0, totals, 1.0) if "unit" in data.effects else jnp.zeros_like(held_out)
        )
        known = fits.kept[:, :2].all(1)[own][:, None] & (1.0 - share > ALONE)
        return jnp.where(known, held_out / jnp.where(known, 1.0 - share, 1.0), jnp.inf)

    errors = jax.lax.map(at, grid)
    place = jnp.clip(jnp.searchsorted(grid, data.moderator, side="right") - 1, 0, grid.shape[0] - 2)
    share = jnp.clip((data.moderator - grid[place]) / (grid[place + 1] - grid[place]), 0.0, 1.0)
    below, above = (jnp.take_along_axis(errors, (place + step)[None], axis=0)[0] for step in (0, 1))
    # A weight of zero must not meet an infinite error.
    between = jnp.where(share < 1, (1.0 - share) * below, 0.0) + jnp.where(share > 0, share * above, 0.0)
    squared = jnp.where(data.weights > 0, data.weights * between**2, 0.0)
    return squared.sum() / data.weights.sum()
