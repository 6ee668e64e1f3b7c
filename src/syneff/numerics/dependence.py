r"""Covariances under dependence that fades with time or distance.

With scores ``s_it = H_it e_it`` (see `syneff.numerics.covariance`), both are quadratic forms with a weight on every pair of
rows. Driscoll and Kraay let all units of near periods depend on each other,

.. math:: V = \sum_{t, s} \kappa_L(t - s) s_{\cdot t} s_{\cdot s}', \qquad \kappa_L(l) = \max(0, 1 - |l| / (L + 1)) ,

Conley lets near units of one period depend on each other, and Hsiang adds the periods of one unit:

.. math:: V = \sum_t \sum_{i, j} \kappa(d_{ij}) s_{it} s_{jt}' + \sum_i \sum_{t \ne s} \kappa_L(t - s) s_{it} s_{is}' .

References
----------
Driscoll, J. C. and Kraay, A. C. (1998). Review of Economics and Statistics 80, 549-560. https://doi.org/10.1162/003465398557825
Conley, T. G. (1999). Journal of Econometrics 92, 1-45. https://doi.org/10.1016/S0304-4076(98)00084-0
Hsiang, S. M. (2010). PNAS 107, 15367-15372. https://doi.org/10.1073/pnas.1009510107
"""

import jax.numpy as jnp

from syneff.typing import Array, Float, UnitPeriodK

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the earth (IUGG)."""


def default_lags(periods: Float[Array, ""]) -> Float[Array, ""]:
    """Return Newey and West's number of lags ``floor(4 (T/100)^(2/9))``, the default of xtscc."""
    # Without the addition T = 100 would give 3.999...
    return jnp.floor(4.0 * (periods / 100.0) ** (2.0 / 9.0) + 1e-9)


def bartlett_lags(periods: int, lags: Float[Array, ""]) -> Float[Array, "period period"]:
    """Return the Bartlett weight ``max(0, 1 - |t - s| / (lags + 1))`` of each pair of periods."""
    at = jnp.arange(periods, dtype=float)
    return jnp.maximum(0.0, 1.0 - jnp.abs(at[:, None] - at[None, :]) / (lags + 1.0))


def driscoll_kraay(scores: UnitPeriodK, lags: Float[Array, ""]) -> Float[Array, "k k"]:
    """Return Driscoll and Kraay's covariance without small-sample factor.

    Parameters
    ----------
    scores
        ``[unit period k]``: influence times residual.
    lags
        Lags with a positive weight; 0 clusters by period.
    """
    sums = scores.sum(0)
    return sums.T @ bartlett_lags(sums.shape[0], lags) @ sums


def great_circle(latitude: Float[Array, " unit"], longitude: Float[Array, " unit"]) -> Float[Array, "unit unit"]:
    """Return the great-circle distances in kilometres between points given in degrees, by the haversine formula."""
    phi, lam = jnp.radians(latitude), jnp.radians(longitude)
    along = jnp.sin((phi[:, None] - phi[None, :]) / 2.0) ** 2
    across = jnp.sin((lam[:, None] - lam[None, :]) / 2.0) ** 2
    haversine = along + jnp.cos(phi)[:, None] * jnp.cos(phi)[None, :] * across
    return 2.0 * EARTH_RADIUS_KM * jnp.arcsin(jnp.sqrt(jnp.clip(haversine, 0.0, 1.0)))


def spatial_kernel(distances: Float[Array, "unit unit"], cutoff: float, kernel: str) -> Float[Array, "unit unit"]:
    """Return the weight of each pair of units: 1 up to the cutoff ("uniform"), or ``max(0, 1 - d / cutoff)`` ("bartlett")."""
    if kernel == "uniform":
        return (distances <= cutoff).astype(float)
    return jnp.maximum(0.0, 1.0 - distances / cutoff)


def conley(scores: UnitPeriodK, kernel: Float[Array, "unit unit"], lags: Float[Array, ""]) -> Float[Array, "k k"]:
    """Return Conley's covariance with Hsiang's serial term, without small-sample factor; it need not be semi-definite.

    Parameters
    ----------
    scores
        ``[unit period k]``: influence times residual.
    kernel
        ``[unit unit]``: weight of each pair of units within a period.
    lags
        Lags with a positive weight within a unit; 0 leaves the spatial term alone.
    """
    spatial = jnp.einsum("itk,itl->kl", scores, jnp.einsum("ij,jtl->itl", kernel, scores))
    periods = scores.shape[1]
    # A row with itself is in the spatial term already.
    serial = bartlett_lags(periods, lags) - jnp.eye(periods)
    return spatial + jnp.einsum("itk,itl->kl", scores, jnp.einsum("ts,isl->itl", serial, scores))
