"""Groups of units by a trait or a column: their names, and every error that the user can mend there.

Published splits are not always splits of units: a membership that changes from year to year puts a city on both sides, and the
rows of the two sides are then no multiple of the periods. So a group that changes within a unit is refused, with the units and
the years, unless it is asked for.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, unknown_name
from syneff.panel.panel import Panel
from syneff.panel.rules import listed

MOST_GROUPS = 12
"""Groups beyond which a variable is no classification."""


@dataclass(frozen=True)
class Groups:
    """Which rows are in which group.

    Attributes
    ----------
    names
        Names of the groups: numbers from the largest down, so that 1 ("yes") comes before 0, text in its order.
    codes
        ``[unit period]``: number of the group; -1 where there is none.
    switching
        Units in more than one group, named with the periods in which they change.
    notes
        What the user should know of them.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    switching: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def of_units(self) -> np.ndarray:
        """The group of each unit ``[unit]``, -1 where it has none; of use where no unit switches."""
        return np.asarray(self.codes.max(axis=1))


def groups_of(panel: Panel, by: str, inside: np.ndarray, *, option: str, switching: bool = False) -> Groups:
    """Sort the rows of a sample into groups.

    Parameters
    ----------
    panel
        The data.
    by
        A trait or a column.
    inside
        ``[unit period]``: rows of the sample.
    option
        What `by` was given as, for messages.
    switching
        Whether a unit may be in several groups.

    Raises
    ------
    SpecError
        If there is no such trait or column, or if it has too many values.
    DataError
        If it is constant, or changes within units and may not.
    """
    values = _values(panel, by, option)
    missing = np.asarray(pd.isna(values)) & inside
    used = inside & ~missing
    levels = _levels(values[used])
    if len(levels) > MOST_GROUPS:
        raise SpecError(
            f"{option}={by} has {len(levels)} values in the sample, more than {MOST_GROUPS} groups. Make groups of it first, "
            "or use Moderation for a continuous moderator."
        )
    names = tuple(levels.values())
    codes = np.full(values.shape, -1)
    for number, level in enumerate(levels):
        codes[used & (values == level)] = number
    if len(names) < 2:
        held = f"is {names[0]} on all rows of the sample" if names else "has no value in the sample"
        raise DataError(f"{option}={by} {held}, so there is nothing to compare. Name a trait that varies.")
    switches = _switches(panel, codes, names)
    if switches and not switching:
        raise DataError(
            f"{option}={by} is not constant within units: {len(switches)} of {int(used.any(1).sum())} units switch group: "
            f"{listed(switches)}. Fix the group of each unit, e.g. at its first year, or let rows be split with "
            "switching=true, which says so."
        )
    # Out of the sample a unit keeps its group, so that permuting units needs no rows.
    whole = codes if switches else np.where(missing, -1, codes.max(axis=1, keepdims=True))
    return Groups(names, whole, switches, _notes(by, missing, switches))


def _values(panel: Panel, by: str, option: str) -> np.ndarray:
    if by in panel.traits:
        return np.repeat(np.asarray(panel.traits[by])[:, None], panel.shape[1], axis=1)
    if by in panel.columns:
        return np.asarray(panel.columns[by])
    raise SpecError(unknown_name(f"trait or column for {option}:", by, [*panel.traits, *panel.columns]))


def _levels(values: np.ndarray) -> dict[object, str]:
    """Return the name of each level, in order."""
    levels = list(dict.fromkeys(values.tolist()))
    if all(isinstance(each, int | float) for each in levels):
        return {each: f"{each:g}" for each in sorted(levels, reverse=True)}
    return {each: str(each) for each in sorted(levels, key=str)}


def _switches(panel: Panel, codes: np.ndarray, names: tuple[str, ...]) -> tuple[str, ...]:
    found = []
    for unit, row in enumerate(codes):
        seen = np.flatnonzero(row >= 0)
        changes = [(a, b) for a, b in pairwise(seen) if row[a] != row[b]]
        if changes:
            path = "".join(f", {names[row[b]]} in {panel.periods[b]}" for _, b in changes[:3])
            found.append(f"{panel.names[unit]} ({names[row[seen[0]]]} in {panel.periods[seen[0]]}{path})")
    return tuple(found)


def _notes(by: str, missing: np.ndarray, switches: tuple[str, ...]) -> tuple[str, ...]:
    said = []
    if missing.any():
        units = int(missing.any(axis=1).sum())
        said.append(f"{int(missing.sum())} rows of {units} units left out: {by} has no value there")
    if switches:
        said.append(
            f"{by} changes within {len(switches)} units, whose rows are split between groups, each with unit effects of its "
            f"own: {listed(switches)}"
        )
    return tuple(said)
