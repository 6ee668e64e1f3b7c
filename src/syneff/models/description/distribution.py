"""How values are distributed: by group, and over the map.

The terms are moments, ``mean:syeff (treat = 1)`` or ``mean:2010``; the details hold what the pictures need: ``distribution``
(variable, group, value, density) and ``map`` (unit, lat, lon, period, value, treated).
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from syneff.errors import DataError
from syneff.models.base import Estimate
from syneff.models.description.moments import described, known, moments, named
from syneff.panel.panel import Panel

POINTS = 200  # where a density is evaluated
MAPS = 6  # years on one picture


@dataclass(frozen=True)
class Distributions:
    """Describe columns by group, each with a Gaussian kernel density of Scott's bandwidth.

    Attributes
    ----------
    variables
        Names of the columns.
    by
        A column or trait whose values are the groups; None for one group of all rows.
    """

    variables: tuple[str, ...]
    by: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", named(self.variables))

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Return moments by variable and group as terms, and densities as details.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect: nothing is drawn.

        Raises
        ------
        DataError
            If a column is unknown, has no value in the sample or in any group, or there are more than a dozen groups.
        """
        groups = self._groups(panel)
        found: dict[str, float] = {}
        curves = []
        for variable in self.variables:
            inside = known(panel, variable)
            for group, rows in groups.items():
                chosen = inside & rows
                if chosen.any():
                    values, weights = panel.column(variable)[chosen], panel.weights[chosen]
                    label = variable if self.by is None else f"{variable} ({group})"
                    found |= dict(moments(values, weights, label))
                    curves.append(_density(values, weights).assign(variable=variable, group=group))
        if not curves:
            raise DataError(
                f"no row of the sample has both a value of {', '.join(self.variables)} and one of {self.by!r}. "
                "Name another column: estimator.by=..."
            )
        return replace(described(panel, found), details={"distribution": pd.concat(curves, ignore_index=True)})

    def _groups(self, panel: Panel) -> dict[str, np.ndarray]:
        if self.by is None:
            return {"all": panel.sample}
        text = self.by in panel.traits and panel.traits[self.by].dtype.kind in "OUT"
        values = np.repeat(panel.traits[self.by][:, None], panel.shape[1], axis=1) if text else panel.column(self.by)
        present = [each for each in pd.unique(values[panel.sample]) if not pd.isna(each)]
        if not 1 <= len(present) <= 12:
            raise DataError(
                f"by={self.by!r} has {len(present)} different values in the sample; groups are between 1 and 12. "
                "Name a column of few values: estimator.by=..."
            )
        return {_worded(self.by, each): panel.sample & (values == each) for each in sorted(present)}


def _worded(name: str, value: object) -> str:
    return str(value) if isinstance(value, str) else f"{name} = {value:g}"


def _density(values: np.ndarray, weights: np.ndarray) -> pd.DataFrame:
    """Return a density on a grid that reaches beyond the values; none of values that do not differ."""
    if values.size < 3 or np.ptp(values) == 0:
        return pd.DataFrame({"value": [], "density": []}, dtype=float)
    margin = 0.1 * np.ptp(values)
    grid = np.linspace(values.min() - margin, values.max() + margin, POINTS)
    return pd.DataFrame({"value": grid, "density": stats.gaussian_kde(values, weights=weights)(grid)})


@dataclass(frozen=True)
class ScoreMap:
    """Describe a column period by period, and place its values on the map.

    Attributes
    ----------
    variable
        Name of the column.
    periods
        Periods to map; six, evenly spaced, if None.
    treatment
        A column of 0 and 1 to mark treated units by; None for none.
    coordinates
        The traits that hold latitude and longitude, in degrees.
    """

    variable: str
    periods: tuple[int, ...] | None = None
    treatment: str | None = "treat"
    coordinates: tuple[str, str] = ("lat", "lon")

    def __post_init__(self) -> None:
        object.__setattr__(self, "coordinates", tuple(self.coordinates))
        if self.periods is not None:
            object.__setattr__(self, "periods", tuple(self.periods))

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Return the moments of every period as terms, and the map as details.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect: nothing is drawn.

        Raises
        ------
        DataError
            If the column or a coordinate is unknown, a period is not in the panel, or nothing can be placed on a map.
        """
        inside = known(panel, self.variable)
        column = panel.column(self.variable)
        found: dict[str, float] = {}
        for t, period in enumerate(panel.periods):
            rows = inside[:, t]
            if rows.any():
                found |= dict(moments(column[rows, t], panel.weights[rows, t], str(period)))
        return replace(described(panel, found), details={"map": self._map(panel, inside)})

    def _map(self, panel: Panel, inside: np.ndarray) -> pd.DataFrame:
        lat, lon = (panel.column(each)[:, 0] for each in self.coordinates)
        unknown = [period for period in self.periods or () if period not in panel.periods]
        if unknown:
            raise DataError(
                f"period {unknown[0]} is not in the panel, which has {panel.periods[0]} to {panel.periods[-1]}. "
                "Name others: estimator.periods=[...]"
            )
        treat = np.zeros(panel.shape) if self.treatment is None else panel.column(self.treatment)
        rows = []
        for period in self.periods or self._spaced(panel, inside):
            t = panel.periods.index(period)
            for i in np.flatnonzero(inside[:, t] & np.isfinite(lat) & np.isfinite(lon)):
                value, treated = panel.column(self.variable)[i, t], bool(treat[i, t] == 1.0)
                rows.append((panel.names[i], lat[i], lon[i], period, value, treated))
        if not rows:
            raise DataError(
                f"no unit has {self.variable!r} in any period of the map together with {' and '.join(self.coordinates)}. "
                "Name others: estimator.periods=[...] or estimator.coordinates=[...]"
            )
        return pd.DataFrame(rows, columns=["unit", "lat", "lon", "period", "value", "treated"])

    def _spaced(self, panel: Panel, inside: np.ndarray) -> list[int]:
        periods = np.asarray(panel.periods)[inside.any(axis=0)]
        places = np.unique(np.linspace(0, periods.size - 1, MAPS).round().astype(int))
        return [int(period) for period in periods[places]]
