"""Validation: what a table must satisfy to be a panel.

A table is a panel when every unit has at most one row a period, periods are whole years without a year that nobody has,
numeric columns hold finite numbers, and text does not change within a unit. Everything that is wrong is found in one pass
and named by city, year and column.

Missing cells are no error: a city's year may be incomplete, and estimators leave such rows out.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from syneff.errors import DataError, unknown_name
from syneff.panel.cells import clean_cells, flatten, has_dates, is_numeric, numbers, typed_cells
from syneff.panel.rules import Rule, failures, holds_everywhere, listed, unit_names
from syneff.typing import HostUnitPeriod

RESERVED = ("unit", "period", "weight")


@runtime_checkable
class Cube(Protocol):
    """What `check_treatment` needs of a panel."""

    @property
    def periods(self) -> tuple[int, ...]:
        """Periods, ascending."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the units, for a reader."""

    @property
    def sample(self) -> np.ndarray:
        """Boolean ``[unit period]``."""

    def column(self, name: str) -> HostUnitPeriod:
        """Return a column by name."""


def validate(
    frame: pd.DataFrame,
    unit: str,
    period: str,
    *,
    weight: str | None = None,
    traits: Sequence[str] = (),
    treatment: str | None = None,
) -> pd.DataFrame:
    """Check a table with one row a unit and period, and return it with clean types.

    Parameters
    ----------
    frame
        The table, with its rows in any order.
    unit, period
        Names of the identifying columns.
    weight
        Name of a column of weights, if there is one.
    traits
        Names of columns that must not change within a unit, besides those that are text.
    treatment
        Name of a treatment, to be checked as by `check_treatment`.

    Returns
    -------
    pandas.DataFrame
        Units as whole numbers or text, periods as whole numbers, other columns as float64 or (text) object, sorted by unit
        and period.

    Raises
    ------
    DataError
        All that is wrong, in one message.
    """
    frame = flatten(frame)
    problems = [
        unknown_name(
            f"column for source.{role}:", name, frame.columns, f"Set source.{role} to the column of the {role}s."
        )
        for role, name in (("unit", unit), ("period", period))
        if name not in frame.columns
    ]
    if problems or frame.empty:
        raise DataError(_message(problems or ["the table has no rows."]))
    named = [*traits, *(name for name in (weight, treatment) if name)]
    problems = unknown_columns(frame, named) + _reserved(frame, (unit, period, weight))
    clean = clean_cells(frame, unit, period)
    present = [name for name in named if name in clean.columns]
    rules = _panel_rules(clean, unit, period, [name for name in traits if name in present])
    rules += _weight_rules(str(weight)) if weight in present else []
    if treatment in present:
        sample = numbers(clean[weight]) > 0 if weight in present else pd.Series(True, index=clean.index)
        rules += _treatment_rules(clean, str(treatment), (unit, period), sample)
    problems += failures(clean, rules, partial(_row_names, clean, unit, period)) + _gaps(clean[period])
    if problems:
        raise DataError(_message(problems))
    return typed_cells(clean, unit, period).astype({period: int}).sort_values([unit, period], ignore_index=True)


