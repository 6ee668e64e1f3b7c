r"""Robust intervals under smoothness: the slope of the difference in trends changes by at most ``bound`` between periods.

.. math:: \Delta^{SD}(M) = \{\delta: |\delta_{t+1} - 2 \delta_t + \delta_{t-1}| \le M\}

An affine estimator, weights ``l`` after and ``v`` before adoption, has a bounded bias only if it is blind to linear trends. Its
bias is then ``M`` times the sum of the absolute weights ``c`` that it puts on the second differences, and the shortest interval
of fixed length solves the convex programme

.. math:: \min_v\ \sigma(v)\, q_{1-\alpha}\left(M \sum_k |c_k(v)| / \sigma(v)\right)

with ``q`` the quantile of the absolute value of a normal of that mean and variance 1 (the FLCI). The weights on second
differences before adoption are free, those after it are given, and together they determine ``v``. At ``M = 0`` it is the usual
interval of generalised least squares with a linear trend.

References
----------
Rambachan, A. and Roth, J. (2023). Review of Economic Studies 90, 2555-2591. https://doi.org/10.1093/restud/rdad018
Armstrong, T. and Kolesar, M. (2018). Econometrica 86, 655-683. https://doi.org/10.3982/ECTA14434
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import ndtr, ndtri

from syneff.models.staggered.event_path import EventPath
from syneff.typing import Float

FARTHEST = 1e6
"""Largest bound, in standard errors of the target, at which a breakdown is looked for."""


@dataclass(frozen=True)
class Smoothness:
    """Intervals of one target.

    Attributes
    ----------
    path
        The event study.
    weights
        ``[post]``: of the target on the periods that may have an effect.
    alpha
        One less the level.
    """

    path: EventPath
    weights: Float[np.ndarray, " post"]
    alpha: float

    @property
    def given(self) -> Float[np.ndarray, " post"]:
        """Weights of the target on the second differences that reach past adoption."""
        return np.cumsum(np.cumsum(self.weights[::-1]))[::-1]

    @property
    def second(self) -> Float[np.ndarray, "bend time"]:
        """Second differences of the path, as rows; the last `posts` of them reach past adoption."""
        return np.diff(np.eye(self.path.times.size), 2, axis=0)

    @property
    def extrapolated(self) -> Float[np.ndarray, " time"]:
        """Weights of the target less the line through the last two periods before the effect."""
        return np.asarray(self.given @ self.second[-self.path.posts :])

    def identified(self, bound: float) -> tuple[float, float]:
        """Return the identified set if the estimates were exact; NaN if they bend more than that before adoption."""
        bends = self.second[: -self.path.posts] @ self.path.coef
        if bends.size and np.abs(bends).max() > bound:
            return np.nan, np.nan
        centre, half = float(self.extrapolated @ self.path.coef), bound * float(np.abs(self.given).sum())
        return centre - half, centre + half

    def identified_breakdown(self) -> float:
        """Return the bound from which on the set around the extrapolated line holds zero."""
        return abs(float(self.extrapolated @ self.path.coef)) / float(np.abs(self.given).sum())

    def interval(self, bound: float) -> tuple[float, float]:
        """Return the shortest interval of fixed length."""
        row, half = self.optimum(bound)
        centre = float(row @ self.path.coef)
        return centre - half, centre + half

    def optimum(self, bound: float) -> tuple[Float[np.ndarray, " time"], float]:
        """Return the optimal weights on the path, and half the length of the interval."""
        free, cov = self.second[: -self.path.posts], self.path.cov
        start = self.extrapolated
        scale = np.sqrt(np.einsum("bt,tu,bu->b", free, cov, free)) if len(free) else np.zeros(0)
        least = float(np.abs(self.given).sum())
        unit = float(np.sqrt(start @ cov @ start))

        def objective(parts: Float[np.ndarray, " part"]) -> tuple[float, Float[np.ndarray, " part"]]:
            # Positive and negative parts of the free weights, scaled to a unit contribution to the variance.
            up, down = np.split(parts, 2)
            row = start + ((up - down) / scale * unit) @ free
            sd = float(np.sqrt(row @ cov @ row))
            bias = bound * (least + float(((up + down) / scale).sum()) * unit)
            quantile, slope = folded_quantile(bias / sd, self.alpha)
            by_sd, by_bias = quantile - bias / sd * slope, slope
            sd_part = unit / scale * (free @ cov @ row) / sd
            bias_part = bound * unit / scale
            return sd * quantile / unit, np.concatenate(
                [by_sd * sd_part + by_bias * bias_part, -by_sd * sd_part + by_bias * bias_part]
            ) / unit

        if not len(free):
            return start, unit * folded_quantile(bound * least / unit, self.alpha)[0]
        found = minimize(
            objective,
            np.zeros(2 * len(free)),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, None)] * (2 * len(free)),
            options={"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10},
        )
        up, down = np.split(found.x, 2)
        return start + ((up - down) / scale * unit) @ free, float(found.fun) * unit

    def breakdown(self) -> float:
        """Return the bound from which on zero is in the interval; 0 where it always is, infinite if not found."""

        def excess(bound: float) -> float:
            row, half = self.optimum(bound)
            return abs(float(row @ self.path.coef)) - half

        if excess(0.0) <= 0:
            return 0.0
        low, high = 0.0, max(self.identified_breakdown(), 1e-300) / 16.0
        error = float(np.sqrt(self.extrapolated @ self.path.cov @ self.extrapolated))
        while excess(high) > 0:
            low, high = high, 2.0 * high
            if high > FARTHEST * error:
                return np.inf
        return float(brentq(excess, low, high, xtol=1e-10 * high, rtol=1e-8))


def largest_bend(path: EventPath, alpha: float) -> float:
    """Return an upper limit, at level 1 - ``alpha``, of the largest change of slope before adoption.

    With a single step before the effect no slope changes, and it is the limit of that step.
    """
    rows = np.diff(np.eye(path.times.size), 2, axis=0)[: -path.posts]
    rows = rows if len(rows) else path.differences[: path.first - 1]
    errors = np.sqrt(np.einsum("bt,tu,bu->b", rows, path.cov, rows))
    return float((np.abs(rows @ path.coef) + ndtri(1.0 - alpha) * errors).max())


def folded_quantile(mean: float, alpha: float) -> tuple[float, float]:
    r"""Return the ``1 - alpha`` quantile of \|N(mean, 1)\| and its slope in the mean."""
    mean = abs(mean)

    def beyond(value: float) -> float:
        return float(ndtr(mean - value) + ndtr(-mean - value)) - alpha

    lowest = mean + float(ndtri(1.0 - alpha))
    value = float(brentq(beyond, lowest - 1e-9, mean + float(ndtri(1.0 - alpha / 2.0)) + 1e-9, xtol=1e-14, rtol=1e-14))
    return value, float(np.tanh(mean * value))
