r"""The joint test that effects before adoption are zero.

.. math:: W = a' V^{-1} a \sim \chi^2(q), \qquad V = \sum_c \psi_c \psi_c'

Effects without variance do not count. Where the effects are linearly dependent, as with more of them than clusters, or a
cohort of fewer units than periods before adoption, ``V`` is singular and there is no test, as in ``did``.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaincc

from syneff.models.base import Test
from syneff.typing import Array, Float, Int

SINGULAR_BELOW = 1e-10
"""Pivot of the correlation matrix under which it is singular."""


def pre_trend(
    name: str,
    effects: Float[Array, " effect"],
    influence: Float[Array, "cluster effect"],
    places: Int[np.ndarray, " chosen"],
) -> Test:
    """Test that effects before adoption are zero.

    Parameters
    ----------
    name
        Name of the test.
    effects
        ``[effect]``; NaN where there is none.
    influence
        ``[cluster effect]``: influence functions summed within clusters.
    places
        Which effects to test.
    """
    chosen, sums = effects[places], influence[:, places]
    error = jnp.sqrt((sums**2).sum(0))
    counted = jnp.isfinite(chosen) & (error > 0)
    scale = jnp.where(counted, error, 1.0)
    scaled = jnp.where(counted[None, :], sums / scale[None, :], 0.0)
    correlation = scaled.T @ scaled + jnp.diag(jnp.where(counted, 0.0, 1.0))
    root = jnp.linalg.cholesky(correlation)
    pivots = jnp.diagonal(root) ** 2
    regular = (pivots > SINGULAR_BELOW).all() & counted.any()
    values = jnp.where(counted, chosen / scale, 0.0)
    halves = jnp.linalg.solve(jnp.where(regular, root, jnp.eye(chosen.size)), values)
    statistic = jnp.where(regular, (halves**2).sum(), jnp.nan)
    count = counted.sum().astype(float)
    pvalue = gammaincc(jnp.maximum(count, 1.0) / 2.0, statistic / 2.0)
    return Test(statistic, jnp.where(regular, count, jnp.nan), jnp.asarray(jnp.inf), pvalue, name)
