r"""Links between units, before they are standardised: matrices ``[unit unit]`` from pairs, places, groups and values.

==============  ==================================================================================================
links           entry of row *i* and column *j*, zero on the diagonal
==============  ==================================================================================================
pairs           the weight of the pair (*i*, *j*), 1 where none is given
distance        :math:`d_{ij}^{-p}` up to a cut-off, *d* the great circle in kilometres
nearest         1 for the *k* units nearest to *i*; of two equally far the one whose identifier sorts first
group           1 if *i* and *j* are of one group
gap             :math:`1 / |x_i - x_j|`
==============  ==================================================================================================

Every unit can be reached from its name alone: nothing here depends on the order of the units.
"""

from collections import Counter
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, one_of
from syneff.numerics.dependence import great_circle
from syneff.panel.rules import listed
from syneff.runtime import require_float64
from syneff.typing import Float, HostTrait

Links = Float[np.ndarray, "unit unit"]
Degrees = Float[np.ndarray, " unit"]

ONE_WAY = ("refuse", "mirror", "keep")
TIE = 1e-9
"""Gap, relative to the largest absolute value, up to which two values count as equal."""


def picked(labels: Sequence[str], which: np.ndarray, values: np.ndarray | None = None) -> str:
    """List the labels of some units, with a value each if there are any."""
    places = np.flatnonzero(which).tolist()
    return listed(labels[i] + ("" if values is None else f" ({values[i]:g})") for i in places)


def named(matrix: np.ndarray | pd.DataFrame, ids: Sequence[object] | None) -> tuple[Links, tuple[object, ...]]:
    """Return links and identifiers; a frame's columns are brought into the order of its rows.

    Raises
    ------
    DataError
        If the matrix is not square, or identifiers do not fit, repeat, or differ between rows and columns.
    SpecError
        If nothing says what the rows are.
    """
    if isinstance(matrix, pd.DataFrame):
        if ids is None:
            differing = sorted(map(str, set(matrix.index) ^ set(matrix.columns)))
            if differing:
                raise DataError(f"weights: rows and columns name different units: {listed(differing)}. Name the same.")
            matrix = matrix[matrix.index] if matrix.index.is_unique and matrix.columns.is_unique else matrix
            ids = matrix.index.tolist()
        matrix = matrix.to_numpy(dtype=float)
    links = np.array(matrix, dtype=float)
    if links.ndim == 3:
        raise SpecError(
            f"weights: an array of shape {links.shape} has a matrix a period. One W must hold for all periods: one that "
            "moves with the economy moves with the outcome. Give the mean over periods, or a matrix of an early one."
        )
    if links.ndim != 2 or links.shape[0] != links.shape[1]:
        raise DataError(f"weights: the matrix has shape {links.shape}; it must be square, a row and a column a unit.")
    if ids is None:
        raise SpecError("weights: a matrix without names needs ids=, the identifier of each row.")
    units = tuple(ids)
    if len(units) != len(links):
        raise DataError(f"weights: {len(units)} ids for a matrix of {len(links)} rows. Give one id a row.")
    twice = [str(unit) for unit, count in Counter(units).items() if count > 1]
    if twice:
        raise DataError(f"weights: ids that stand more than once: {listed(twice)}. Every unit needs its own.")
    return links, units


def check_links(links: Links, labels: Sequence[str]) -> None:
    """Refuse entries that are no weights.

    Raises
    ------
    DataError
        If an entry is missing, infinite or negative, or the diagonal is not zero: the pairs are named.
    """

    def pairs(wrong: np.ndarray) -> str:
        return listed(f"{labels[i]} to {labels[j]} ({links[i, j]:g})" for i, j in np.argwhere(wrong))

    if not np.isfinite(links).all():
        wrong = ~np.isfinite(links)
        raise DataError(f"weights: {wrong.sum()} entries are missing or infinite: {pairs(wrong)}. Use 0 for no link.")
    if (links < 0).any():
        raise DataError(
            f"weights: {(links < 0).sum()} entries are negative: {pairs(links < 0)}. Weights are 0 or more."
        )
    if np.diagonal(links).any():
        own = np.diag(np.diagonal(links) != 0)
        raise DataError(f"weights: {own.sum()} units are their own neighbours: {pairs(own)}. The diagonal must be 0.")


