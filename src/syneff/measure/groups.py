"""Groups of cities: totals of a province, a province's value that its cities repeat, and what does not match."""

from dataclasses import dataclass

import numpy as np

from syneff.errors import DataError, unknown_name
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.typing import Bool, Float, HostUnitPeriod, Int

AGREE = 1e-6  # relative: yearbooks round, and a total that differs by more is another total


@dataclass(frozen=True)
class Groups:
    """Groups of the units of a panel.

    Attributes
    ----------
    panel
        The panel.
    trait
        The trait that says which group a unit belongs to.
    codes
        Number of each unit's group.
    names
        The groups, sorted.
    """

    panel: Panel
    trait: str
    codes: Int[np.ndarray, " unit"]
    names: tuple[str, ...]

    def sum(self, values: HostUnitPeriod) -> Float[np.ndarray, "group period"]:
        """Add up a column over the units of each group and period; a missing cell counts as nothing."""
        sums = np.zeros((len(self.names), values.shape[1]))
        np.add.at(sums, self.codes, np.nan_to_num(values, nan=0.0))
        return sums

    def any(self, where: Bool[np.ndarray, "unit period"]) -> Bool[np.ndarray, "group period"]:
        """Say of each group and period whether any of its units is in a mask."""
        return np.asarray(self.sum(where.astype(float)) > 0)

    def spread(self, values: Float[np.ndarray, "group period"]) -> HostUnitPeriod:
        """Give every unit the value of its group."""
        return np.asarray(values[self.codes])

    def value(self, column: str) -> Float[np.ndarray, "group period"]:
        """Return the one value that the units of a group repeat in each period; NaN where no unit has one.

        Raises
        ------
        DataError
            If units of a group have different values in one period: cities, year and values are named.
        """
        cells = self.panel.column(column)
        low, high = (self._extreme(cells, sign) for sign in (-1.0, 1.0))
        apart = (high - low) > AGREE * np.maximum(np.abs(high), np.abs(low))
        if apart.any():
            g, t = (int(each[0]) for each in np.nonzero(apart))
            inside = np.flatnonzero((self.codes == g) & ~np.isnan(cells[:, t]))
            first = inside[0]
            other = next(i for i in inside if abs(cells[i, t] - cells[first, t]) > AGREE * abs(high[g, t]))
            where = listed(self.cells(apart))
            raise DataError(
                f"column {column!r} must have one value a {self.trait} and year, repeated in its cities, but has several in "
                f"{where}: {self.panel.names[first]} has {cells[first, t]:g} and {self.panel.names[other]} {cells[other, t]:g} "
                f"in {self.panel.periods[t]}. Mend the cells."
            )
        return high

    def cells(self, where: Bool[np.ndarray, "group period"]) -> list[str]:
        """Name the groups and periods of a mask."""
        return [f"{self.names[g]} {self.panel.periods[t]}" for g, t in zip(*np.nonzero(where), strict=True)]

    def _extreme(self, cells: HostUnitPeriod, sign: float) -> Float[np.ndarray, "group period"]:
        found = np.full((len(self.names), cells.shape[1]), -np.inf)
        np.maximum.at(found, self.codes, np.where(np.isnan(cells), -np.inf, sign * cells))
        return np.where(np.isinf(found), np.nan, sign * found)


def groups_of(panel: Panel, trait: str) -> Groups:
    """Return the groups that a trait makes, text or number.

    Raises
    ------
    DataError
        If the trait is unknown, or missing for a unit that has a row in the sample.
    """
    if trait not in panel.traits:
        raise DataError(unknown_name("trait for group:", trait, panel.traits, "Join it with source.units_path."))
    labels = panel.traits[trait]
    missing = np.array([each is None or each != each for each in labels])
    lacking = missing & panel.sample.any(axis=1)
    if lacking.any():
        raise DataError(
            f"trait {trait!r} is missing for {listed(panel.names[i] for i in np.flatnonzero(lacking))}. "
            "Every city needs one: fill it in, or take the cities out with where."
        )
    texts = np.array(["" if gone else _text(each) for each, gone in zip(labels, missing, strict=True)])
    names, codes = np.unique(texts, return_inverse=True)
    return Groups(panel, trait, codes.reshape(-1), tuple(str(each) for each in names))


def _text(label: object) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)
