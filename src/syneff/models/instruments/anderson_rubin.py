r"""The Anderson-Rubin set: the values of an effect that a test immune to weak instruments does not reject.

Under the effect ``b`` the outcome less ``b d`` has nothing to do with the instruments, so with reduced-form coefficients
``g(b) = pi_y - b pi_d`` and their robust covariance ``V(b)``, quadratic in ``b``,

.. math:: \{b : g(b)' V(b)^{-1} g(b) \le c\}, \qquad c = q F_{q, \nu}^{.95}

Its ends are where the smallest eigenvalue of ``V(b) - g(b) g(b)'/c`` is zero: real roots of the determinant of a quadratic
matrix polynomial, found as eigenvalues of its companion pencil and polished by bisection. So nothing is searched on a grid, and
the set comes out whole: an interval, a half-line or two, the line, or nothing (which rejects the model).

References
----------
Anderson, T. W. and Rubin, H. (1949). Annals of Mathematical Statistics 20, 46-63. https://doi.org/10.1214/aoms/1177730090
Dufour, J.-M. and Taamouti, M. (2005). Econometrica 73, 1351-1365. https://doi.org/10.1111/j.1468-0262.2005.00618.x
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import linalg, optimize

from syneff.typing import Float

REAL = 1e-5
"""Relative imaginary part up to which a root may be real: double roots split by the square root of rounding."""
POLISHED = 1e-13
"""Relative tolerance of the bisection."""


@dataclass(frozen=True)
class ReducedForm:
    """Reduced form and first stage of one endogenous variable.

    Attributes
    ----------
    outcome, endogenous
        ``[l]``: coefficients of the instruments.
    outcome_cov, endogenous_cov
        ``[l l]``.
    cross
        ``[l l]``: covariance between the two plus its transpose.
    """

    outcome: Float[np.ndarray, " l"]
    endogenous: Float[np.ndarray, " l"]
    outcome_cov: Float[np.ndarray, "l l"]
    endogenous_cov: Float[np.ndarray, "l l"]
    cross: Float[np.ndarray, "l l"]

    def statistic(self, effect: float) -> float:
        """Return the Wald statistic of the instruments on the outcome less `effect` times the endogenous variable."""
        # Divided by what grows with the effect, so that infinity is a value like any other.
        scale = np.hypot(1.0, effect)
        one, other = 1.0 / scale, effect / scale
        gap = one * self.outcome - other * self.endogenous
        cov = one**2 * self.outcome_cov - one * other * self.cross + other**2 * self.endogenous_cov
        return float(gap @ linalg.lstsq(cov, gap)[0])


def anderson_rubin_set(form: ReducedForm, critical: float) -> tuple[tuple[float, float], ...]:
    """Return the intervals of effects whose statistic is at most a critical value, from the left; none if there are none.

    Parameters
    ----------
    form
        Reduced form and first stage.
    critical
        Critical value of the Wald statistic.
    """
    # In units in which outcome and endogenous variable move alike the pencil is well scaled.
    unit = np.sqrt(np.trace(form.outcome_cov) / np.trace(form.endogenous_cov))
    scaled = ReducedForm(
        form.outcome / unit, form.endogenous, form.outcome_cov / unit**2, form.endogenous_cov, form.cross / unit
    )
    ends = np.array([-np.inf, *_ends(scaled, critical), np.inf])
    inside = [scaled.statistic(middle) <= critical for middle in _between(ends)]
    intervals: list[tuple[float, float]] = []
    for low, high, within in zip(ends[:-1], ends[1:], inside, strict=True):
        if not within:
            continue
        if intervals and intervals[-1][1] == low * unit:
            low = intervals.pop()[0] / unit
        intervals.append((low * unit, high * unit))
    return tuple(intervals)


def _ends(form: ReducedForm, critical: float) -> list[float]:
    """Return the effects at which the statistic crosses the critical value."""

    def margin(effect: float) -> float:
        return form.statistic(effect) - critical

    roots = _roots(form, critical)
    middles = _between(np.array([-np.inf, *roots, np.inf]))
    ends = []
    for left, right in pairwise(middles):
        if margin(left) * margin(right) < 0:
            ends.append(
                float(optimize.brentq(margin, left, right, xtol=POLISHED * max(abs(left), abs(right)), rtol=POLISHED))
            )
    return ends


def _roots(form: ReducedForm, critical: float) -> np.ndarray:
    """Return the real roots of ``det(V(b) - g(b) g(b)'/c)``, ascending."""
    outer = np.outer
    both = outer(form.outcome, form.endogenous)
    constant = form.outcome_cov - outer(form.outcome, form.outcome) / critical
    linear = -form.cross + (both + both.T) / critical
    square = form.endogenous_cov - outer(form.endogenous, form.endogenous) / critical
    # Scores in units of their own standard errors.
    scale = 1.0 / np.sqrt(np.diagonal(form.endogenous_cov))
    constant, linear, square = (each * scale[:, None] * scale[None, :] for each in (constant, linear, square))
    size = constant.shape[0]
    nothing, unit = np.zeros((size, size)), np.eye(size)
    left, right = np.block([[nothing, unit], [-constant, -linear]]), np.block([[unit, nothing], [nothing, square]])
    with np.errstate(divide="ignore", invalid="ignore"):
        values = linalg.eig(left, right, right=False)
    values = values[np.isfinite(values)]
    real = np.abs(values.imag) <= REAL * (1.0 + np.abs(values.real))
    return np.unique(values.real[real])


def _between(ends: np.ndarray) -> np.ndarray:
    """Return a point in each interval between ascending ends, the first and last of which are infinite."""
    inner = ends[1:-1]
    if not inner.size:
        return np.zeros(1)
    reach = 1.0 + np.abs(inner).max()
    return np.concatenate([[inner[0] - reach], 0.5 * (inner[1:] + inner[:-1]), [inner[-1] + reach]])
