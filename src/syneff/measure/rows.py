"""From a panel to the rows of a technology, and back to a column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from syneff.errors import DataError, SpecError, unknown_name
from syneff.measure.technology import Technology
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.panel.samples import holds
from syneff.typing import Bool, Float


@dataclass(frozen=True)
class Measured:
    """Which rows of a panel are measured.

    Attributes
    ----------
    where
        ``[unit period]``: rows of positive weight that have all values.
    names
        City and year of each, in the order of the technology's rows.
    note
        How many they are, how many are left out, and what spans their frontier.
    """

    where: Bool[np.ndarray, "unit period"]
    names: tuple[str, ...]
    note: str

    def cube(self, values: Float[np.ndarray, " dmu"]) -> Float[np.ndarray, "unit period"]:
        """Return values of the rows as a column, NaN where nothing is measured."""
        column = np.full(self.where.shape, np.nan)
        column[self.where] = values
        return column


def panel_technology(
    panel: Panel,
    variables: Mapping[str, str | Sequence[str]],
    *,
    returns: str = "crs",
    reference: str = "global",
    reference_where: str | None = None,
    window: int | None = None,
    group: str | None = None,
    zeros: str = "error",
) -> tuple[Technology, Measured]:
    """Return the technology of the rows of positive weight that have all values.

    Parameters
    ----------
    panel
        The panel.
    variables
        Names of columns by "inputs", "good" and "bad"; a single name may stand for itself.
    returns, reference, window, zeros
        See `Technology`.
    reference_where
        A condition on columns and traits: the rows in which it holds span the frontier.
    group
        Name of a trait or column: each row is compared with its own group alone.

    Raises
    ------
    DataError
        If a name is unknown, no row is complete or may span the frontier, a label is missing, or a value is not allowed; the
        message names city, year and column.
    SpecError
        If an option is not allowed.
    """
    blocks = [[each] if isinstance(each, str) else list(each) for each in variables.values()]
    columns = [column for block in blocks for column in block]
    cube = np.stack([panel.column(column) for column in columns], axis=-1)
    measured = panel.sample & ~np.isnan(cube).any(axis=-1)
    _check_values(panel, columns, cube, measured, zeros=zeros)
    data = np.split(cube[measured], np.cumsum([len(block) for block in blocks])[:-1], axis=1)
    mask = None if reference_where is None else _mask(panel, reference_where, measured, reference)
    technology = Technology(
        data[0],
        data[1],
        data[2] if blocks[2] else None,
        period=np.broadcast_to(np.asarray(panel.periods), panel.shape)[measured],
        returns=returns,
        reference=reference if mask is None else mask[measured],
        window=window,
        group=None if group is None else _labels(panel, group, measured),
        zeros=zeros,
        variables=columns,
    )
    rows = tuple(f"{panel.units[unit]} {panel.periods[time]}" for unit, time in np.argwhere(measured))
    note = f"{len(rows)} rows measured, {int(panel.sample.sum()) - len(rows)} left out for missing values"
    if mask is not None:
        note += f"; their frontier is spanned by {int(mask[measured].sum())} rows where {reference_where!r}"
    if group is not None:
        note += f"; each is compared with its own {group} alone"
    return technology, Measured(measured, rows, note)


def _mask(panel: Panel, condition: str, measured: np.ndarray, reference: str) -> np.ndarray:
    """Return the rows in which the condition holds, of which one at least is measured."""
    if reference != "global":
        raise SpecError(
            f"reference_where stands in for a reference set, but reference={reference!r}. Give one of them."
        )
    mask = holds(panel, condition, "reference_where")
    if not (mask & measured).any():
        raise DataError(f"reference_where {condition!r} holds in no row that is measured. Widen the condition.")
    return mask


def _labels(panel: Panel, group: str, measured: np.ndarray) -> np.ndarray:
    """Return the group of each measured row."""
    if group not in panel.traits and group not in panel.columns:
        raise DataError(unknown_name("group", group, [*panel.traits, *panel.columns]))
    labels = panel.traits[group][:, None] if group in panel.traits else panel.columns[group]
    rows = np.broadcast_to(labels, panel.shape)
    missing = [
        f"{panel.units[unit]} {panel.periods[time]}"
        for unit, time in np.argwhere(measured)
        if rows[unit, time] is None or rows[unit, time] != rows[unit, time]
    ]
    if missing:
        raise DataError(f"group {group!r} is missing in {listed(missing)}. Fill it, or give these rows the weight 0.")
    return np.asarray(rows[measured])


def _check_values(panel: Panel, columns: Sequence[str], cube: np.ndarray, measured: np.ndarray, *, zeros: str) -> None:
    """Raise unless there are rows to measure and all their values are finite and positive, or zeros where allowed."""
    if not measured.any():
        raise DataError(f"no row has values of all of {', '.join(columns)}. Fill gaps, or choose other columns.")
    fine = np.isfinite(cube) & ((cube > 0) | ((cube == 0) & (zeros != "error")))
    wrong = np.argwhere(measured[:, :, None] & ~fine)
    if wrong.size:
        shown = [
            f"{panel.units[unit]} {panel.periods[time]} {columns[at]} = {cube[unit, time, at]:g}"
            for unit, time, at in wrong[:5]
        ]
        remedy = "" if (cube[tuple(wrong.T)] != 0).any() else " Or see the option zeros: replace or drop."
        raise DataError(
            f"{len(wrong)} values are not positive and finite ({'; '.join(shown)}{'; ...' if len(wrong) > 5 else ''}). "
            f"Slacks-based efficiency divides by every value: give these rows the weight 0, or mend the values.{remedy}"
        )
