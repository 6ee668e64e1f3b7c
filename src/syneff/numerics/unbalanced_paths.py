r"""One regressor drawn again and again, on any panel: who follows which path, with period effects that must be solved for.

The counterpart of `syneff.numerics.treatment_paths` for weights that are no product. A unit that is given path *c* has, net of
its own effect, :math:`\tilde P_{ict} = P_{ct} - \sum_s w_{is} P_{cs} / w_{i\cdot}`, whose products with outcome, controls and
periods are tabled once. A draw adds up the rows of its units, :math:`N_t = \sum_i w_{it} \tilde P_{i a_i t}`, and with ``M``
the period system of `syneff.numerics.least_squares`,

.. math::

    \delta = M^{+} N, \qquad
    \tilde d_{it} = \tilde P_{i a_i t} - (\delta_t - \bar\delta_i) - g' x_{it}, \qquad
    \tilde d' W \tilde d = \sum_i \tilde P' W \tilde P - N' \delta - g' A g ,

where ``x`` are the controls net of effects, ``A`` their moments and ``g`` the slopes on them.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import Absorption
from syneff.numerics.treatment_paths import RCOND, DrawnFits
from syneff.typing import Array, Float, Int, UnitPeriod, UnitPeriodK


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "weights",
        "table",
        "by_period",
        "raw",
        "by_effect",
        "by_control",
        "system",
        "inverses",
        "outcome_squares",
    ],
    meta_fields=[],
)
@dataclass(frozen=True)
class UnbalancedTables:
    """Products of units and paths, weights included.

    Attributes
    ----------
    weights
        ``[unit period]``.
    table
        ``[unit path k+2]``: product of the path, net of the unit's mean, with the outcome, its square, its products with the
        controls.
    by_period
        ``[unit path period]``: the path, net of the unit's mean.
    raw
        ``[unit path 2]``: sum and sum of squares of the path.
    by_effect
        ``[period unit]``, ``[unit]``: the outcome, and the total weight of each unit.
    by_control
        ``[feature unit]``: what multiplies ``delta_t g_k``, ``g_k g_l`` and ``g_k`` in the scores.
    system
        ``[period period]``: that of the period effects.
    inverses
        Generalised inverses of the period system and of the moments of the controls.
    outcome_squares
        Weighted sum of squares of the outcome net of effects and controls.
    """

    weights: UnitPeriod
    table: Float[Array, "unit path column"]
    by_period: Float[Array, "unit path period"]
    raw: Float[Array, "unit path 2"]
    by_effect: tuple[Array, Array]
    by_control: tuple[Array, Array, Array]
    system: Float[Array, "period period"]
    inverses: tuple[Array, Array]
    outcome_squares: Float[Array, ""]


def unbalanced_tables(
    outcome: UnitPeriod,
    controls: UnitPeriodK,
    inverse: Float[Array, "k k"],
    absorbed: Absorption,
    paths: Float[Array, "path period"],
) -> UnbalancedTables:
    """Table the products of units and paths.

    Parameters
    ----------
    outcome
        ``[unit period]``, net of effects and controls.
    controls
        ``[unit period k]``, net of effects.
    inverse
        ``[k k]``: generalised inverse of their weighted moments.
    absorbed
        Unit and period effects.
    paths
        ``[path period]``.
    """
    weights, totals = absorbed.weights, absorbed.unit_totals
    sums = weights @ paths.T
    within = paths[None] - (sums / totals[:, None])[:, :, None]
    weighted = within * weights[:, None, :]
    products = [
        jnp.einsum("ict,it->ic", weighted, outcome)[:, :, None],
        (weighted * within).sum(2)[:, :, None],
        jnp.einsum("ict,itk->ick", weighted, controls),
    ]
    heavy = controls * weights[:, :, None]
    units, _, count = controls.shape
    return UnbalancedTables(
        weights=weights,
        table=jnp.concatenate(products, axis=2),
        by_period=weighted,
        raw=jnp.stack([sums, weights @ (paths**2).T], axis=2),
        by_effect=((outcome * weights).T, totals),
        by_control=(
            heavy.transpose(1, 2, 0).reshape(-1, units),
            jnp.einsum("itk,itl->kli", heavy, controls).reshape(count**2, units),
            jnp.einsum("itk,it->ki", heavy, outcome),
        ),
        system=jnp.diag(weights.sum(0)) - (weights / totals[:, None]).T @ weights,
        inverses=(absorbed.inverse, inverse),
        outcome_squares=(weights * outcome**2).sum(),
    )


def fit_unbalanced(tables: UnbalancedTables, assigned: Int[Array, "draw unit"]) -> DrawnFits:
    """Fit the regressor that gives each unit the path it is assigned.

    Parameters
    ----------
    tables
        `unbalanced_tables`.
    assigned
        ``[draw unit]``: number of the path.
    """
    each = jnp.arange(tables.weights.shape[0])[None, :]
    drawn, by_period = tables.table[each, assigned], tables.by_period[each, assigned]
    with_outcome, squares, with_controls = drawn[:, :, 0], drawn[:, :, 1], drawn[:, :, 2:]
    period_inverse, inverse = tables.inverses
    sums = by_period.sum(1)
    effects = sums @ period_inverse
    effects = effects + (sums - effects @ tables.system) @ period_inverse
    cross = with_controls.sum(1)
    slopes = cross @ inverse
    norm = squares.sum(1) - (sums * effects).sum(1) - (slopes * cross).sum(1)
    raw = tables.raw[each, assigned].sum(1)
    total = raw[:, 1] * (1.0 + RCOND) - raw[:, 0] ** 2 / tables.weights.sum()
    kept = norm > RCOND * total
    norm = jnp.where(kept, norm, 1.0)
    coef = with_outcome.sum(1) / norm

    by_effect, by_squares, by_outcome = tables.by_control
    draws, n_controls = slopes.shape
    crossed = (effects[:, :, None] * slopes[:, None, :]).reshape(draws, -1) @ by_effect
    squared = (slopes[:, :, None] * slopes[:, None, :]).reshape(draws, n_controls**2) @ by_squares
    outcome_by_period, totals = tables.by_effect
    explained = with_outcome - effects @ outcome_by_period - slopes @ by_outcome
    effect_squares = effects**2 @ tables.weights.T - (effects @ tables.weights.T) ** 2 / totals[None, :]
    own = squares + effect_squares + squared + 2.0 * crossed
    own = own - 2.0 * jnp.einsum("dit,dt->di", by_period, effects)
    own = own - 2.0 * jnp.einsum("dik,dk->di", with_controls, slopes)
    return DrawnFits(coef, norm, kept, explained - coef[:, None] * own, tables.outcome_squares - coef**2 * norm)
