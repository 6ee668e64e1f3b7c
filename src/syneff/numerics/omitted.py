r"""What an omitted variable would have to be like: the algebra of partial R2, and of proportional selection.

Both start from the moments of a regression of ``y`` on a treatment ``d`` and controls ``x``, all net of the absorbed effects.

*Partial R2* (Cinelli and Hazlett). An omitted ``z`` with partial R2 of ``R_y`` with the outcome (given ``d, x``) and ``R_d``
with the treatment (given ``x``) moves estimate and standard error by exactly

.. math::

    |\hat b - \hat b_z| = s \sqrt{f} \sqrt{\frac{R_y R_d}{1 - R_d}}, \qquad
    s_z = s \sqrt{\frac{1 - R_y}{1 - R_d} \frac{f}{f - 1}} ,

``s`` the homoskedastic standard error and ``f`` the residual degrees of freedom.

*Proportional selection* (Oster). If the index of the unobserved is ``delta`` times as much selected as that of the observed and
both together explain ``R_max``, the coefficient solves a cubic in the bias, of which ``delta`` for a given coefficient is a
ratio.

References
----------
Cinelli, C. and Hazlett, C. (2020). Journal of the Royal Statistical Society B 82, 39-67. https://doi.org/10.1111/rssb.12348
Oster, E. (2019). Journal of Business & Economic Statistics 37, 187-204. https://doi.org/10.1080/07350015.2016.1227711
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Unadjusted:
    """An estimate before anything omitted is allowed for.

    Attributes
    ----------
    estimate
        The coefficient.
    classical
        Its homoskedastic standard error, which carries the algebra.
    error
        The standard error to report.
    free
        Residual degrees of freedom.
    critical
        Quantile of the t distribution that `error` is held against, with the omitted variable counted.
    """

    estimate: float
    classical: float
    error: float
    free: float
    critical: float

    @property
    def partial_r2(self) -> float:
        """Partial R2 of the treatment with the outcome."""
        squared = (self.estimate / self.classical) ** 2
        return float(squared / (squared + self.free))

    def adjusted(
        self, r2_treatment: np.ndarray, r2_outcome: np.ndarray, *, q: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return estimate, standard error and t statistic beside an omitted variable that pulls the estimate down.

        Parameters
        ----------
        r2_treatment, r2_outcome
            Its partial R2 with each.
        q
            The t statistic is that of the hypothesis of ``1 - q`` times the estimate.
        """
        odds = r2_treatment / (1.0 - r2_treatment)
        bias = self.classical * np.sqrt(self.free * r2_outcome * odds)
        ratio = np.sqrt((1.0 - r2_outcome) / (1.0 - r2_treatment) * self.free / (self.free - 1.0))
        estimate = np.asarray(np.sign(self.estimate) * (abs(self.estimate) - bias))
        error = np.asarray(self.error * ratio)
        with np.errstate(divide="ignore", invalid="ignore"):
            return estimate, error, np.asarray((estimate - (1.0 - q) * self.estimate) / error)

    def robustness_value(self, q: float = 1.0, *, significant: bool = False) -> float:
        """Return the partial R2, with treatment and outcome alike, that an omitted variable needs.

        Parameters
        ----------
        q
            Share of the estimate that it is to explain away.
        significant
            Whether it is enough to make the estimate insignificant.
        """
        full = q * abs(self.estimate / self.classical) / np.sqrt(self.free)
        needed = self.critical * self.error / self.classical / np.sqrt(self.free - 1.0) if significant else 0.0
        left = full - needed
        if left <= 0:
            return 0.0
        if needed > 0 and full > 1.0 / needed:
            # With the outcome the variable may explain less than with the treatment, and shrink the error less.
            return float((full**2 - needed**2) / (1.0 + full**2))
        return float(0.5 * (np.sqrt(left**4 + 4.0 * left**2) - left**2))