def validate_traits(frame: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Check a table with one row a unit, and return it with clean types.

    Raises
    ------
    DataError
        If the unit's column is missing, a unit has two rows, or a numeric column has text or infinite cells.
    """
    frame = flatten(frame)
    if unit not in frame.columns:
        raise DataError(unknown_name("column", unit, frame.columns, "Both tables need the column source.unit."))
    clean = clean_cells(frame, unit, None)
    once = Rule(
        unit,
        lambda cells: ~cells.duplicated(),
        "more than one row for {cells}. Keep one row a unit.",
        shows_value=False,
    )
    problems = _reserved(frame, (unit,))
    problems += failures(clean, [once, *_number_rules(clean, {unit})], lambda: [str(each) for each in clean[unit]])
    if problems:
        raise DataError(_message(problems))
    return typed_cells(clean, unit)


def check_treatment(panel: Cube, name: str) -> None:
    """Raise unless a treatment is known in the whole sample, 0 or 1, and never switched off.

    Parameters
    ----------
    panel
        A `syneff.panel.panel.Panel`.
    name
        The treatment's column.

    Raises
    ------
    DataError
        Naming the cities and years.
    """
    unit, period = np.nonzero(panel.sample)
    frame = pd.DataFrame({name: panel.column(name)[unit, period], "the unit": unit, "the period": period})
    rules = _treatment_rules(frame, name, ("the unit", "the period"), pd.Series(True, index=frame.index))
    if all(holds_everywhere(frame, rule) for rule in rules):
        return
    rows = [f"{panel.names[i]} {panel.periods[t]}" for i, t in zip(unit, period, strict=True)]
    raise DataError(_message(failures(frame, rules, lambda: rows)))


def unknown_columns(frame: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Word one message for each name that is no column of the frame."""
    return [unknown_name("column", name, frame.columns) for name in names if name not in frame.columns]


def _reserved(frame: pd.DataFrame, roles: Iterable[str | None]) -> list[str]:
    taken = [name for name in RESERVED if name in frame.columns and name not in set(roles)]
    return [
        f"column {name!r} has a name that the panel keeps for its {name}s. Rename it with source.rename={{{name}: other}}"
        + (", or pass weight='weight' to Panel.from_frame if it holds weights." if name == "weight" else ".")
        for name in taken
    ]


def _gaps(period: pd.Series) -> list[str]:
    years = {year for year in period if isinstance(year, int)}
    missing = sorted(set(range(min(years), max(years) + 1)) - years) if years else []
    if not missing:
        return []
    return [
        f"no unit has a row in {listed(map(str, missing))}, between {min(years)} and {max(years)}. "
        "Add the rows (their cells may be empty), or number the periods 1, 2, 3, ... in source.period."
    ]


def _panel_rules(frame: pd.DataFrame, unit: str, period: str, traits: Sequence[str]) -> list[Rule]:
    numeric = [rule.column for rule in _number_rules(frame, {unit, period})]
    fixed = [name for name in frame.columns if name not in {unit, period} and (name in traits or name not in numeric)]
    by_unit = frame.loc[numbers(frame[period]).sort_values().index].groupby(unit, sort=False)
    first = {name: by_unit[name].transform("first") for name in fixed}
    nowhere = frame[unit].isna()
    return [
        Rule(
            unit,
            pd.Series.notna,
            "no unit is given in {cells}. Fill column " + f"{unit!r}.",
            missing_too=True,
            shows_value=False,
        ),
        Rule(
            period,
            lambda cells: cells.map(lambda cell: isinstance(cell, int)),
            f"column {period!r} must hold whole years, but has "
            + ("dates: {cells}. Keep the year alone" if has_dates(frame[period]) else "{cells}. Write the year")
            + " as a number, e.g. 2004.",
            missing_too=True,
        ),
        Rule(
            period,
            lambda cells: ~frame.duplicated([unit, period]) | nowhere,
            "more than one row for {cells}. Keep one row a city-year, or add them up.",
            shows_value=False,
            missing_too=True,
        ),
        *_number_rules(frame, {unit, period}),
        *(
            Rule(
                name,
                lambda cells, name=name: (cells == first[name].loc[cells.index]) | nowhere.loc[cells.index],  # type: ignore[misc]
                f"column {name!r} {_kind(frame[name], name in traits)}, so it must not change within a unit, "
                "but it differs from the unit's first value in {cells}. Mend the cells, or leave the column out.",
            )
            for name in fixed
        ),
    ]


def _kind(cells: pd.Series, is_trait: bool) -> str:
    return "is a trait" if is_trait else "holds dates" if has_dates(cells) else "is text"


def _number_rules(frame: pd.DataFrame, identifiers: set[str]) -> list[Rule]:
    numeric = [name for name in frame.columns if name not in identifiers and is_numeric(frame[name])]
    return [
        rule
        for name in numeric
        for rule in (
            Rule(
                name,
                lambda cells: numbers(cells).notna(),
                f"column {name!r} has {'dates' if has_dates(frame[name]) else 'text'} among its numbers: " + "{cells}. "
                "Write numbers without thousands separators and units, and leave missing cells empty.",
            ),
            Rule(
                name,
                lambda cells: ~np.isinf(numbers(cells)),
                f"column {name!r} is infinite in " + "{cells}. Leave the cells empty, or mend what divided by zero.",
            ),
        )
    ]


def _weight_rules(name: str) -> list[Rule]:
    return [
        Rule(
            name,
            lambda cells: numbers(cells) >= 0,
            f"weights in column {name!r} must be numbers of at least 0, but are not in " + "{cells}.",
            missing_too=True,
        )
    ]


def _treatment_rules(frame: pd.DataFrame, name: str, identifiers: tuple[str, str], sample: pd.Series) -> list[Rule]:
    unit, period = identifiers
    in_order = numbers(frame[name]).where(sample)[numbers(frame[period]).sort_values().index]
    before = in_order.groupby(frame[unit]).ffill().groupby(frame[unit]).shift().fillna(0.0)

    def outside(cells: pd.Series) -> pd.Series:
        return ~sample.loc[cells.index]

    return [
        Rule(
            name,
            lambda cells: cells.notna() | outside(cells),
            f"treatment {name!r} is missing in " + "{cells}. Fill it with 0 or 1, or take the rows out of the sample.",
            missing_too=True,
            shows_value=False,
        ),
        Rule(
            name,
            lambda cells: numbers(cells).isin([0.0, 1.0]) | outside(cells),
            f"treatment {name!r} must be 0 or 1, but is not in " + "{cells}.",
        ),
        Rule(
            name,
            lambda cells: (numbers(cells) >= before.loc[cells.index]) | outside(cells),
            f"treatment {name!r} switches off in " + "{cells}. Once treated, a unit must stay treated: mend the cells.",
            shows_value=False,
        ),
    ]


def _row_names(frame: pd.DataFrame, unit: str, period: str) -> list[str]:
    units = list(dict.fromkeys(frame[unit].dropna()))
    texts = [name for name in frame.columns if name not in (unit, period) and not is_numeric(frame[name])]
    firsts = {name: frame.groupby(unit)[name].first().loc[units].tolist() for name in texts}
    names = dict(zip(units, unit_names(units, firsts), strict=True))
    return [
        f"{names.get(each, f'row {row} of the table')} {'' if pd.isna(year) else year}".rstrip()
        for row, (each, year) in enumerate(zip(frame[unit], frame[period], strict=True), start=1)
    ]


def _message(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return f"the data have {len(problems)} problems:\n" + "\n".join(f"  - {problem}" for problem in problems)
