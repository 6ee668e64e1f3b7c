r"""Effects that differ by group: absorbed group by group, because no dummy of one group has a row of another.

With ``g`` the group of a row, unit effects ``mu_{i g}`` and period effects ``lambda_{t g}`` are those of separate regressions.
So the regression in which everything is interacted with the group, and the one with common slopes and period effects of each
group, are both built from the absorption of one group's rows at a time.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import absorb, absorption, centred_squares, least_squares
from syneff.typing import Array, Bool, Float, Int, UnitPeriod, UnitPeriodK


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["coef", "kept", "influence", "residuals", "rank", "n_units", "n_periods"],
    meta_fields=[],
)
@dataclass(frozen=True)
class InteractedFit:
    """The regression in which all slopes and all effects are interacted with the group.

    Attributes
    ----------
    coef
        ``[group k]``; 0 where a regressor is dropped.
    kept
        ``[group k]``.
    influence
        ``[group unit period k]``: derivative of each slope with respect to each outcome; 0 in other groups' rows.
    residuals
        ``[unit period]``.
    rank
        Rank of all dummies together.
    n_units, n_periods
        ``[group]``: units and periods of positive weight.
    """

    coef: Float[Array, "group k"]
    kept: Bool[Array, "group k"]
    influence: Float[Array, "group unit period k"]
    residuals: UnitPeriod
    rank: Float[Array, ""]
    n_units: Float[Array, " group"]
    n_periods: Float[Array, " group"]


def group_weights(
    weights: UnitPeriod, groups: Int[Array, "unit period"], count: int
) -> Float[Array, "group unit period"]:
    """Return the weights of each group's rows, 0 in those of others and where the number of the group is negative."""
    return jnp.where(groups[None] == jnp.arange(count)[:, None, None], weights[None], 0.0)


def fit_interacted(
    outcome: UnitPeriod, regressors: UnitPeriodK, weights: Float[Array, "group unit period"], effects: tuple[str, ...]
) -> InteractedFit:
    """Fit each group's rows by themselves, as one regression.

    Parameters
    ----------
    outcome, regressors
        ``[unit period]``, ``[unit period k]``.
    weights
        ``[group unit period]``, from `group_weights`.
    effects
        Any of "unit", "period".
    """

    def fit_one(own: UnitPeriod) -> tuple[Array, ...]:
        absorbed = absorption(own, effects)
        net = absorb(regressors, absorbed)
        fit = least_squares(absorb(outcome[:, :, None], absorbed)[:, :, 0], net, own, centred_squares(regressors, own))
        influence = jnp.einsum("kl,itl->itk", fit.inverse, net * own[:, :, None])
        counts = absorbed.rank, absorbed.n_units, absorbed.n_periods
        return fit.coef, fit.kept, influence, jnp.where(own > 0, fit.residuals, 0.0), *counts

    coef, kept, influence, residuals, rank, n_units, n_periods = jax.vmap(fit_one)(weights)
    return InteractedFit(coef, kept, influence, residuals.sum(0), rank.sum(), n_units, n_periods)


def absorb_by_group(
    values: UnitPeriodK, weights: Float[Array, "group unit period"], effects: tuple[str, ...]
) -> tuple[UnitPeriodK, Float[Array, ""]]:
    """Return the residuals of columns on the effects of each group, and the rank of all dummies together."""

    def absorb_one(own: UnitPeriod) -> tuple[UnitPeriodK, Float[Array, ""]]:
        absorbed = absorption(own, effects)
        return absorb(values, absorbed), absorbed.rank

    # One group after another: side by side they would take as many copies of the columns.
    residuals, rank = jax.lax.map(absorb_one, weights)
    return residuals.sum(0), rank.sum()
