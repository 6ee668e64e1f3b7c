"""Checks that every account needs: cells that must not be, years that must follow each other, units mixed by a thousand."""

from collections.abc import Sequence

import numpy as np

from syneff.errors import DataError, SpecError, unknown_name
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.typing import Bool

MIXED = 2.5  # powers of ten from a city's own median: a slip of 1,000 is 3, and no city grows 300-fold


def cells(panel: Panel, where: Bool[np.ndarray, "unit period"]) -> str:
    """Name the first few city-years of a mask and count the others."""
    return listed(f"{panel.names[i]} {panel.periods[t]}" for i, t in zip(*np.nonzero(where), strict=True))


def refuse(
    panel: Panel, wrong: Bool[np.ndarray, "unit period"], what: str, remedy: str, *, everywhere: bool = False
) -> None:
    """Raise a `DataError` that names the cells which are wrong.

    Parameters
    ----------
    panel
        The panel.
    wrong
        The cells.
    what
        The sentence that the cells end.
    remedy
        What is allowed, and how to mend it.
    everywhere
        Look at the rows out of the sample too: an account that adds up years or cities goes through them.
    """
    found = wrong if everywhere else wrong & panel.sample
    if found.any():
        raise DataError(f"{what} {cells(panel, found)}. {remedy}")


def position(panel: Panel, period: int, option: str) -> int:
    """Return where a year stands among the periods, which must follow each other without a gap.

    Raises
    ------
    SpecError
        If the year is not in the panel.
    DataError
        If a year is missing between the first and the last.
    """
    consecutive(panel, option)
    if period not in panel.periods:
        raise SpecError(unknown_name(f"year for {option}:", period, panel.periods))
    return panel.periods.index(period)


def consecutive(panel: Panel, what: str) -> None:
    """Raise unless the periods follow each other without a gap."""
    lacking = sorted(set(range(panel.periods[0], panel.periods[-1] + 1)) - set(panel.periods))
    if lacking:
        raise DataError(
            f"{what} goes from year to year, but the panel has no {listed(str(year) for year in lacking)}. "
            "Add the years to the data, with empty cells where nothing is known."
        )


def unit_of(panel: Panel, name: str) -> str:
    """Return the physical unit of a column; "" if it is not known."""
    return panel.variables[name].unit if name in panel.variables else ""


def mixed_units(panel: Panel, columns: Sequence[str]) -> str:
    """Say which cells look as if they had another unit than the rest of their city's years; "" if none does.

    A cell is named if it is more than 300 times larger or smaller than the median of its city.
    """
    said = []
    for name in dict.fromkeys(columns):
        values = np.log10(np.where(panel.column(name) > 0, panel.column(name), np.nan))
        known = ~np.isnan(values).all(axis=1)
        centre = np.full(len(panel.units), np.nan)
        centre[known] = np.nanmedian(values[known], axis=1)
        odd = np.abs(values - centre[:, None]) > MIXED
        if odd.any():
            said.append(
                f"column {name!r} seems to mix units by a factor of a thousand: {cells(panel, odd)} "
                "are over 300 times larger or smaller than their city's median"
            )
    return "; ".join(said)
