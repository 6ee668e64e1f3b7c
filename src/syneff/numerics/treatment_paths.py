r"""One regressor drawn again and again, on a balanced panel: who follows which path.

Where the weights are a product, ``w_it = u_i v_t`` with ``sum_t v_t = 1``, two-way effects are plain means, and a drawn
regressor that gives unit *i* the path ``P[a_i]`` of a short list enters the normal equations only through products of units
and paths. With residuals of outcome and controls on effects, ``y`` net of controls, paths in deviation from their mean, and
``m_t`` the mean path of a draw,

.. math::

    \tilde d_{it} = P_{a_i t} - m_t - g' x_{it}, \qquad
    b = \tilde d' W y / \tilde d' W \tilde d, \qquad
    \sum_t v_t \tilde d_{it} (y_{it} - b \tilde d_{it}) = s_i ,

so the products are tabled once, and a draw is one gather a unit and three thin matrix products, scores included.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.typing import Array, Bool, Float, Int, UnitPeriod, UnitPeriodK

RCOND = 1e-10
"""A drawn regressor that effects and controls leave less than this share of is collinear with them."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["units", "periods", "table", "raw", "within", "by_period", "by_control", "inverse", "outcome_squares"],
    meta_fields=[],
)
@dataclass(frozen=True)
class PathTables:
    """Products of units and paths.

    Attributes
    ----------
    units, periods
        ``[unit]``, ``[period]``: weights ``u`` and ``v``.
    table
        ``[unit path k+2]``: product of the path with the outcome, its square, its products with the controls.
    raw
        ``[path 2]``: mean and mean square of each path.
    within
        ``[path period]``: paths in deviation from their means.
    by_period
        ``[period unit]``: the outcome times ``v``.
    by_control
        ``[feature unit]``: what multiplies ``m_t g_k``, ``g_k g_l`` and ``g_k`` in the scores.
    inverse
        ``[k k]``: generalised inverse of the moments of the controls.
    outcome_squares
        Weighted sum of squares of the outcome net of effects and controls.
    """

    units: Float[Array, " unit"]
    periods: Float[Array, " period"]
    table: Float[Array, "unit path column"]
    raw: Float[Array, "path 2"]
    within: Float[Array, "path period"]
    by_period: Float[Array, "period unit"]
    by_control: tuple[Array, Array, Array]
    inverse: Float[Array, "k k"]
    outcome_squares: Float[Array, ""]


@partial(jax.tree_util.register_dataclass, data_fields=["coef", "norm", "kept", "scores", "squares"], meta_fields=[])
@dataclass(frozen=True)
class DrawnFits:
    """Fits of one drawn regressor.

    Attributes
    ----------
    coef
        ``[draw]``; meaningless where not kept.
    norm
        ``[draw]``: sum of squares of the drawn regressor net of effects and controls; 1 where not kept.
    kept
        ``[draw]``: whether effects and controls leave anything of it.
    scores
        ``[draw unit]``: sums over periods of regressor times residual.
    squares
        ``[draw]``: sum of squared residuals.
    """

    coef: Float[Array, " draw"]
    norm: Float[Array, " draw"]
    kept: Bool[Array, " draw"]
    scores: Float[Array, "draw unit"]
    squares: Float[Array, " draw"]


def path_tables(
    outcome: UnitPeriod,
    controls: UnitPeriodK,
    inverse: Float[Array, "k k"],
    weights: UnitPeriod,
    paths: Float[Array, "path period"],
) -> PathTables:
    """Table the products of units and paths.

    Parameters
    ----------
    outcome
        ``[unit period]``, net of effects and controls.
    controls
        ``[unit period k]``, net of effects.
    inverse
        ``[k k]``: generalised inverse of their weighted moments.
    weights
        ``[unit period]``, a product of unit and period weights.
    paths
        ``[path period]``.
    """
    units, periods = weights.sum(1), weights.sum(0) / weights.sum()
    mean = paths @ periods
    within = paths - mean[:, None]
    weighted = within * periods[None, :]
    products = jnp.concatenate(
        [
            (outcome @ weighted.T)[:, :, None],
            jnp.broadcast_to((weighted * within).sum(1)[None, :, None], (units.size, mean.size, 1)),
            jnp.einsum("itk,ct->ick", controls, weighted),
        ],
        axis=2,
    )
    weighted_controls = controls * periods[None, :, None]
    count = controls.shape[2]
    return PathTables(
        units=units,
        periods=periods,
        table=products,
        raw=jnp.stack([mean, (paths**2) @ periods], axis=1),
        within=within,
        by_period=(outcome * periods[None, :]).T,
        by_control=(
            weighted_controls.transpose(1, 2, 0).reshape(-1, units.size),
            jnp.einsum("itk,itl->kli", weighted_controls, controls).reshape(count**2, units.size),
            jnp.einsum("itk,it->ki", weighted_controls, outcome),
        ),
        inverse=inverse,
        outcome_squares=(weights * outcome**2).sum(),
    )


def fit_paths(tables: PathTables, assigned: Int[Array, "draw unit"]) -> DrawnFits:
    """Fit the regressor that gives each unit the path it is assigned.

    Parameters
    ----------
    tables
        `path_tables`.
    assigned
        ``[draw unit]``: number of the path.
    """
    units, periods = tables.units, tables.periods
    n_units, n_paths, _ = tables.table.shape
    drawn = tables.table[jnp.arange(n_units)[None, :], assigned]
    with_outcome, squares, with_controls = drawn[:, :, 0], drawn[:, :, 1], drawn[:, :, 2:]
    hit = assigned[:, :, None] == jnp.arange(n_paths, dtype=assigned.dtype)[None, None, :]
    held = jnp.einsum("dic,i->dc", hit.astype(float), units)
    mean = held @ tables.within / units.sum()
    cross = jnp.einsum("dik,i->dk", with_controls, units)
    slopes = cross @ tables.inverse
    mean_squares = (mean**2) @ periods
    norm = squares @ units - units.sum() * mean_squares - (slopes * cross).sum(1)
    averages = held @ tables.raw
    total = averages[:, 1] * (1.0 + RCOND) - averages[:, 0] ** 2 / units.sum()
    kept = norm > RCOND * total
    norm = jnp.where(kept, norm, 1.0)
    coef = with_outcome @ units / norm

    by_mean, by_squares, by_outcome = tables.by_control
    draws, n_controls = slopes.shape
    crossed = (mean[:, :, None] * slopes[:, None, :]).reshape(draws, -1) @ by_mean
    squared = (slopes[:, :, None] * slopes[:, None, :]).reshape(draws, n_controls**2) @ by_squares
    explained = with_outcome - mean @ tables.by_period - slopes @ by_outcome
    along_mean = jnp.take_along_axis((mean * periods[None, :]) @ tables.within.T, assigned, axis=1)
    own = squares - 2.0 * along_mean + mean_squares[:, None]
    own = own - 2.0 * jnp.einsum("dik,dk->di", with_controls, slopes) + 2.0 * crossed + squared
    scores = units[None, :] * (explained - coef[:, None] * own)
    return DrawnFits(coef, norm, kept, scores, tables.outcome_squares - coef**2 * norm)
