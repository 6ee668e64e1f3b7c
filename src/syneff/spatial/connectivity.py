"""What a weight matrix connects: islands by name, components, neighbours, the bounds of rho, and the frame of a map."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from syneff.models.base import Estimate, Status
from syneff.panel.panel import Panel
from syneff.spatial.weights import MakeWeights, Weights, weights_of

DENSE = 0.1
"""Share of pairs with a link from which on a map of all links would be black, so that the strongest stand for them."""
STRONGEST = 4
"""Links of each unit that stand for all where they are dense."""


@dataclass(frozen=True)
class Connectivity:
    """Describe a weight matrix.

    Attributes
    ----------
    weights
        The weights, or a function that makes them of the panel.
    """

    weights: Weights | MakeWeights

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Return counts as terms, with islands and remarks as notes and the frames `neighbours` and `links` as details.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect: nothing is drawn.
        """
        weights = weights_of(panel, self.weights)
        found = summary(weights)
        return Estimate(
            coef=jnp.asarray(list(found.values())),
            cov=jnp.full((len(found), len(found)), jnp.nan),
            nobs=jnp.asarray(float(panel.sample.sum())),
            n_units=jnp.asarray(float(len(weights.units))),
            n_periods=jnp.asarray(float(panel.sample.any(axis=0).sum())),
            dof=jnp.asarray(jnp.nan),
            stats={},
            status=jnp.asarray(int(Status.OK)),
            names=tuple(found),
            outcome=weights.name,
            notes=(*weights.notes, *_spectral_note(weights)),
            details={"neighbours": neighbours(weights), "links": links(weights)},
        )


def summary(weights: Weights) -> dict[str, float]:
    """Return the counts of a weight matrix.

    Returns
    -------
    dict
        ``units``; ``links``, their ``density`` among all pairs, and how many run one way; ``islands`` kept or left out;
        ``components`` and units of the largest; ``neighbours_min``, ``_mean``, ``_median`` and ``_max``; ``rho_min`` and
        ``rho_max``, between which I - rho W can be inverted.
    """
    linked = weights.links > 0
    count = linked.sum(axis=1)
    parts, component = connected_components(csr_array(linked), directed=False)
    low, high = weights.bounds
    units = len(weights.units)
    return {
        "units": float(units),
        "links": float(linked.sum()),
        "density": float(linked.sum() / max(units * (units - 1), 1)),
        "one_way_links": float((linked & ~linked.T).sum()),
        "islands": float(len(weights.islands)),
        "components": float(parts),
        "largest_component": float(np.bincount(component).max()),
        "neighbours_min": float(count.min()),
        "neighbours_mean": float(count.mean()),
        "neighbours_median": float(np.median(count)),
        "neighbours_max": float(count.max()),
        "rho_min": low,
        "rho_max": high,
    }


def neighbours(weights: Weights) -> pd.DataFrame:
    """Return a row a unit: how many neighbours, its component (0 is the largest), and where it is."""
    linked = weights.links > 0
    _, component = connected_components(csr_array(linked), directed=False)
    largest_first = np.argsort(np.argsort(-np.bincount(component), kind="stable"), kind="stable")
    lat, lon = _places(weights)
    return pd.DataFrame(
        {
            "unit": [str(unit) for unit in weights.units],
            "label": list(weights.labels),
            "neighbours": linked.sum(axis=1),
            "component": largest_first[component],
            "island": ~linked.any(axis=1),
            "lat": lat,
            "lon": lon,
        }
    )


def links(weights: Weights) -> pd.DataFrame:
    """Return a row a link, both ends with their coordinates; of dense weights each unit's strongest, ties by name."""
    linked = weights.links > 0
    if linked.mean() > DENSE:
        rank = np.argsort(np.argsort(np.asarray([str(unit) for unit in weights.units]), kind="stable"))
        order = np.lexsort((np.broadcast_to(rank, linked.shape), -weights.matrix), axis=1)[:, :STRONGEST]
        strongest = np.zeros_like(linked)
        np.put_along_axis(strongest, order, True, axis=1)
        linked = linked & strongest
    i, j = np.nonzero(linked)
    lat, lon = _places(weights)
    units = np.asarray([str(unit) for unit in weights.units], dtype=object)
    return pd.DataFrame(
        {
            "unit": units[i],
            "neighbour": units[j],
            "weight": weights.matrix[i, j],
            "lat": lat[i],
            "lon": lon[i],
            "neighbour_lat": lat[j],
            "neighbour_lon": lon[j],
        }
    )


def _places(weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    nowhere = np.full(len(weights.units), np.nan)
    return (nowhere, nowhere) if weights.coordinates is None else (weights.coordinates[:, 0], weights.coordinates[:, 1])


def _spectral_note(weights: Weights) -> tuple[str, ...]:
    if weights.spectrum.is_real:
        return ()
    return (
        f"weights {weights.name}: some eigenvalues are complex, because W is not similar to a symmetric matrix; "
        "the bounds of rho are those of the real ones",
    )
