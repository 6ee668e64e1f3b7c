"""Sources: ``() -> Panel`` once their options are given, one for each kind of file.

A source reads a table with one row a city and year, renames and keeps columns, joins a second table with one row a city (whose
columns become traits), and validates the whole. The options are the same for all kinds; see `Options`.

>>> from syneff.panel.sources import csv
>>> panel = csv("cities_2004_2020.csv", unit="code", period="year", units_path="cities.csv")  # doctest: +SKIP
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TypedDict, Unpack

import pandas as pd

from syneff.errors import DataError, unknown_name
from syneff.panel import files, schema
from syneff.panel.cells import flatten
from syneff.panel.panel import Panel, Variable, trait_values
from syneff.panel.rules import listed


class Options(TypedDict, total=False):
    """Options that all sources share.

    Attributes
    ----------
    rename
        New names by old ones, in both tables; every other option uses the new names.
    traits
        Columns to keep as traits, besides those that are text.
    columns
        The only columns to keep, besides identifiers, traits and treatment; all if None.
    variables
        ``{name: {label, label_zh, unit}}``.
    treatment
        A treatment to check: known, 0 or 1, never switched off.
    units_path
        A second table with one row a unit, of any kind of file; its columns become traits.
    units_columns
        The only columns to take from it; if None, all that the first table does not have.
    """

    rename: Mapping[str, str] | None
    traits: Sequence[str]
    columns: Sequence[str] | None
    variables: Mapping[str, Mapping[str, str]] | None
    treatment: str | None
    units_path: str | Path | None
    units_columns: Sequence[str] | None


def csv(path: str | Path | None, unit: str, period: str, **options: Unpack[Options]) -> Panel:
    """Read a panel from a csv file in UTF-8, with or without a byte-order mark, or in GB 18030.

    Parameters
    ----------
    path
        The file.
    unit, period
        Names of the identifying columns.
    **options
        See `Options`.

    Returns
    -------
    Panel

    Raises
    ------
    DataError
        If a file cannot be read, or the table is no panel; see `syneff.panel.schema.validate`.
    """
    return _panel(files.read(path, "source.path", kind="csv"), path, unit, period, **options)


def parquet(path: str | Path | None, unit: str, period: str, **options: Unpack[Options]) -> Panel:
    """Read a panel from a parquet file; parameters and errors as in `csv`."""
    return _panel(files.read(path, "source.path", kind="parquet"), path, unit, period, **options)


def stata(path: str | Path | None, unit: str, period: str, **options: Unpack[Options]) -> Panel:
    """Read a panel from a Stata file; parameters and errors as in `csv`.

    Labels of variables are kept. Value labels give the text of the unit and of traits; other columns keep their numbers.
    """
    old = {new: name for name, new in (options.get("rename") or {}).items()}
    texts = [old.get(name, name) for name in (unit, *options.get("traits", ()))]
    return _panel(files.read(path, "source.path", kind="stata", texts=texts), path, unit, period, **options)


def excel(
    path: str | Path | None, unit: str, period: str, *, sheet: str | int = 0, **options: Unpack[Options]
) -> Panel:
    """Read a panel from a sheet (name, or number from 0) of an xlsx workbook; other parameters and errors as in `csv`."""
    return _panel(files.read(path, "source.path", kind="excel", sheet=sheet), path, unit, period, **options)


def _panel(
    table: files.Table,
    path: str | Path | None,
    unit: str,
    period: str,
    *,
    rename: Mapping[str, str] | None = None,
    traits: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    variables: Mapping[str, Mapping[str, str]] | None = None,
    treatment: str | None = None,
    units_path: str | Path | None = None,
    units_columns: Sequence[str] | None = None,
) -> Panel:
    name = Path(str(path)).name
    unit_table = None if units_path is None else files.read(units_path, "source.units_path")
    _check_rename(rename or {}, [table] if unit_table is None else [table, unit_table])
    table = _renamed(table, rename or {})
    with _naming(name):
        frame = _kept(flatten(table.frame), columns, [unit, period, *traits, *([treatment] if treatment else [])])
        panel = Panel.from_frame(
            frame,
            unit,
            period,
            traits=tuple(traits),
            variables=_variables(table.labels, variables or {}),
            treatment=treatment,
        )
    rows, cells = int(panel.weights.sum()), panel.weights.size
    panel = panel.assign(
        {},
        note=f"read {name}: {rows} rows, {len(panel.units)} units x {len(panel.periods)} periods "
        f"({panel.periods[0]}-{panel.periods[-1]}); {cells - rows} city-years have no row.",
    )
    if unit_table is None:
        return panel
    with _naming(Path(str(units_path)).name):
        return _joined(panel, _renamed(unit_table, rename or {}), unit, units_columns, Path(str(units_path)).name)


@contextmanager
def _naming(file: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _check_rename(rename: Mapping[str, str], tables: Sequence[files.Table]) -> None:
    names = dict.fromkeys(str(name) for table in tables for name in table.frame.columns)
    unknown = [unknown_name("column in source.rename:", old, names) for old in rename if old not in names]
    if unknown:
        raise DataError("\n".join(unknown))


def _renamed(table: files.Table, rename: Mapping[str, str]) -> files.Table:
    labels = {rename.get(name, name): label for name, label in table.labels.items()}
    return files.Table(flatten(table.frame).rename(columns=dict(rename)), labels)


def _kept(frame: pd.DataFrame, columns: Sequence[str] | None, others: Sequence[str]) -> pd.DataFrame:
    if columns is None:
        return frame
    unknown = schema.unknown_columns(frame, columns)
    if unknown:
        raise DataError("source.columns: " + "\n".join(unknown))
    return frame[[name for name in frame.columns if name in {*columns, *others}]]


def _variables(labels: Mapping[str, str], given: Mapping[str, Mapping[str, str]]) -> dict[str, Variable]:
    allowed = [each.name for each in fields(Variable)]
    for name, entries in given.items():
        for key in entries:
            if key not in allowed:
                raise DataError(unknown_name(f"entry of source.variables.{name}:", key, allowed))
    names = dict.fromkeys([*labels, *given])
    return {name: Variable(**{"label": labels.get(name, ""), **given.get(name, {})}) for name in names}


def _joined(panel: Panel, table: files.Table, unit: str, columns: Sequence[str] | None, file: str) -> Panel:
    rows = schema.validate_traits(table.frame, unit)
    present = {*panel.columns, *panel.traits}
    unknown = schema.unknown_columns(rows, columns or ())
    clashes = [
        f"column {name!r} is in the first table too. Rename one of them." for name in columns or () if name in present
    ]
    if unknown or clashes:
        raise DataError("source.units_columns: " + "\n".join(unknown + clashes))
    by_unit = rows.set_index(rows[unit].map(str))
    keys = [str(each) for each in panel.units]
    absent = [name for key, name in zip(keys, panel.names, strict=True) if key not in by_unit.index]
    if len(absent) == len(keys):
        raise DataError(
            f"no unit of the panel has a row: {unit!r} is {listed(map(str, by_unit.index))} here, "
            f"but {listed(keys)} in the panel. Give both tables the same identifiers."
        )
    aligned = by_unit.reindex(keys)
    names = [name for name in (columns or rows.columns) if name != unit and name not in present]
    note = f"joined {len(names)} traits from {file}" + (
        f"; {len(absent)} units have no row there, so their traits are missing: {', '.join(absent)}." if absent else "."
    )
    variables = {name: Variable(label=label) for name, label in table.labels.items() if name in names}
    return replace(
        panel,
        traits={**panel.traits, **{name: trait_values(aligned[name]) for name in names}},
        variables={**variables, **panel.variables},
        notes=(*panel.notes, note),
    )
