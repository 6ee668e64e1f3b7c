"""Bootstrap intervals and the p-values that they imply.

With ``b`` the estimate, ``b*`` the draws and ``q`` their quantiles, at level 95 %:

==============  ====================================================  ==============================
name            interval                                              who
==============  ====================================================  ==============================
``percentile``  ``[q(.025), q(.975)]``                                Efron; credible, if Bayesian
``basic``       ``[2b - q(.975), 2b - q(.025)]``                      Hall's percentile, "reverse"
``bca``         ``[q(a1), q(a2)]``, corrected for bias and skewness   Efron 1987
``bootstrap_t`` ``[b - s t(.975), b - s t(.025)]``, t of the draws    Hall; refines asymptotically
==============  ====================================================  ==============================

A p-value is the smallest level at which the interval leaves zero out, with the draws' own ``(1 + c) / (1 + n)``.

References
----------
Davison, A. C. and Hinkley, D. V. (1997). Bootstrap Methods and their Application. https://doi.org/10.1017/CBO9780511802843
Efron, B. (1987). Journal of the American Statistical Association 82, 171-185. https://doi.org/10.1080/01621459.1987.10478410
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

LEVEL = 0.95
TAILS = ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0)


@dataclass(frozen=True)
class Interval:
    """An interval and its p-value for the hypothesis of zero.

    Attributes
    ----------
    low, high
        Its ends.
    pvalue
        Two-sided.
    """

    low: float
    high: float
    pvalue: float


def monte_carlo_error(pvalue: float, draws: int) -> float:
    """Return the standard error that a p-value has because draws are random."""
    return float(np.sqrt(pvalue * (1.0 - pvalue) / draws)) if draws else np.nan


def percentile(draws: np.ndarray) -> Interval:
    """Return the interval between quantiles of the draws."""
    low, high = np.quantile(draws, TAILS)
    return Interval(float(low), float(high), _two_tails(draws, 0.0))


def basic(value: float, draws: np.ndarray) -> Interval:
    """Return the interval that takes ``b* - b`` for the distribution of ``b - beta``."""
    low, high = np.quantile(draws, TAILS)
    return Interval(float(2.0 * value - high), float(2.0 * value - low), _two_tails(draws, 2.0 * value))


def bca(value: float, draws: np.ndarray, left_out: np.ndarray) -> Interval:
    """Return the bias-corrected and accelerated interval.

    Parameters
    ----------
    value
        The estimate.
    draws
        ``[draw]``.
    left_out
        ``[cluster]``: estimates with each cluster left out, whose skewness is the acceleration.
    """
    gaps = left_out.mean() - left_out
    squares = (gaps**2).sum()
    acceleration = (gaps**3).sum() / (6.0 * squares**1.5) if squares > 0 else 0.0
    n = draws.size
    # Half a draw keeps the correction finite where all draws lie on one side.
    bias = special.ndtri((np.sum(draws < value) + 0.5 * np.sum(draws == value) + 0.5) / (n + 1.0))
    shifted = bias + special.ndtri(TAILS)
    low, high = np.quantile(draws, special.ndtr(bias + shifted / (1.0 - acceleration * shifted)))
    at_zero = special.ndtri((np.sum(draws < 0) + 0.5) / (n + 1.0)) - bias
    tail = special.ndtr(at_zero / (1.0 + acceleration * at_zero) - bias)
    return Interval(float(low), float(high), float(2.0 * min(tail, 1.0 - tail)))


def bootstrap_t(value: float, error: float, draws: np.ndarray, errors: np.ndarray) -> Interval:
    """Return the interval from the quantiles of ``(b* - b) / s*``, equal-tailed."""
    statistics = (draws - value) / errors
    low, high = np.quantile(statistics, TAILS)
    return Interval(float(value - error * high), float(value - error * low), _two_tails(statistics, value / error))


def _two_tails(draws: np.ndarray, value: float) -> float:
    """Twice the smaller share of draws beyond a value, the value itself counted among them."""
    n = draws.size
    below, above = np.sum(draws <= value), np.sum(draws >= value)
    return float(min(1.0, 2.0 * (1 + min(below, above)) / (1 + n)))