def pair_links(
    focal: Sequence[object],
    neighbour: Sequence[object],
    weight: Sequence[float] | np.ndarray | None,
    units: Sequence[object],
    *,
    one_way: str = "refuse",
) -> Links:
    """Return the links of listed pairs.

    Parameters
    ----------
    focal, neighbour
        Identifiers: the unit, and one that matters to it.
    weight
        Weight of each pair; 1 if None.
    units
        Identifiers of the rows and columns; a unit in no pair is an island.
    one_way
        What to do with a pair that is listed in one direction alone, or with another weight in the other: "refuse" it, as
        contiguity is mutual, "mirror" pairs of which one direction is listed, or "keep" the direction.

    Raises
    ------
    DataError
        If an identifier is not among `units`, a pair is listed twice, or is one-way and refused.
    """
    one_of("weights.one_way", one_way, ONE_WAY)
    place = {unit: number for number, unit in enumerate(units)}
    strange = [str(each) for each in (*focal, *neighbour) if each not in place]
    if strange:
        raise DataError(
            f"weights: {len(set(strange))} identifiers of the pairs are no units: {listed(strange)}. "
            f"The units begin {listed(str(unit) for unit in units)}. Use the same identifiers in both."
        )
    rows, columns = [place[each] for each in focal], [place[each] for each in neighbour]
    twice = pd.MultiIndex.from_arrays([rows, columns]).duplicated()
    if twice.any():
        named = picked([f"{i} to {j}" for i, j in zip(focal, neighbour, strict=True)], twice)
        raise DataError(f"weights: {twice.sum()} pairs are listed more than once: {named}. List every pair once.")
    links = np.zeros((len(units), len(units)))
    links[rows, columns] = 1.0 if weight is None else np.asarray(weight, dtype=float)
    wrong = links != links.T
    if one_way == "mirror":
        wrong &= (links != 0) & (links.T != 0)
        links = np.where(links == 0, links.T, links)
    if one_way != "keep" and wrong.any():
        named = listed(
            f"{units[i]} to {units[j]} ({links[i, j]:g}, back {links[j, i]:g})" for i, j in np.argwhere(wrong)
        )
        raise DataError(
            f"weights: {wrong.sum()} entries differ from those of the other direction: {named}. "
            "List both directions alike, or set one_way to mirror or keep."
        )
    return links


def distances_km(lat: Degrees, lon: Degrees, labels: Sequence[str]) -> Links:
    """Return great-circle distances in kilometres.

    Raises
    ------
    DataError
        If a coordinate is missing or no number of degrees: units are named.
    """
    for name, degrees, limit in (("latitude", lat, 90.0), ("longitude", lon, 180.0)):
        wrong = ~(np.abs(degrees) <= limit)
        if wrong.any():
            named = picked(labels, wrong, degrees)
            raise DataError(
                f"weights: {wrong.sum()} units have no {name} from {-limit:g} to {limit:g} degrees: {named}. Fill it, take "
                "the units out of the sample, or turn projected coordinates into degrees."
            )
    require_float64()
    found = np.asarray(great_circle(jnp.asarray(lat, dtype=float), jnp.asarray(lon, dtype=float)))
    return np.asarray((found + found.T) / 2.0)


def distance_links(
    distances: Links, labels: Sequence[str], *, power: int | float = 1, cutoff_km: int | float | None = None
) -> Links:
    """Return ``1 / distance^power`` up to a cut-off; power 0 counts all units within it alike.

    Raises
    ------
    SpecError
        If the power is negative or the cut-off is not above 0.
    DataError
        If two units stand at one place: their link would be infinite.
    """
    if power < 0:
        raise SpecError(f"weights.power={power} is negative: far units would matter most. Give 0 or more, e.g. 1 or 2.")
    if cutoff_km is not None and not cutoff_km > 0:
        raise SpecError(f"weights.cutoff_km={cutoff_km} must be a distance above 0, or null for none.")
    others = ~np.eye(len(distances), dtype=bool)
    same = others & (distances <= 0)
    if same.any() and power:
        named = listed(f"{labels[i]} and {labels[j]}" for i, j in np.argwhere(np.triu(same)))
        raise DataError(f"weights: units at one place have an infinite link: {named}. Mend their coordinates.")
    near = others if cutoff_km is None else others & (distances <= cutoff_km)
    return np.where(near, np.where(others & ~same, distances, 1.0) ** -float(power), 0.0)


