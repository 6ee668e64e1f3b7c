"""From names to clusters and distances: what a covariance needs of a panel, and every error that the user can mend there."""

from functools import reduce
from itertools import combinations

import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, unknown_name
from syneff.models.base import Spec
from syneff.numerics.covariance import Clusters
from syneff.numerics.dependence import great_circle
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.typing import Array, Float


def clusters_of(panel: Panel, spec: Spec, inside: np.ndarray) -> tuple[Clusters, ...]:
    """Return the clusters of each name and, with several names, of all their intersections.

    Parameters
    ----------
    panel, spec
        The data, and the names.
    inside
        ``[unit period]``: rows of the sample.

    Raises
    ------
    SpecError
        If a name is unknown.
    DataError
        If units or rows of the sample have no cluster.
    """
    codes = [_codes(panel, name, inside) for name in spec.cluster_names or ("unit",)]
    ways = []
    for order in range(1, len(codes) + 1):
        for chosen in combinations(codes, order):
            # Digits of one number: rows share it if they share all codes.
            joined = reduce(lambda number, code: number * (code.max() + 1) + code, chosen)
            joined = np.unique(joined, return_inverse=True)[1].reshape(panel.shape)
            sizes = np.bincount(joined.ravel())
            held = {"unit": (joined == joined[:, :1]).all(), "period": (joined == joined[:1]).all()}
            whole = tuple(name for name, holds in held.items() if holds)
            ways.append(Clusters(jnp.asarray(joined), sizes.size, int(sizes.max()), whole, 1 if order % 2 else -1))
    return tuple(ways)


def distances_of(panel: Panel, spec: Spec, inside: np.ndarray) -> Float[Array, "unit unit"] | None:
    """Return the kilometres between units where the covariance is Conley's, None otherwise.

    Parameters
    ----------
    panel, spec, inside
        As for `clusters_of`.

    Raises
    ------
    SpecError
        If a coordinate is no trait of the panel.
    DataError
        If units of the sample lack a coordinate, or one is no number of degrees.
    """
    if spec.covariance != "conley":
        return None
    used = inside.any(axis=1)
    found = []
    for name, limit in zip(spec.coordinates, (90.0, 180.0), strict=True):
        if name not in panel.traits:
            raise SpecError(unknown_name("trait in spec.coordinates (latitude, longitude):", name, panel.traits))
        degrees = pd.to_numeric(pd.Series(panel.traits[name]), errors="coerce").to_numpy(float)
        absent = np.flatnonzero(np.isnan(degrees) & used)
        if absent.size:
            raise DataError(
                f"spec.coordinates: {absent.size} units have no {name}: {listed(panel.names[each] for each in absent)}. "
                "Fill the trait, or take the units out of the sample."
            )
        wrong = np.flatnonzero((np.abs(degrees) > limit) & used)
        if wrong.size:
            raise DataError(
                f"spec.coordinates: {name} must be degrees from {-limit:g} to {limit:g}, but "
                f"{listed(f'{panel.names[each]} has {degrees[each]:g}' for each in wrong)}. "
                "Latitude comes first; projected coordinates must be turned into degrees."
            )
        found.append(jnp.asarray(np.where(used, degrees, 0.0)))
    return great_circle(*found)


def check_lags(panel: Panel, spec: Spec) -> None:
    """Raise a `SpecError` unless the lags are fewer than the periods."""
    periods = panel.shape[1]
    if spec.lags is not None and spec.lags >= periods:
        raise SpecError(
            f"spec.lags={spec.lags} must be 0 to {periods - 1}: the panel has {periods} periods. Give fewer lags."
        )


def _codes(panel: Panel, name: str, inside: np.ndarray) -> np.ndarray:
    units, periods = panel.shape
    if name == "unit":
        return np.repeat(np.arange(units)[:, None], periods, axis=1)
    if name == "period":
        return np.tile(np.arange(periods), (units, 1))
    if name in panel.traits:
        values = np.repeat(panel.traits[name][:, None], periods, axis=1)
    elif name in panel.columns:
        values = panel.columns[name]
    else:
        raise SpecError(unknown_name("spec.cluster", name, ["unit", "period", *panel.traits, *panel.columns]))
    missing = np.asarray(pd.isna(values)) & inside
    if missing.any():
        if name in panel.traits:
            which = np.flatnonzero(missing.any(axis=1))
            lacking = f"{which.size} units have no value: {listed(panel.names[each] for each in which)}"
        else:
            cells = np.argwhere(missing)
            rows = listed(f"{panel.names[unit]} {panel.periods[period]}" for unit, period in cells)
            lacking = f"{len(cells)} rows have no value: {rows}"
        raise DataError(f"spec.cluster={name}: {lacking}. Fill it, or cluster by unit.")
    return np.unique(values.astype(str), return_inverse=True)[1].reshape(panel.shape)
