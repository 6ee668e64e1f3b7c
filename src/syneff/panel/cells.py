"""The cells of a table before they are a panel's: plain names, and numbers told from text.

A column is numeric when at least half of its cells are meant as numbers, so that one stray text cell is found and named
instead of turning the whole column into text in silence.
"""

import datetime
import re

import numpy as np
import pandas as pd

from syneff.errors import DataError
from syneff.panel.rules import listed

# Thousands separators and per cent signs, in ASCII and in full width.
SEPARATORS = "[,\uff0c]|[%\uff05]$"
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([ T]\d.*)?")


def flatten(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with a plain index (named levels become columns) and with text for names."""
    levels = [name for name in frame.index.names if name is not None and name not in frame.columns]
    frame = frame.reset_index(level=levels) if levels else frame
    frame = frame.reset_index(drop=True).rename(columns=str)
    if not frame.columns.is_unique:
        twice = listed(repr(name) for name in frame.columns[frame.columns.duplicated()])
        raise DataError(f"more than one column is called {twice}. Rename or remove all but one.")
    return frame


def is_numeric(cells: pd.Series) -> bool:
    """Return whether at least half of the cells that are not missing are meant as numbers, "1,234" and "5%" among them."""
    if pd.api.types.is_numeric_dtype(cells):
        return True
    written = [re.sub(SEPARATORS, "", cell) if isinstance(cell, str) else cell for cell in cells.dropna()]
    # As objects: pandas would count a column of dates as nanoseconds.
    return bool(numbers(pd.Series(written, dtype=object)).notna().sum() * 2 >= len(written))


def has_dates(cells: pd.Series) -> bool:
    """Return whether any cell that is no number is a date, stored as one or written as one."""

    def is_date(cell: object) -> bool:
        return isinstance(cell, datetime.date | pd.Period) or (isinstance(cell, str) and bool(_DATE.fullmatch(cell)))

    return any(is_date(cell) for cell in cells[numbers(cells).isna()].dropna())


def numbers(cells: pd.Series) -> pd.Series:
    """Return the cells as float64; NaN where one is missing or no number."""
    parsed = pd.to_numeric(cells, errors="coerce")
    return pd.Series(parsed.to_numpy(dtype=float, na_value=np.nan), index=cells.index)


def clean_cells(frame: pd.DataFrame, unit: str, period: str | None) -> pd.DataFrame:
    """Return the frame with blank text missing and with identifiers of units and periods as `int` where they are whole."""
    clean = pd.DataFrame({name: _cells(frame[name]) for name in frame.columns})
    clean[unit] = _identifiers(frame[unit])
    if period is not None:
        years = numbers(clean[period])
        whole = np.isfinite(years) & (years == years.round())
        pairs = zip(clean[period], years, whole, strict=True)
        cells = [int(year) if is_whole else cell for cell, year, is_whole in pairs]
        clean[period] = pd.Series(cells, index=clean.index, dtype=object)
    return clean


def _cells(cells: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(cells):
        return numbers(cells)
    stripped = [cell.strip() or None if isinstance(cell, str) else None if pd.isna(cell) else cell for cell in cells]
    return pd.Series(stripped, index=cells.index, dtype=object)


def _identifiers(cells: pd.Series) -> pd.Series:
    names = [int(cell) if isinstance(cell, float) and cell.is_integer() else cell for cell in _cells(cells)]
    if any(isinstance(name, str) for name in names):
        names = [None if pd.isna(name) else str(name) for name in names]
    return pd.Series(names, index=cells.index, dtype=object)


def typed_cells(clean: pd.DataFrame, *identifiers: str) -> pd.DataFrame:
    """Return the frame with numeric columns as float64 and the others, identifiers aside, as text (None if missing)."""

    def typed(name: str) -> pd.Series:
        cells = clean[name]
        if name in identifiers:
            return cells
        if is_numeric(cells):
            return numbers(cells)
        return pd.Series([None if pd.isna(cell) else str(cell) for cell in cells], index=cells.index, dtype=object)

    return pd.DataFrame({name: typed(name) for name in clean.columns})
