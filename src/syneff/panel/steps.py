"""Steps: ``Panel -> Panel`` once their options are given.

A step adds a column, changes values or changes weights; it never removes a row. What it does to the data that a reader should
know (cells filled, rows taken out, cities left out and why) is a note of the panel, and the report prints the notes.

The steps that change the sample live in `syneff.panel.samples` and are named here too, so that a configuration finds every
step in one place.
"""

from collections.abc import Sequence

import numpy as np

from syneff.errors import DataError, SpecError
from syneff.panel.checks import refuse
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.samples import balance as balance
from syneff.panel.samples import drop_periods as drop_periods
from syneff.panel.samples import treat_from_year as treat_from_year
from syneff.panel.samples import where as where


def interpolate(panel: Panel, *, columns: Sequence[str], max_gap: int = 2) -> Panel:
    r"""Fill interior gaps of at most `max_gap` consecutive years linearly.

    .. math:: x_t = x_a + \frac{t - a}{b - a} (x_b - x_a), \qquad a < t < b, \quad b - a - 1 \le g

    with *a*, *b* the nearest years that have a value. A longer gap stays as it is, whole, and nothing is extrapolated. A row
    that the source does not have gets values but stays out of the sample.

    Parameters
    ----------
    panel
        The panel.
    columns
        Columns to fill.
    max_gap
        Longest gap to fill, in years.

    Returns
    -------
    Panel
        With a note of the city-years filled in each column; the rows out of the sample are counted apart.

    Raises
    ------
    DataError
        If a column is unknown.
    SpecError
        If `max_gap` is below 1.
    """
    _at_least_one("max_gap", max_gap)
    years = np.asarray(panel.periods, dtype=float)
    before = {name: panel.column(name) for name in columns}
    filled = {name: np.stack([_fill(row, years, max_gap) for row in values]) for name, values in before.items()}
    new = {name: np.isnan(before[name]) & ~np.isnan(filled[name]) for name in columns}
    said = "; ".join(f"{name} {_filled(panel, where)}" for name, where in new.items())
    return panel.assign(filled, note=f"interpolate: values filled (interior gaps of at most {max_gap} years): {said}.")


def _filled(panel: Panel, new: np.ndarray) -> str:
    """Count and name the city-years filled in one column."""
    inside, outside = new & panel.sample, int((new & ~panel.sample).sum())
    named = listed(f"{panel.names[i]} {panel.periods[t]}" for i, t in zip(*np.nonzero(inside), strict=True))
    said = f"{inside.sum()} city-years ({named})" if named else "none"
    return said + (f", and {outside} in rows out of the sample" if outside else "")


def _fill(row: np.ndarray, years: np.ndarray, max_gap: int) -> np.ndarray:
    known = np.flatnonzero(~np.isnan(row))
    if known.size < 2:
        return row
    filled = np.interp(years, years[known], row[known])
    position = np.searchsorted(known, np.arange(row.size))
    inside = (position > 0) & (position < known.size)
    left, right = known[np.maximum(position - 1, 0)], known[np.minimum(position, known.size - 1)]
    short = inside & (years[right] - years[left] - 1 <= max_gap)
    return np.where(np.isnan(row) & short, filled, row)


def winsorise(panel: Panel, *, columns: Sequence[str], lower: int | float = 1, upper: int | float = 99) -> Panel:
    """Pull values beyond two percentiles of the sample in to them, as Stata's ``winsor2, cuts(lower upper)`` does.

    The percentiles are those of Stata's ``_pctile``: with *n* values in order, the *p*-th is the mean of the values *np*/100
    and *np*/100 + 1 if *np*/100 is whole, else the value of the next whole rank. Rows outside the sample neither count nor
    change.

    Parameters
    ----------
    panel
        The panel.
    columns
        Columns to winsorise; they keep their names.
    lower, upper
        Percentiles, 0 <= lower < upper <= 100.

    Returns
    -------
    Panel
        With a note of the cells changed in each column.

    Raises
    ------
    DataError
        If a column is unknown, or has no value in the sample.
    SpecError
        If the percentiles are out of order.
    """
    if not 0 <= lower < upper <= 100:
        raise SpecError(f"winsorise: lower={lower:g}, upper={upper:g}: percentiles must be 0 <= lower < upper <= 100.")
    clipped = {name: _clip(panel, name, lower, upper) for name in columns}
    counts = {name: int(np.sum((values != panel.column(name)) & ~np.isnan(values))) for name, values in clipped.items()}
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    return panel.assign(clipped, note=f"winsorise: cells changed (percentiles {lower:g} and {upper:g}): {said}.")


