r"""Stacked regression: one data set a cohort, stacked, with effects of unit and stack, and of period and stack.

.. math::

    y_{its} = \beta\, D_{is} 1\{t \ge s\} + \gamma' x_{it} + \mu_{is} + \lambda_{ts} + e_{its}

Stacks share nothing but slopes, so moments are summed over them, one stack in memory at a time; and so are the scores of a
unit, which is in many stacks. The corrective weights give the controls of each stack the share that its treated have among all
treated.

References
----------
Cengiz, D., Dube, A., Lindner, A. and Zipperer, B. (2019). Quarterly Journal of Economics 134, 1405-1454.
https://doi.org/10.1093/qje/qjz014
Wing, C., Freedman, S. M. and Hollingsworth, A. (2024). Stacked difference-in-differences. NBER working paper 32054.
https://doi.org/10.3386/w32054
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import absorb, absorption, centred_squares, scaled_inverse
from syneff.typing import Array, Bool, Float, Int, UnitPeriod, UnitPeriodK


@partial(
    jax.tree_util.register_dataclass, data_fields=["weights", "treated", "controls", "treated_rows"], meta_fields=[]
)
@dataclass(frozen=True)
class Stacks:
    """Who is in which stack.

    Attributes
    ----------
    weights
        ``[stack unit period]``; the number of a stack is the period in which its cohort adopts.
    treated, controls
        ``[stack unit]``.
    treated_rows
        ``[stack]``: rows of treated units, weighted; 0 for a stack that is not used.
    """

    weights: Float[Array, "stack unit period"]
    treated: Bool[Array, "stack unit"]
    controls: Bool[Array, "stack unit"]
    treated_rows: Float[Array, " stack"]


def make_stacks(
    weights: UnitPeriod, cohorts: Int[Array, " unit"], window: tuple[int, int], *, corrective: bool
) -> Stacks:
    """Make the stack of each cohort whose window lies in the sample and that has controls.

    Parameters
    ----------
    weights
        ``[unit period]``.
    cohorts
        ``[unit]``: adoption period; the number of periods where there is none.
    window
        First and last event time of each stack. Its controls are units that adopt after it, or never.
    corrective
        Whether controls are weighted by the treated's share of the stack.
    """
    periods = weights.shape[1]
    stack, period = jnp.arange(periods), jnp.arange(periods)
    inside = (weights > 0).any(0)
    start, end = jnp.argmax(inside), periods - 1 - jnp.argmax(inside[::-1])
    fits = (stack + window[0] >= start) & (stack + window[1] <= end)
    event = period[None, :] - stack[:, None]
    rows = jnp.where(((event >= window[0]) & (event <= window[1]))[:, None, :], weights[None], 0.0)
    seen = (rows > 0).any(2)
    treated = (cohorts[None, :] == stack[:, None]) & seen
    controls = (cohorts[None, :] > stack[:, None] + window[1]) & seen
    sums = [jnp.where(each[:, :, None], rows, 0.0).sum((1, 2)) for each in (treated, controls)]
    used = fits & (sums[0] > 0) & (sums[1] > 0)
    of_treated, of_controls = (jnp.where(used, each, 0.0) for each in sums)
    share = (
        of_treated
        / jnp.where(used, of_controls, 1.0)
        * of_controls.sum()
        / jnp.where(used.any(), of_treated.sum(), 1.0)
    )
    factor = share if corrective else jnp.ones_like(share)
    own = treated.astype(float) + controls.astype(float) * factor[:, None]
    return Stacks(jnp.where(used[:, None, None], rows * own[:, :, None], 0.0), treated, controls, of_treated)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["coef", "kept", "scores", "rows", "rank", "units"],
    meta_fields=[],
)
@dataclass(frozen=True)
class StackedFit:
    """A stacked regression.

    Attributes
    ----------
    coef, kept
        ``[k]``.
    scores
        ``[unit k]``: influence times residual, summed over a unit's rows in all stacks.
    rows
        Rows of all stacks.
    rank
        Rank of all dummies.
    units
        Units of all stacks, each counted as often as it is in one.
    """

    coef: Float[Array, " k"]
    kept: Bool[Array, " k"]
    scores: Float[Array, "unit k"]
    rows: Float[Array, ""]
    rank: Float[Array, ""]
    units: Float[Array, ""]


def fit_stacked(outcome: UnitPeriod, controls: UnitPeriodK, stacks: Stacks, bins: tuple[int, ...] | None) -> StackedFit:
    """Fit the regression on treatment, or on event times, and controls.

    Parameters
    ----------
    outcome, controls
        ``[unit period]``, ``[unit period k]``.
    stacks
        From `make_stacks`.
    bins
        Event times that have a dummy; None for one of all periods from adoption on.
    """
    periods = outcome.shape[1]
    numbers = jnp.arange(periods)

    def columns(stack: Array) -> tuple[Array, Array, tuple[Array, ...]]:
        event = jnp.arange(periods) - stack
        hit = (event >= 0)[:, None] if bins is None else event[:, None] == jnp.asarray(bins)[None, :]
        dummies = (stacks.treated[stack][:, None, None] & hit[None]).astype(float)
        regressors = jnp.concatenate([dummies, controls], axis=2)
        absorbed = absorption(stacks.weights[stack], ("unit", "period"))
        net = absorb(jnp.concatenate([regressors, outcome[:, :, None]], axis=2), absorbed)
        empty = absorbed.n_units == 0
        counts = (jnp.where(empty, 0.0, absorbed.rank), absorbed.n_units)
        size = jnp.where(empty, 0.0, centred_squares(regressors, _some(stacks.weights[stack], empty)))
        return net, size, counts

    def moments(stack: Array) -> tuple[Array, ...]:
        net, size, counts = columns(stack)
        return jnp.einsum("itk,it,itl->kl", net, stacks.weights[stack], net), size, *counts

    found = [each.sum(0) for each in jax.lax.map(moments, numbers)]
    inverse, kept = scaled_inverse(found[0][:-1, :-1], found[1])
    coef = inverse @ found[0][:-1, -1]

    def scores(stack: Array) -> Array:
        net = columns(stack)[0]
        residual = net[:, :, -1] - jnp.einsum("itk,k->it", net[:, :, :-1], coef)
        return jnp.einsum("itk,it->ik", net[:, :, :-1], stacks.weights[stack] * residual)

    summed = jax.lax.map(scores, numbers).sum(0) @ inverse
    rows = (stacks.weights > 0).sum().astype(float)
    # The mean score is what rounding left of the normal equations: one step of iterative refinement.
    return StackedFit(coef + summed.sum(0), kept, summed, rows, found[2], found[3])


def _some(weights: UnitPeriod, empty: Bool[Array, ""]) -> UnitPeriod:
    return jnp.where(empty, 1.0, weights)
