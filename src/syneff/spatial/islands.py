"""Islands: units without a link; and units that are nobody's neighbour.

What becomes of an island changes the sample or the model, so it is a choice and always named:

===========  =======================================================================================================
islands      what becomes of them
===========  =======================================================================================================
``keep``     a row of zeros: no neighbour matters to it; W 1 = 1 fails, and with it what needs row sums of 1
``nearest``  a link to the nearest unit and back, as strong as the mean link; needs coordinates
``drop``     out of W, and so out of the sample of every estimator that uses W: a row of zeros would count in every
             mean and degree of freedom without saying anything of dependence
``error``    refused
===========  =======================================================================================================

Where links run one way, dropping repeats until every unit that is left has a neighbour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from syneff.errors import DataError, SpecError
from syneff.panel.rules import listed
from syneff.spatial.links import Links, attach_nearest, distances_km, nearest_links, picked
from syneff.typing import Float, Int

ISLANDS = ("keep", "nearest", "drop", "error")
EMPTY_COLUMNS = ("refuse", "keep")


@dataclass(frozen=True)
class Settled:
    """Links after the islands were dealt with.

    Attributes
    ----------
    links
        ``[unit unit]`` of the units that are left.
    left
        Places of the units that are left.
    islands
        Places of the islands that were kept or dropped.
    remarks
        Which were linked to whom.
    """

    links: Links
    left: Int[np.ndarray, " unit"]
    islands: Int[np.ndarray, " island"]
    remarks: tuple[str, ...] = ()


def settle(
    links: Links,
    policy: str,
    units: Sequence[object],
    labels: Sequence[str],
    *,
    coordinates: Float[np.ndarray, "unit 2"] | None = None,
) -> Settled:
    """Deal with islands.

    Parameters
    ----------
    links
        ``[unit unit]``.
    policy
        One of `ISLANDS`.
    units, labels
        Identifiers and names.
    coordinates
        ``[unit 2]``: latitude and longitude, for "nearest".

    Raises
    ------
    DataError
        If islands are refused, or nothing is left: they are named.
    SpecError
        If the nearest unit is asked for and there are no coordinates.
    """
    everyone = np.arange(len(units))
    alone = np.flatnonzero(~(links > 0).any(axis=1))
    if not alone.size or policy == "keep":
        return Settled(links, everyone, alone)
    named = listed(labels[i] for i in alone.tolist())
    if policy == "error":
        raise DataError(
            f"weights: {alone.size} units have no neighbour: {named}. Set islands to keep, nearest or drop, or widen the "
            "weights."
        )
    if policy == "nearest":
        if coordinates is None:
            raise SpecError(
                f"islands=nearest needs coordinates, to find the nearest unit of {named}. Give them, or drop."
            )
        near = nearest_links(distances_km(coordinates[:, 0], coordinates[:, 1], labels), units, 1)
        joined, pairs = attach_nearest(links, near)
        said = ", ".join(f"{labels[i]} to {labels[j]}" for i, j in pairs)
        return Settled(joined, everyone, alone[:0], (f"{alone.size} islands linked to the nearest unit: {said}",))
    return _dropped(links, everyone, named)


def _dropped(links: Links, left: np.ndarray, named: str) -> Settled:
    has = np.zeros(0, dtype=bool)
    while left.size and not (has := (links[np.ix_(left, left)] > 0).any(axis=1)).all():
        left = left[has]
    if not left.size:
        raise DataError(f"weights: no unit has a neighbour ({named}), so none is left. Widen the weights.")
    return Settled(links[np.ix_(left, left)], left, np.setdiff1d(np.arange(len(links)), left))


def nobodys(links: Links, labels: Sequence[str], policy: str) -> tuple[str, ...]:
    """Refuse or note units that have neighbours and are nobody's neighbour.

    Raises
    ------
    DataError
        If they are refused: they are named.
    """
    empty = np.asarray(~(links > 0).any(axis=0) & (links > 0).any(axis=1))
    if not empty.any():
        return ()
    said = f"{empty.sum()} units have neighbours but are nobody's: {picked(labels, empty)}"
    if policy == "refuse":
        raise DataError(f"weights: {said}. Mend their columns, or set empty_columns=keep if the links run one way.")
    return (said,)
