r"""The multiplier bootstrap of influence functions, and bands that hold for a whole family of effects at once.

.. math:: \theta^* - \theta = \sum_c v_c \sum_{i \in c} \psi_i, \qquad E v = 0, \; E v^2 = 1,

with Mammen's two-point weights ``v`` by cluster, nothing being estimated again. The standard error of a draw's distribution is
its interquartile range over that of a normal distribution; the critical value of a family is the 95 % quantile of its largest
t statistic. Both are those of ``did``; its quantiles are order statistics.

References
----------
Callaway, B. and Sant'Anna, P. H. C. (2021), Algorithm 1. https://doi.org/10.1016/j.jeconom.2020.12.001
Mammen, E. (1993). Annals of Statistics 21, 255-285. https://doi.org/10.1214/aos/1176349025
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from syneff.models.resampling.draws import run_draws
from syneff.models.resampling.intervals import LEVEL
from syneff.models.resampling.wild import draw_weights
from syneff.runtime import draw_keys
from syneff.typing import Array, Float, Int, Key

CHUNK = 512
"""Draws at a time; without effect on the results."""
POINTWISE = float(special.ndtri(0.5 + LEVEL / 2.0))
NORMAL_RANGE = float(special.ndtri(0.75) - special.ndtri(0.25))


@dataclass(frozen=True)
class Bands:
    """What the draws of some effects say.

    Attributes
    ----------
    error
        ``[effect]``: bootstrap standard errors; NaN where nothing varies.
    critical
        Critical value of the largest t statistic, not below that of one.
    half
        ``[effect]``: half of the uniform band's width.
    """

    error: Float[np.ndarray, " effect"]
    critical: float
    half: Float[np.ndarray, " effect"]


def multiplier_draws(
    key: Key, influence: Float[Array, "cluster effect"], draws: int
) -> Float[np.ndarray, "draw effect"]:
    """Draw deviations of effects.

    Parameters
    ----------
    key
        The random key.
    influence
        ``[cluster effect]``: influence functions summed within clusters.
    draws
        Number of draws.
    """
    return np.asarray(run_draws(_step, (key, influence), draws, chunk=min(CHUNK, draws), of="multiplier draws"))


@jax.jit
def _step(
    common: tuple[Key, Float[Array, "cluster effect"]], numbers: Int[Array, " draw"]
) -> Float[Array, "draw effect"]:
    key, influence = common
    drawn = jax.vmap(partial(draw_weights, count=influence.shape[0], rule="mammen"))(draw_keys(key, numbers))
    return jnp.asarray(drawn @ influence)


def bootstrap_errors(draws: Float[np.ndarray, "draw effect"]) -> Float[np.ndarray, " effect"]:
    """Return the standard errors of draws, by their interquartile range; NaN where nothing varies."""
    ranks = [_rank(each, draws.shape[0]) for each in (0.25, 0.75)]
    ordered = np.partition(draws.T.copy(), ranks, axis=1)
    error = (ordered[:, ranks[1]] - ordered[:, ranks[0]]) / NORMAL_RANGE
    return np.where(error > 0, error, np.nan)


def uniform_bands(draws: Float[np.ndarray, "draw effect"], error: Float[np.ndarray, " effect"]) -> Bands:
    """Return the band that holds for a family of effects at once.

    Parameters
    ----------
    draws
        ``[draw effect]``: deviations.
    error
        ``[effect]``: from `bootstrap_errors`; effects without one do not count.
    """
    known = np.isfinite(error)
    if not known.any():
        return Bands(error, np.nan, np.full_like(error, np.nan))
    largest = np.abs(draws[:, known] / error[known]).max(axis=1)
    rank = _rank(LEVEL, largest.size)
    critical = max(float(np.partition(largest, rank)[rank]), POINTWISE)
    return Bands(error, critical, critical * error)


def _rank(share: float, count: int) -> int:
    """Return the place of a quantile among sorted values: the smallest that has a share of them up to it."""
    return max(int(np.ceil(share * count - 1e-9)) - 1, 0)
