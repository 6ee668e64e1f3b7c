"""The rows of a panel that a measure sees: those of positive weight that have all values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from syneff.errors import DataError
from syneff.measure.technology import Technology
from syneff.panel.panel import Panel
from syneff.typing import Bool

Names = str | Sequence[str]


@dataclass(frozen=True)
class MeasuredRows:
    """The rows of a panel that are measured.

    Attributes
    ----------
    columns
        Names of inputs, good and bad outputs, in this order.
    data
        Their values, a block each; the last is None if there are no bad outputs.
    measured
        ``[unit period]``: which rows.
    unit, period
        ``[dmu]``.
    names
        Unit and period of each row, for a reader.
    counted
        How many rows are measured and left out.
    """

    columns: Sequence[str]
    data: Sequence[np.ndarray | None]
    measured: Bool[np.ndarray, "unit period"]
    unit: np.ndarray
    period: np.ndarray
    names: Sequence[str]
    counted: str

    def technology(self, returns: str, reference: str) -> Technology:
        """Return the technology of the rows."""
        inputs, good, bad = self.data
        return Technology(inputs, good, bad, self.period, returns, reference)  # type: ignore[arg-type]

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Return a column of the panel with the values of the rows."""
        column = np.full(self.measured.shape, np.nan)
        column[self.measured] = values
        return column


def read_rows(panel: Panel, inputs: Names, good: Names, bad: Names) -> MeasuredRows:
    """Read the rows of positive weight that have all values.

    Parameters
    ----------
    panel
        The panel.
    inputs, good, bad
        Names of columns; a single name may stand for itself.

    Raises
    ------
    DataError
        If a column is missing, no row is complete, or a value is not positive and finite; the message names city, year and
        column.
    """
    groups = [[each] if isinstance(each, str) else list(each) for each in (inputs, good, bad)]
    columns = [column for group in groups for column in group]
    cube = np.stack([panel.column(column) for column in columns], axis=-1)
    measured = panel.sample & ~np.isnan(cube).any(axis=-1)
    if not measured.any():
        raise DataError(f"no row has values of all of {', '.join(columns)}. Fill gaps, or choose other columns.")
    unit, time = np.nonzero(measured)
    names = [f"{panel.units[at]} {panel.periods[when]}" for at, when in zip(unit, time, strict=True)]
    data = cube[measured]
    wrong = np.argwhere(~(np.isfinite(data) & (data > 0)))
    if wrong.size:
        shown = "; ".join(f"{names[row]} {columns[at]} = {data[row, at]:g}" for row, at in wrong[:5])
        raise DataError(
            f"{len(wrong)} values are not positive and finite ({shown}{'; ...' if len(wrong) > 5 else ''}). "
            "Every row is divided by its values: give these rows the weight 0, or mend the values."
        )
    blocks = np.split(data, np.cumsum([len(group) for group in groups])[:-1], axis=1)
    missing = int(panel.sample.sum()) - len(names)
    return MeasuredRows(
        columns=columns,
        data=[*blocks[:2], blocks[2] if groups[2] else None],
        measured=measured,
        unit=unit,
        period=np.asarray(panel.periods)[time],
        names=names,
        counted=f"{len(names)} rows measured, {missing} left out for missing values",
    )