def benchmark_bounds(r2_treatment: float, r2_outcome: float, multiple: float) -> tuple[float, float]:
    """Return the largest partial R2 of an omitted variable that is some times as strong as an observed one.

    Parameters
    ----------
    r2_treatment, r2_outcome
        Partial R2 of the observed variable with the treatment (given the other controls), and with the outcome (given the
        treatment too).
    multiple
        How many times as strong.

    Returns
    -------
    tuple
        With the treatment and with the outcome; NaN where no variable can be so strong.
    """
    with_treatment = multiple * r2_treatment / (1.0 - r2_treatment)
    if with_treatment >= 1.0 or multiple * r2_treatment >= 1.0:
        return np.nan, np.nan
    shared = multiple * r2_treatment**2 / ((1.0 - multiple * r2_treatment) * (1.0 - r2_treatment))
    if shared >= 1.0:
        return np.nan, np.nan
    strength = (np.sqrt(multiple) + np.sqrt(shared)) / np.sqrt(1.0 - shared)
    return with_treatment, float(min(1.0, strength**2 * r2_outcome / (1.0 - r2_outcome)))


@dataclass(frozen=True)
class Selection:
    """What proportional selection is computed from: variances are of columns net of the absorbed effects.

    Attributes
    ----------
    short, long
        The coefficient without and with controls.
    short_r2, long_r2
        R2 of both, net of the effects.
    outcome_variance, treatment_variance
        Of outcome and treatment.
    residual_variance
        Of the treatment net of the controls.
    """

    short: float
    long: float
    short_r2: float
    long_r2: float
    outcome_variance: float
    treatment_variance: float
    residual_variance: float

    @property
    def _moved(self) -> float:
        return self.short - self.long

    @property
    def _explained(self) -> float:
        return (self.long_r2 - self.short_r2) * self.outcome_variance

    def _hidden(self, r2_max: float) -> float:
        return (r2_max - self.long_r2) * self.outcome_variance

    def delta(self, beta: float, r2_max: float) -> float:
        """Return how many times as much selected the unobserved must be for the coefficient to be `beta`.

        Parameters
        ----------
        beta
            The coefficient, e.g. 0.
        r2_max
            R2 of a regression with everything in it.
        """
        x, tau, moved, hidden = self.treatment_variance, self.residual_variance, self._moved, self._hidden(r2_max)
        bias, left = self.long - beta, x - tau
        above = bias * tau * (self._explained + x * moved**2) + 2.0 * bias**2 * tau * moved * x + bias**3 * tau * left
        below = hidden * moved * x + bias * hidden * left + bias**2 * tau * moved * x + bias**3 * tau * left
        return float(above / below) if below != 0 else float("nan")

    def coefficients(self, delta: float, r2_max: float) -> np.ndarray:
        """Return all real coefficients that a degree of selection allows, the preferred one first.

        The preferred one keeps the direction of selection on the observed (Oster's assumption 3) and is, if several do, the
        closest to the estimate.

        Parameters
        ----------
        delta
            Selection on the unobserved, relative to that on the observed.
        r2_max
            R2 of a regression with everything in it.
        """
        x, tau, moved, hidden = self.treatment_variance, self.residual_variance, self._moved, self._hidden(r2_max)
        left = x - tau
        cubic = [
            (delta - 1.0) * tau * left,
            (delta - 2.0) * tau * moved * x,
            delta * hidden * left - (self._explained + x * moved**2) * tau,
            delta * hidden * moved * x,
        ]
        leading = np.flatnonzero(np.abs(cubic) > 1e-14 * np.max(np.abs(cubic)))
        if not leading.size:
            return np.array([self.long])
        roots = np.roots(cubic[leading[0] :])
        bias = np.real(roots[np.abs(np.imag(roots)) <= 1e-8 * (1.0 + np.abs(roots))])
        turned = np.sign(bias * left + moved * x) != np.sign(moved * x)
        order = np.lexsort((np.abs(bias), turned))
        return np.asarray(self.long - bias[order])
