r"""Direct, indirect and total effects of a spatial model, and how they move with its parameters.

The effects of regressor *r* on all units are :math:`S = R (\beta_r I + \theta_r W)` with :math:`R = (I - \rho W)^{-1}`. Their
averages are (LeSage and Pace 2009)

.. math::

    \text{direct} = \beta_r \operatorname{tr} R / N + \theta_r \operatorname{tr} RW / N, \qquad
    \text{total} = 1' R (\beta_r I + \theta_r W) 1 / N, \qquad \text{indirect} = \text{total} - \text{direct} .

With the resolvent ``G = RW`` there is no inverse in them: :math:`R = I + \rho G`, and
:math:`\partial R / \partial \rho = G R`, :math:`\partial G / \partial \rho = G^2`.

References
----------
LeSage, J. and Pace, R. K. (2009). Introduction to Spatial Econometrics. CRC Press. https://doi.org/10.1201/9781420064254
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.network import Network
from syneff.typing import Array, Float

KINDS = ("direct", "indirect", "total")


@partial(jax.tree_util.register_dataclass, data_fields=["level", "slope"], meta_fields=[])
@dataclass(frozen=True)
class Multipliers:
    """What direct, indirect and total effects are of beta and of theta.

    Attributes
    ----------
    level
        ``[3 2]``: by kind, of beta and of theta.
    slope
        ``[3 2]``: their derivative with respect to rho.
    """

    level: Float[Array, "3 2"]
    slope: Float[Array, "3 2"]


def multipliers(network: Network, rho: Float[Array, ""]) -> Multipliers:
    """Return the multipliers at a value of rho."""
    resolvent, units = network.resolvent(rho), network.present.sum()
    rows, columns = resolvent.row_sums, resolvent.column_sums
    once = jnp.stack([resolvent.trace, rows.sum()]) / units
    twice = jnp.stack([resolvent.trace_with(resolvent), columns @ rows]) / units
    return Multipliers(
        level=_kinds(jnp.stack([1.0 + rho * once, once], axis=1)),
        slope=_kinds(jnp.stack([once + rho * twice, twice], axis=1)),
    )


def average_effects(
    coef: Float[Array, " k"], own: Float[Array, "p k"], lagged: Float[Array, "p k"], at: Multipliers
) -> tuple[Float[Array, " effect"], Float[Array, "effect k1"]]:
    """Return the effects of each regressor, kind by kind, and their derivatives with respect to beta, theta and rho.

    Parameters
    ----------
    coef
        ``[k]``: coefficients of the regressors and of their lags.
    own, lagged
        ``[p k]``: 1 where the coefficient is that of regressor p, or of its lag; a row of zeros where it has no lag.
    at
        The multipliers.
    """
    pairs = jnp.stack([own, lagged])
    slopes = jnp.einsum("el,lpk->epk", at.level, pairs)
    by_rho = jnp.einsum("el,lp->ep", at.slope, pairs @ coef)
    values = (slopes @ coef).ravel()
    return values, jnp.concatenate([slopes.reshape(-1, coef.shape[0]), by_rho.reshape(-1, 1)], axis=1)


def _kinds(direct_and_total: Float[Array, "2 2"]) -> Float[Array, "3 2"]:
    direct, total = direct_and_total
    return jnp.stack([direct, total - direct, total])
