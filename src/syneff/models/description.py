"""Descriptive statistics (Table 2): mean, standard deviation, minimum, maximum and number of rows of each variable.

They travel as an `Estimate`, so that they are stored, swept and reported like any other result: the terms are ``mean:pop``,
``sd:pop``, ``min:pop``, ``max:pop`` and ``n:pop``, without standard errors.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError
from syneff.models.base import Estimate, Status
from syneff.panel.panel import Panel

STATISTICS = ("mean", "sd", "min", "max", "n")


@dataclass(frozen=True)
class Describe:
    """Describe columns of a panel over the rows of its sample, each weighted as the sample is.

    Attributes
    ----------
    variables
        Names of the columns, in the order of the table.
    """

    variables: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", tuple(self.variables))

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Return the statistics of each variable as terms.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect: nothing is drawn.

        Raises
        ------
        DataError
            If a column is unknown or has no value in the sample.
        """
        values = [value for variable in self.variables for value in self._statistics(panel, variable)]
        terms = tuple(f"{statistic}:{variable}" for variable in self.variables for statistic in STATISTICS)
        units, periods = panel.sample.any(1).sum(), panel.sample.any(0).sum()
        return Estimate(
            coef=jnp.asarray(values),
            cov=jnp.full((len(terms), len(terms)), jnp.nan),
            nobs=jnp.asarray(float(panel.sample.sum())),
            n_units=jnp.asarray(float(units)),
            n_periods=jnp.asarray(float(periods)),
            dof=jnp.asarray(jnp.nan),
            stats={},
            status=jnp.asarray(int(Status.OK)),
            names=terms,
            outcome="",
        )

    def _statistics(self, panel: Panel, variable: str) -> tuple[float, ...]:
        column = panel.column(variable)
        inside = panel.sample & np.isfinite(column)
        if not inside.any():
            raise DataError(f"column {variable!r} has no value in the sample. Leave it out of estimator.variables.")
        values, weights = column[inside], panel.weights[inside]
        mean = np.average(values, weights=weights)
        n = values.size
        variance = np.average((values - mean) ** 2, weights=weights) * n / max(n - 1, 1)
        return float(mean), float(np.sqrt(variance)), float(values.min()), float(values.max()), float(n)
