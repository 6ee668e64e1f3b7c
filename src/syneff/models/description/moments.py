"""Descriptive statistics (Table 2): mean, standard deviation, minimum, maximum and number of rows of each variable.

They travel as an `Estimate`, so that they are stored, swept and reported like any other result: the terms are ``mean:pop``,
``sd:pop``, ``min:pop``, ``max:pop`` and ``n:pop``, without standard errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError, SpecError
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
        object.__setattr__(self, "variables", named(self.variables))

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
        return described(panel, {name: value for each in self.variables for name, value in _of_column(panel, each)})


def named(variables: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns to describe.

    Raises
    ------
    SpecError
        If there are none.
    """
    if not variables:
        raise SpecError("estimator.variables is empty: name one column or more to describe.")
    return tuple(variables)


def described(panel: Panel, values: Mapping[str, float]) -> Estimate:
    """Return numbers that describe a panel as an `Estimate` without standard errors, a term each.

    Parameters
    ----------
    panel
        The data, whose sample gives the sizes.
    values
        Number by term.
    """
    units, periods = panel.sample.any(1).sum(), panel.sample.any(0).sum()
    return Estimate(
        coef=jnp.asarray(list(values.values())),
        cov=jnp.full((len(values), len(values)), jnp.nan),
        nobs=jnp.asarray(float(panel.sample.sum())),
        n_units=jnp.asarray(float(units)),
        n_periods=jnp.asarray(float(periods)),
        dof=jnp.asarray(jnp.nan),
        stats={},
        status=jnp.asarray(int(Status.OK)),
        names=tuple(values),
        outcome="",
    )


def known(panel: Panel, variable: str) -> np.ndarray:
    """Return ``[unit period]``: whether a row of the sample has a value of a variable.

    Raises
    ------
    DataError
        If the column is unknown or has no value in the sample.
    """
    inside: np.ndarray = panel.sample & np.isfinite(panel.column(variable))
    if not inside.any():
        raise DataError(f"column {variable!r} has no value in the sample. Leave it out of estimator.variables.")
    return inside


def moments(values: np.ndarray, weights: np.ndarray, name: str) -> list[tuple[str, float]]:
    """Return the moments of some weighted values, named after what they are of."""
    mean, n = np.average(values, weights=weights), values.size
    variance = np.average((values - mean) ** 2, weights=weights) * n / max(n - 1, 1)
    found = (mean, np.sqrt(variance), values.min(), values.max(), n)
    return [(f"{statistic}:{name}", float(value)) for statistic, value in zip(STATISTICS, found, strict=True)]


def _of_column(panel: Panel, variable: str) -> list[tuple[str, float]]:
    inside = known(panel, variable)
    return moments(panel.column(variable)[inside], panel.weights[inside], variable)
