r"""The joint test that all group-time effects before adoption are zero.

.. math:: W = a' V^{-1} a \sim \chi^2(q), \qquad V = \sum_c \psi_c \psi_c'

over the cells before adoption, or before its anticipation; those without variance do not count. Where the cells are as many as
the clusters, or otherwise linearly dependent, ``V`` is singular and there is no test, as in ``did``.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaincc

from syneff.models.base import Test
from syneff.typing import Array, Float

SINGULAR_BELOW = 1e-10
"""Pivot of the correlation matrix under which it is singular."""


def pre_trend(
    effects: Float[Array, " cell"], influence: Float[Array, "cluster cell"], before: tuple[bool, ...]
) -> Test:
    """Test that the effects before adoption are zero.

    Parameters
    ----------
    effects
        ``[cell]``; NaN where there is none.
    influence
        ``[cluster cell]``: influence functions summed within clusters.
    before
        Which cells are before adoption.
    """
    chosen = np.flatnonzero(before)
    sums = influence[:, chosen]
    error = jnp.sqrt((sums**2).sum(0))
    counted = jnp.isfinite(effects[chosen]) & (error > 0)
    scale = jnp.where(counted, error, 1.0)
    scaled = jnp.where(counted[None, :], sums / scale[None, :], 0.0)
    correlation = scaled.T @ scaled + jnp.diag(jnp.where(counted, 0.0, 1.0))
    root = jnp.linalg.cholesky(correlation)
    pivots = jnp.diagonal(root) ** 2
    regular = (pivots > SINGULAR_BELOW).all() & counted.any()
    values = jnp.where(counted, effects[chosen] / scale, 0.0)
    halves = jnp.linalg.solve(jnp.where(regular, root, jnp.eye(chosen.size)), values)
    statistic = jnp.where(regular, (halves**2).sum(), jnp.nan)
    count = counted.sum().astype(float)
    pvalue = gammaincc(jnp.maximum(count, 1.0) / 2.0, statistic / 2.0)
    return Test(statistic, jnp.where(regular, count, jnp.nan), jnp.asarray(jnp.inf), pvalue, "pre_trend")
