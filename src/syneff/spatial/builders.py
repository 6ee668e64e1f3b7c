"""Weights made of a panel: what the files of conf/weights name.

Each function takes a panel and returns the `Weights` of the units in its sample, with the panel's own names and, where the
panel has coordinates, with those. What varies over time enters as a mean, so that one W holds for all periods: a W that moved
with the economy would move with the outcome, and rho would no longer mean dependence on neighbours.
"""

from collections.abc import Sequence
from typing import TypedDict, Unpack

import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, one_of, unknown_name
from syneff.panel.panel import Panel
from syneff.spatial.combinations import mixture, product, towards
from syneff.spatial.files import read_weights
from syneff.spatial.links import picked
from syneff.spatial.options import Options
from syneff.spatial.weights import Weights
from syneff.typing import Float, HostTrait

COORDINATES = ("lat", "lon")
COMBINE = ("mixture", "product", "towards")


class PanelOptions(TypedDict, total=False):
    """Options of all weights that are made of a panel.

    Attributes
    ----------
    standardise
        row, spectral or none.
    islands
        keep, nearest, drop or error.
    name
        What the weights are called in tables.
    empty_columns
        refuse or keep units that have neighbours and are nobody's.
    coordinates
        Traits of latitude and longitude.
    """

    standardise: str
    islands: str
    name: str
    empty_columns: str
    coordinates: tuple[str, str]


def contiguity(
    panel: Panel,
    *,
    path: str | None,
    columns: tuple[str, str, str] = ("focal", "neighbor", "weight"),
    one_way: str = "refuse",
    **options: Unpack[PanelOptions],
) -> Weights:
    """Read neighbours from a file of pairs, a matrix, a GAL or a GWT file; see `syneff.spatial.files.read_weights`."""
    given = _options(panel, options, "contiguity")
    return read_weights(path, ids=_sampled(panel), columns=columns, one_way=one_way, **given)


def province(
    panel: Panel,
    *,
    trait: str = "province",
    **options: Unpack[PanelOptions],
) -> Weights:
    """Link the units that share a trait; the only unit of a province is an island."""
    given = _options(panel, options, trait)
    return Weights.by_group(_trait(panel, trait), ids=_sampled(panel), **given)


def distance(
    panel: Panel,
    *,
    power: int | float = 1,
    cutoff_km: int | float | None = None,
    **options: Unpack[PanelOptions],
) -> Weights:
    """Link units by the inverse of their great-circle distance to a power, up to a cut-off."""
    lat, lon = _places(panel, options)
    given = _options(panel, options, "distance")
    return Weights.by_distance(lat, lon, ids=_sampled(panel), power=power, cutoff_km=cutoff_km, **given)


def nearest(panel: Panel, *, k: int = 4, **options: Unpack[PanelOptions]) -> Weights:
    """Link every unit to its nearest ones."""
    lat, lon = _places(panel, options)
    return Weights.by_nearest(lat, lon, ids=_sampled(panel), k=k, **_options(panel, options, "nearest"))


def economic(
    panel: Panel,
    *,
    column: str,
    periods: Sequence[int] | None = None,
    logged: bool = False,
    floor: int | float | None = None,
    **options: Unpack[PanelOptions],
) -> Weights:
    """Link units by the inverse of the gap between their means of a column, e.g. GDP per head.

    Parameters
    ----------
    panel
        The panel.
    column
        The column.
    periods
        Periods of the mean, e.g. those before the policy; all that a unit has in the sample if None.
    logged
        The column is a logarithm: its exponential is averaged.
    floor
        Gaps below it count as it; see `syneff.spatial.links.gap_links`.
    options
        See `PanelOptions`.
    """
    given = _options(panel, options, "economic")
    return Weights.by_gap(_means(panel, column, periods, logged), ids=_sampled(panel), floor=floor, **given)


