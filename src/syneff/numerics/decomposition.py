r"""What the coefficient of a two-way fixed-effects regression is made of, where adoption is staggered.

Goodman-Bacon: on a balanced panel it is an average of all differences in differences of two cohorts, over the periods in which
one of them changes its treatment and the other does not. With shares ``n`` of the cohorts, ``V`` of the periods of a comparison
and ``d`` of those after adoption,

.. math::

    \hat\beta = \sum_{g,c} s_{gc} \hat\beta_{gc}, \qquad
    s_{gc} \propto n_g n_c V_{gc}^2\, d_{gc} (1 - d_{gc})

De Chaisemartin and D'Haultfoeuille: it estimates an average of the effects of all treated rows, with weights that can be
negative,

.. math:: \hat\beta = \sum_{D_{it} = 1} \omega_{it} \Delta_{it}, \qquad \omega_{it} \propto w_{it} \tilde d_{it}

with the treatment's residuals on effects and controls.

References
----------
Goodman-Bacon, A. (2021). Journal of Econometrics 225, 254-277. https://doi.org/10.1016/j.jeconom.2021.03.014
De Chaisemartin, C. and D'Haultfoeuille, X. (2020). American Economic Review 110, 2964-2996.
https://doi.org/10.1257/aer.20181169
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.typing import Array, Bool, Float, Int, UnitPeriod


@partial(
    jax.tree_util.register_dataclass, data_fields=["treated", "control", "estimate", "weight", "units"], meta_fields=[]
)
@dataclass(frozen=True)
class Comparisons:
    """All comparisons of two cohorts; those that do not exist have weight 0.

    Attributes
    ----------
    treated, control
        ``[pair]``: cohort that changes its treatment, and cohort that does not.
    estimate, weight
        ``[pair]``: difference in differences, and its weight; they sum to 1.
    units
        ``[pair 2]``: units of both.
    """

    treated: Int[Array, " pair"]
    control: Int[Array, " pair"]
    estimate: Float[Array, " pair"]
    weight: Float[Array, " pair"]
    units: Float[Array, "pair 2"]


def compare_cohorts(outcome: UnitPeriod, weights: UnitPeriod, cohorts: Int[Array, " unit"]) -> Comparisons:
    """Compare every cohort with every other.

    Parameters
    ----------
    outcome
        ``[unit period]``.
    weights
        ``[unit period]``: a unit's times a period's.
    cohorts
        ``[unit]``: adoption period; the first of the sample for those that are always treated, the number of periods for those
        that never are.
    """
    periods = weights.shape[1]
    member = (cohorts[:, None] == jnp.arange(periods + 1)[None, :]).astype(float)
    cells = jnp.einsum("ig,it->gt", member, weights)
    means = jnp.einsum("ig,it->gt", member, weights * outcome) / jnp.where(cells > 0, cells, 1.0)
    sizes, times = cells.sum(1) / weights.sum(), weights.sum(0) / weights.sum()
    units = jnp.einsum("ig,i->g", member, (weights > 0).any(1).astype(float))
    treated, control = (jnp.asarray(each) for each in np.indices((periods, periods + 1)).reshape(2, -1))
    period = jnp.arange(periods)[None, :]
    inside = jnp.where((control > treated)[:, None], period < control[:, None], period >= control[:, None])
    after = times[None, :] * (inside & (period >= treated[:, None])).astype(float)
    before = times[None, :] * (inside & (period < treated[:, None])).astype(float)
    n_after, n_before = after.sum(1), before.sum(1)
    change = after / jnp.where(n_after > 0, n_after, 1.0)[:, None]
    change = change - before / jnp.where(n_before > 0, n_before, 1.0)[:, None]
    estimate = (change * (means[treated] - means[control])).sum(1)
    weight = jnp.where(treated == control, 0.0, sizes[treated] * sizes[control] * n_after * n_before)
    total = weight.sum()
    weight = weight / jnp.where(total > 0, total, jnp.nan)
    return Comparisons(treated, control, estimate, weight, jnp.stack([units[treated], units[control]], axis=1))


def effect_weights(
    residual: UnitPeriod, weights: UnitPeriod, treated: Bool[Array, "unit period"]
) -> tuple[UnitPeriod, UnitPeriod]:
    """Return the weight of each treated row's effect, which sum to 1, and the row's share of treated rows.

    Parameters
    ----------
    residual
        ``[unit period]``: of the treatment on effects and controls.
    weights, treated
        ``[unit period]``.
    """
    rows = jnp.where(treated, weights, 0.0)
    raw = rows * residual
    return raw / raw.sum(), rows / rows.sum()


def robustness(
    coef: Float[Array, ""], effects: UnitPeriod, shares: UnitPeriod
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Return how much effects must vary for the coefficient to mislead.

    The first is the smallest standard deviation of effects under which their average can be zero, the second the smallest under
    which all can have the other sign (NaN without negative weights: they cannot):

    .. math::

        \underline\sigma = |\hat\beta| / \mathrm{sd}(W), \qquad
        \underline{\underline\sigma} = |\hat\beta| / \sqrt{T_s + S_s^2 / (1 - P_s)}

    with ``W`` the weight of an effect relative to its row's share, and ``P``, ``S``, ``T`` the sums of shares, of ``W`` and of
    its square over the rows from the *s*-th largest weight on, *s* the first whose ``W < -S / (1 - P)``.

    Parameters
    ----------
    coef
        The coefficient.
    effects, shares
        From `effect_weights`.
    """
    share = shares.ravel()
    ratio = jnp.where(share > 0, effects.ravel() / jnp.where(share > 0, share, 1.0), -jnp.inf)
    order = jnp.argsort(-ratio)
    share, ratio = share[order], jnp.where(jnp.isfinite(ratio[order]), ratio[order], 0.0)

    def from_here(values: Float[Array, " row"]) -> Float[Array, " row"]:
        return jnp.cumsum(values[::-1])[::-1]

    mass, first, second = (from_here(share * ratio**power) for power in (0, 1, 2))
    rest = jnp.maximum(1.0 - mass, 0.0)
    low = (share > 0) & (ratio < 0) & (rest > 0) & (ratio * rest < -first)
    start = jnp.argmax(low)
    variance = second[start] + first[start] ** 2 / jnp.where(rest[start] > 0, rest[start], 1.0)
    spread = jnp.sqrt((share * (ratio - 1.0) ** 2).sum())
    size = jnp.abs(coef)
    return size / spread, jnp.where(low.any(), size / jnp.sqrt(variance), jnp.nan)
