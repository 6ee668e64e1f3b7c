"""Emission factors: the table of the package, a user's own, and which factor a city has in a year.

``factors.csv`` beside this module has a row a factor: ``carrier``, ``basis`` (whose numbers), ``grid`` and ``year`` (of
electricity alone), ``factor`` and its ``unit`` ("t CO2 / 10^4 m3"), the ``heat_value`` (GJ a unit) and the ``content``
(kg CO2/GJ) whose product it is, whether it has been ``checked`` against its publication or a copy of it, and its
``source``. Of several bases of a carrier the first is the default. ``grids.csv`` says which regional grid a province
belongs to; Tibet has no published factor.

A user's table has the columns carrier, factor, unit and source, and any of the others; it takes the place of the package's rows
for the carriers that it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from syneff.errors import DataError, unknown_name
from syneff.panel import files
from syneff.panel.cells import numbers
from syneff.panel.panel import Panel
from syneff.panel.rules import Rule, failures, listed
from syneff.typing import Float, HostUnitPeriod

REQUIRED = ("carrier", "factor", "unit", "source")
OPTIONAL = ("basis", "grid", "year", "heat_value", "content", "checked")
PREFIX = "t CO2 / "
APART = 30.0  # a factor that differs by more from the package's has another unit
SUFFIXES = (
    "壮族自治区",
    "回族自治区",
    "维吾尔自治区",
    "自治区",
    "省",
    "市",
    " Province",
    " Municipality",
    " Autonomous Region",
)


@dataclass(frozen=True)
class Applied:
    """The factors of one carrier for a panel.

    Attributes
    ----------
    values
        Factor of each city and year, t CO2 a unit of the carrier.
    unit
        The unit of the carrier.
    rows
        The rows of the table that were used.
    note
        Years that had to take another year's factor; "" if none.
    """

    values: HostUnitPeriod
    unit: str
    rows: pd.DataFrame
    note: str = ""


@dataclass(frozen=True)
class _Yearly:
    """Factor of each period, the rows it is from, and which periods borrow another year's."""

    values: Float[np.ndarray, " period"]
    rows: pd.DataFrame
    note: str = ""


@cache
def packaged() -> pd.DataFrame:
    """Return the table of the package."""
    return _typed(pd.read_csv(Path(__file__).parent / "factors.csv", dtype={"grid": str}))


@cache
def grids() -> dict[str, str]:
    """Return the grid of each province, by its English and its Chinese name without "province"."""
    table = pd.read_csv(Path(__file__).parent / "grids.csv")
    return {str(name): str(row.grid) for row in table.itertuples() for name in (row.province, row.province_zh)}


def grid_of(province: object) -> str | None:
    """Return the grid of a province, "Hubei", "湖北" or "湖北省"; None if it has none."""
    name = str(province).strip()
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return grids().get(name)


