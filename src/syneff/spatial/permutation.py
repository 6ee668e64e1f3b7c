r"""Permutation p-values of spatial autocorrelation: all periods and draws in one compiled call.

A draw deals the units, each with its whole history, to places at random, so that one draw serves every period and dependence
over time does not enter. For the local statistic of *i* its own value must stay where it is: if the draw puts *i* in place
*j* and unit *k* in place *i*, the two change places, which makes every arrangement of the others equally likely. So the local
lag of all units costs one product with *W*, too:

.. math:: l^*_i = (W z_\pi)_i + w_{ij} (z_k - z_i), \qquad \pi(j) = i, \quad \pi(i) = k .

The p-value of *n* draws is :math:`(1 + \#\{\text{as extreme}\}) / (1 + n)`.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from syneff.runtime import draw_keys
from syneff.typing import Array, Float, Key, Shaped

DRAWS_AT_A_TIME = 32
"""Draws in one chunk: their lags stay in the cache of a CPU."""
TIE = 1e-12
"""Relative difference up to which a draw is as extreme as the statistic: a permutation may leave it as it is."""


@dataclass(frozen=True)
class Permuted:
    """Statistics of the draws.

    Attributes
    ----------
    moran, geary
        ``[draw period]``.
    as_far, as_high
        ``[unit period]``: draws whose local statistic is as far from its mean, and as high.
    """

    moran: Float[np.ndarray, "draw period"]
    geary: Float[np.ndarray, "draw period"]
    as_far: Float[np.ndarray, "unit period"]
    as_high: Float[np.ndarray, "unit period"]


def permute(
    z: Float[np.ndarray, "unit period"], matrix: Float[np.ndarray, "unit unit"], key: Key, draws: int
) -> Permuted:
    """Draw permutations of the units.

    Parameters
    ----------
    z
        ``[unit period]``: deviations from the mean of each period.
    matrix
        ``[unit unit]``: W.
    key
        Every draw's key follows from it and the draw's number.
    draws
        Their number.
    """
    found = _permute(jnp.asarray(z), jnp.asarray(matrix), draw_keys(key, jnp.arange(draws)))
    return Permuted(*(np.asarray(each, dtype=float) for each in found))


@jax.jit
def _permute(
    z: Float[Array, "unit period"], matrix: Float[Array, "unit unit"], keys: Shaped[Array, " draw"]
) -> tuple[Array, ...]:
    squares = (z**2).sum(axis=0)
    n, links = z.shape[0], matrix.sum()
    out, both = matrix.sum(axis=1), matrix.sum(axis=1) + matrix.sum(axis=0)
    centre = -(z**2) * out[:, None] / (n - 1.0)
    local = z * (matrix @ z)

    def one(key: Key) -> tuple[Array, ...]:
        order = jax.random.permutation(key, n)
        place = jnp.argsort(order)
        dealt = z[order]
        lag = matrix @ dealt
        cross = (dealt * lag).sum(axis=0)
        own = z * (lag + matrix[jnp.arange(n), place][:, None] * (dealt - z))
        slack = TIE * (jnp.abs(local) + squares[None, :] / n)
        far = jnp.abs(own - centre) >= jnp.abs(local - centre) - slack
        moran = n * cross / (links * squares)
        geary = (n - 1.0) * (both @ dealt**2 - 2.0 * cross) / (2.0 * links * squares)
        return moran, geary, far, own >= local - slack

    # Local draws are counted as they come: kept, they would fill the memory of many units and periods.
    draws = keys.shape[0]
    numbers = jnp.arange(-(-draws // DRAWS_AT_A_TIME) * DRAWS_AT_A_TIME).reshape(-1, DRAWS_AT_A_TIME)

    def count(counts: tuple[Array, Array], chunk: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        moran, geary, far, high = jax.vmap(one)(keys[jnp.minimum(chunk, draws - 1)])
        real = (chunk < draws)[:, None, None]
        return (counts[0] + (far & real).sum(axis=0), counts[1] + (high & real).sum(axis=0)), (moran, geary)

    nothing = jnp.zeros(z.shape, dtype=int)
    counts, (moran, geary) = jax.lax.scan(count, (nothing, nothing), numbers)
    return tuple(each.reshape(-1, z.shape[1])[:draws] for each in (moran, geary)) + counts


def permutation_p(
    value: Float[np.ndarray, " period"],
    draws: Float[np.ndarray, "draw period"],
    mean: Float[np.ndarray, " period"],
    alternative: str,
    *,
    falling: bool = False,
) -> Float[np.ndarray, " period"]:
    """Return the p-value of each period's statistic among its draws; NaN where it has none.

    Parameters
    ----------
    value, mean
        ``[period]``: the statistic, and its mean over all permutations.
    draws
        ``[draw period]``.
    alternative
        "two_sided": as far from the mean; "positive": as much positive autocorrelation.
    falling
        Whether positive autocorrelation lowers the statistic.
    """
    if alternative == "two_sided":
        extreme, drawn = np.abs(value - mean), np.abs(draws - mean[None, :])
    else:
        sign = -1.0 if falling else 1.0
        extreme, drawn = sign * value, sign * draws
    counted = (drawn >= extreme[None, :] - TIE * (1.0 + np.abs(extreme[None, :]))).sum(axis=0)
    return np.where(np.isfinite(value), (1.0 + counted) / (1.0 + len(draws)), np.nan)
