r"""Least squares saturated in group and period: unit effects, period effects of each group, common slopes of controls.

.. math::

    y_{it} = \mu_i + \lambda_{g(i) t} + \gamma' x_{it} + e_{it}

A dummy of every cohort and period beside two-way effects is the same regression as period effects of each cohort: the effect of
cohort *g* at *t* relative to period *b* and to the control group *0* is the contrast

.. math:: (\lambda_{gt} - \lambda_{gb}) - (\lambda_{0t} - \lambda_{0b})

So instead of one system with hundreds of dummies there is one of the size of the period axis for each group, and any average of
effects is one vector of weights on the period effects. A contrast that the rows of a group do not identify is told by the
projector on the range of its system.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.grouped import absorb_by_group, group_weights
from syneff.numerics.least_squares import Absorption, LeastSquares, absorption, centred_squares, least_squares
from syneff.typing import Array, Bool, Float, Int, UnitPeriod, UnitPeriodK

IDENTIFIED = 1e-8
"""Distance of a contrast from the range of its system under which it is identified."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["weights", "groups", "systems", "ranges", "effects", "controls", "net", "slopes", "rank"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Saturated:
    """A saturated fit.

    Attributes
    ----------
    weights
        ``[unit period]``.
    groups
        ``[unit]``: number of the group.
    systems, ranges
        ``[group period period]``: generalised inverse of each group's period system, and the projector on its range.
    effects
        ``[group period]``: period effects of each group.
    controls, net
        ``[unit period k]``: the controls, and what effects leave of them.
    slopes
        Their fit; its residuals are those of the regression.
    rank
        Rank of all dummies together.
    """

    weights: UnitPeriod
    groups: Int[Array, " unit"]
    systems: Float[Array, "group period period"]
    ranges: Float[Array, "group period period"]
    effects: Float[Array, "group period"]
    controls: UnitPeriodK
    net: UnitPeriodK
    slopes: LeastSquares
    rank: Float[Array, ""]

    def identified(self, base: Int[Array, " group"]) -> Bool[Array, "group period"]:
        """Say of each group and period whether its effect relative to the group's base period is identified."""
        periods = self.weights.shape[1]
        contrast = jnp.eye(periods)[None] - jax.nn.one_hot(base, periods)[:, None, :]
        off = jnp.einsum("gts,grs->grt", self.ranges, contrast) - contrast
        return jnp.abs(off).max(2) < IDENTIFIED


def fit_saturated(
    outcome: UnitPeriod, controls: UnitPeriodK, weights: UnitPeriod, groups: Int[Array, " unit"], count: int
) -> Saturated:
    """Fit unit effects, period effects of each group and common slopes.

    Parameters
    ----------
    outcome, controls
        ``[unit period]``, ``[unit period k]``.
    weights
        ``[unit period]``.
    groups, count
        ``[unit]``: number of the group of each unit, and how many there are.
    """
    own = group_weights(weights, jnp.broadcast_to(groups[:, None], weights.shape), count)
    columns = jnp.concatenate([controls, outcome[:, :, None]], axis=2)
    residual, rank = absorb_by_group(columns, own, ("unit", "period"))
    net = residual[:, :, :-1]
    slopes = least_squares(residual[:, :, -1], net, weights, centred_squares(controls, weights))
    systems, ranges = jax.vmap(_system)(own)
    effects = _period_effects(outcome - jnp.einsum("itk,k->it", controls, slopes.coef), own, systems)
    return Saturated(weights, groups, systems, ranges, effects, controls, net, slopes, rank)


def contrasts(
    fit: Saturated, loads: Float[Array, "term group period"]
) -> tuple[Float[Array, " term"], Float[Array, "unit period term"]]:
    """Return contrasts of period effects and their derivatives with respect to each outcome.

    Parameters
    ----------
    fit
        The fit.
    loads
        ``[term group period]``: weights on the period effects, whose sum is 0 within each group.
    """
    smooth = jnp.einsum("gts,kgs->kgt", fit.systems, loads)[:, fit.groups, :]
    totals = fit.weights.sum(1)
    means = jnp.einsum("it,kit->ki", fit.weights, smooth) / jnp.where(totals > 0, totals, 1.0)[None, :]
    direct = fit.weights[None] * (smooth - means[:, :, None])
    # Outcomes move the slopes too, and slopes the effects.
    onto = jnp.einsum("kit,itl->kl", direct, fit.controls) @ fit.slopes.inverse
    influence = jnp.moveaxis(direct, 0, 2) - jnp.einsum("kl,itl->itk", onto, fit.net * fit.weights[:, :, None])
    return jnp.einsum("kgt,gt->k", loads, fit.effects), influence


def relative_loads(
    weights: Float[Array, "term group period"], base: Int[Array, " group"]
) -> Float[Array, "term group period"]:
    """Turn weights on effects into weights on period effects; the last group is the control, whose own must be 0."""
    periods = weights.shape[2]
    relative = weights - weights.sum(2)[:, :, None] * jax.nn.one_hot(base, periods)[None]
    return relative.at[:, -1, :].add(-relative[:, :-1, :].sum(1))


def two_way(weights: UnitPeriod) -> Absorption:
    """Return the unit and period effects beside which the dummies of groups and periods stand."""
    return absorption(weights, ("unit", "period"))


def _system(weights: UnitPeriod) -> tuple[Float[Array, "period period"], Float[Array, "period period"]]:
    factored = absorption(weights, ("unit", "period"))
    matrix = jnp.diag(weights.sum(0)) - (weights / factored.unit_totals[:, None]).T @ weights
    return factored.inverse, matrix @ factored.inverse


def _period_effects(
    values: UnitPeriod, weights: Float[Array, "group unit period"], systems: Float[Array, "group period period"]
) -> Float[Array, "group period"]:
    totals = weights.sum(2)
    totals = jnp.where(totals > 0, totals, 1.0)
    effects = jnp.zeros(systems.shape[:2])
    for _ in range(2):  # The second round removes what rounding in the generalised inverse leaves of the first.
        rest = values[None] - effects[:, None, :]
        within = rest - ((weights * rest).sum(2) / totals)[:, :, None]
        effects = effects + jnp.einsum("gts,gs->gt", systems, (weights * within).sum(1))
    return effects