def nested(
    panel: Panel,
    *,
    column: str,
    periods: Sequence[int] | None = None,
    logged: bool = False,
    combine: str = "mixture",
    share: int | float = 0.5,
    power: int | float = 1,
    cutoff_km: int | float | None = None,
    floor: int | float | None = None,
    **options: Unpack[PanelOptions],
) -> Weights:
    """Combine inverse distance with an economic column.

    Parameters
    ----------
    panel
        The panel.
    column, periods, logged, floor
        See `economic`.
    combine
        "mixture" of both standardised matrices, "product" of inverse distance and inverse gap, or inverse distance
        "towards" the neighbour's share of the mean; see `syneff.spatial.combinations`.
    share
        Of distance in the mixture.
    power, cutoff_km
        See `distance`.
    options
        See `PanelOptions`.

    Raises
    ------
    SpecError
        If `combine` is not allowed.
    """
    one_of("weights.combine", combine, COMBINE)
    given = _options(panel, options, "nested")
    near = distance(panel, power=power, cutoff_km=cutoff_km, **_where(options))
    if combine == "towards":
        return towards(near, _means(panel, column, periods, logged), **given)
    alike = economic(panel, column=column, periods=periods, logged=logged, floor=floor, **_where(options))
    if combine == "product":
        return product(near, alike, **given)
    return mixture(near, alike, share=share, **given)


def _sampled(panel: Panel) -> list[object]:
    return [panel.units[at] for at in np.flatnonzero(panel.sample.any(axis=1)).tolist()]


def _options(panel: Panel, given: PanelOptions, name: str) -> Options:
    """Fill in what the panel knows: the units' names, and where they are if it has coordinates."""
    entered = np.flatnonzero(panel.sample.any(axis=1)).tolist()
    options = Options(name=given.get("name", name), labels=[panel.names[at] for at in entered])
    options["standardise"], options["islands"] = given.get("standardise", "row"), given.get("islands", "keep")
    if "empty_columns" in given:
        options["empty_columns"] = given["empty_columns"]
    if "coordinates" in given or all(each in panel.traits for each in COORDINATES):
        options["coordinates"] = np.column_stack(_places(panel, given))
    return options


def _where(given: PanelOptions) -> PanelOptions:
    return PanelOptions(coordinates=given["coordinates"]) if "coordinates" in given else PanelOptions()


def _trait(panel: Panel, name: str) -> HostTrait:
    if name not in panel.traits:
        raise DataError(unknown_name("trait for weights:", name, panel.traits, "Join it with source.units_path."))
    return panel.traits[name][panel.sample.any(axis=1)]


def _places(panel: Panel, given: PanelOptions) -> tuple[np.ndarray, np.ndarray]:
    """Return latitudes and longitudes."""
    found = [_trait(panel, name) for name in given.get("coordinates", COORDINATES)]
    lat, lon = (pd.to_numeric(pd.Series(each), errors="coerce").to_numpy(float) for each in found)
    return lat, lon


def _means(panel: Panel, column: str, periods: Sequence[int] | None, logged: bool) -> Float[np.ndarray, " unit"]:
    """Return the mean of a column over a unit's rows in the sample, in the given periods."""
    wrong = [period for period in periods or () if period not in panel.periods]
    if wrong:
        raise SpecError(unknown_name("period in weights.periods:", wrong[0], panel.periods))
    wanted = np.isin(panel.periods, panel.periods if periods is None else list(periods))
    values = np.exp(panel.column(column)) if logged else panel.column(column)
    used = panel.sample & wanted[None, :] & np.isfinite(values)
    entered = panel.sample.any(axis=1)
    absent = entered & ~used.any(axis=1)
    if absent.any():
        named = picked(panel.names, absent)
        raise DataError(
            f"weights: {absent.sum()} units have no {column!r} in the periods of its mean: {named}. Fill it, widen "
            "weights.periods, or take the units out of the sample."
        )
    sums = np.where(used, values, 0.0).sum(axis=1)[entered]
    return np.asarray(sums / used.sum(axis=1)[entered])
