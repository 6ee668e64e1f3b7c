r"""Instruments as moment conditions: the generalised method of moments, its distance, and the rank of a first stage.

.. math::

    b = (\tilde D' \tilde Z S^{-1} \tilde Z' \tilde D)^{-1} \tilde D' \tilde Z S^{-1} \tilde Z' \tilde y

with ``S`` the covariance of the moments ``Z'u``, and a tilde for what is net of effects and exogenous regressors. Partialling
out does not change ``b``: a moment of an exogenous regressor has a coefficient of its own. That coefficient is not the one that
sets its moment to zero, though, but the one that suits the covariance of all moments.

References
----------
Hansen, L. P. (1982). Econometrica 50, 1029-1054. https://doi.org/10.2307/1912775
"""

import jax.numpy as jnp

from syneff.numerics.least_squares import scaled_inverse
from syneff.numerics.symmetric import eigh
from syneff.numerics.two_stage import Instrumented, InstrumentFit, cross_moments, pulled
from syneff.typing import Array, Bool, Float


def moments_fit(
    parts: Instrumented, covariance: Float[Array, "l l"], with_exogenous: Float[Array, "x l"] | None = None
) -> InstrumentFit:
    """Fit by moments weighted with the inverse of their covariance.

    Parameters
    ----------
    parts
        What is fitted.
    covariance
        ``[l l]``: covariance of the moments of the instruments, of any scale.
    with_exogenous
        ``[x l]``: their covariance with the moments of the exogenous regressors; without it these are partialled out for good.
    """
    weight = inverse_of_moments(parts, covariance)
    stand_in = parts.instruments @ (weight @ cross_moments(parts.instruments, parts.endogenous, parts.weights))
    system = cross_moments(stand_in, parts.endogenous, parts.weights)
    # What 2SLS would invert fixes how large a pivot must be.
    projected = jnp.diagonal(cross_moments(parts.fitted, parts.fitted, parts.weights))
    share = projected / jnp.where(parts.size > 0, parts.size, 1.0)
    size = jnp.where(share > 0, jnp.diagonal(system) / jnp.where(share > 0, share, 1.0), 1.0)
    inverse, kept = scaled_inverse(0.5 * (system + system.T), size)
    coef, residuals = jnp.zeros(kept.shape[0]), parts.outcome
    for _ in range(2):
        change = inverse @ cross_moments(stand_in, residuals[:, :, None], parts.weights)[:, 0]
        coef, residuals = coef + change, residuals - parts.endogenous @ change
    if with_exogenous is None:
        return InstrumentFit(coef, kept, inverse, stand_in, residuals)
    pull = parts.exogenous_inverse @ with_exogenous @ weight
    return InstrumentFit(
        coef, kept, inverse, stand_in, residuals + parts.exogenous @ pulled(parts, residuals, pull), pull
    )


def inverse_of_moments(parts: Instrumented, covariance: Float[Array, "l l"]) -> Float[Array, "l l"]:
    """Invert a covariance of the moments of the instruments; rows and columns of dropped instruments are 0."""
    both = parts.kept[:, None] & parts.kept[None, :]
    return scaled_inverse(jnp.where(both, covariance, 0.0), jnp.diagonal(covariance))[0]


def distance(parts: Instrumented, fit: InstrumentFit, covariance: Float[Array, "l l"]) -> Float[Array, ""]:
    """Return ``u'Z S^{-1} Z'u``: Hansen's J where the fit minimises it."""
    moment = cross_moments(parts.instruments, fit.residuals[:, :, None], parts.weights)[:, 0]
    return moment @ inverse_of_moments(parts, covariance) @ moment


def quadratic_form(moment: Float[Array, " k"], covariance: Float[Array, "k k"]) -> Float[Array, ""]:
    """Return ``m'V^{-1}m``, leaving out what is collinear."""
    return moment @ scaled_inverse(covariance, jnp.diagonal(covariance))[0] @ moment


def least_correlated(parts: Instrumented) -> tuple[Float[Array, "unit period l"], Float[Array, " p"]]:
    r"""Return the directions in which a first stage is closest to losing rank.

    With ``Theta = Q_zz^{-1/2} Q_zd Q_dd^{-1/2}``, whose singular values are the canonical correlations of instruments and
    endogenous variables, and ``q = p - 1``: the instruments times its left singular vectors after the first ``q``, and the
    combination of endogenous variables that belongs to its smallest singular value. Columns of dropped instruments are 0.

    References
    ----------
    Kleibergen, F. and Paap, R. (2006). Journal of Econometrics 133, 97-126. https://doi.org/10.1016/j.jeconom.2005.02.011
    """
    p, weights = parts.endogenous.shape[2], parts.weights
    dd = cross_moments(parts.endogenous, parts.endogenous, weights)
    instruments = parts.instruments @ _half_inverse(parts.moments, parts.kept)
    right = _half_inverse(dd, jnp.diagonal(dd) > 0)
    theta = cross_moments(instruments, parts.endogenous, weights) @ right
    left, _, vectors = jnp.linalg.svd(theta, full_matrices=True)
    # The null vector of a dropped instrument is its own axis, where it has no column.
    return instruments @ left[:, p - 1 :], right @ vectors[p - 1]


def _half_inverse(matrix: Float[Array, "k k"], kept: Bool[Array, " k"]) -> Float[Array, "k k"]:
    """Return ``G`` with ``G'AG = I``; rows and columns outside what is kept are 0."""
    both = kept[:, None] & kept[None, :]
    scale = jnp.sqrt(jnp.where(jnp.diagonal(matrix) > 0, jnp.diagonal(matrix), 1.0))
    values, vectors = eigh(jnp.where(both, matrix / scale[:, None] / scale[None, :], 0.0))
    positive = values > 1e-14
    root = jnp.where(positive, 1.0 / jnp.sqrt(jnp.where(positive, values, 1.0)), 0.0)
    return jnp.asarray(((vectors * root[None, :]) @ vectors.T) / scale[:, None])
