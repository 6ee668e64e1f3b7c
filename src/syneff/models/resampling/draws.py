"""What all schemes share: running the draws, and choosing what to resample."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import SpecError
from syneff.models.base import Design, Spec
from syneff.numerics.batching import map_over_devices
from syneff.panel.panel import Panel
from syneff.runtime import computing_devices
from syneff.typing import Array

FEW_CLUSTERS = 10
"""Clusters below which resampling them tells little."""
FEW_DRAWS = 99
"""Draws below which no p-value is below 1 %."""


def check_draws(scheme: str, draws: int, chunk: int | None) -> None:
    """Raise a `SpecError` unless there is something to draw."""
    if draws < 1:
        raise SpecError(f"{scheme}: draws={draws} must be 1 or more, e.g. draws=999.")
    if chunk is not None and chunk < 1:
        raise SpecError(f"{scheme}: chunk={chunk} must be 1 or more, or null for what suits the device.")


def draw_chunk() -> int:
    """Return how many draws to fit at a time: what a CPU's cache holds, or what keeps a GPU busy."""
    return 128 if computing_devices()[0].platform == "cpu" else 4096


def run_draws(step: Callable[..., Any], common: Any, draws: int, *, chunk: int | None, of: str) -> Any:
    """Run a compiled step over the numbers of the draws, chunks dealt to the devices; see `map_over_devices`."""
    structures = []

    def leaves(common: Any, numbers: Array) -> list[Array]:
        found, structure = jax.tree.flatten(step(common, numbers))
        structures.append(structure)
        return found

    numbers = np.arange(draws, dtype=np.int64)
    # Chunks are joined on the host: there, shapes that occur once need no compilation.
    joined = map_over_devices(leaves, common, numbers, chunk=chunk or draw_chunk(), of=of)
    return jax.tree.unflatten(structures[0], [jnp.asarray(each) for each in joined])


@dataclass(frozen=True)
class Resampled:
    """The clusters that are resampled whole.

    Attributes
    ----------
    codes
        ``[unit]``: number of the cluster, from 0; units outside the sample have the first, and weigh nothing.
    names
        A name for each cluster.
    notes
        What the user should know of them.
    """

    codes: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...]


def resampled_clusters(scheme: str, panel: Panel, design: Design, spec: Spec) -> Resampled:
    """Find the clusters of a design, which must hold whole units.

    Parameters
    ----------
    scheme
        Name of the scheme, for messages.
    panel, design, spec
        What is estimated. Without clusters, units are resampled.

    Raises
    ------
    SpecError
        If a cluster is not constant within units, or if there are fewer than two.
    """
    cluster, inside = np.asarray(design.cluster), np.asarray(design.weights) > 0
    crossing = crossing_units(design)
    if crossing or not isinstance(spec.cluster, str | None):
        where = f": {panel.names[crossing[0]]} lies in several" if crossing else ""
        raise SpecError(
            f"{scheme} resamples whole units, but spec.cluster={spec.cluster} is not constant within unit{where}. "
            "Set spec.cluster to unit or to a trait of the units."
        )
    sampled = inside.any(1)
    levels, where_first, codes = np.unique(cluster[sampled, 0], return_index=True, return_inverse=True)
    if levels.size < 2:
        raise SpecError(f"{scheme}: there is {levels.size} cluster in the sample; 2 or more are needed.")
    filled = np.zeros(cluster.shape[0], dtype=int)
    filled[sampled] = codes
    labels = panel.traits.get(str(spec.cluster), panel.names)
    names = tuple(str(labels[unit]) for unit in np.flatnonzero(sampled)[where_first])
    return Resampled(filled, names, few_clusters(levels.size))


def crossing_units(design: Design) -> list[int]:
    """Return the units that lie in several clusters, of the first name if there are several names."""
    if "unit" in design.ways[0].whole:
        return []
    cluster, inside = np.asarray(design.cluster), np.asarray(design.weights) > 0
    return [i for i in range(cluster.shape[0]) if np.unique(cluster[i, inside[i]]).size > 1]


def few_draws(draws: int) -> tuple[str, ...]:
    """Warn of too few draws for the tails that tests and intervals are made of."""
    if draws >= FEW_DRAWS:
        return ()
    return (f"only {draws} draws: no p-value can be below {1 / (1 + draws):.2g}; 999 or more are usual",)


def few_clusters(count: int) -> tuple[str, ...]:
    """Warn of few clusters."""
    if count >= FEW_CLUSTERS:
        return ()
    return (
        f"only {count} clusters: resampling them is unreliable; prefer WildClusterBootstrap, which enumerates all sign "
        "vectors of up to 12 clusters, or a bias-reduced covariance (CR2)",
    )
