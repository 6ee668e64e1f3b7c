"""Steps that change the sample or the treatment: every one keeps all rows and changes weights.

Each says in a note what it left out, by name where units are concerned.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, one_of, unknown_name
from syneff.panel.panel import Panel, Variable
from syneff.typing import HostTrait

ALWAYS = ("keep", "drop")


def where(panel: Panel, *, condition: str) -> Panel:
    """Keep the rows in which a condition holds; the others get weight 0.

    Parameters
    ----------
    panel
        The panel.
    condition
        An expression, as in `pandas.DataFrame.query`, of columns and traits; ``unit`` and ``period`` are the identifiers.
        E.g. ``period >= 2010 and municipality == 0``. Of the comparisons with a missing value only ``!=`` holds.

    Returns
    -------
    Panel
        With a note of the rows kept.

    Raises
    ------
    DataError
        If the expression has an unknown name, or holds nowhere in the sample.
    SpecError
        If it is no condition.
    """
    return _kept(panel, holds(panel, condition), f"where {condition!r}")


def holds(panel: Panel, condition: str, what: str = "where") -> np.ndarray:
    """Return where a condition holds, ``[unit period]``, in the sample or not.

    Parameters
    ----------
    panel
        The panel.
    condition
        An expression; see `where`.
    what
        The option that it was given as, for the messages.

    Raises
    ------
    DataError
        If the expression has an unknown name.
    SpecError
        If it is no condition.
    """
    frame = panel.to_frame(sample_only=False)
    try:
        # Without the scopes of this function an expression can only see the panel.
        held = frame.eval(condition, engine="python", local_dict={}, global_dict={})
    except pd.errors.UndefinedVariableError as error:
        name = str(error).split("'")[1]
        remedy = "The year is called period, the city's identifier unit."
        raise DataError(f"{what} {condition!r}: {unknown_name('column', name, frame.columns, remedy)}") from error
    except (SyntaxError, TypeError, ValueError, NotImplementedError, AttributeError, KeyError) as error:
        raise SpecError(f"{what} {condition!r} is no condition: {error}. Write e.g. period >= 2010.") from error
    if not isinstance(held, pd.Series) or held.dtype != bool:
        raise SpecError(
            f"{what} {condition!r} is no condition: it must be true or false for each row, e.g. period >= 2010."
        )
    return held.to_numpy(dtype=bool).reshape(panel.shape)


def drop_periods(panel: Panel, *, periods: Sequence[int]) -> Panel:
    """Take whole years out of the sample.

    Parameters
    ----------
    panel
        The panel.
    periods
        Years of the panel.

    Returns
    -------
    Panel
        With a note of the rows kept.

    Raises
    ------
    DataError
        If a year is not in the panel, or none is left.
    """
    for period in periods:
        if period not in panel.periods:
            raise DataError(unknown_name("period for drop_periods:", period, panel.periods))
    keep = np.repeat(~np.isin(panel.periods, list(periods))[None, :], len(panel.units), axis=0)
    return _kept(panel, keep, f"drop_periods {', '.join(str(period) for period in periods)}")


def _kept(panel: Panel, keep: np.ndarray, what: str) -> Panel:
    rows, kept = int(panel.sample.sum()), int((panel.sample & keep).sum())
    if not kept:
        raise DataError(f"{what}: no row of the sample is left of {rows}. Widen the condition.")
    return panel.reweight(np.where(keep, panel.weights, 0.0), note=f"{what}: {kept} of {rows} rows kept.")


def balance(panel: Panel, *, columns: Sequence[str]) -> Panel:
    """Keep the units that are complete: in the sample, with a value in every column, in every year that anyone has.

    Parameters
    ----------
    panel
        The panel.
    columns
        Columns in which a unit must be complete.

    Returns
    -------
    Panel
        The other units have weight 0; a note names each, with the columns and the number of years that it lacks.

    Raises
    ------
    DataError
        If a column is unknown, or no unit is complete.
    """
    active = panel.sample.any(axis=0)
    entered = panel.sample.any(axis=1)
    lacking = {"whole row": ~panel.sample} | {name: panel.sample & np.isnan(panel.column(name)) for name in columns}
    years = {name: (cells & active).sum(axis=1) for name, cells in lacking.items()}
    complete = ~np.any([count > 0 for count in years.values()], axis=0)
    if not complete.any():
        worst = max(years, key=lambda name: int((years[name][entered] > 0).sum()))
        raise DataError(
            f"balance: no unit has all of {', '.join(columns)} in all {int(active.sum())} years; {worst!r} is missing most "
            "often. Fill gaps with interpolate, take the column out, or narrow the years with where."
        )
    reasons = [
        f"{panel.names[i]} ({', '.join(f'{name} missing {count[i]}' for name, count in years.items() if count[i])})"
        for i in np.flatnonzero(entered & ~complete)
    ]
    kept, n_years = int(complete.sum()), int(active.sum())
    note = f"balance: {kept} of {int(entered.sum())} units kept x {n_years} years = {kept * n_years} rows"
    left_out = f"; {len(reasons)} left out (years missing): {', '.join(reasons)}." if reasons else "; none left out."
    return panel.reweight(np.where(complete[:, None], panel.weights, 0.0), note=note + left_out)


def treat_from_year(
    panel: Panel, *, trait: str, name: str = "treat", always: Literal["keep", "drop"] = "keep"
) -> Panel:
    r"""Add a treatment that is 1 from a unit's own year on.

    .. math:: D_{it} = 1[t \ge g_i], \qquad g_i \text{ missing} \Rightarrow D_{it} = 0

    A unit that is treated in every year of the sample adds nothing to a comparison before and after: it is named in a note.
    Restrict the sample with `where` before this step, so that its first year is known.

    Parameters
    ----------
    panel
        The panel.
    trait
        Numeric trait with the first year of treatment; missing for units never treated.
    name
        The new column.
    always
        "keep" units that are treated from the first year of the sample or before, or "drop" them (weight 0).

    Returns
    -------
    Panel

    Raises
    ------
    DataError
        If the trait is unknown, is text, or is no whole year.
    SpecError
        If `always` is not allowed.
    """
    one_of("treat_from_year.always", always, ALWAYS)
    start = _start_years(panel, trait)
    treated = (np.asarray(panel.periods)[None, :] >= start[:, None]).astype(float)
    entered = panel.sample.any(axis=1)
    first, last = np.asarray(panel.periods)[panel.sample.any(axis=0)][[0, -1]]
    early = entered & (start <= first)
    within = entered & (start > first) & (start <= last)
    note = (
        f"treat_from_year: {name} = 1 from the year in {trait}: {int(within.sum())} units adopt in {first + 1}-{last}, "
        f"{int((entered & ~early & ~within).sum())} are never treated by {last}; "
        f"{int(early.sum())} are treated from {first} on or before"
    )
    if early.any():
        names = ", ".join(panel.names[i] for i in np.flatnonzero(early))
        note += f" and are {'kept' if always == 'keep' else 'left out'}: {names}"
    variables = {} if name in panel.variables else {name: Variable(f"Treated ({trait})", f"政策处理 ({trait})", "0/1")}
    panel = panel.assign({name: treated}, variables, note=note + ".")
    return panel if always == "keep" else panel.reweight(np.where(early[:, None], 0.0, panel.weights))


def _start_years(panel: Panel, trait: str) -> HostTrait:
    """Return the year of each unit, infinite where it is missing."""
    if trait not in panel.traits:
        raise DataError(
            unknown_name("trait for treat_from_year:", trait, panel.traits, "Join it with source.units_path.")
        )
    start = panel.traits[trait]
    if not np.issubdtype(start.dtype, np.number):
        raise DataError(
            f"treat_from_year: trait {trait!r} is text. It must hold years, and nothing for units never treated."
        )
    years = np.where(np.isnan(start.astype(float)), np.inf, start)
    wrong = np.isfinite(years) & (years != np.round(years))
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise DataError(f"treat_from_year: {trait!r} of {panel.names[i]} is {start[i]:g}, which is no whole year.")
    return years