def table(path: str | None = None) -> tuple[pd.DataFrame, str]:
    """Return the factors, the user's before the package's, and a warning where the two seem to have other units.

    Parameters
    ----------
    path
        The user's table; None for the package's alone.

    Raises
    ------
    DataError
        If the table lacks a column, a factor is not positive, a unit is not one of "t CO2 / ...", or a factor is there twice.
    """
    if path is None:
        return packaged(), ""
    own = files.read(path, "factors_path").frame
    unknown = [
        unknown_name("column in factors_path:", name, own.columns) for name in REQUIRED if name not in own.columns
    ]
    if unknown:
        raise DataError(" ".join([*unknown, f"The columns are {', '.join((*REQUIRED, *OPTIONAL))}."]))
    own = _typed(own)
    _validate(own, path)
    rest = packaged()[~packaged()["carrier"].isin(own["carrier"])]
    return pd.concat([own, rest], ignore_index=True), _scales(own)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with all columns, text without blanks and numbers as numbers."""
    clean = frame.reindex(columns=[*REQUIRED, *OPTIONAL])
    for name in ("carrier", "unit", "source", "basis", "grid", "checked"):
        clean[name] = ["" if pd.isna(cell) else str(cell).strip() for cell in clean[name]]
    for name in ("factor", "year", "heat_value", "content"):
        clean[name] = numbers(clean[name])
    return clean


def _validate(own: pd.DataFrame, path: str) -> None:
    twice = own.duplicated(["carrier", "basis", "grid", "year"])
    rules = [
        Rule(
            "factor",
            lambda cells: cells > 0,
            "a factor must be a positive number, but is not in {cells}.",
            missing_too=True,
        ),
        Rule(
            "unit",
            lambda cells: cells.str.startswith(PREFIX),
            f"a unit must begin with {PREFIX!r}, unlike " + "{cells}.",
        ),
        Rule("source", lambda cells: cells != "", "a source is missing in {cells}: say where the factor is from."),
        Rule(
            "carrier",
            lambda cells: ~twice.loc[cells.index],
            "{cells} have the same carrier, basis, grid and year.",
        ),
    ]
    names = [f"row {number} ({carrier})" for number, carrier in enumerate(own["carrier"], start=1)]
    problems = failures(own.assign(unit=own["unit"].astype(object)), rules, lambda: names)
    if problems:
        raise DataError(f"factors_path={path}: " + " ".join(problems))


def _scales(own: pd.DataFrame) -> str:
    """Say which of the user's factors are far from the package's in the same unit; "" if none is."""
    said = []
    for (carrier, unit), rows in own.groupby(["carrier", "unit"], sort=False):
        ours = packaged()[(packaged()["carrier"] == carrier) & (packaged()["unit"] == unit)]["factor"]
        ratio = float(rows["factor"].median() / ours.median()) if len(ours) else 1.0
        if not 1.0 / APART < ratio < APART:
            said.append(f"your factor of {carrier} is {ratio:.3g} times the usual one ({ours.median():.4g} {unit})")
    return "; ".join(said)


def applied(
    factors: pd.DataFrame,
    panel: Panel,
    carrier: str,
    *,
    basis: str | None = None,
    grids_of_units: Sequence[str | None] | None = None,
) -> Applied:
    """Return the factor of a carrier for each city and year: of its grid, if it has one, in the nearest published year.

    Parameters
    ----------
    factors
        See `table`.
    panel
        The panel.
    carrier
        The carrier.
    basis
        Whose numbers; the first that the table has if None.
    grids_of_units
        Grid of each unit.

    Raises
    ------
    DataError
        If the carrier, the basis or the grid of a city in the sample is not in the table.
    """
    rows = _rows(factors, carrier, basis)
    unit = str(rows["unit"].iloc[0]).removeprefix(PREFIX)
    if (rows["grid"] == "").all():
        one = _by_year(rows, panel.periods)
        return Applied(np.repeat(one.values[None, :], len(panel.units), axis=0), unit, one.rows, one.note)
    known = {str(name): _by_year(own, panel.periods) for name, own in rows.groupby("grid", sort=False)}
    found = [None] * len(panel.units) if grids_of_units is None else list(grids_of_units)
    lost = [i for i, grid in enumerate(found) if grid not in known and panel.sample[i].any()]
    if lost:
        which = listed(f"{panel.names[i]} ({found[i]})" for i in lost)
        raise DataError(
            f"{carrier} has no factor for the grid of {which}. Grids: {', '.join(known)}. Give grid= (a trait with grids) or "
            "province= (a trait with provinces), add factors by factors_path, or take the cities out with where."
        )
    empty = np.full(len(panel.periods), np.nan)
    values = np.stack([known[grid].values if grid in known else empty for grid in found])
    used = [known[grid] for grid in dict.fromkeys(found) if grid in known]
    notes = dict.fromkeys(each.note for each in used if each.note)
    return Applied(values, unit, pd.concat([each.rows for each in used]), "; ".join(notes))


def _rows(factors: pd.DataFrame, carrier: str, basis: str | None) -> pd.DataFrame:
    """Return the rows of a carrier on one basis."""
    rows = factors[factors["carrier"] == carrier]
    if rows.empty:
        raise DataError(
            unknown_name(
                "carrier", carrier, factors["carrier"].unique(), "Add factors of your own by factors_path=FILE."
            )
        )
    chosen = rows["basis"].iloc[0] if basis is None else basis
    rows = rows[rows["basis"] == chosen]
    if rows.empty:
        bases = factors.loc[factors["carrier"] == carrier, "basis"].unique()
        raise DataError(unknown_name(f"basis for {carrier}:", basis, bases))
    if rows["unit"].nunique() > 1:
        raise DataError(f"factors of {carrier} have several units: {listed(rows['unit'])}. Give all in one.")
    return rows


def _by_year(rows: pd.DataFrame, periods: Sequence[int]) -> _Yearly:
    """Choose the factor of each period: that of the nearest published year, the earlier of two."""
    if rows["year"].isna().all():
        return _Yearly(np.full(len(periods), float(rows["factor"].iloc[0])), rows)
    dated = rows.dropna(subset=["year"]).sort_values("year")
    years = dated["year"].to_numpy()
    nearest = np.abs(np.asarray(periods)[:, None] - years[None, :]).argmin(axis=1)
    borrowed: dict[int, list[int]] = {}
    for period, at in zip(periods, nearest, strict=True):
        if period != years[at]:
            borrowed.setdefault(int(years[at]), []).append(period)
    said = [f"{_span(some)} by the factor of {year}" for year, some in borrowed.items()]
    return _Yearly(dated["factor"].to_numpy()[nearest], dated.iloc[np.unique(nearest)], ", ".join(said))


def _span(years: Sequence[int]) -> str:
    """Word years, those that follow each other as one span."""
    runs: list[list[int]] = []
    for year in years:
        if runs and year == runs[-1][-1] + 1:
            runs[-1].append(year)
        else:
            runs.append([year])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
