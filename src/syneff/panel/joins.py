"""Joining a table of provinces, or of the nation, year by year: each city gets what its province has."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, unknown_name
from syneff.panel import files
from syneff.panel.cells import flatten, is_numeric, numbers
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.steps import undeclared
from syneff.typing import HostUnitPeriod


def join_yearly(
    panel: Panel,
    *,
    path: str,
    group: str | None = None,
    period: str = "year",
    columns: Sequence[str] | None = None,
    lag_by: int = 0,
) -> Panel:
    """Add columns from a table with one row a group and year (energy of provinces), or one row a year (research of the nation).

    Parameters
    ----------
    panel
        The panel.
    path
        The table: csv, parquet, dta or xlsx.
    group
        A trait of the panel and a column of the table, e.g. province; None for a table with one row a year.
    period
        The table's column of years.
    columns
        Columns to take; all numeric ones if None.
    lag_by
        Years back: a city gets in 2004 what the table has for 2004 - `lag_by`. A lagged series can so begin before the panel.

    Returns
    -------
    Panel
        With the columns; a note says which groups and years of the panel have no row.

    Raises
    ------
    DataError
        If the table cannot be read, a column is unknown or no number, two rows are for one group and year, or a group of the
        sample is not in the table: it is named with the nearest name there.
    SpecError
        If `lag_by` is negative.
    """
    if lag_by < 0:
        raise SpecError(f"join_yearly: lag_by={lag_by} must be at least 0.")
    frame = flatten(files.read(path, "path").frame)
    keys = [period] if group is None else [group, period]
    for name in [*keys, *(columns or [])]:
        if name not in frame.columns:
            raise DataError(f"join_yearly, path={path}: {unknown_name('column', name, frame.columns)}")
    wanted = (
        list(columns) if columns else [name for name in frame.columns if name not in keys and is_numeric(frame[name])]
    )
    _check(panel, frame, path, wanted, keys=keys)
    labels = _labels(panel, group)
    indexed = frame.assign(**{period: numbers(frame[period])})
    if group is not None:
        indexed[group] = indexed[group].map(_text)
        _match(panel, labels, sorted(set(indexed[group])), path)
    indexed = indexed.set_index(keys)
    taken = {name: _cube(panel, numbers(indexed[name]), labels, lag_by) for name in wanted}
    empty = np.isnan(np.stack([np.zeros(panel.shape), *taken.values()])).any(axis=0) & panel.sample
    years = [str(panel.periods[t]) for t in np.unique(np.nonzero(empty)[1])]
    note = f"joined {', '.join(wanted)} by {' and '.join(keys)}" + (f", of {lag_by} years before" if lag_by else "")
    note += f"; values are missing in {listed(years)}" if years else ""
    return panel.assign(taken, undeclared(panel, {name: Variable(name, name) for name in wanted}), note + ".")


def _text(label: object) -> str:
    return f"{label:g}" if isinstance(label, int | float) else str(label).strip()


def _labels(panel: Panel, group: str | None) -> list[str] | None:
    if group is None:
        return None
    if group not in panel.traits:
        raise DataError(unknown_name("trait for group:", group, panel.traits, "Join it with source.units_path."))
    return [_text(each) for each in panel.traits[group].tolist()]


def _check(panel: Panel, frame: pd.DataFrame, path: str, wanted: list[str], *, keys: list[str]) -> None:
    twice = frame.duplicated(subset=keys)
    if twice.any():
        rows = listed(" ".join(str(each) for each in row) for row in frame.loc[twice, keys].itertuples(index=False))
        raise DataError(f"join_yearly, path={path}: more than one row for {rows}. Keep one.")
    for name in [keys[-1], *wanted]:
        wrong = numbers(frame[name]).isna() & frame[name].notna()
        if wrong.any():
            cells = listed(str(each) for each in frame.loc[wrong, name])
            raise DataError(f"join_yearly, path={path}: column {name!r} has text among its numbers: {cells}.")
    clash = [name for name in wanted if name in panel.traits or name in panel.columns]
    if clash:
        raise DataError(f"join_yearly, path={path}: {listed(clash)} is in the panel already. Rename it in the table.")


def _match(panel: Panel, labels: list[str] | None, known: list[str], path: str) -> None:
    """Raise if a group of the sample is not in the table, with the nearest name there."""
    inside = np.unique(np.nonzero(panel.sample)[0]).tolist()
    absent = dict.fromkeys(labels[i] for i in inside if labels is not None and labels[i] not in known)
    if absent:
        first = next(iter(absent))
        raise DataError(
            f"join_yearly, path={path} has no row for {listed(absent)}: {unknown_name('group', first, known)} "
            "Both tables must spell it alike."
        )


def _cube(panel: Panel, cells: pd.Series, labels: list[str] | None, lag_by: int) -> HostUnitPeriod:
    years = [float(period - lag_by) for period in panel.periods]
    if labels is None:
        return np.repeat(cells.reindex(years).to_numpy()[None, :], len(panel.units), axis=0)
    wide = cells.unstack().reindex(index=labels, columns=years)
    return np.asarray(wide.to_numpy(dtype=float))
