"""The wild bootstrap's test and the interval that inverts it: p-values as a function of the null value.

Draws enter as the coefficients of their numerators, linear in the null value, and of their variances, quadratic in it, so no
null value needs new draws.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from syneff.models.base import Test
from syneff.models.resampling.intervals import LEVEL, monte_carlo_error
from syneff.typing import Array


@dataclass(frozen=True)
class WildTest:
    """The statistics of all draws, as functions of the null value.

    Attributes
    ----------
    parts
        ``[draw 5]``: effect (value, slope) and variance (value, half the slope, curvature) of each draw at `null`.
    value, error
        The estimate and its standard error, NaN where its variance is not positive.
    factor
        What multiplies the variances.
    null
        The value under which `parts` were made.
    exact
        Whether the draws are all there are.
    """

    parts: np.ndarray
    value: float
    error: float
    factor: float
    null: float
    exact: bool

    def statistics(self, null: float) -> np.ndarray:
        """Return the t statistic of each draw; NaN where its variance is not positive."""
        effect, slope, square, cross, curve = self.parts.T
        x = null - self.null
        variance = self.factor * (square + 2.0 * cross * x + curve * x**2)
        positive = variance > 0
        return np.where(positive, (effect + slope * x) / np.sqrt(np.where(positive, variance, 1.0)), np.nan)

    def pvalue(self, null: float, side: int = 0) -> float:
        """Return the p-value: two-sided (0), of a greater (1) or a smaller (-1) coefficient."""
        drawn, statistic = self.statistics(null), (self.value - null) / self.error
        drawn = drawn[np.isfinite(drawn)]
        if not drawn.size or not np.isfinite(statistic):
            return np.nan
        drawn, statistic = (np.abs(drawn), abs(statistic)) if side == 0 else (side * drawn, side * statistic)
        slack = 1e-9 * max(abs(statistic), 1.0)
        beyond, ties = (drawn > statistic + slack).sum(), (np.abs(drawn - statistic) <= slack).sum()
        if self.exact:
            return float((beyond + ties / 2.0) / drawn.size)
        return float((1 + beyond + ties) / (1 + drawn.size))

    def end(self, side: int) -> float:
        """Return where the p-value falls to 1 - LEVEL, searching from the estimate to one side."""
        inner, step = self.value, self.error
        for _ in range(40):
            outer = self.value + side * step
            if self.pvalue(outer) <= 1.0 - LEVEL:
                break
            inner, step = outer, 2.0 * step
        else:
            return side * np.inf
        for _ in range(50):
            middle = 0.5 * (inner + outer)
            inner, outer = (middle, outer) if self.pvalue(middle) > 1.0 - LEVEL else (inner, middle)
        return 0.5 * (inner + outer)

    def test(self) -> tuple[Test, dict[str, Array]]:
        """Return the test with its interval, the one-sided p-values and how many draws had a statistic."""
        two_sided, greater, less = (self.pvalue(self.null, side) for side in (0, 1, -1))
        found = np.isfinite(self.error) and np.isfinite(self.value)
        drawn = int(np.isfinite(self.statistics(self.null)).sum())
        low, high = (self.end(-1), self.end(1)) if found and drawn else (np.nan, np.nan)
        error = 0.0 if self.exact else monte_carlo_error(two_sided, drawn)
        numbers = ((self.value - self.null) / self.error, two_sided if found else np.nan, low, high, error)
        statistic, pvalue, low_end, high_end, error_of_p = (jnp.asarray(float(each)) for each in numbers)
        nothing = jnp.asarray(np.nan)
        test = Test(statistic, nothing, nothing, pvalue, "wild_cluster", low=low_end, high=high_end, error=error_of_p)
        stats = {"wild_p_greater": greater, "wild_p_less": less, "wild_draws": drawn}
        return test, {name: jnp.asarray(float(number)) for name, number in stats.items()}
