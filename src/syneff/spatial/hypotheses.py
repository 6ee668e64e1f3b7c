"""Tests on the host: chi-squared statistics, and Wald's of parameters that are zero."""

import jax.numpy as jnp
import numpy as np
from scipy import stats

from syneff.models.base import Test
from syneff.typing import Float

RANK = 1e-10
"""Eigenvalue of a scaled covariance, in absolute value, under which a direction does not count."""


def chi_squared(name: str, statistic: float, dof: float) -> Test:
    """Return a test whose statistic is chi-squared under the null; NaN without degrees of freedom."""
    found = dof > 0 and np.isfinite(statistic)
    p_value = float(stats.chi2.sf(statistic, dof)) if found else np.nan
    return _test(name, (statistic if found else np.nan, dof, np.inf, p_value))


def standard_normal(name: str, statistic: float) -> Test:
    """Return a two-sided test whose statistic is standard normal under the null."""
    return _test(name, (statistic, np.nan, np.nan, 2.0 * float(stats.norm.sf(abs(statistic)))))


def wald(
    name: str,
    values: Float[np.ndarray, " value"],
    cov: Float[np.ndarray, "parameter parameter"],
    slopes: Float[np.ndarray, "value parameter"] | None = None,
) -> Test:
    """Test that values are zero.

    Parameters
    ----------
    name
        Name of the test.
    values
        Parameters, or functions of them; those that are NaN do not count.
    cov
        Covariance of the parameters.
    slopes
        Derivatives of the values with respect to the parameters; the values are the parameters if None.
    """
    known = np.isfinite(values)
    matrix = cov if slopes is None else slopes @ cov @ slopes.T
    values, matrix = values[known], matrix[np.ix_(known, known)]
    if not values.size or not np.isfinite(matrix).all():
        return chi_squared(name, np.nan, 0.0)
    scale = np.sqrt(np.abs(np.diagonal(matrix)))
    scale = np.where(scale > 0, scale, 1.0)
    eigenvalues, vectors = np.linalg.eigh(matrix / scale[:, None] / scale[None, :])
    usable = np.abs(eigenvalues) > RANK
    projected = (vectors.T @ (values / scale))[usable]
    return chi_squared(name, float((projected**2 / eigenvalues[usable]).sum()), float(usable.sum()))


def _test(name: str, numbers: tuple[float, float, float, float]) -> Test:
    statistic, dof, denominator, p_value = (jnp.asarray(float(each)) for each in numbers)
    return Test(statistic, dof, denominator, p_value, name)
