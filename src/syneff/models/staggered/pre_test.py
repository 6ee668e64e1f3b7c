r"""What a test for pre-trends can and cannot see: its power, the bias that passing it leaves, and tests of equivalence.

*Power* (Roth). The pre-test passes if no coefficient before the effect is individually significant. Under a linear violation
``delta_t = slope (t - base)`` the coefficients are normal around it, so the chance to pass is that of a box. The slope that is
detected with a given power, the bias that it gives a target, and the bias in those samples that pass follow; the last is

.. math:: E[\hat\theta - \theta \mid \text{pass}] = \ell'\delta + \Sigma_{\theta,pre} \Sigma_{pre}^{-1}
          (E[\hat\beta_{pre} \mid \text{pass}] - \delta_{pre})

with the mean of a normal truncated to the box. Where errors are correlated, passing makes the bias worse.

*Equivalence* (Dette and Schumann). The burden of proof is turned round: the null is that some coefficient before the effect is
at least as large as a threshold. ``equivalence_max`` compares each with the quantile of a folded normal, ``equivalence_mean``
the mean of all, ``equivalence_tost`` each with two one-sided tests; all that must reject are tested at the same level. Without
a threshold, the smallest at which the null is rejected.

References
----------
Roth, J. (2022). American Economic Review: Insights 4, 305-322. https://doi.org/10.1257/aeri.20210236
Hajivassiliou, V., McFadden, D. and Ruud, P. (1996). Journal of Econometrics 72, 85-134.
https://doi.org/10.1016/0304-4076(94)01716-6
Dette, H. and Schumann, M. (2024). Journal of Business & Economic Statistics 42, 1301-1313.
https://doi.org/10.1080/07350015.2024.2308121
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

from syneff.models.staggered.event_path import EventPath
from syneff.typing import Float

POINTS = 2**15
"""Points of the quadrature of a box: a power of 2."""
JITTER = 1e-13
SMALLEST = 1e-16


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
        shift = passing(path, trend, alpha)[1]
        for name, row in targets.items():
            estimate, bias = float(row @ path.coef), float(row @ trend)
            biased = bias + float(row @ shift) if slope else 0.0
            rows.append(
                {
                    "power": power,
                    "slope": slope,
                    "target": name,
                    "estimate": estimate,
                    "bias": bias,
                    "bias_passing": biased,
                    "bias_ratio": biased / bias if bias else np.nan,
                    "bias_share": biased / estimate if estimate else np.nan,
                }
            )
    return pd.DataFrame(rows)


def slope_detected(path: EventPath, power: float, alpha: float) -> float:
    """Return the slope, from 0 on, of a linear violation that the pre-test detects with a given power.

    It is 0 where the pre-test rejects as often as that although trends are parallel, since it tests many periods.
    """
    trend = (path.times - path.times[path.base]).astype(float)

    def short(slope: float) -> float:
        return power - (1.0 - passing(path, slope * trend, alpha)[0])

    if short(0.0) <= 0:
        return 0.0
    high = float((np.sqrt(np.diagonal(path.cov)[path.pre]) / np.abs(trend[path.pre])).max())
    while short(high) > 0:
        high *= 2.0
    return float(brentq(short, 0.0, high, xtol=1e-12 * high, rtol=1e-8))


def passing(
    path: EventPath, trend: Float[np.ndarray, " time"], alpha: float
) -> tuple[float, Float[np.ndarray, " time"]]:
    """Return the chance that no coefficient before the effect is significant, and what passing then adds to the path.

    Parameters
    ----------
    path
        The event study.
    trend
        ``[time]``: the difference in trends.
    alpha
        Level of the test of each coefficient.
    """
    errors = np.sqrt(np.diagonal(path.cov)[path.pre])
    root = np.linalg.cholesky(
        path.cov[np.ix_(path.pre, path.pre)] / np.outer(errors, errors) + JITTER * np.eye(errors.size)
    )
    chance, normals = _box(trend[path.pre] / errors, root, float(ndtri(1.0 - alpha / 2.0)))
    onto = np.linalg.solve(root, (path.cov[path.pre] / errors[:, None]))
    return chance, onto.T @ normals


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
    return np.asarray(ndtr((value - mean) / errors) - ndtr((-value - mean) / errors))


def _threshold(value: float, error: float, alpha: float) -> float:
    """Return the smallest threshold at which `value` is below the ``alpha`` quantile; 0 where it is at any."""

    def excess(mean: float) -> float:
        return float(ndtr((value - mean) / error) - ndtr((-value - mean) / error)) - alpha

    if excess(0.0) <= 0:
        return 0.0
    highest = value + (float(ndtri(1.0 - alpha)) + 1e-6) * error
    return float(brentq(excess, 0.0, highest, xtol=1e-14 * highest, rtol=1e-13))


def _box(
    mean: Float[np.ndarray, " pre"], root: Float[np.ndarray, "pre pre"], reach: float
) -> tuple[float, Float[np.ndarray, " pre"]]:
    """Return the chance that ``mean + root z`` is within `reach` everywhere, ``z`` standard normal, and the mean of such ``z``.

    Each normal is drawn from where those before it leave room, and the draw weighted by that room (Geweke, Hajivassiliou and
    Keane). The points are the same every time, so the chance is a smooth function of the slope and the same in every run.
    """
    points = qmc.Sobol(mean.size, seed=0).random(POINTS)
    z, room = np.zeros_like(points), np.ones(POINTS)
    for place in range(mean.size):
        centre = mean[place] + z[:, :place] @ root[place, :place]
        low, high = (ndtr((end * reach - centre) / root[place, place]) for end in (-1.0, 1.0))
        room *= high - low
        z[:, place] = ndtri(np.clip(low + points[:, place] * (high - low), SMALLEST, 1.0 - SMALLEST))
    chance = float(room.mean())
    return chance, (room @ z) / room.sum() if chance > 0 else np.full(mean.size, np.nan)
