r"""Spatial autocorrelation of one cross-section, with moments of the null that values are dealt to places at random.

With deviations *z* from the mean, :math:`m_2 = \sum z_i^2 / n` and :math:`S_0 = \sum_{ij} w_{ij}`,

.. math::

    I = \frac{\sum_{ij} w_{ij} z_i z_j}{S_0 m_2}, \qquad
    C = \frac{(n - 1) \sum_{ij} w_{ij} (z_i - z_j)^2}{2 S_0 n m_2}, \qquad
    I_i = \frac{z_i}{m_2} \sum_j w_{ij} z_j .

Under the null :math:`E I = -1/(n-1)` and :math:`E C = 1`. The variance is that of all permutations of the values
("randomisation") or of independent normal values ("normal"); that of :math:`I_i` holds :math:`z_i` where it is and permutes
the others (Sokal, Oden and Thomson). *W* need not be row-standardised; a unit without neighbours counts among the *n*.

References
----------
Cliff, A. D. and Ord, J. K. (1981). Spatial Processes. Pion.
Anselin, L. (1995). Geographical Analysis 27, 93-115. https://doi.org/10.1111/j.1538-4632.1995.tb00338.x
Sokal, R. R., Oden, N. L. and Thomson, B. A. (1998). Geographical Analysis 30, 331-354.
https://doi.org/10.1111/j.1538-4632.1998.tb00406.x
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from syneff.typing import Float

Matrix = Float[np.ndarray, "unit unit"]
Values = Float[np.ndarray, "unit period"]
OfPeriod = Float[np.ndarray, " period"]
ALTERNATIVES = ("two_sided", "positive")


@dataclass(frozen=True)
class Sums:
    """Sums over links that all moments need.

    Attributes
    ----------
    units
        Number of units.
    s0, s1, s2
        Sum of the links; half the sum of squares of each pair's two links together; sum of squares of each unit's links, out
        and in together.
    """

    units: int
    s0: float
    s1: float
    s2: float


@dataclass(frozen=True)
class Null:
    """A statistic and its moments under the null.

    Attributes
    ----------
    value, mean, variance
        By period, or by unit and period.
    """

    value: Float[np.ndarray, "..."]
    mean: Float[np.ndarray, "..."]
    variance: Float[np.ndarray, "..."]

    @property
    def z(self) -> Float[np.ndarray, "..."]:
        """Standardised statistic; NaN where it cannot vary."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((self.value - self.mean) / np.sqrt(np.where(self.variance > 0, self.variance, np.nan)))

    def p_value(self, alternative: str, *, falling: bool = False) -> Float[np.ndarray, "..."]:
        """Return the normal p-value, two-sided or for positive autocorrelation; `falling` where that lowers the statistic."""
        if alternative == "two_sided":
            return np.asarray(2.0 * special.ndtr(-np.abs(self.z)))
        return np.asarray(special.ndtr(self.z if falling else -self.z))


def sums_of(matrix: Matrix) -> Sums:
    """Return the sums over links of a weight matrix."""
    both = matrix.sum(axis=1) + matrix.sum(axis=0)
    s1 = ((matrix + matrix.T) ** 2).sum() / 2.0
    return Sums(len(matrix), float(matrix.sum()), float(s1), float((both**2).sum()))


def deviations(values: Values) -> Values:
    """Return deviations from each period's mean."""
    return np.asarray(values - values.mean(axis=0, keepdims=True))


def moran(values: Values, matrix: Matrix, *, normal: bool = False) -> Null:
    """Return Moran's I of each period with its moments under randomisation, or under normality."""
    z, sums, n = deviations(values), sums_of(matrix), float(len(matrix))
    squares = (z**2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = n / np.float64(sums.s0) * (z * (matrix @ z)).sum(axis=0) / squares
        kurtosis = n * (z**4).sum(axis=0) / squares**2
    mean = np.full(value.shape, -1.0 / (n - 1.0))
    if normal:
        second = (n**2 * sums.s1 - n * sums.s2 + 3.0 * sums.s0**2) / ((n**2 - 1.0) * sums.s0**2)
    else:
        first = n * ((n**2 - 3.0 * n + 3.0) * sums.s1 - n * sums.s2 + 3.0 * sums.s0**2)
        less = kurtosis * ((n**2 - n) * sums.s1 - 2.0 * n * sums.s2 + 6.0 * sums.s0**2)
        second = (first - less) / ((n - 1.0) * (n - 2.0) * (n - 3.0) * sums.s0**2)
    return Null(value, mean, second - mean**2)


def geary(values: Values, matrix: Matrix, *, normal: bool = False) -> Null:
    """Return Geary's C of each period with its moments under randomisation, or under normality."""
    z, sums, n = deviations(values), sums_of(matrix), float(len(matrix))
    squares = (z**2).sum(axis=0)
    both = matrix.sum(axis=1) + matrix.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = both @ z**2 - 2.0 * (z * (matrix @ z)).sum(axis=0)
        value = (n - 1.0) * between / (2.0 * sums.s0 * squares)
        kurtosis = n * (z**4).sum(axis=0) / squares**2
    if normal:
        top = (2.0 * sums.s1 + sums.s2) * (n - 1.0) - 4.0 * sums.s0**2
        variance = np.full(value.shape, top / (2.0 * (n + 1.0) * sums.s0**2))
    else:
        top = (n - 1.0) * sums.s1 * (n**2 - 3.0 * n + 3.0 - (n - 1.0) * kurtosis)
        top -= (n - 1.0) * sums.s2 * (n**2 + 3.0 * n - 6.0 - (n**2 - n + 2.0) * kurtosis) / 4.0
        top += sums.s0**2 * (n**2 - 3.0 - (n - 1.0) ** 2 * kurtosis)
        variance = top / (n * (n - 2.0) * (n - 3.0) * sums.s0**2)
    return Null(value, np.ones_like(value), variance)


def local_moran(values: Values, matrix: Matrix) -> Null:
    """Return the local Moran's I of each unit and period, with its moments given the unit's own value."""
    z, n = deviations(values), float(len(matrix))
    m2 = (z**2).sum(axis=0, keepdims=True) / n
    out, squared = matrix.sum(axis=1, keepdims=True), (matrix**2).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = z / m2 * (matrix @ z)
        mean = -(z**2) * out / ((n - 1.0) * m2)
        spread = n / (n - 2.0) * (squared - out**2 / (n - 1.0)) * (m2 - z**2 / (n - 1.0))
        variance = (z / m2) ** 2 * spread
    return Null(value, mean, variance)