def nearest_links(distances: Links, units: Sequence[object], k: int) -> Links:
    """Return 1 for the *k* nearest units of each.

    Raises
    ------
    SpecError
        If *k* is below 1 or there are not that many other units.
    """
    if not 1 <= k < len(units):
        raise SpecError(f"weights.k={k} must be 1 to {len(units) - 1}, the number of other units.")
    rank = np.argsort(np.argsort(np.array([str(unit) for unit in units], dtype=object), kind="stable"))
    far = np.where(np.eye(len(units), dtype=bool), np.inf, distances)
    chosen = np.lexsort((np.broadcast_to(rank, far.shape), far), axis=1)[:, :k]
    links = np.zeros_like(far)
    np.put_along_axis(links, chosen, 1.0, axis=1)
    return links


def group_links(groups: HostTrait, units: Sequence[object], labels: Sequence[str]) -> Links:
    """Return 1 for units of one group; a unit alone in its group is an island.

    Raises
    ------
    DataError
        If a unit has no group.
    """
    from libpysal.graph import Graph

    missing = np.asarray(pd.isna(groups))
    if missing.any():
        named = picked(labels, missing)
        raise DataError(f"weights: {missing.sum()} units have no group: {named}. Fill the trait.")
    blocks = Graph.build_block_contiguity(pd.Series(np.asarray(groups).astype(str), index=range(len(units))))
    # The graph lists units group by group.
    order = np.argsort(np.asarray(blocks.unique_ids))
    return np.asarray(blocks.sparse.todense(), dtype=float)[np.ix_(order, order)]


def gap_links(
    values: Float[np.ndarray, " unit"], labels: Sequence[str], floor: int | float | None = None
) -> tuple[Links, str]:
    """Return ``1 / |x_i - x_j|``, and a sentence on the pairs whose gap was raised.

    Two units with one value would be infinitely close. A gap below the floor counts as the floor; by default the floor is the
    smallest gap that is no tie, so that ties alone are raised.

    Raises
    ------
    DataError
        If a value is missing, or all are equal: units are named.
    SpecError
        If the floor is not above 0.
    """
    missing = ~np.isfinite(values)
    if missing.any():
        named = picked(labels, missing)
        raise DataError(
            f"weights: {missing.sum()} units have no value to take gaps of: {named}. Fill it, or drop them."
        )
    if floor is not None and not floor > 0:
        raise SpecError(f"weights.floor={floor} must be a gap above 0, or null for the smallest gap that is no tie.")
    others = ~np.eye(len(values), dtype=bool)
    gaps = np.abs(values[:, None] - values[None, :])
    apart = others & (gaps > TIE * np.abs(values).max(initial=0.0))
    if not apart.any():
        raise DataError(f"weights: all {len(values)} units have the value {values[0]:g}, so there are no gaps.")
    least = float(gaps[apart].min()) if floor is None else float(floor)
    raised = np.triu(others & (gaps < least))
    pairs = listed(f"{labels[i]} and {labels[j]}" for i, j in np.argwhere(raised))
    said = f"{raised.sum()} pairs have a gap below {least:g}, which counts as {least:g}: {pairs}" if pairs else ""
    return np.where(others, 1.0 / np.maximum(np.where(others, gaps, 1.0), least), 0.0), said


def attach_nearest(links: Links, nearest: Links) -> tuple[Links, list[tuple[int, int]]]:
    """Link every island to its nearest unit, both ways, by a link as strong as the mean link; return the pairs too.

    Parameters
    ----------
    links
        With rows of zeros.
    nearest
        The `nearest_links` of one neighbour.

    Raises
    ------
    DataError
        If there is no link at all, so that no strength is known.
    """
    if not (links > 0).any():
        raise DataError(
            "weights: no unit has a neighbour, so islands cannot be linked as others are. Widen the weights."
        )
    pairs = [(int(i), int(nearest[i].argmax())) for i in np.flatnonzero(~(links > 0).any(axis=1))]
    joined = links.copy()
    for i, j in pairs:
        joined[i, j] = joined[j, i] = links[links > 0].mean()
    return joined, pairs
