r"""What a test for pre-trends can and cannot see: its power, the bias that passing it leaves, and tests of equivalence.

*Power* (Roth). The pre-test passes if no coefficient before the effect is individually significant. Under a linear violation
``delta_t = slope (t - base)`` the coefficients are normal around it, so the chance to pass is that of a box. The slope that is
detected with a given power, the bias that it gives a target, and the bias in those samples that pass follow; the last is

.. math:: E[\hat\theta - \theta \mid \text{pass}] = \ell'\delta + \Sigma_{\theta,pre} \Sigma_{pre}^{-1}
          (E[\hat\beta_{pre} \mid \text{pass}] - \delta_{pre})

with the mean of a normal truncated to the box (Tallis). Where errors are correlated, passing makes the bias worse.

*Equivalence* (Dette and Schumann). The burden of proof is turned round: the null is that some coefficient before the effect is
at least as large as a threshold. ``equivalence_max`` compares each with the quantile of a folded normal, ``equivalence_mean``
the mean of all, ``equivalence_tost`` each with two one-sided tests; all that must reject are tested at the same level. Without
a threshold, the smallest at which the null is rejected.

References
----------
Roth, J. (2022). American Economic Review: Insights 4, 305-322. https://doi.org/10.1257/aeri.20210236
Tallis, G. M. (1961). Journal of the Royal Statistical Society B 23, 223-229. https://doi.org/10.1111/j.2517-6161.1961.tb00408.x
Dette, H. and Schumann, M. (2024). Journal of Business & Economic Statistics 42, 1301-1313.
https://doi.org/10.1080/07350015.2024.2308121
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal

from syneff.errors import SpecError
from syneff.models.staggered.event_path import EventPath
from syneff.typing import Float

POINTS = 200_000
"""Points of the quadrature of a box, at most."""
PRECISION = 1e-6


def detectable_slopes(
    path: EventPath,
    targets: Mapping[str, Float[np.ndarray, " time"]],
    powers: Sequence[float],
    alpha: float,
) -> pd.DataFrame:
    """Return one row a power and target: what goes undetected, and what it does.

    Parameters
    ----------
    path
        The event study.
    targets
        Each target as weights on the path.
    powers
        Chances that the pre-test rejects.
    alpha
        Level of the pre-test of each coefficient.

    Returns
    -------
    pandas.DataFrame
        ``power``, ``slope`` (per period), ``target``, ``estimate``, ``bias`` and ``bias_passing`` (given that the pre-test
        passes), their ratio ``bias_ratio``, and ``bias_share``: ``bias_passing`` relative to the estimate.
    """
    rows = []
    for power in powers:
        slope = slope_detected(path, power, alpha)
        trend = slope * (path.times - path.times[path.base])
        shift = passing_shift(path, trend, alpha)
        for name, row in targets.items():
            estimate, bias = float(row @ path.coef), float(row @ trend)
            passing = bias + float(row @ shift)
            rows.append(
                {
                    "power": power,
                    "slope": slope,
                    "target": name,
                    "estimate": estimate,
                    "bias": bias,
                    "bias_passing": passing,
                    "bias_ratio": passing / bias if bias else np.nan,
                    "bias_share": passing / estimate if estimate else np.nan,
                }
            )
    return pd.DataFrame(rows)


def slope_detected(path: EventPath, power: float, alpha: float) -> float:
    """Return the positive slope of a linear violation that the pre-test detects with a given power.

    Raises
    ------
    SpecError
        If the pre-test rejects more often than that where trends are parallel.
    """
    when = path.times[path.pre] - path.times[path.base]

    def short(slope: float) -> float:
        return power - (1.0 - passing_chance(path, slope * (path.times - path.times[path.base]), alpha))

    if short(0.0) <= 0:
        raise SpecError(
            f"Sensitivity: powers holds {power:g}, but the pre-test rejects in {power - short(0.0):.3g} of samples with "
            "parallel trends. Give powers between that and 1."
        )
    high = float((np.sqrt(np.diagonal(path.cov)[path.pre]) / np.abs(when)).max())
    while short(high) > 0:
        high *= 2.0
    return float(brentq(short, 0.0, high, xtol=1e-12 * high, rtol=1e-8))


def passing_chance(path: EventPath, trend: Float[np.ndarray, " time"], alpha: float) -> float:
    """Return the chance that no coefficient before the effect is significant, under a difference in trends."""
    errors = np.sqrt(np.diagonal(path.cov)[path.pre])
    cov = path.cov[np.ix_(path.pre, path.pre)] / errors[:, None] / errors[None, :]
    return _box(trend[path.pre] / errors, cov, float(ndtri(1.0 - alpha / 2.0)))


def passing_shift(path: EventPath, trend: Float[np.ndarray, " time"], alpha: float) -> Float[np.ndarray, " time"]:
    """Return by how much the expected path is off the violation itself, given that the pre-test passes."""
    errors = np.sqrt(np.diagonal(path.cov)[path.pre])
    cov = path.cov[np.ix_(path.pre, path.pre)] / errors[:, None] / errors[None, :]
    mean, reach = trend[path.pre] / errors, float(ndtri(1.0 - alpha / 2.0))
    # Tallis: the truncated mean is the covariance times the marginal densities at the lower less those at the upper ends.
    ends = np.empty(len(mean))
    for place in range(len(mean)):
        others = np.delete(np.arange(len(mean)), place)
        onto = cov[others, place]
        given = cov[np.ix_(others, others)] - np.outer(onto, onto)
        density = 0.0
        for end in (-1.0, 1.0):
            z = end * reach - mean[place]
            inside = _box(mean[others] + onto * z, given, reach)
            density -= end * np.exp(-(z**2) / 2.0) / np.sqrt(2.0 * np.pi) * inside
        ends[place] = density
    return (path.cov[:, path.pre] / errors) @ ends / _box(mean, cov, reach)


def equivalence(path: EventPath, alpha: float, threshold: float | None) -> pd.DataFrame:
    """Return one row a test of equivalence of pre-trends.

    Parameters
    ----------
    path
        The event study.
    alpha
        Level.
    threshold
        What counts as negligible, in units of the outcome; None for no p-value.

    Returns
    -------
    pandas.DataFrame
        ``test``, ``statistic`` (largest absolute coefficient before the effect, or absolute mean), ``smallest_threshold`` at
        the level, and ``p_value`` at the threshold.
    """
    coef, errors = np.abs(path.coef[path.pre]), np.sqrt(np.diagonal(path.cov)[path.pre])
    mean = abs(float(path.coef[path.pre].mean()))
    mean_error = float(np.sqrt(path.cov[np.ix_(path.pre, path.pre)].mean()))
    at = np.nan if threshold is None else threshold
    found = {
        "equivalence_max": (
            coef.max(),
            max(_threshold(each, error, alpha) for each, error in zip(coef, errors, strict=True)),
            _folded(coef, at, errors).max(),
        ),
        "equivalence_tost": (
            coef.max(),
            (coef + ndtri(1.0 - alpha) * errors).max(),
            ndtr((coef - at) / errors).max(),
        ),
        "equivalence_mean": (
            mean,
            _threshold(mean, mean_error, alpha),
            float(_folded(np.asarray([mean]), at, np.asarray([mean_error]))[0]),
        ),
    }
    rows = [{"test": name, **dict(zip(_COLUMNS, map(float, row), strict=True))} for name, row in found.items()]
    return pd.DataFrame(rows)


_COLUMNS = ("statistic", "smallest_threshold", "p_value")


def _folded(
    value: Float[np.ndarray, " pre"], mean: float, errors: Float[np.ndarray, " pre"]
) -> Float[np.ndarray, " pre"]:
    """Return the chance that the absolute value of a normal is at most `value`."""
    return ndtr((value - mean) / errors) - ndtr((-value - mean) / errors)


def _threshold(value: float, error: float, alpha: float) -> float:
    """Return the smallest threshold at which `value` is below the ``alpha`` quantile; 0 where it is at any."""

    def excess(mean: float) -> float:
        return float(ndtr((value - mean) / error) - ndtr((-value - mean) / error)) - alpha

    if excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, value + float(ndtri(1.0 - alpha)) * error, xtol=1e-14, rtol=1e-13))


def _box(mean: Float[np.ndarray, " pre"], cov: Float[np.ndarray, "pre pre"], reach: float) -> float:
    """Return the chance that a normal lies within `reach` of zero in every direction."""
    if mean.size == 0:
        return 1.0
    if mean.size == 1:
        sd = max(float(np.sqrt(cov[0, 0])), 1e-150)
        return float(ndtr((reach - mean[0]) / sd) - ndtr((-reach - mean[0]) / sd))
    box = np.full(mean.size, reach)
    # The same points every time: the chance is a smooth function of the slope, and the same in every run.
    found = multivariate_normal.cdf(
        box,
        mean=mean,
        cov=cov,
        allow_singular=True,
        lower_limit=-box,
        maxpts=POINTS,
        abseps=PRECISION,
        releps=PRECISION,
        rng=np.random.default_rng(0),
    )
    return float(np.asarray(found))
