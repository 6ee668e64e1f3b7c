r"""The concentrated likelihood of spatial panel models, and its maximum.

All six models are one: with columns :math:`Z = [X, W X]` net of effects, and :math:`B = I - \lambda W`,

.. math::

    B (y - \rho W y - Z \beta) = e, \qquad
    \ell(\rho, \lambda) = m [\ln|I - \rho W| + \ln|I - \lambda W| - c \ln(1 - \rho) - c \ln(1 - \lambda)]
    - \tfrac{mn}{2} [\ln(2 \pi \hat\sigma^2) + 1] .

What is left of :math:`\beta` and :math:`\sigma^2` are moments of ``[Z, y, Wy]``, found once; filtering them by *B* is a
polynomial in :math:`\lambda`. The
counts *m*, *n* and *c* are those of the method (`syneff.numerics.spatial_moments`).

The effects are taken out after W is applied, which is exact maximum likelihood with a dummy for each effect.

References
----------
Lee, L.-F. and Yu, J. (2010). Journal of Econometrics 154, 165-185. https://doi.org/10.1016/j.jeconom.2009.08.001
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.network import Network
from syneff.numerics.spatial_moments import (
    Counts,
    Moments,
    determinant_path,
    is_at_bound,
    lag_is_known,
    log_determinants,
    residual_products,
    squares_at,
)
from syneff.numerics.spatial_search import Second, maximise_lag, maximise_pair
from syneff.typing import Array, Bool, Float


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["coef", "rho", "lam", "sigma2", "log_likelihood", "at_bound", "kept", "identified"],
    meta_fields=[],
)
@dataclass(frozen=True)
class SpatialFit:
    """The maximum.

    Attributes
    ----------
    coef
        ``[k]``; 0 where a column is dropped.
    rho, lam, sigma2
        Spatial parameters (0 where the model has none) and the variance of the errors.
    log_likelihood
        Its value.
    at_bound
        Whether a spatial parameter is at its bound.
    kept
        ``[k]``: columns that are not dropped.
    identified
        Whether the lag of the outcome is more than columns and effects, so that rho can be told.
    """

    coef: Float[Array, "*batch k"]
    rho: Float[Array, "*batch"]
    lam: Float[Array, "*batch"]
    sigma2: Float[Array, "*batch"]
    log_likelihood: Float[Array, "*batch"]
    at_bound: Bool[Array, "*batch"]
    kept: Bool[Array, "*batch k"]
    identified: Bool[Array, "*batch"]


def maximise(moments: Moments, network: Network, counts: Counts, *, lagged: bool, filtered: bool) -> SpatialFit:
    """Maximise the likelihood of a model.

    Parameters
    ----------
    moments, network, counts
        The data.
    lagged, filtered
        Whether the model has rho, and lambda.
    """
    rho = lam = jnp.zeros(())
    if filtered:
        rho, lam = maximise_pair(_errors(moments, network, counts), network, counts, lagged=lagged)
    elif lagged:
        rho = maximise_lag(residual_products(moments.base, moments.kept)[1], network, counts)
    identified = lag_is_known(moments.base, moments.kept)
    rho = jnp.where(identified, rho, 0.0)
    coef, rest = residual_products(moments.filtered(lam), moments.kept)
    sigma2 = squares_at(rest, rho) / counts.rows
    log_likelihood = log_determinants(network, counts, rho) + log_determinants(network, counts, lam)
    log_likelihood = log_likelihood - 0.5 * counts.rows * (jnp.log(2.0 * jnp.pi * sigma2) + 1.0)
    return SpatialFit(
        coef=jnp.where(moments.kept, coef[:, 0] - rho * coef[:, 1], 0.0),
        rho=rho,
        lam=lam,
        sigma2=sigma2,
        log_likelihood=log_likelihood,
        at_bound=is_at_bound(rho, network) | is_at_bound(lam, network),
        kept=moments.kept,
        identified=identified,
    )


def _errors(moments: Moments, network: Network, counts: Counts) -> Second:
    return Second(
        products=moments.path,
        own=lambda lam: determinant_path(network, counts, lam),
        kept=moments.kept,
        grid=network.grid,
        lower=network.lower,
        upper=network.upper,
    )
