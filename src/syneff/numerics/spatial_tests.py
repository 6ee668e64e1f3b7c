r"""Statistics of tests for spatial dependence in the residuals of a regression without any.

With residuals *e*, :math:`s^2 = e'e / NT`, :math:`T_W = T \operatorname{tr}(WW + W'W)`, *M* the projection off the regressors,
:math:`J = [(W X b)' M (W X b) + T_W s^2] / s^2`, :math:`u = e'We / s^2` and :math:`v = e'Wy / s^2`:

.. math::

    LM_{lag} = v^2 / J, \quad LM_{err} = u^2 / T_W, \quad
    RLM_{lag} = \frac{(v - u)^2}{J - T_W}, \quad RLM_{err} = \frac{(u - v T_W / J)^2}{T_W (1 - T_W / J)} .

:math:`LM_{lag} + RLM_{err} = LM_{err} + RLM_{lag}`, which is the joint test of both. Debarsy and Ertur's versions for unit
effects count T - 1 periods.

References
----------
Anselin, L., Le Gallo, J. and Jayet, H. (2008). In Matyas and Sevestre, The Econometrics of Panel Data, ch. 19.
https://doi.org/10.1007/978-3-540-75892-1_19
Debarsy, N. and Ertur, C. (2010). Regional Science and Urban Economics 40, 453-470.
https://doi.org/10.1016/j.regsciurbeco.2010.06.001
Pesaran, M. H. (2021). Empirical Economics 60, 13-50. https://doi.org/10.1007/s00181-020-01875-7
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import LeastSquares, least_squares
from syneff.numerics.network import Network
from syneff.numerics.spatial_fit import Cube, demean
from syneff.typing import Array, Float, UnitPeriod, UnitPeriodK

LM_NAMES = ("lm_lag", "lm_error", "robust_lm_lag", "robust_lm_error", "lm_joint")


@partial(jax.tree_util.register_dataclass, data_fields=["fit", "statistics"], meta_fields=[])
@dataclass(frozen=True)
class Dependence:
    """A regression without spatial terms, and the Lagrange multipliers of those.

    Attributes
    ----------
    fit
        The regression.
    statistics
        ``[5]``, in the order of `LM_NAMES`.
    """

    fit: LeastSquares
    statistics: Float[Array, "5"]


def lagrange_multipliers(cube: Cube, network: Network, effects: tuple[str, ...], *, transformed: bool) -> Dependence:
    """Regress, and test the residuals.

    Parameters
    ----------
    cube, network
        The data; columns of regressors without lags.
    effects
        Those that are taken out; a constant if there are none.
    transformed
        Whether to count T - 1 periods, as Debarsy and Ertur do.
    """
    inside = cube.inside
    outcome = demean(cube.outcome[:, :, None], inside, effects)[:, :, 0]
    columns = demean(cube.columns, inside, effects)
    fit = least_squares(outcome, columns, inside, cube.size)
    residuals = fit.residuals
    periods = inside.max(0).sum() - (1.0 if transformed else 0.0)
    sigma2 = (residuals**2).sum() / (inside.max(1).sum() * periods)
    fitted = network.lag(_fitted(cube, columns, fit.coef, effects) * inside)
    if effects == ():
        fitted = demean(fitted[:, :, None], inside, ())[:, :, 0]
    unexplained = least_squares(fitted, columns, inside, cube.size).residuals
    spread = periods * ((network.matrix * network.matrix.T).sum() + (network.matrix**2).sum())
    curvature = (unexplained**2).sum() / sigma2 + spread
    error = (residuals * network.lag(residuals)).sum() / sigma2
    lag = (residuals * network.lag(cube.outcome * inside)).sum() / sigma2
    robust_lag = (lag - error) ** 2 / (curvature - spread)
    share = spread / curvature
    robust_error = (error - lag * share) ** 2 / (spread * (1.0 - share))
    return Dependence(
        fit,
        jnp.stack([lag**2 / curvature, error**2 / spread, robust_lag, robust_error, error**2 / spread + robust_lag]),
    )


def _fitted(cube: Cube, columns: UnitPeriodK, coef: Float[Array, " k"], effects: tuple[str, ...]) -> UnitPeriod:
    """Return what the regression explains: net of effects, or with the constant where there are none."""
    if effects:
        return columns @ coef
    plain = cube.columns @ coef
    return plain + (cube.outcome - plain).sum() / cube.inside.sum()


def pesaran_cd(residuals: UnitPeriod, inside: UnitPeriod) -> Float[Array, ""]:
    r"""Return Pesaran's statistic of dependence between units, standard normal under none.

    .. math:: CD = \sqrt{2T / N(N-1)} \sum_{i < j} \hat\rho_{ij}

    Parameters
    ----------
    residuals
        ``[unit period]``.
    inside
        ``[unit period]``: 1 in the sample, a product of units and periods.
    """
    units, periods = inside.max(1).sum(), inside.max(0).sum()
    centred = demean(residuals[:, :, None], inside, ("unit",))[:, :, 0]
    size = jnp.sqrt((centred**2).sum(1))
    # Residuals of rounding size, of a unit that is fitted perfectly, are correlated with nothing.
    scaled = centred / jnp.where(size > 0, size, 1.0)[:, None]
    pairs: Array = 0.5 * ((scaled.sum(0) ** 2).sum() - (size > 0).sum().astype(float))
    return jnp.sqrt(2.0 * periods / (units * (units - 1.0))) * pairs
