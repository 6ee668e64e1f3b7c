"""Weights as arrays of the device, placed on the cube of a panel."""

from dataclasses import replace
from weakref import WeakKeyDictionary

import jax.numpy as jnp
import numpy as np

from syneff.numerics.network import Network
from syneff.panel.panel import Panel
from syneff.spatial.weights import Weights

_NETWORKS: WeakKeyDictionary[Weights, dict[tuple[int, bytes], Network]] = WeakKeyDictionary()
"""Networks by weights and places: the products of eigenvectors are found once a W."""


def network_of(weights: Weights, panel: Panel) -> Network:
    """Place weights that belong to a panel on its units; units outside W have rows and columns of zeros.

    Parameters
    ----------
    weights
        What `syneff.spatial.weights.weights_of` gave for the panel.
    panel
        The panel.
    """
    rows, size = weights.rows(panel), panel.shape[0]
    key, known = (size, rows.tobytes()), _NETWORKS.setdefault(weights, {})
    if key not in known:
        known[key] = _network(weights, rows, size)
    return known[key]


def _network(weights: Weights, rows: np.ndarray, size: int) -> Network:
    spectrum = weights.spectrum
    present = np.zeros(size)
    present[rows] = 1.0
    values = np.zeros(size, dtype=complex)
    values[rows] = spectrum.values
    low, high = bounds_of(weights)
    network = Network(
        matrix=_placed(weights.matrix, rows, rows, size),
        values=jnp.asarray(values.real),
        imaginary=jnp.asarray(values.imag),
        present=jnp.asarray(present),
        lower=jnp.asarray(low),
        upper=jnp.asarray(high),
    )
    if spectrum.vectors is None or spectrum.inverse is None:
        return network
    vectors, inverse = spectrum.vectors, spectrum.inverse
    return replace(
        network,
        vectors=_placed(vectors, rows, rows, size),
        inverse=_placed(inverse, rows, rows, size),
        gram=_placed((vectors.T @ vectors) * (inverse @ inverse.T), rows, rows, size),
    )


def bounds_of(weights: Weights) -> tuple[float, float]:
    """Return the bounds of a spatial parameter; -1 or 1 where no eigenvalue sets one."""
    low, high = weights.bounds
    return (low if np.isfinite(low) else -1.0), (high if np.isfinite(high) else 1.0)


def _placed(block: np.ndarray, rows: np.ndarray, columns: np.ndarray, size: int) -> jnp.ndarray:
    whole = np.zeros((size, size))
    whole[np.ix_(rows, columns)] = block
    return jnp.asarray(whole)
