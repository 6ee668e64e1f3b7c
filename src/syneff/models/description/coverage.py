"""What a panel has: which values are missing, and which unit is treated when.

The details hold what the pictures need: ``missing`` (variable, period, share), ``gaps`` (unit, period, number of variables
without a value) and ``rollout`` (unit, period, state).
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from syneff.errors import DataError
from syneff.models.base import Estimate
from syneff.models.description.moments import described, named
from syneff.panel.panel import Panel
from syneff.typing import HostUnitPeriod

STATES = ("no data", "not treated", "treated")


@dataclass(frozen=True)
class Missing:
    """Count what is missing of each variable, over all units and periods of the panel.

    A row that the source does not have is missing in every variable; one that a step has taken out of the sample is not.

    Attributes
    ----------
    variables
        Names of the columns, in the order of the table.
    """

    variables: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", named(self.variables))

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Return ``known:``, ``missing:``, ``share:``, ``whole:``, ``first:`` and ``last:`` of each variable as terms.

        ``whole`` counts the units that have a value in every period; ``first`` and ``last`` are the first and the last period
        in which any unit has one, NaN if none has.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect: nothing is drawn.

        Raises
        ------
        DataError
            If a column is unknown.
        """
        have = {each: np.isfinite(panel.column(each)) for each in self.variables}
        found = {name: value for each, there in have.items() for name, value in _coverage(panel, each, there)}
        lacking = np.sum([~there for there in have.values()], axis=0)
        shares = [
            {"variable": each, "period": period, "share": share}
            for each, there in have.items()
            for period, share in zip(panel.periods, 1.0 - there.mean(axis=0), strict=True)
        ]
        details = {"missing": pd.DataFrame(shares), "gaps": _cells(panel, lacking, "variables")}
        return replace(described(panel, found), details=details)


def _coverage(panel: Panel, name: str, there: np.ndarray) -> list[tuple[str, float]]:
    years = np.asarray(panel.periods, dtype=float)[there.any(axis=0)]
    numbers = {
        "known": there.sum(),
        "missing": (~there).sum(),
        "share": 1.0 - there.mean(),
        "whole": there.all(axis=1).sum(),
        "first": years[0] if years.size else np.nan,
        "last": years[-1] if years.size else np.nan,
    }
    return [(f"{key}:{name}", float(value)) for key, value in numbers.items()]


@dataclass(frozen=True)
class Rollout:
    """Tell which unit is treated when.

    Attributes
    ----------
    treatment
        A column of 0 and 1.
    """

    treatment: str = "treat"

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Return ``adopting:``, ``treated:``, ``share:`` and ``leaving:`` of each period as terms, and units ``never`` treated.

        A unit adopts in the first period in which it is treated while the period before it was not, or was not there: units
        treated from their first period on adopt there. It leaves in a period after one in which it was treated.

        Parameters
        ----------
        panel
            The data; rows out of the sample have no state.
        seed, name
            Without effect: nothing is drawn.

        Raises
        ------
        DataError
            If the treatment is unknown or has other values than 0 and 1 in the sample.
        """
        treat = self._treatment(panel)
        on, seen = treat == 1.0, np.isfinite(treat)
        ever = on.any(axis=1)
        first = np.where(ever, on.argmax(axis=1), -1)
        found: dict[str, float] = {}
        for t, period in enumerate(panel.periods):
            left = on[:, t - 1] & seen[:, t] & ~on[:, t] if t else np.zeros_like(ever)
            rows = seen[:, t].sum()
            found[f"adopting:{period}"] = float((first == t).sum())
            found[f"treated:{period}"] = float(on[:, t].sum())
            found[f"share:{period}"] = float(on[:, t].sum() / rows) if rows else np.nan
            found[f"leaving:{period}"] = float(left.sum())
        found["adopting:never"] = float((seen.any(axis=1) & ~ever).sum())
        states = np.where(seen, np.where(on, STATES[2], STATES[1]), STATES[0])
        return replace(described(panel, found), details={"rollout": _cells(panel, states, "state")})

    def _treatment(self, panel: Panel) -> HostUnitPeriod:
        treat = np.where(panel.sample, panel.column(self.treatment), np.nan)
        wrong = np.argwhere(np.isfinite(treat) & (treat != 0.0) & (treat != 1.0))
        if wrong.size:
            unit, period = wrong[0]
            raise DataError(
                f"treatment {self.treatment!r} is {treat[unit, period]:g} in {panel.names[unit]} {panel.periods[period]}; "
                "the roll-out is that of a treatment of 0 and 1. Name another column: estimator.treatment=..."
            )
        return np.asarray(treat)


def _cells(panel: Panel, values: np.ndarray, name: str) -> pd.DataFrame:
    """Return one row a unit and period, units by name."""
    units, periods = panel.shape
    return pd.DataFrame(
        {"unit": np.repeat(panel.names, periods), "period": np.tile(panel.periods, units), name: values.ravel()}
    )
