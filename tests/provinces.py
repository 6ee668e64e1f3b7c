"""A small country for the measurement accounts: two provinces, three cities, written out by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from syneff.panel.panel import Panel, Variable

NAN = np.nan
CITIES = ("Anqing", "Hefei", "Wuhan")
PROVINCES = np.array(["Anhui", "Anhui", "Hubei"], dtype=object)


def country(
    first: int = 2004,
    weights: Sequence[Sequence[float]] | None = None,
    traits: dict[str, Any] | None = None,
    units: dict[str, str] | None = None,
    **columns: Sequence[Sequence[float]],
) -> Panel:
    """Return a panel of the cities in order, as many as the columns have rows, from the year `first` on."""
    arrays = {name: np.array(values, dtype=float) for name, values in columns.items()}
    shape = next(iter(arrays.values())).shape
    given = {name: np.asarray(values) for name, values in (traits or {}).items()}
    return Panel(
        CITIES[: shape[0]],
        tuple(range(first, first + shape[1])),
        arrays,
        {"province": PROVINCES[: shape[0]], **given},
        np.ones(shape) if weights is None else np.array(weights, dtype=float),
        variables={name: Variable(name, name, unit) for name, unit in (units or {}).items()},
    )
