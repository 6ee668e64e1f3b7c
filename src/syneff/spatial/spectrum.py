r"""The eigenvalues of a weight matrix, by a symmetric problem wherever there is one.

A row-standardised matrix of symmetric links is :math:`W = D^{-1} C` with *C* symmetric, and so is any matrix that a diagonal
scaling makes symmetric, such as links times the size of the neighbour. Then

.. math::

    D^{-1/2} C D^{-1/2} = U \Omega U', \qquad A = D^{-1/2} U, \qquad A^{-1} = U' D^{1/2}, \qquad W = A \Omega A^{-1},

all eigenvalues are real, and every function of *W* that a spatial model needs is a function of them: no inverse per fit.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from syneff.typing import Float, Shaped

SYMMETRIC = 1e-9
"""Relative difference up to which a scaled matrix counts as symmetric: what scales found along paths of links leave."""
REAL = 1e-9
"""Imaginary part, relative to the largest eigenvalue, up to which an eigenvalue counts as real."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of W and, where W is similar to a symmetric matrix, what diagonalises it.

    Attributes
    ----------
    values
        ``[unit]``: eigenvalues, ascending; complex only where W is not similar to a symmetric matrix.
    vectors, inverse
        ``[unit unit]``: A and its inverse, so that ``W = A diag(values) A^-1``; None where there is no symmetric problem.
    scale
        ``[unit]``: the diagonal of D; None likewise.
    """

    values: Shaped[np.ndarray, " unit"]
    vectors: Float[np.ndarray, "unit unit"] | None = None
    inverse: Float[np.ndarray, "unit unit"] | None = None
    scale: Float[np.ndarray, " unit"] | None = None

    @property
    def is_real(self) -> bool:
        """Whether all eigenvalues are real."""
        return not np.iscomplexobj(self.values)

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval around zero in which I - rho W can be inverted: 1/omega_min to 1/omega_max, of the real eigenvalues."""
        values = self.values.real[np.abs(self.values.imag) <= REAL * np.abs(self.values).max(initial=0.0)]
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        return (1.0 / low if low < 0 else -np.inf), (1.0 / high if high > 0 else np.inf)


def spectrum_of(matrix: Float[np.ndarray, "unit unit"]) -> Spectrum:
    """Find the spectrum of a weight matrix.

    Parameters
    ----------
    matrix
        ``[unit unit]``: not negative, zero diagonal.
    """
    scale = balancing_scale(matrix)
    if scale is None:
        values = np.linalg.eigvals(matrix)
        if np.abs(values.imag).max(initial=0.0) <= REAL * np.abs(values).max(initial=0.0):
            values = values.real
        return Spectrum(np.sort(values))
    root = np.sqrt(scale)
    symmetric = root[:, None] * matrix / root[None, :]
    values, rotation = np.linalg.eigh((symmetric + symmetric.T) / 2.0)
    return Spectrum(values, rotation / root[:, None], rotation.T * root[None, :], scale)


def balancing_scale(matrix: Float[np.ndarray, "unit unit"]) -> Float[np.ndarray, " unit"] | None:
    """Return positive *d* with ``d_i W_ij = d_j W_ji`` for all pairs, its mean 1 in each component; None if there is none.

    Along a tree of links ``d_j = d_i W_ij / W_ji`` leaves no choice, so the scale is found on a tree and checked on all links.
    """
    linked = matrix > 0
    if not (linked == linked.T).all():
        return None
    graph, scale = csr_array(linked), np.ones(len(matrix))
    count, component = connected_components(graph, directed=False)
    for each in range(count):
        members = np.flatnonzero(component == each)
        order, previous = breadth_first_order(graph, members[0], directed=False)
        for j in order[1:]:
            i = previous[j]
            scale[j] = scale[i] * matrix[i, j] / matrix[j, i]
        scale[members] /= scale[members].mean()
    flow = scale[:, None] * matrix
    return scale if np.abs(flow - flow.T).max(initial=0.0) <= SYMMETRIC * flow.max(initial=0.0) else None


def standardised(links: Float[np.ndarray, "unit unit"], how: str) -> Float[np.ndarray, "unit unit"]:
    """Return W of links; rows of zeros stay."""
    if how == "none":
        return links.copy()
    if how == "spectral":
        radius = float(np.abs(spectrum_of(links).values).max(initial=0.0))
        return links / radius if radius > 0 else links.copy()
    sums = links.sum(axis=1, keepdims=True)
    return np.asarray(links / np.where(sums > 0, sums, 1.0))