def _clip(panel: Panel, name: str, lower: int | float, upper: int | float) -> np.ndarray:
    values = panel.column(name)
    ordered = np.sort(values[panel.sample & ~np.isnan(values)])
    if not ordered.size:
        raise DataError(f"winsorise: column {name!r} has no value in the sample. Take it out of the step's columns.")
    low, high = _percentile(ordered, lower), _percentile(ordered, upper)
    return np.where(panel.sample, np.clip(values, low, high), values)


def _percentile(ordered: np.ndarray, percent: int | float) -> float:
    rank = ordered.size * percent / 100
    below = int(rank)
    # At a whole rank both neighbours count; the 0th and the 100th percentile have but one.
    first = max(below - 1, 0) if rank == below else below
    return float((ordered[first] + ordered[min(below, ordered.size - 1)]) / 2)


def lag(panel: Panel, *, columns: Sequence[str], periods: int = 1) -> Panel:
    """Add the value of some years before, ``<name>_lag<periods>``; missing where that year is not in the panel.

    Parameters
    ----------
    panel
        The panel.
    columns
        Columns to lag.
    periods
        Years back, at least 1.

    Returns
    -------
    Panel

    Raises
    ------
    DataError
        If a column is unknown.
    SpecError
        If `periods` is below 1.
    """
    _at_least_one("periods", periods)
    years = np.asarray(panel.periods)
    source = np.searchsorted(years, years - periods)
    exists = years[np.minimum(source, years.size - 1)] == years - periods
    lagged = {f"{name}_lag{periods}": np.where(exists, panel.column(name)[:, source], np.nan) for name in columns}
    variables = {
        f"{name}_lag{periods}": Variable(
            label=f"{panel.label(name)}, lag {periods}",
            label_zh=f"{panel.label(name, 'zh')} 滞后{periods}期",
            unit=panel.variables.get(name, Variable()).unit,
        )
        for name in columns
    }
    return panel.assign(lagged, undeclared(panel, variables))


def log(panel: Panel, *, columns: Sequence[str]) -> Panel:
    """Add the natural logarithm, ``ln<name>``; missing where the value is.

    Parameters
    ----------
    panel
        The panel.
    columns
        Columns, positive in the sample.

    Returns
    -------
    Panel

    Raises
    ------
    DataError
        If a column is unknown, or is not positive in the sample: city and year are named.
    """
    logs = {}
    for name in columns:
        values = panel.column(name)
        refuse(
            panel, values <= 0, f"log: column {name!r} is not positive in", "Take the rows out with where, or rescale."
        )
        logs[f"ln{name}"] = np.log(np.where(values > 0, values, np.nan))
    variables = {
        f"ln{name}": Variable(
            label=f"ln {panel.label(name)}",
            label_zh=f"ln {panel.label(name, 'zh')}",
            unit=f"ln({panel.variables[name].unit})" if name in panel.variables and panel.variables[name].unit else "",
        )
        for name in columns
    }
    return panel.assign(logs, undeclared(panel, variables))


def ratio(panel: Panel, *, name: str, numerator: str, denominator: str, scale: int | float = 1) -> Panel:
    """Add ``scale * numerator / denominator``; missing where either is.

    Parameters
    ----------
    panel
        The panel.
    name
        The new column.
    numerator, denominator
        Columns.
    scale
        Factor, e.g. 100 for per cent.

    Returns
    -------
    Panel

    Raises
    ------
    DataError
        If a column is unknown, or the denominator is 0 in the sample: city and year are named.
    """
    above, below = panel.column(numerator), panel.column(denominator)
    refuse(panel, below == 0, f"ratio: denominator {denominator!r} is 0 in", "Mend the cells, or leave them empty.")
    values = scale * above / np.where(below == 0, np.nan, below)
    variable = Variable(
        label=f"{panel.label(numerator)} / {panel.label(denominator)}",
        label_zh=f"{panel.label(numerator, 'zh')} / {panel.label(denominator, 'zh')}",
        unit=_ratio_unit(panel, numerator, denominator, scale),
    )
    return panel.assign({name: values}, undeclared(panel, {name: variable}))


def _ratio_unit(panel: Panel, numerator: str, denominator: str, scale: int | float) -> str:
    above, below = (panel.variables.get(name, Variable()).unit for name in (numerator, denominator))
    if not (above and below):
        return ""
    if above == below:
        return {1.0: "-", 100.0: "%"}.get(float(scale), f"x {scale:g}")
    return f"{above} / {below}" + ("" if scale == 1 else f", x {scale:g}")


def undeclared(panel: Panel, variables: dict[str, Variable]) -> dict[str, Variable]:
    """Return the variables that the source did not declare: a label that the user gave stays."""
    return {name: variable for name, variable in variables.items() if name not in panel.variables}


def _at_least_one(option: str, value: int) -> None:
    if value < 1:
        raise SpecError(f"{option}={value}: must be a whole number of at least 1.")
