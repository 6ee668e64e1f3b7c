"""Places of the country: provinces, coordinates, and who borders on whom.

Cities scatter around the centres of provinces. Two cities are neighbours if one of them is among the nearest of the other, so
the relation is symmetric, nobody is without neighbours, and a tree finds it for 50,000 places in a second.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from syneff.typing import Float, Int

NEAREST = 5  # neighbours of a city at the least
BOX = ((98.0, 20.0), (128.0, 48.0))  # degrees east and north that no city leaves
PROVINCES = 30  # at the most


@dataclass(frozen=True)
class Geography:
    """Where the cities are.

    Attributes
    ----------
    province
        Number of the province, ``[unit]``.
    lon, lat
        Degrees, ``[unit]``.
    pairs
        Neighbours, each pair in both orders, sorted: numbers of units ``[pair 2]``.
    weights
        Row-standardised contiguity, a sparse ``[unit unit]``.
    """

    province: Int[np.ndarray, " unit"]
    lon: Float[np.ndarray, " unit"]
    lat: Float[np.ndarray, " unit"]
    pairs: Int[np.ndarray, "pair two"]
    weights: csr_array

    def lag(self, values: Float[np.ndarray, "unit period"]) -> Float[np.ndarray, "unit period"]:
        """Return the mean over the neighbours of each unit."""
        return np.asarray(self.weights @ values)

    def disperse(
        self, values: Float[np.ndarray, "unit period"], persistence: float
    ) -> Float[np.ndarray, "unit period"]:
        """Solve x = persistence W x + values: what each unit emits and what arrives from near and far.

        W is row-standardised, so the series sum of (persistence W)^k converges; it ends where a term no longer counts.
        """
        total = term = values
        while np.abs(term).max() > 1e-12:
            term = persistence * self.lag(term)
            total = total + term
        return np.asarray(total)

    def neighbours(self, units: tuple[object, ...]) -> pd.DataFrame:
        """Return the pairs as a frame with the columns ``focal`` and ``neighbor``."""
        names = np.asarray(units, dtype=object)
        return pd.DataFrame({"focal": names[self.pairs[:, 0]], "neighbor": names[self.pairs[:, 1]]})


def draw_geography(rng: np.random.Generator, units: int) -> Geography:
    """Scatter cities around the centres of provinces, all inside `BOX`."""
    n_provinces = min(PROVINCES, max(2, units // 9))
    centres: list[np.ndarray] = []
    for _ in range(n_provinces):
        candidates = rng.uniform((103.0, 23.0), (124.0, 45.0), size=(20, 2))
        distance = [min((np.hypot(*(place - other)) for other in centres), default=0.0) for place in candidates]
        centres.append(candidates[int(np.argmax(distance))])
    province = np.sort(np.concatenate([np.arange(n_provinces), rng.integers(n_provinces, size=units - n_provinces)]))
    places = np.clip(np.stack(centres)[province] + 1.1 * rng.standard_normal((units, 2)), *BOX)
    pairs = find_neighbours(places[:, 0], places[:, 1])
    counts = np.bincount(pairs[:, 0], minlength=units)
    weights = csr_array((1.0 / counts[pairs[:, 0]], (pairs[:, 0], pairs[:, 1])), shape=(units, units))
    return Geography(province, lon=places[:, 0], lat=places[:, 1], pairs=pairs, weights=weights)


def find_neighbours(
    lon: Float[np.ndarray, " unit"], lat: Float[np.ndarray, " unit"], nearest: int = NEAREST
) -> Int[np.ndarray, "pair two"]:
    """Return pairs of units of which one is among the nearest of the other, on the sphere, in both orders and sorted."""
    east, north = np.radians(lon), np.radians(lat)
    sphere = np.column_stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
    _, found = cKDTree(sphere).query(sphere, k=min(nearest + 1, lon.size))
    focal, other = np.repeat(np.arange(lon.size), found.shape[1]), found.ravel()
    # A pair as one number, focal x units + other: sorting numbers is many times faster than sorting rows.
    pairs = np.unique(np.concatenate([focal * lon.size + other, other * lon.size + focal])[np.tile(focal != other, 2)])
    return np.column_stack(np.divmod(pairs, lon.size))


def seaward(geography: Geography) -> Float[np.ndarray, " unit"]:
    """Return how far to the south-east a unit is, in degrees: the sea is there."""
    return np.asarray(geography.lon - 0.7 * geography.lat)
