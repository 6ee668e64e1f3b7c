"""Weights as arrays of the device, placed on the cube of a panel."""

import jax.numpy as jnp
import numpy as np

from syneff.numerics.network import Network
from syneff.panel.panel import Panel
from syneff.spatial.weights import Weights


def network_of(weights: Weights, panel: Panel) -> Network:
    """Place weights that belong to a panel on its units; units outside W have rows and columns of zeros.

    Parameters
    ----------
    weights
        What `syneff.spatial.weights.weights_of` gave for the panel.
    panel
        The panel.
    """
    rows, size, spectrum = weights.rows(panel), panel.shape[0], weights.spectrum
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
    return Network(
        network.matrix,
        network.values,
        network.imaginary,
        network.present,
        network.lower,
        network.upper,
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
